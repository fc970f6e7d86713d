package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// modelBreaker is a breaker as docs/policy.md says it, slow and obvious: it
// keeps every call and counts anew each time.
type modelBreaker struct {
	conf   Breaker
	state  State
	opened time.Time
	calls  []modelCall // since it closed
	passed int
	row    int // failures
}

type modelCall struct {
	at time.Time
	m  mark
}

func (b *modelBreaker) counts() (sum counts) {
	width := b.conf.Window.Duration / time.Duration(max(b.conf.Window.Buckets, 1))
	bucket := func(t time.Time) time.Duration { return t.Sub(epoch) / width }
	for i, c := range b.calls {
		if b.conf.Window.Type == TimeWindow && bucket(time.Now())-bucket(c.at) < time.Duration(b.conf.Window.Buckets) ||
			b.conf.Window.Type == CountWindow && i >= len(b.calls)-b.conf.Window.Size {
			sum.add(c.m, 1)
		}
	}
	return sum
}

func (b *modelBreaker) allow() bool {
	if b.state == StateOpen && time.Since(b.opened) >= b.conf.OpenDuration {
		b.state, b.passed = StateHalfOpen, 0
	}
	return b.state != StateOpen
}

func (b *modelBreaker) record(m mark) {
	if b.state == StateHalfOpen {
		if b.passed++; m&markFailure != 0 {
			b.open()
		} else if b.passed == b.conf.HalfOpen.SuccessThreshold {
			b.state, b.calls, b.row = StateClosed, nil, 0
		}
		return
	}
	b.calls = append(b.calls, modelCall{time.Now(), m})
	if b.row++; m&markFailure == 0 {
		b.row = 0
	}
	sum := b.counts()
	reached := func(part int, threshold float64) bool {
		return sum.calls >= b.conf.MinimumCalls && float64(part)*100 >= threshold*float64(sum.calls)
	}
	if reached(sum.failures, b.conf.FailureRateThreshold) || b.conf.SlowCallDuration > 0 && reached(sum.slow, b.conf.SlowCallRateThreshold) ||
		b.conf.ConsecutiveFailures > 0 && b.row >= b.conf.ConsecutiveFailures {
		b.open()
	}
}

func (b *modelBreaker) open() { b.state, b.opened, b.calls, b.row = StateOpen, time.Now(), nil, 0 }

func randomBreaker(random *rand.Rand) Breaker {
	b := Breaker{
		Window:               Window{Type: CountWindow, Size: 2 + random.IntN(12)},
		FailureRateThreshold: 1 + 99*random.Float64(),
		OpenDuration:         3 * time.Second,
		HalfOpen:             HalfOpen{SuccessThreshold: 1 + random.IntN(3), MaxWait: None},
	}
	b.MinimumCalls = 1 + random.IntN(b.Window.Size)
	if random.IntN(2) == 0 {
		b.Window = Window{Type: TimeWindow, Duration: 10 * time.Second, Buckets: 1 + random.IntN(5)}
	}
	if random.IntN(3) == 0 {
		b.SlowCallDuration, b.SlowCallRateThreshold = time.Second, 1+99*random.Float64()
	}
	if random.IntN(3) == 0 {
		b.ConsecutiveFailures = 2 + random.IntN(3)
	}
	return b
}

// TestBreakerAgainstModel runs random histories through random breakers, most
// of them healthy for long, since then calls do not take the lock.
// histories is how many are played: a tenth where something makes each of them
// slow, such as the race detector.
func histories(n uint64) uint64 {
	if testing.Short() {
		return n / 10
	}
	return n
}

func TestBreakerAgainstModel(t *testing.T) {
	for seed := range histories(400) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			conf := randomBreaker(random)
			g := mustGuard(t, Policy{Breaker: conf})
			handle := g.plan.Load().breaker
			model := &modelBreaker{conf: conf, state: StateClosed}
			failures := 1 + random.IntN(50)
			for step := range 300 {
				if random.IntN(10) == 0 {
					time.Sleep(time.Duration(random.Int64N(int64(4 * time.Second))))
				}
				m := mark(0)
				if random.IntN(100) < failures {
					m |= markFailure
				}
				slow := conf.SlowCallDuration > 0 && random.IntN(100) < failures
				if slow {
					m |= markSlow
				}
				allowed := model.allow()
				err := Try(t.Context(), g, func(context.Context) error {
					if slow {
						time.Sleep(conf.SlowCallDuration + 1)
					}
					if m&markFailure != 0 {
						return errPeer
					}
					return nil
				})
				if allowed {
					model.record(m)
				}
				if rejected := errors.Is(err, ErrCircuitOpen); rejected == allowed {
					t.Fatalf("seed %d step %d %+v: %v", seed, step, conf, err)
				}
				if random.IntN(5) > 0 {
					continue // most steps without a snapshot, which takes the lock
				}
				got := (&CircuitBreaker{&Runtime{}, handle}).Snapshot()
				if sum := model.counts(); model.state == StateClosed &&
					(got.State != StateClosed || sum != counts{got.Calls, got.Failures, got.Slow, got.SlowFailures} || got.Consecutive != model.row) {
					t.Fatalf("seed %d step %d %+v: %+v, want %+v, %d in a row", seed, step, conf, got, sum, model.row)
				}
			}
		})
	}
}

