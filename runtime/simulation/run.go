package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Call is one call through a wrapper.
type Call func(ctx context.Context) error

// ErrAnswered is what a fallback of a simulation returns, so that its answers
// are told from those of the peer.
var ErrAnswered = errors.New("simulation: a fallback answered")

// errPiledUp ends a simulation whose calls are more than a process bears.
var errPiledUp = errors.New("calls pile up")

// Run sends the load of c through what wrap returns, around a delegate that asks
// peer, and waits for every call. wrap is called once for each instance, with a
// Runtime that belongs to the run. It fails if c is no load, if wrap does, and if
// calls pile up.
func Run(c Config, peer *Peer, wrap func(rt *resilience.Runtime) (Call, error)) (*Result, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	r := &run{config: c, peer: peer, slices: make([]Slice, sliceCount+1), breakers: []Breaker{}, rejected: map[string]int{}, gaveUp: map[string]int{}}
	defer r.close()
	var calls []Call
	for i := range max(c.Instances, 1) {
		call, err := r.instance(i, wrap)
		if err != nil {
			return nil, err
		}
		calls = append(calls, call)
	}
	err := r.load(calls)
	return r.result(), err
}

// instance makes one that is called, with a Runtime of its own.
func (r *run) instance(number int, wrap func(rt *resilience.Runtime) (Call, error)) (Call, error) {
	observe := func(_ context.Context, e resilience.Event) { r.observe(number, e) }
	rt, err := resilience.Open(resilience.Options{Seed: r.config.Seed + uint64(number), Observe: observe, Stores: resilience.MemoryStores()})
	if err != nil {
		return nil, err
	}
	r.runtimes = append(r.runtimes, rt)
	call, err := wrap(rt)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range rt.Breakers() {
		r.breakers = append(r.breakers, Breaker{Instance: number, Name: b.Name(), Initial: b.Snapshot().State.String(), Transitions: []Transition{}})
	}
	return call, nil
}

func (r *run) close() {
	for _, rt := range r.runtimes {
		_ = rt.Close() // has nothing to flush
	}
}

// run is the record of a simulation.
type run struct {
	config   Config
	peer     *Peer
	begun    time.Time
	runtimes []*resilience.Runtime // one for each instance

	mu       sync.Mutex
	inFlight int
	late     time.Duration
	slices   []Slice
	calls    []ended
	rejected map[string]int
	gaveUp   map[string]int
	retries  int
	hedges   int
	breakers []Breaker
}

// ended is a call that is over.
type ended struct {
	at, took time.Duration // since the load began, and since the call did
	outcome  outcome
}

type outcome uint8

const (
	succeeded outcome = iota
	answered          // by the fallback
	failed
)

// load sends every call, each on a goroutine of its own, and waits for all.
func (r *run) load(calls []Call) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var group sync.WaitGroup
	r.begun = time.Now()
	r.peer.begin(r.begun)
	for n, at := range r.config.arrivals {
		time.Sleep(time.Until(r.begun.Add(at)))
		if waiting := r.arrive(at); waiting > maxInFlight {
			cancel(fmt.Errorf("%w: %d are in flight %v after the first one; nothing bounds how long they wait, or how many there are", errPiledUp, waiting, at.Round(time.Millisecond)))
			break
		}
		group.Go(func() { r.call(ctx, n, at, calls[n%len(calls)]) })
	}
	group.Wait()
	if err := context.Cause(ctx); errors.Is(err, errPiledUp) {
		return err
	}
	return nil
}

func (r *run) arrive(at time.Duration) (inFlight int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slices[r.config.slice(at)].Arrivals++
	r.inFlight++
	r.late = max(r.late, time.Since(r.begun)-at)
	return r.inFlight
}

// call makes call number n.
func (r *run) call(ctx context.Context, n int, at time.Duration, call Call) {
	ctx = context.WithValue(ctx, callKey{}, n)
	if r.config.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.config.Deadline)
		defer cancel()
	}
	start := time.Now()
	err := call(ctx)
	end := time.Now()
	e := ended{at: at, took: end.Sub(start), outcome: succeeded}
	switch {
	case errors.Is(err, ErrAnswered):
		e.outcome = answered
	case err != nil:
		e.outcome = failed
	}
	r.end(e, end.Sub(r.begun))
}

// end counts a call that is over.
func (r *run) end(e ended, at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight--
	r.calls = append(r.calls, e)
	s := &r.slices[r.config.slice(at)]
	switch e.outcome {
	case succeeded:
		s.Succeeded++
	case answered:
		s.Answered++
	case failed:
		s.Failed++
	}
}

// observe counts what the Runtime of an instance tells.
func (r *run) observe(instance int, e resilience.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Kind {
	case resilience.Rejected:
		r.rejected[e.By]++
	case resilience.GaveUp:
		by := e.By
		if by == "" {
			by = "delegate" // its error was the answer
		}
		r.gaveUp[by]++
	case resilience.RetryScheduled:
		r.retries++
	case resilience.HedgeStarted:
		r.hedges++
	case resilience.BreakerTransition:
		b := slices.IndexFunc(r.breakers, func(b Breaker) bool { return b.Instance == instance && b.Name == e.Name })
		if b < 0 {
			return // of another time: a breaker that was made under load
		}
		r.breakers[b].Transitions = append(r.breakers[b].Transitions, Transition{
			At: e.Time.Sub(r.begun).Seconds(), From: e.From.String(), To: e.To.String(), Reason: e.Reason,
			Calls: e.Counts.Calls, Failures: e.Counts.Failures, Slow: e.Counts.Slow, Consecutive: e.Counts.Consecutive,
		})
	}
}
