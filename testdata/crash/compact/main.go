// Command compact does steps with large results, which are checkpoints, while other
// keys of the store are overwritten and dropped, and its files are rewritten. The
// runs of a directory share its store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"log"
	"strings"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/testdata/crash/speak"
)

//go:generate go run github.com/resilgen/resilgen/cmd/resilgen generate

// Page is what is written.
type Page struct {
	ID string `json:"id"`
	N  int    `json:"n"`
}

// Writer writes pages.
type Writer interface {
	// Write returns 20 KB that depend on N.
	Write(ctx context.Context, page Page) (string, error)
}

// writer is a Writer who says what he does.
type writer struct{}

func (writer) Write(_ context.Context, page Page) (string, error) {
	speak.Executed(page.ID)
	return strings.Repeat(fmt.Sprintf("%5d", page.N), 4<<10), nil
}

func main() {
	flag.Parse()
	log.SetFlags(0)
	if err := do(context.Background(), flag.Arg(0), flag.Arg(1)); err != nil {
		log.Fatal(err)
	}
}

// do does what is left of a run.
func do(ctx context.Context, dir, run string) (err error) {
	var store *resilience.Store
	err = speak.Free(ctx, func() (err error) {
		store, err = resilience.OpenStore(dir, resilience.StoreOptions{})
		return err
	})
	if err != nil {
		return err
	}
	var kept speak.Checkpoints
	rt, err := resilience.Open(resilience.Options{Stores: store.Stores(), Observe: kept.Observe})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	stop, stirred := make(chan struct{}), make(chan error, 1)
	go func() { stirred <- stir(ctx, store, stop) }()
	defer func() {
		close(stop)
		err = errors.Join(err, <-stirred, rt.Close(), store.Close())
	}()
	w, err := NewResilientWriter(rt, writer{})
	if err != nil {
		return err
	}
	sum := crc32.NewIEEE()
	for n := range 10 {
		page, text := Page{ID: fmt.Sprintf("%s-%d", run, n), N: n}, ""
		err := kept.Keep(ctx, page.ID, func() (err error) {
			text, err = w.Write(ctx, page)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprint(sum, text)
	}
	speak.Result(sum.Sum32())
	return nil
}

const (
	waste  = 256 << 10 // what stir overwrites with, a third of the first file in five records
	rounds = 25        // of it at most: files double, and on a slow machine it has the time to fill the disk
)

// stir overwrites and drops keys until it is stopped, and has the store rewrite its
// files. What it writes nobody wants: it gives up where the store does.
func stir(ctx context.Context, store *resilience.Store, stop <-chan struct{}) error {
	kept := store.Stores().Log
	body := make([]byte, waste)
	for n := range rounds {
		select {
		case <-stop:
			return nil
		default:
		}
		key := resilience.StoreKey("waste", fmt.Sprint(n%5))
		var last resilience.Version
		for r, err := range kept.Heads(ctx, key, "") {
			if err != nil {
				return gaveUp(err)
			}
			last = r.Version
		}
		body[0] = byte(n)
		last, err := kept.Append(ctx, key, last, body)
		if err == nil {
			err = kept.Drop(ctx, key, last-resilience.Version(n%2))
		}
		if err == nil {
			err = store.Compact(ctx)
		}
		if err == nil && n == 3 {
			err = store.Erase(ctx)
		}
		if err != nil {
			return gaveUp(err)
		}
	}
	<-stop
	return nil
}

// gaveUp is err, unless it says that the store cannot be written.
func gaveUp(err error) error {
	if errors.Is(err, resilience.ErrUnavailable) || errors.Is(err, resilience.ErrStoreFull) || errors.Is(err, resilience.ErrClosed) {
		return nil
	}
	return fmt.Errorf("stir: %w", err)
}
