package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

const (
	capacitySteps   = 3
	capacityWorkers = 64
)

// capacity puts so many runs of three steps into one store and says how fast the
// first and the last tenth of them went, and what the disk holds in the end.
func capacity(w io.Writer, root string, runs int) (err error) {
	store, err := resilience.OpenStore(filepath.Join(root, "capacity"), resilience.StoreOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	rt, err := resilience.Open(resilience.Options{Stores: store.Stores()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	engine, err := workflow.New[int, int](rt, chain(capacitySteps, 0))
	if err != nil {
		return err
	}
	const parts = 10
	rates := make([]float64, parts)
	for part := range rates {
		begun := time.Now()
		if err := batch(engine, part*runs/parts, (part+1)*runs/parts); err != nil {
			return err
		}
		rates[part] = float64(runs/parts) / time.Since(begun).Seconds()
	}
	s := store.Stats()
	fmt.Fprintf(w, "%d runs of %d steps, %d at a time: runs per second by tenth %.0f; last/first %.2f\n", runs, capacitySteps, capacityWorkers, rates, rates[parts-1]/rates[0])
	fmt.Fprintf(w, "%d keys, %d records, %.1f MiB live, %.1f MiB of files in %d segments: files / live %.2f\n",
		s.Keys, s.Records, mib(s.LiveBytes), mib(s.FileBytes), s.Segments, float64(s.FileBytes)/float64(s.LiveBytes))
	return nil
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// batch does the runs from first to last.
func batch(engine *workflow.Engine[int, int], first, last int) error {
	var next atomic.Int64
	next.Store(int64(first))
	errs := make([]error, capacityWorkers)
	var group sync.WaitGroup
	for w := range errs {
		group.Go(func() {
			for n := next.Add(1) - 1; n < int64(last) && errs[w] == nil; n = next.Add(1) - 1 {
				_, errs[w] = engine.Run(context.Background(), 0, workflow.Options{ID: fmt.Sprint("r", n)})
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
