package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// A gate stops whatever a process asks of its stores, as if it were stopped.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // nil: open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.closed)
	g.closed = nil
}

func (g *gate) pass() {
	g.mu.Lock()
	closed := g.closed
	g.mu.Unlock()
	if closed != nil {
		<-closed
	}
}

// gatedLog and gatedLeases are stores of a process behind a gate.
type gatedLog struct {
	resilience.Log
	*gate
}

func (l gatedLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	l.pass()
	return l.Log.Append(ctx, key, after, body)
}

type gatedLeases struct {
	resilience.Leases
	*gate
}

func (l gatedLeases) Renew(ctx context.Context, lease resilience.Lease, ttl time.Duration) error {
	l.pass()
	return l.Leases.Renew(ctx, lease, ttl)
}

func (l gatedLeases) Release(ctx context.Context, lease resilience.Lease) error {
	l.pass()
	return l.Leases.Release(ctx, lease)
}

// TestOwnerThatWasStoppedIsFenced stops a process in the middle of a node for longer
// than its lease. Another one takes the run and ends it; what the first one appends
// when it goes on is refused, and it does nothing more.
func TestOwnerThatWasStoppedIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, g := resilience.MemoryStores(), &gate{}
		stopped, other := inner, inner
		stopped.Log, stopped.Leases = gatedLog{inner.Log, g}, gatedLeases{inner.Leases, g}
		other.Log = gatedLog{inner.Log, &gate{}} // as a log that several processes share
		var mu sync.Mutex
		var did []string
		graph := func(process string, inB func()) workflow.Graph {
			act := func(name string, then func()) call {
				return works(func(ctx context.Context, in string) (string, error) {
					key, _ := resilience.IdempotencyKey(ctx)
					mu.Lock()
					did = append(did, process+" "+name+" "+key)
					mu.Unlock()
					then()
					return name + "(" + in + ")", nil
				})
			}
			return line(act("A", func() {}), act("B", inB), act("C", func() {}))
		}
		const pause = 3 * time.Minute
		first := engineOn(t, stopped, graph("1", func() {
			g.shut()
			time.Sleep(pause)
			g.open()
		}))
		second := engineOn(t, other, graph("2", func() {}))
		done := make(chan error)
		go func() {
			result, err := first.Run(t.Context(), &token{"in"}, workflow.Options{ID: "r"})
			if err == nil && result.Output.text() != "C(B(A(in)))" {
				err = fmt.Errorf("output %q", result.Output.text())
			}
			done <- err
		}()
		time.Sleep(time.Second)
		if _, err := second.Run(t.Context(), &token{"in"}, workflow.Options{ID: "r"}); !errors.Is(err, workflow.ErrRunBusy) {
			t.Errorf("while the owner holds its lease: %v, want ErrRunBusy", err)
		}
		time.Sleep(pause / 2)
		result, err := second.Run(t.Context(), &token{"in"}, workflow.Options{ID: "r", Resume: workflow.ResumeYes})
		if err != nil || result.Output.text() != "C(B(A(in)))" {
			t.Errorf("after the lease: output %q, %v", result.Output.text(), err)
		}
		if err := <-done; err == nil {
			t.Error("the owner that was stopped says that it ended the run")
		}
		names := map[string]int{}
		keys := map[string]string{}
		for _, d := range did {
			f := strings.Fields(d)
			names[f[0]+f[1]]++
			if other := keys[f[1]]; other != "" && other != f[2] {
				t.Errorf("node %s had the keys %s and %s", f[1], other, f[2])
			}
			keys[f[1]] = f[2]
		}
		if len(did) != 4 || names["1A"] != 1 || names["1B"] != 1 || names["2B"] != 1 || names["2C"] != 1 {
			t.Errorf("what was done: %v", slices.Sorted(slices.Values(did)))
		}
	})
}
