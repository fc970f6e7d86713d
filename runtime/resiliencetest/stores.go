package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Engine is what [Stores] tests: something that durable things can live in.
//
//	func TestStores(t *testing.T) {
//		resiliencetest.Stores(t, resiliencetest.Engine{Place: func(t *testing.T) resiliencetest.Place {
//			dsn := newDatabase(t)
//			return resiliencetest.Place{Open: func() (resilience.Stores, error) { return postgres.Open(dsn) }}
//		}})
//	}
type Engine struct {
	// Place makes an empty place, such as a directory or a database, for one test. It
	// cleans up with t.Cleanup.
	Place func(t *testing.T) Place
	// Volatile says that what was stored ends with its process. What needs a place to
	// be opened again is left out.
	Volatile bool
	// Bubble says that the engine is in this process and asks only time.Now and timers
	// for the time. Each test then runs in a bubble of testing/synctest, and waits for
	// nothing.
	Bubble bool
	// Lease is the shortest lease and time to live that the engine takes. 0 is 2 s.
	Lease time.Duration
}

// Place is where the stores of one test live.
type Place struct {
	// Open opens the stores there, and after they ended finds what was durable.
	Open func() (resilience.Stores, error)
	// Crash ends them as kill -9 would. nil leaves out what needs it.
	Crash func(resilience.Stores) error
}

// Stores tests that the stores of an engine keep the contracts of [resilience.Log],
// [resilience.Queue], [resilience.Leases] and [resilience.Cells], one subtest for
// each rule. A store that is nil is left out.
func Stores(t *testing.T, e Engine) {
	if e.Lease == 0 {
		e.Lease = 2 * time.Second
	}
	for _, group := range []struct {
		name  string
		has   func(resilience.Stores) bool
		rules []rule
	}{
		{"log", func(s resilience.Stores) bool { return s.Log != nil }, slices.Concat(appendRules, scanRules, dropRules, keyRules, contextRules, endRules)},
		{"cells", func(s resilience.Stores) bool { return s.Cells != nil }, cellRules},
		{"leases", func(s resilience.Stores) bool { return s.Leases != nil }, leaseRules},
		{"queue", func(s resilience.Stores) bool { return s.Queue != nil }, slices.Concat(queueRules, listRules)},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, r := range group.rules {
				t.Run(r.name, func(t *testing.T) { e.hold(t, r, group.has) })
			}
		})
	}
}

// rule is one line of the contract.
type rule struct {
	name string
	test func(*stores)
	end  ending // what the engine must be able to do
}

type ending int

const (
	none     ending = iota
	reopened        // its stores can be closed and opened again
	crashed         // and killed
)

// hold tests one rule.
func (e Engine) hold(t *testing.T, r rule, has func(resilience.Stores) bool) {
	if r.end > none && e.Volatile {
		t.Skip("what is stored ends with its process")
	}
	test := func(t *testing.T) {
		s := &stores{T: t, engine: e, place: e.Place(t), ctx: context.Background()}
		if r.end == crashed && s.place.Crash == nil {
			t.Skip("the engine cannot be killed in a test")
		}
		s.open()
		defer s.close()
		if !has(s.Stores) {
			t.Skip("the engine has none")
		}
		r.test(s)
	}
	if e.Bubble {
		synctest.Test(t, test)
	} else {
		test(t)
	}
}

// stores are those of one test, and what tests do with them.
type stores struct {
	*testing.T
	resilience.Stores
	engine Engine
	place  Place
	ctx    context.Context
}

func (s *stores) open() {
	s.Helper()
	var err error
	if s.Stores, err = s.place.Open(); err != nil {
		s.Fatalf("open: %v", err)
	}
}

func (s *stores) close() {
	if err := s.Stores.Close(); err != nil {
		s.Errorf("close: %v", err)
	}
}

// again ends the stores, cleanly or as kill -9 does, and opens them.
func (s *stores) again(kill bool) {
	s.Helper()
	if !kill {
		s.close()
	} else if err := s.place.Crash(s.Stores); err != nil {
		s.Fatalf("crash: %v", err)
	}
	s.open()
}

// append appends what must not fail.
func (s *stores) append(key string, after resilience.Version, body string) resilience.Version {
	s.Helper()
	v, err := s.Log.Append(s.ctx, key, after, []byte(body))
	if err != nil {
		s.Fatalf("Append(%s, %d) = %v, want nil", key, after, err)
	}
	if v <= after {
		s.Fatalf("Append(%s, %d) = version %d, want a larger one", key, after, v)
	}
	return v
}

