package conformance

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// catalog counts its executions, and fails the next ones as often as failures
// says.
type catalog struct {
	mu              sync.Mutex
	execs, failures int
	stock           int
	wait            time.Duration
}

var errCatalog = errors.New("catalog: failing")

func (c *catalog) exec(ctx context.Context) error {
	select {
	case <-time.After(c.wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.execs++
	if c.failures--; c.failures >= 0 {
		return errCatalog
	}
	return nil
}

func (c *catalog) All(ctx context.Context) (string, error) { return "all", c.exec(ctx) }

func (c *catalog) Get(ctx context.Context, id string) (string, int, error) {
	return tenant(ctx) + id, c.stock, c.exec(ctx)
}

func (c *catalog) Find(ctx context.Context, _ string) (int, error) { return c.stock, c.exec(ctx) }

// GetFallback answers with the cause in place of a name.
func (c *catalog) GetFallback(_ context.Context, _ string, cause error) (string, int, error) {
	return "fallback: " + cause.Error(), 0, nil
}

func newCatalog(t *testing.T) (*ResilientCatalog, *catalog, *resilience.Runtime) {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	next := &catalog{}
	g, err := NewResilientCatalog(rt, next, next)
	if err != nil {
		t.Fatal(err)
	}
	return g, next, rt
}

// keysOfACache: a fixed key, a key in the context, none.
func keysOfACache(t *testing.T) {
	g, next, _ := newCatalog(t)
	for range 2 {
		if s, err := g.All(t.Context()); s != "all" || err != nil {
			t.Errorf("%q, %v", s, err)
		}
	}
	if next.execs != 1 {
		t.Errorf("fixed key: %d executions, want 1", next.execs)
	}
	for _, who := range []string{"a", "b", "a", ""} {
		ctx := context.WithValue(t.Context(), tenantKey{}, who)
		if name, _, err := g.Get(ctx, "1"); name != who+"1" || err != nil {
			t.Errorf("tenant %q got %q, %v", who, name, err)
		}
	}
	if next.execs != 4 {
		t.Errorf("key in the context: %d executions, want 4", next.execs)
	}
}

// whatACacheKeeps depends on a condition; it is never an error.
func whatACacheKeeps(t *testing.T) {
	g, next, _ := newCatalog(t)
	for range 2 { // sold out, so not kept
		if n, err := g.Find(t.Context(), "1"); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	next.failures = 1
	if _, err := g.Find(t.Context(), "1"); !errors.Is(err, errCatalog) {
		t.Error(err)
	}
	next.stock = 7
	for range 2 {
		if n, err := g.Find(t.Context(), "1"); n != 7 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if next.execs != 4 {
		t.Errorf("%d executions, want 4", next.execs)
	}
}

// cacheOutsideRetry: three executions, and then a hit with none.
func cacheOutsideRetry(t *testing.T) {
	g, next, rt := newCatalog(t)
	next.failures = 2
	for i, want := range []int{3, 3} {
		if s, err := g.All(t.Context()); s != "all" || err != nil || next.execs != want {
			t.Errorf("call %d: %q, %v, %d executions, want %d", i, s, err, next.execs, want)
		}
	}
	if c := rt.Caches()[0]; c.Name != "conformance.Catalog.All" || c.Hits != 1 || c.Misses != 1 {
		t.Errorf("%+v", c)
	}
}

func TestStaleResultComesBeforeTheFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, next, _ := newCatalog(t)
		next.stock = 3
		_, _, _ = g.Get(t.Context(), "1")
		next.failures = 10
		for _, c := range []struct {
			after time.Duration
			name  string
		}{{time.Minute, "1"}, {time.Hour, "fallback: " + errCatalog.Error()}} {
			time.Sleep(c.after)
			if name, _, err := g.Get(t.Context(), "1"); name != c.name || err != nil {
				t.Errorf("after %v: %q, %v, want %q", c.after, name, err, c.name)
			}
		}
		next.failures = 0
		if name, stock, err := g.Get(t.Context(), "1"); name != "1" || stock != 3 || err != nil {
			t.Errorf("%q, %d, %v: a fallback's answer was kept", name, stock, err)
		}
	})
}

// The first caller leaves; the others get the result of the execution it began.
func TestCallersOfOneKeyShareAnExecution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, next, rt := newCatalog(t)
		next.wait, next.stock = time.Second, 5
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := g.Find(first, "1"); err != context.Canceled {
				t.Errorf("who left got %v", err)
			}
		})
		synctest.Wait()
		for range 3 {
			wg.Go(func() {
				if n, err := g.Find(t.Context(), "1"); n != 5 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		synctest.Wait()
		leave()
		wg.Wait()
		if c := rt.Caches()[2]; next.execs != 1 || c.Shared != 3 {
			t.Errorf("%d executions, %+v", next.execs, c)
		}
	})
}

func TestCacheIsSwitchedOffAtOnce(t *testing.T) {
	g, next, rt := newCatalog(t)
	_, _ = g.All(t.Context())
	rt.SetEnabled(false, "conformance.Catalog")
	_, _ = g.All(t.Context())
	rt.SetEnabled(true, "conformance.Catalog")
	if err := rt.Disable([]string{"cache"}, "conformance.Catalog.All"); err != nil {
		t.Fatal(err)
	}
	_, _ = g.All(t.Context())
	if next.execs != 3 {
		t.Errorf("%d executions, want 3", next.execs)
	}
}
