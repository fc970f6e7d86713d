// Package speak is what programs say to the harness that kills them, on standard
// output, a line in one write, and how they wait.
package speak

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Executed says that something is about to be done.
func Executed(key string) { fmt.Println("E", key) }

// Durable says that it is recorded.
func Durable(key string) { fmt.Println("C", key) }

// Result says that the run is over.
func Result(x any) { fmt.Println("result", x) }

const (
	busy = 10 * time.Minute // how long somebody else may have the directory
	// Mends is how long a store may take that mends itself.
	Mends = 1500 * time.Millisecond
	// Replays is how long a job may take. One whose write failed waits for a second.
	Replays = 5 * time.Second
)

// Open opens a Runtime when nobody else has the directory any more.
func Open(ctx context.Context, o resilience.Options) (rt *resilience.Runtime, err error) {
	err = Free(ctx, func() (err error) {
		rt, err = resilience.Open(o)
		return err
	})
	return rt, err
}

// Free calls open until the directory that it wants is not another process's.
func Free(ctx context.Context, open func() error) error {
	return Until(ctx, busy, func(err error) bool { return errors.Is(err, resilience.ErrBusy) }, open)
}

// Until repeats f while it returns an error that passes, for so long.
func Until(ctx context.Context, limit time.Duration, passes func(error) bool, f func() error) error {
	end := time.Now().Add(limit)
	for {
		err := f()
		if err == nil || !passes(err) || time.Now().After(end) || ctx.Err() != nil {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Checkpoints knows whether what a call returned is a checkpoint: a result that
// could not be recorded is returned all the same, and an event tells of it.
type Checkpoints struct{ lost atomic.Int64 }

// Observe is for [resilience.Options].
func (c *Checkpoints) Observe(_ context.Context, e resilience.Event) {
	if e.Kind == resilience.CheckpointNotKept {
		c.lost.Add(1)
	}
}

var errNotKept = errors.New("checkpoint not kept")

// Keep repeats call until its result is a checkpoint, and says that it is. A store
// that failed has some time to mend itself.
func (c *Checkpoints) Keep(ctx context.Context, key string, call func() error) error {
	err := Until(ctx, Mends, func(err error) bool {
		return errors.Is(err, errNotKept) || errors.Is(err, resilience.ErrCheckpointStore)
	}, func() error {
		before := c.lost.Load()
		err := call()
		if err == nil && c.lost.Load() != before {
			return errNotKept
		}
		return err
	})
	if err == nil {
		Durable(key)
	}
	return err
}
