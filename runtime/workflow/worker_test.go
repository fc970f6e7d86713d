package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// played is an engine that plays runs: a step is a pause and a record. The fence is
// the log, as that of every engine.
type played struct {
	graph  *Graph
	rt     *resilience.Runtime
	stores resilience.Stores
	takes  time.Duration                                   // one step
	hook   func(ctx context.Context, run string, step int) // in each step
	waits  map[string]time.Time                            // runs that wait, until when
	seen   *seen
}

// seen is what happened to the runs of a test, by whomever.
type seen struct {
	mu     sync.Mutex
	order  []string // runs, as they ended
	steps  map[string]int
	flying map[string]int // runs that are worked on now, by key
	most   map[string]int // the same, at most; "" is all
	fenced int
	gaveUp []string
}

func newSeen() *seen {
	return &seen{steps: map[string]int{}, flying: map[string]int{}, most: map[string]int{}}
}

func (s *seen) fly(key string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range slices.Compact([]string{"", key}) {
		s.flying[k] += n
		s.most[k] = max(s.most[k], s.flying[k])
	}
}

func (s *seen) ended() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

func newPlayed(t *testing.T, name string, stores resilience.Stores, s *seen) *played {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{Stores: stores})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return &played{graph: &Graph{Name: name, Package: "test"}, rt: rt, stores: stores, seen: s, waits: map[string]time.Time{}}
}

func (p *played) graphOf() *Graph                { return p.graph }
func (p *played) claimed(error)                  {}
func (p *played) runtimeOf() *resilience.Runtime { return p.rt }

// playedSteps is of how many steps a run is made.
const playedSteps = 3

func (p *played) work(ctx context.Context, t *turn) (rest, error) {
	p.seen.fly(t.entry.Key, 1)
	defer p.seen.fly(t.entry.Key, -1)
	key, last, done := p.graph.runKey(t.entry.ID), resilience.Version(0), 0
	for r, err := range p.stores.Log.Scan(ctx, key, 0) {
		if err != nil {
			return rest{}, err
		}
		last = r.Version
		if strings.HasPrefix(string(r.Body), "step") {
			done++
		}
	}
	if last == 0 && !t.entry.New {
		return rest{}, ErrRunUnknown
	}
	if t.giveUp && last == 0 {
		p.seen.mu.Lock()
		defer p.seen.mu.Unlock()
		p.seen.gaveUp = append(p.seen.gaveUp, t.entry.ID)
		return rest{status: Failed}, nil
	}
	if until, ok := p.waits[t.entry.ID]; ok && done == 0 && time.Now().Before(until) && !p.hasMail(t.entry.ID) {
		return rest{status: Waiting, due: until}, nil
	}
	return p.play(ctx, t, key, last, done)
}

func (p *played) hasMail(id string) bool {
	for range p.stores.Log.Scan(context.Background(), p.graph.inboxKey(id), 0) {
		return true
	}
	return false
}

func (p *played) play(ctx context.Context, t *turn, key string, last resilience.Version, done int) (rest, error) {
	write := func(text string) error {
		v, err := p.stores.Log.Append(context.WithoutCancel(ctx), key, last, []byte(text))
		if errors.Is(err, resilience.ErrConflict) {
			p.seen.mu.Lock()
			p.seen.fenced++
			p.seen.mu.Unlock()
			return fmt.Errorf("%w: %w", resilience.ErrFenced, err)
		}
		last = v
		return err
	}
	if done == playedSteps {
		return rest{status: Completed}, nil
	}
	if err := write("own " + t.owner); err != nil {
		return rest{}, err
	}
	for ; done < playedSteps; done++ {
		select {
		case <-t.stopping:
			return rest{status: Running}, nil
		default:
		}
		if t.late() {
			return rest{status: Running}, nil
		}
		if p.hook != nil {
			p.hook(ctx, t.entry.ID, done)
		}
		sleep(ctx, p.takes)
		if ctx.Err() != nil {
			return rest{}, context.Cause(ctx)
		}
		if err := write(fmt.Sprint("step ", done)); err != nil {
			return rest{}, err
		}
		p.seen.mu.Lock()
		p.seen.steps[fmt.Sprint(t.entry.ID, " ", done)]++
		p.seen.mu.Unlock()
	}
	p.seen.mu.Lock()
	p.seen.order = append(p.seen.order, t.entry.ID)
	p.seen.mu.Unlock()
	return rest{status: Completed}, nil
}