// TestHealthyBreakerCountsEverything has 64 goroutines succeed and fail at the
// same time: what the tally took must all be in the window.
func TestHealthyBreakerCountsEverything(t *testing.T) {
	for _, w := range []Window{{Type: CountWindow, Size: 1 << 20}, {Type: TimeWindow, Duration: time.Hour, Buckets: 2}} {
		g := mustGuard(t, Policy{Breaker: Breaker{Window: w, MinimumCalls: 1, FailureRateThreshold: 100}})
		one(t, g, 'S')
		run(64, func(n int) {
			for i := range 500 {
				one(t, g, rune("SSSSF"[(n+i)%5]))
			}
		})
		got := (&CircuitBreaker{g.rt, g.plan.Load().breaker}).Snapshot()
		if got.Calls != 64*500+1 || got.Failures != 64*100 {
			t.Errorf("%+v: %+v", w, got)
		}
	}
}

// run runs f in n goroutines and waits for them.
func run(n int, f func(n int)) {
	done := make(chan struct{})
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			f(i)
		}()
	}
	for range n {
		<-done
	}
}

// comesTrue reports whether holds does within a minute. It is for what a goroutine
// does that nobody can wait for, outside a bubble.
func comesTrue(holds func() bool) bool {
	for until := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			return false
		}
	}
	return true
}

// TestBulkheadAgainstModel compares random arrivals, departures, patience and
// callers that leave with a queue kept as a list.
func TestBulkheadAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) { bulkheadHistory(t, rand.New(rand.NewPCG(seed, 2)), seed) })
	}
}

type modelWaiter struct {
	id     int
	until  time.Time
	cancel context.CancelFunc
}

func bulkheadHistory(t *testing.T, random *rand.Rand, seed uint64) {
	conf := Bulkhead{MaxConcurrent: 1 + random.IntN(3), MaxWait: 5 * time.Second, MaxQueue: 1 + random.IntN(4)}
	b := newBulkhead("b", conf)
	var inside, want []int
	var queue []modelWaiter
	results := map[int]error{}
	var got atomic.Pointer[[]int] // ids in the order of their admission
	got.Store(new([]int))
	admitted := func(id int) {
		for {
			old := got.Load()
			if list := append(slices.Clone(*old), id); got.CompareAndSwap(old, &list) {
				return
			}
		}
	}
	type answer struct {
		id  int
		err error
	}
	answers := make(chan answer, 1000)
	history := ""
	for id := range 100 {
		switch random.IntN(4) {
		case 0, 1: // arrives
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(cancel)
			history += fmt.Sprint(" +", id)
			if len(inside) < conf.MaxConcurrent {
				inside, want, results[id] = append(inside, id), append(want, id), nil
			} else if len(queue) < conf.MaxQueue {
				queue = append(queue, modelWaiter{id, time.Now().Add(conf.MaxWait), cancel})
			} else {
				results[id] = ErrBulkheadFull
			}
			go func() {
				err := b.acquire(ctx, 0, nil)
				if err == nil {
					admitted(id)
				}
				answers <- answer{id, err}
			}()
		case 2: // leaves
			if len(inside) == 0 {
				continue
			}
			history += " -"
			inside = inside[1:]
			b.release()
			if len(queue) > 0 {
				next := queue[0].id
				queue, inside, want, results[next] = queue[1:], append(inside, next), append(want, next), nil
			}
		case 3: // time passes, or somebody waits no longer
			if len(queue) > 0 && random.IntN(2) == 0 {
				n := random.IntN(len(queue))
				history += fmt.Sprint(" x", queue[n].id)
				queue[n].cancel()
				results[queue[n].id] = context.Canceled
				queue = slices.Delete(queue, n, n+1)
				break
			}
			history += " ."
			time.Sleep(time.Duration(1+random.IntN(3)) * time.Second)
			for len(queue) > 0 && !time.Now().Before(queue[0].until) {
				results[queue[0].id] = ErrBulkheadFull
				queue = queue[1:]
			}
		}
		synctest.Wait()
		if !slices.Equal(*got.Load(), want) {
			t.Fatalf("seed %d %+v%s: admitted %v, want %v", seed, conf, history, *got.Load(), want)
		}
		for len(answers) > 0 {
			a := <-answers
			if err, ok := results[a.id]; !ok || !errors.Is(a.err, err) {
				t.Fatalf("seed %d %+v%s: %d got %v, want %v", seed, conf, history, a.id, a.err, err)
			}
		}
	}
	for range inside {
		b.release()
		synctest.Wait()
	}
	for _, w := range queue {
		w.cancel()
	}
	synctest.Wait()
}