// appendAll appends bodies to a new key, and returns their versions.
func (s *stores) appendAll(key string, bodies ...string) (list []resilience.Version) {
	s.Helper()
	last := resilience.Version(0)
	for _, body := range bodies {
		last = s.append(key, last, body)
		list = append(list, last)
	}
	return list
}

// refused appends what must be in conflict.
func (s *stores) refused(key string, after resilience.Version) {
	s.Helper()
	if v, err := s.Log.Append(s.ctx, key, after, []byte("refused")); !errors.Is(err, resilience.ErrConflict) {
		s.Errorf("Append(%s, %d) = version %d, %v, want ErrConflict", key, after, v, err)
	}
}

func (s *stores) drop(key string, through resilience.Version) {
	s.Helper()
	if err := s.Log.Drop(s.ctx, key, through); err != nil {
		s.Fatalf("Drop(%s, %d) = %v, want nil", key, through, err)
	}
}

// collect reads records up to an error.
func collect(records iter.Seq2[resilience.Record, error]) (list []resilience.Record, err error) {
	for r, err := range records {
		if err != nil {
			return list, err
		}
		list = append(list, r)
	}
	return list, nil
}

// done says whether a call succeeded.
func (s *stores) done(what string, err error) {
	s.Helper()
	if err != nil {
		s.Errorf("%s = %v, want nil", what, err)
	}
}

// shows says whether a scan of key shows these bodies, which have all been
// acknowledged.
func (s *stores) shows(key string, after resilience.Version, bodies ...string) {
	s.Helper()
	s.soon(func() string {
		list, err := collect(s.Log.Scan(s.ctx, key, after))
		if err != nil {
			return fmt.Sprintf("Scan(%s, %d): %v", key, after, err)
		}
		var got []string
		for _, r := range list {
			got = append(got, string(r.Body))
			if r.Key != key || r.At.IsZero() {
				return fmt.Sprintf("Scan(%s, %d) yields key %q at %v", key, after, r.Key, r.At)
			}
		}
		if !slices.IsSortedFunc(list, byVersion) || len(list) > 0 && list[0].Version <= after {
			return fmt.Sprintf("Scan(%s, %d) is out of order", key, after)
		}
		if !slices.Equal(got, bodies) {
			return fmt.Sprintf("Scan(%s, %d) = %.200q, want %.200q", key, after, got, bodies)
		}
		return ""
	})
}

func byVersion(a, b resilience.Record) int {
	if a.Version < b.Version {
		return -1
	}
	return 1 // also for equal ones, which must not be
}

// leads says whether the heads from a key on are these, each "key=body".
func (s *stores) leads(prefix, from string, want ...string) {
	s.Helper()
	s.soon(func() string {
		list, err := collect(s.Log.Heads(s.ctx, prefix, from))
		if err != nil {
			return fmt.Sprintf("Heads(%q, %q): %v", prefix, from, err)
		}
		var got []string
		for _, r := range list {
			got = append(got, r.Key+"="+string(r.Body))
		}
		if !slices.Equal(got, want) {
			return fmt.Sprintf("Heads(%q, %q) = %.300q, want %.300q", prefix, from, got, want)
		}
		return ""
	})
}

// soon has what reads may lag: complaint must be "" within a second, or at once in
// a bubble.
func (s *stores) soon(complaint func() string) {
	s.Helper()
	begun := time.Now()
	for {
		text := complaint()
		if text == "" {
			return
		}
		if s.engine.Bubble || time.Since(begun) > time.Second {
			s.Error(text)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// settle appends body to key until it is known to be the record after a version, as
// whoever does not know the outcome of an append must: a scan shows it, or the same
// append again, which cannot come twice, succeeds or meets it.
func (s *stores) settle(key string, after resilience.Version, body string) (resilience.Version, error) {
	s.Helper()
	var err error
	for range 100 {
		for r, scanned := range s.Log.Scan(s.ctx, key, after) {
			if scanned != nil {
				return 0, scanned
			}
			if string(r.Body) != body {
				return 0, fmt.Errorf("%q came instead of %q", r.Body, body)
			}
			return r.Version, nil
		}
		var v resilience.Version
		if v, err = s.Log.Append(s.ctx, key, after, []byte(body)); err == nil {
			return v, nil
		}
		if !s.engine.Bubble {
			time.Sleep(10 * time.Millisecond)
		}
	}
	return 0, err
}