// put puts runs into the queue of a priority.
func (p *played) put(t *testing.T, priority, key string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := p.graph.put(t.Context(), p.stores.Queue, entry{ID: id, New: true, Priority: priority, Key: key}, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// numbered are names with numbers.
func numbered(name string, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s%03d", name, i))
	}
	return ids
}

// start runs a worker until the func that it returns is called, which returns what
// Run does.
func start(t *testing.T, w *Worker) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if !stopped {
			cancel()
			<-ended
		}
	})
	return stop
}

func mustStop(t *testing.T, stop func() error) {
	t.Helper()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// wantOnce wants each run to have ended once, and each of its steps to be done once.
func (s *seen) wantOnce(t *testing.T, ids []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := slices.Sorted(slices.Values(s.order)); !slices.Equal(got, slices.Sorted(slices.Values(ids))) {
		t.Errorf("%d runs ended: %.300q, want %d", len(got), got, len(ids))
	}
	if len(s.steps) != playedSteps*len(ids) {
		t.Errorf("%d steps, want %d", len(s.steps), playedSteps*len(ids))
	}
	for _, step := range slices.Sorted(maps.Keys(s.steps)) {
		if n := s.steps[step]; n != 1 {
			t.Errorf("step %s was done %d times", step, n)
		}
	}
}

// wantNoEntries wants the queue to be empty, also of what comes later.
func (p *played) wantNoEntries(t *testing.T) {
	t.Helper()
	for r := range p.stores.Log.Heads(t.Context(), "queue/", "") {
		t.Errorf("there is an entry yet: %s", r.Key)
	}
}

func TestWorkerTakesNoMoreThanItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlayed(t, "W", resilience.MemoryStores(), newSeen())
		p.takes = 10 * time.Millisecond
		ids := numbered("r", 1000)
		p.put(t, "", "", ids...)
		begun := time.Now()
		w := newWorker(p, WorkerOptions{Concurrency: 20})
		stop := start(t, w)
		time.Sleep(1000 / 20 * playedSteps * p.takes)
		synctest.Wait()
		p.seen.wantOnce(t, ids)
		mustStop(t, stop)
		if p.seen.most[""] != 20 {
			t.Errorf("%d runs at a time, want 20", p.seen.most[""])
		}
		p.wantNoEntries(t)
		if got := w.Stats(); got != (WorkerStats{Ended: 1000}) {
			t.Errorf("%+v, want 1000 ended and nothing else", got)
		}
		t.Log(time.Since(begun))
	})
}

func TestWorkerWaitsForRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, s := resilience.MemoryStores(), newSeen()
		a, b := newPlayed(t, "A", stores, s), newPlayed(t, "B", stores, s)
		w := newWorker(a, WorkerOptions{Priorities: []string{"high"}}).And(newWorker(b, WorkerOptions{}))
		stop := start(t, w)
		time.Sleep(5 * time.Minute) // longer than one wait for all queues
		for i, p := range []*played{a, b} {
			p.put(t, "", "", fmt.Sprint("plain", i))
			p.put(t, "high", "", fmt.Sprint("high", i))
		}
		synctest.Wait()
		s.wantOnce(t, []string{"plain0", "high0", "plain1", "high1"})
		mustStop(t, stop)
		a.wantNoEntries(t)
	})
}

