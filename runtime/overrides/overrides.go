// Package overrides puts the values of a YAML file over the policies of a
// running service, and follows the file as it changes.
//
// The file has the shape of a policy file, with interfaces by their qualified
// names and the keys that may change at run time (docs/overrides.md):
//
//	version: 1
//	interfaces:
//	  payments.Gateway:
//	    methods:
//	      Charge: {retry: {maxAttempts: 2}}
//
// It is read by the reader of policy files. Whatever is wrong with it is
// reported with file:line:col, and the values of the last good file stay in
// force.
package overrides

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// Options are what [Watch] takes. The zero value is the default.
type Options struct {
	// StrictOverrides makes a file that is missing or wrong at start an error of
	// Watch. Otherwise the compiled values stand, so that a stale name in a config
	// map does not keep new processes from starting.
	StrictOverrides bool
	// Interval is the time between two looks at the file; default 1s.
	Interval time.Duration
	// Report is told what became of each new state of the file: nil if its values
	// are in force, else why those before still are. It is called by one goroutine
	// at a time and must not call the stop func. Default: a line of slog.
	Report func(error)
}

// Watch puts the overrides of the file at path in force, and does so again when
// the file changes: written in place, replaced, or behind a symbolic link that
// is swapped, as config maps are. While the file is missing or wrong the last
// good values stand, the health of the Runtime warns and its observer is told. A
// Runtime has one file; call Watch when the wrappers have
// been made, since names that there are not are wrong. They are looked for again
// at each look.
//
// stop ends the watching and waits for it; the values stay in force.
func Watch(rt *resilience.Runtime, path string, o Options) (stop func(), err error) {
	if o.Report == nil {
		o.Report = report(path)
	}
	w := &watcher{rt: rt, path: path, Options: o}
	w.Interval = cmp.Or(max(o.Interval, 0), time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	if err := w.look(ctx); err != nil && o.StrictOverrides {
		cancel()
		return nil, err
	}
	w.begun = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		for w.sleep(ctx, w.Interval) {
			_ = w.look(ctx) // reported
		}
	}()
	return func() { cancel(); <-done }, nil
}

func report(path string) func(error) {
	return func(err error) {
		if err != nil {
			slog.Error("overrides refused, the values before stay in force", "file", path, "error", err)
			return
		}
		slog.Info("overrides in force", "file", path)
	}
}

type watcher struct {
	rt   *resilience.Runtime
	path string
	Options

	begun  bool   // the first look is over: it waits for nothing
	last   []byte // of the file; nil before it was read
	failed string // what was reported of it; "" if it is in force
}

// look applies the file if it is another one than at the last look, or if that
// could not be applied.
func (w *watcher) look(ctx context.Context) error {
	data, err := w.read(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil && w.last != nil && bytes.Equal(data, w.last) && w.failed == "" {
		return nil
	}
	if err == nil {
		w.last = data
		err = w.apply(data)
	} else {
		w.rt.RefuseOverrides(err)
	}
	failed := ""
	if err != nil {
		failed = err.Error()
	}
	if failed != w.failed || failed == "" {
		w.failed = failed
		w.Report(err)
	}
	return err
}

// settleTime is for how long a changed file must stay the same at most: half of
// one that is being written may be a right one, and mean something else.
const settleTime = 100 * time.Millisecond

// read reads the file. One that has changed is read again until it stays the
// same, through the same descriptor: if it is replaced meanwhile, the next look
// finds what came after it. What never settles is what it was.
func (w *watcher) read(ctx context.Context) ([]byte, error) {
	f, err := open(w.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	now, err := content(f)
	if err != nil || !w.begun || w.last != nil && bytes.Equal(now, w.last) {
		return now, err
	}
	for range 10 {
		before := now
		if !w.sleep(ctx, min(settleTime, w.Interval)) {
			return nil, ctx.Err()
		}
		if now, err = content(f); err != nil || bytes.Equal(now, before) {
			return now, err
		}
	}
	if w.last == nil {
		return nil, fmt.Errorf("%s: does not stay the same for %v", w.path, settleTime)
	}
	return w.last, nil
}

func (w *watcher) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func open(path string) (*os.File, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() { // to open a pipe would wait for its writer
		return nil, fmt.Errorf("%s: not a file", path)
	}
	return os.Open(path)
}

// maxSize is one byte more than the reader takes, which says so.
const maxSize = 256<<10 + 1

func content(f *os.File) ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(f, 0, maxSize))
}

// apply puts the values of a file in force, or says what is wrong with it.
func (w *watcher) apply(data []byte) error {
	said, err := policy.ReadOverrides(policy.Input{Path: w.path, Data: data})
	list := make([]resilience.Override, len(said))
	for i, o := range said {
		list[i] = resilience.Override{Name: o.Name, Key: o.Key, Value: o.Value, Origin: o.Pos.String()}
	}
	if err != nil {
		err = errors.Join(err, w.rt.UnknownNames(list))
		w.rt.RefuseOverrides(err)
		return err
	}
	return w.rt.SetOverrides(list)
}