// TestWorkerTakeover holds a worker beyond its claim: nobody hears of it for longer
// than its lease. Another one takes the run and goes on where the log says; the first
// one's next append is refused, and every step is done once.
func TestWorkerTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, s := resilience.MemoryStores(), newSeen()
		cut := stores
		cut.Queue, cut.Leases = &deafQueue{Queue: stores.Queue}, &deafLeases{stores.Leases}
		held, other := newPlayed(t, "W", cut, s), newPlayed(t, "W", stores, s)
		held.takes, other.takes = time.Second, time.Second
		held.hook = func(_ context.Context, _ string, step int) {
			if step == 1 {
				time.Sleep(2 * time.Minute)
			}
		}
		held.put(t, "", "", "run")
		stopHeld := start(t, newWorker(held, WorkerOptions{Concurrency: 1}))
		time.Sleep(10 * time.Second)
		stopOther := start(t, newWorker(other, WorkerOptions{}))
		time.Sleep(25 * time.Second) // 35 s: the lease of 30 s is over, takeover took at most a second
		synctest.Wait()
		s.wantOnce(t, []string{"run"})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		s.wantOnce(t, []string{"run"})
		if s.fenced != 1 {
			t.Errorf("%d appends were refused, want that of the one who came late", s.fenced)
		}
		mustStop(t, stopHeld)
		mustStop(t, stopOther)
		held.wantNoEntries(t)
	})
}

// deafQueue is a Queue whose claims hear nothing of Extend.
type deafQueue struct{ resilience.Queue }

type deafClaim struct{ resilience.Claim }

func (q *deafQueue) Claim(ctx context.Context, queue string, lease, wait time.Duration) (resilience.Claim, error) {
	c, err := q.Queue.Claim(ctx, queue, lease, wait)
	if err != nil {
		return nil, err
	}
	return deafClaim{c}, nil
}

func (deafClaim) Extend(context.Context) error { return resilience.ErrUnavailable }

// deafLeases hear nothing of Renew.
type deafLeases struct{ resilience.Leases }

func (deafLeases) Renew(context.Context, resilience.Lease, time.Duration) error {
	return resilience.ErrUnavailable
}

// TestWorkerStopsStartingSteps has a worker whose heartbeats fail start no step after
// two thirds of its lease.
func TestWorkerStopsStartingSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, s := resilience.MemoryStores(), newSeen()
		stores.Queue = &deafQueue{Queue: stores.Queue}
		p := newPlayed(t, "W", stores, s)
		p.takes = 11 * time.Second
		var began []time.Duration
		from := time.Now()
		p.hook = func(context.Context, string, int) { began = append(began, time.Since(from)) }
		p.put(t, "", "", "run")
		stop := start(t, newWorker(p, WorkerOptions{}))
		time.Sleep(23 * time.Second)
		mustStop(t, stop)
		// At 22 s no third step began; given back and taken again, it did.
		if want := []time.Duration{0, 11 * time.Second, 22 * time.Second}; !slices.Equal(began, want) {
			t.Errorf("steps began at %v, want %v", began, want)
		}
		owns := 0
		for r := range stores.Log.Scan(t.Context(), p.graph.runKey("run"), 0) {
			if strings.HasPrefix(string(r.Body), "own") {
				owns++
			}
		}
		if owns != 2 {
			t.Errorf("the run was taken %d times, want again at 22 s", owns)
		}
	})
}

func TestWorkerFencedByItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, s := resilience.MemoryStores(), newSeen()
		p := newPlayed(t, "W", stores, s)
		var cause error
		p.hook = func(ctx context.Context, run string, _ int) {
			l := runLease(p.graph.storeName(), run)
			if _, err := stores.Leases.Acquire(ctx, l, "x", time.Hour); !errors.Is(err, resilience.ErrHeld) {
				t.Errorf("the lease of the run: %v, want it held", err)
			}
			_ = stores.Leases.Release(ctx, lastLease(stores, l))
			<-ctx.Done()
			cause = context.Cause(ctx)
		}
		stores.Leases = &keptLeases{Leases: stores.Leases}
		p.stores = stores
		rt, err := resilience.Open(resilience.Options{Stores: stores})
		if err != nil {
			t.Fatal(err)
		}
		p.rt = rt
		p.put(t, "", "", "run")
		stop := start(t, newWorker(p, WorkerOptions{}))
		time.Sleep(11 * time.Second) // a heartbeat
		synctest.Wait()
		if !errors.Is(cause, resilience.ErrFenced) {
			t.Errorf("the context of the node ended because of %v, want ErrFenced", cause)
		}
		p.hook = nil
		mustStop(t, stop)
	})
}

// keptLeases remembers what was granted.
type keptLeases struct {
	resilience.Leases
	mu   sync.Mutex
	last map[string]resilience.Lease
}

func (k *keptLeases) Acquire(ctx context.Context, name, owner string, ttl time.Duration) (resilience.Lease, error) {
	l, err := k.Leases.Acquire(ctx, name, owner, ttl)
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.last == nil {
			k.last = map[string]resilience.Lease{}
		}
		k.last[name] = l
	}
	return l, err
}

func lastLease(stores resilience.Stores, name string) resilience.Lease {
	k := stores.Leases.(*keptLeases)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last[name]
}

// TestWorkerDrains has a worker finish the step that runs, and give the run back for
// another one to go on with at once.
func TestWorkerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, s := resilience.MemoryStores(), newSeen()
		p := newPlayed(t, "W", stores, s)
		p.takes = 4 * time.Second
		p.put(t, "", "", numbered("r", 12)...)
		stop := start(t, newWorker(p, WorkerOptions{}))
		time.Sleep(time.Second)
		begun := time.Now()
		mustStop(t, stop)
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("it stopped after %v, want the 3 s that the steps need yet", took)
		}
		stop = start(t, newWorker(p, WorkerOptions{Concurrency: 12}))
		time.Sleep(12 * time.Second)
		synctest.Wait()
		s.wantOnce(t, numbered("r", 12))
		mustStop(t, stop)
		p.wantNoEntries(t)
	})
}

// TestWorkerGrace has nodes be cancelled that go on for longer than the grace.
func TestWorkerGrace(t *testing.T) {
	for _, c := range []struct{ grace, want time.Duration }{{0, 10 * time.Second}, {time.Minute, time.Minute}, {-1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			s := newSeen()
			p := newPlayed(t, "W", resilience.MemoryStores(), s)
			p.takes = time.Hour
			p.put(t, "", "", "run")
			stop := start(t, newWorker(p, WorkerOptions{Grace: c.grace}))
			time.Sleep(time.Minute)
			begun := time.Now()
			mustStop(t, stop)
			if took := time.Since(begun); took != c.want {
				t.Errorf("grace %v: it stopped after %v, want %v", c.grace, took, c.want)
			}
		})
	}
}

func TestWorkerPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, s := resilience.MemoryStores(), newSeen()
		a, b := newPlayed(t, "A", stores, s), newPlayed(t, "B", stores, s)
		for _, p := range []*played{a, b} {
			p.takes = time.Second
			for _, priority := range []string{"", "low", "high"} {
				p.put(t, priority, "", numbered(p.graph.Name+priority, 3)...)
			}
		}
		w := newWorker(a, WorkerOptions{Concurrency: 1, Priorities: []string{"high", "low"}}).And(newWorker(b, WorkerOptions{}))
		stop := start(t, w)
		time.Sleep(time.Minute)
		mustStop(t, stop)
		got := s.ended()
		for i, want := range []string{"high", "low", ""} {
			part := got[i*6 : i*6+6]
			for n, run := range part {
				if strings.Trim(run, "AB012") != want {
					t.Errorf("runs %d to %d that ended are %v, want those of %q", i*6, i*6+6, part, want)
				}
				if n > 0 && run[0] == part[n-1][0] {
					t.Errorf("%v: want the workflows to take turns", part)
				}
			}
		}
	})
}

// TestWorkerPerKey has two workers as two processes share runs of two keys.
func TestWorkerPerKey(t *testing.T) {
	for _, most := range []int{1, 3} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores, s := resilience.MemoryStores(), newSeen()
				var all []string
				var stops []func() error
				for i := range 2 {
					p := newPlayed(t, "W", stores, s)
					p.takes = time.Second
					p.graph.PerKey, p.graph.PerKeyMax = func(Value) string { return "" }, most
					if i == 0 {
						for _, key := range []string{"a", "b"} {
							p.put(t, "", key, numbered(key, 12)...)
							all = append(all, numbered(key, 12)...)
						}
					}
					stops = append(stops, start(t, newWorker(p, WorkerOptions{Concurrency: 10})))
				}
				ideal := time.Duration(12/most*playedSteps) * time.Second
				time.Sleep(ideal + ideal/4 + 5*time.Second)
				synctest.Wait()
				s.wantOnce(t, all)
				for _, key := range []string{"a", "b"} {
					if s.most[key] != most {
						t.Errorf("%d runs of key %s at a time, want %d", s.most[key], key, most)
					}
				}
				for _, stop := range stops {
					mustStop(t, stop)
				}
			})
		})
	}
}

func TestWorkerGivesUpAfterManyDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSeen()
		p := newPlayed(t, "W", resilience.MemoryStores(), s)
		p.put(t, "", "", "run")
		for range entryDeliveries {
			if _, err := p.stores.Queue.Claim(t.Context(), p.graph.queueOf(""), time.Second, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		stop := start(t, newWorker(p, WorkerOptions{}))
		synctest.Wait()
		mustStop(t, stop)
		if !slices.Equal(s.gaveUp, []string{"run"}) {
			t.Errorf("gave up %v, want the run", s.gaveUp)
		}
		p.wantNoEntries(t)
	})
}

func TestWorkerRunThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlayed(t, "W", resilience.MemoryStores(), newSeen())
		if err := p.graph.put(t.Context(), p.stores.Queue, entry{ID: "gone"}, 0); err != nil {
			t.Fatal(err)
		}
		stop := start(t, newWorker(p, WorkerOptions{}))
		synctest.Wait()
		mustStop(t, stop)
		p.wantNoEntries(t)
	})
}

// TestWorkerWaitingRun has a run that waits be looked at when it is due, or when a
// nudge comes, also one that comes while the run is in the worker's hands.
func TestWorkerWaitingRun(t *testing.T) {
	mail := func(t *testing.T, p *played, run string) {
		if _, err := p.stores.Log.Append(t.Context(), p.graph.inboxKey(run), 0, []byte("signal")); err != nil {
			t.Error(err)
		}
		if err := p.graph.nudge(t.Context(), p.stores.Queue, &state{ID: run}); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name string
		due  time.Duration
		mail time.Duration // when it comes; 0: while the worker has the run
		want time.Duration
	}{
		{"due", 20 * time.Minute, -1, 20 * time.Minute},
		{"nudged", 20 * time.Minute, 5 * time.Minute, 5 * time.Minute},
		{"while it is taken", 20 * time.Minute, 0, 0},
		{"for longer than a look", 150 * time.Minute, -1, 150 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSeen()
				p := newPlayed(t, "W", resilience.MemoryStores(), s)
				begun := time.Now()
				var took time.Duration
				p.hook = func(_ context.Context, _ string, step int) {
					if step == 0 {
						took = time.Since(begun)
					}
				}
				p.waits["run"] = begun.Add(c.due)
				p.put(t, "", "", "run")
				if c.mail == 0 {
					once := false
					p.stores.Queue = &nackQueue{p.stores.Queue, func() {
						if !once {
							once = true
							mail(t, p, "run")
						}
					}}
					rt, err := resilience.Open(resilience.Options{Stores: p.stores})
					if err != nil {
						t.Fatal(err)
					}
					p.rt = rt
				}
				stop := start(t, newWorker(p, WorkerOptions{}))
				if c.mail > 0 {
					time.Sleep(c.mail)
					mail(t, p, "run")
				}
				time.Sleep(3 * time.Hour)
				mustStop(t, stop)
				if took != c.want {
					t.Errorf("it went on after %v, want %v", took, c.want)
				}
				s.wantOnce(t, []string{"run"})
				p.wantNoEntries(t)
			})
		})
	}
}

// nackQueue calls before before each Nack.
type nackQueue struct {
	resilience.Queue
	before func()
}

type nackClaim struct {
	resilience.Claim
	before func()
}

func (q *nackQueue) Claim(ctx context.Context, queue string, lease, wait time.Duration) (resilience.Claim, error) {
	c, err := q.Queue.Claim(ctx, queue, lease, wait)
	if err != nil {
		return nil, err
	}
	return nackClaim{c, q.before}, nil
}

func (c nackClaim) Nack(ctx context.Context, delay time.Duration) error {
	c.before()
	return c.Claim.Nack(ctx, delay)
}

func TestWorkerBadEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, s := resilience.MemoryStores(), newSeen()
		p := newPlayed(t, "W", stores, s)
		var events []string
		var mu sync.Mutex
		rt, err := resilience.Open(resilience.Options{Stores: stores, Observe: func(_ context.Context, e resilience.Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, fmt.Sprint(e.Kind, " ", e.Key, " ", e.Reason))
		}})
		if err != nil {
			t.Fatal(err)
		}
		p.rt = rt
		other, _ := json.Marshal(entry{ID: "x"})
		for id, body := range map[string][]byte{"text": []byte("no JSON"), "another": other} {
			if err := stores.Queue.Put(t.Context(), p.graph.queueOf(""), id, body, 0); err != nil {
				t.Fatal(err)
			}
		}
		p.put(t, "", "", "run")
		stop := start(t, newWorker(p, WorkerOptions{}))
		time.Sleep(time.Second)
		mustStop(t, stop)
		s.wantOnce(t, []string{"run"})
		if want := []string{"run paused another refused", "run paused text refused"}; !slices.Equal(slices.Sorted(slices.Values(events)), want) {
			t.Errorf("events %v, want %v", events, want)
		}
	})
}

func TestWorkerStoreTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, s := resilience.MemoryStores(), newSeen()
		flaky := &flakyQueue{Queue: stores.Queue, until: time.Now().Add(time.Minute)}
		stores.Queue = flaky
		p := newPlayed(t, "W", stores, s)
		p.put(t, "", "", "run")
		w := newWorker(p, WorkerOptions{})
		stop := start(t, w)
		time.Sleep(66 * time.Second)
		synctest.Wait()
		s.wantOnce(t, []string{"run"})
		if n := w.Stats().ClaimErrors; n < 5 || n > 20 {
			t.Errorf("%d errors within a minute, want pauses that grow to 5 s", n)
		}
		flaky.closed.Store(true)
		time.Sleep(time.Minute)
		if err := stop(); !errors.Is(err, resilience.ErrClosed) {
			t.Errorf("Run over stores that are closed: %v, want ErrClosed", err)
		}
	})
}

// flakyQueue does not answer for a while.
type flakyQueue struct {
	resilience.Queue
	until  time.Time
	closed atomic.Bool
}

func (q *flakyQueue) Claim(ctx context.Context, queue string, lease, wait time.Duration) (resilience.Claim, error) {
	switch {
	case q.closed.Load():
		return nil, resilience.ErrClosed
	case time.Now().Before(q.until):
		return nil, resilience.ErrUnavailable
	}
	return q.Queue.Claim(ctx, queue, lease, wait)
}

func TestWorkerRefuses(t *testing.T) {
	p := newPlayed(t, "W", resilience.MemoryStores(), newSeen())
	for _, c := range []struct {
		options   WorkerOptions
		complaint string
	}{
		{WorkerOptions{Concurrency: -1}, "concurrency: -1"},
		{WorkerOptions{Lease: time.Second}, "less than 2s"},
		{WorkerOptions{Priorities: []string{"a", ""}}, "has no name"},
		{WorkerOptions{Priorities: []string{"a", "a"}}, "twice"},
	} {
		if err := newWorker(p, c.options).Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%+v: %v, want one with %q", c.options, err, c.complaint)
		}
	}
	p.rt = &resilience.Runtime{}
	if err := newWorker(p, WorkerOptions{}).Run(t.Context()); !errors.Is(err, resilience.ErrNoStore) {
		t.Errorf("without a store: %v, want ErrNoStore", err)
	}
}
