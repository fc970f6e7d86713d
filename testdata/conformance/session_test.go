package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"

	"conformance/grpc"
)

// session plays scripts (see README.md) against a generated wrapper, whose
// delegate it is, under a clock of its own.
type session struct {
	t       *testing.T
	rt      *resilience.Runtime
	do      func(context.Context) (int, error) // the method under test
	breaker string                             // the breaker that is looked at
	begun   time.Time
	limit   time.Duration // deadline that callers set; 0: none

	mu        sync.Mutex
	calls     map[string]*call
	last      *call
	order     []string // the calls whose delegate ran, in turn
	running   int
	peak      int
	fallbacks int
	events    []resilience.Event
	also      func(context.Context, resilience.Event) // observes too
}

// bubble runs f with a session that has wrapped nothing yet.
func bubble(t *testing.T, f func(*session)) { bubbleSeed(t, 1, f) }

func bubbleSeed(t *testing.T, seed uint64, f func(*session)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &session{t: t, begun: time.Now(), calls: map[string]*call{}}
		rt, err := resilience.Open(resilience.Options{Seed: seed, Observe: s.observe})
		if err != nil {
			t.Fatal(err)
		}
		s.rt = rt
		defer func() {
			for _, c := range s.calls {
				c.cancel(nil) // who still holds, lets go
			}
			for s.busy() {
				time.Sleep(time.Second) // for those that nobody waits for: a bubble ends with its first goroutine
			}
			if err := rt.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(s)
	})
}

// wrap makes a wrapper of the session. Scripts go to it from now on.
func wrap[W Service](s *session, make func(*resilience.Runtime, Service) (W, error)) W {
	s.t.Helper()
	w, err := make(s.rt, s)
	s.wrapped(w, err, "Do")
	s.do = w.Do
	return w
}

// wrapPair is wrap for two methods; scripts go to the first one.
func wrapPair[W Pair](s *session, make func(*resilience.Runtime, Pair) (W, error)) W {
	s.t.Helper()
	w, err := make(s.rt, s)
	s.wrapped(w, err, "M1")
	s.do = w.M1
	return w
}

func (s *session) wrapped(w any, err error, method string) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	entry := strings.TrimPrefix(fmt.Sprintf("%T", w), "*conformance.Resilient")
	s.breaker = "conformance." + entry + "." + method
}

// play is a case that is told by scripts, each against a wrapper of its own.
func play[W Service](make func(*resilience.Runtime, Service) (W, error), scripts ...string) func(*testing.T) {
	return with(make, func(s *session, script string) { s.play(script) }, scripts...)
}

// with is play for scripts that need more than a script says.
func with[W Service](make func(*resilience.Runtime, Service) (W, error), f func(*session, string), scripts ...string) func(*testing.T) {
	return func(t *testing.T) {
		for _, script := range scripts {
			bubble(t, func(s *session) {
				wrap(s, make)
				f(s, script)
			})
		}
	}
}

// all runs the parts of a case.
func all(parts ...func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) {
		for _, part := range parts {
			part(t)
		}
	}
}

// observe keeps what the Runtime tells.
func (s *session) observe(ctx context.Context, e resilience.Event) {
	s.mu.Lock()
	s.events = append(s.events, e)
	also := s.also
	s.mu.Unlock()
	if also != nil {
		also(ctx, e)
	}
}

// do is the session as a delegate.
func (s *session) Do(ctx context.Context) (int, error) { return s.execute(ctx) }
func (s *session) M1(ctx context.Context) (int, error) { return s.execute(ctx) }
func (s *session) M2(ctx context.Context) (int, error) { return s.execute(ctx) }

func (s *session) execute(ctx context.Context) (int, error) {
	c := ctx.Value(callKey{}).(*call)
	s.mu.Lock()
	step := c.plan[min(resilience.Attempt(ctx).Number, len(c.plan))-1] // attempts of a hedge may begin at once
	c.starts = append(c.starts, time.Now())
	s.order = append(s.order, c.name)
	s.running++
	s.peak = max(s.peak, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.ends = append(c.ends, time.Now())
		s.running--
	}()
	return c.perform(ctx, step)
}

// busy reports whether a delegate still runs.
func (s *session) busy() bool {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running > 0
}

type callKey struct{}

// errCaller is why callers of cause leave.
var errCaller = errors.New("caller")

// call is one call through the wrapper.
type call struct {
	name   string
	plan   []string // what the delegate does, by execution; the last one repeats
	ctx    context.Context
	cancel context.CancelCauseFunc
	gate   chan string   // releases a delegate that holds
	done   chan struct{} // the caller has its answer

	began    time.Time
	took     time.Duration
	value    int
	err      error
	died     any // what it panicked with
	returned bool
	cause    error // what the fallback was told
	starts   []time.Time
	ends     []time.Time

	mu     sync.Mutex
	raised map[string]error // by the delegate
}

// start begins a call of that name in a goroutine of its own.
func (s *session) start(name, plan string) *call {
	c := s.launch(name, plan)
	s.last = c
	if name != "" {
		s.calls[name] = c
	}
	return c
}

// launch is start for any number of goroutines: no step of a script finds the
// call.
func (s *session) launch(name, plan string) *call {
	c := &call{name: name, plan: strings.Split(plan, ","), gate: make(chan string), done: make(chan struct{}), raised: map[string]error{}}
	parent, stop := context.Background(), func() {}
	if s.limit > 0 {
		parent, stop = context.WithTimeout(parent, s.limit)
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, callKey{}, c))
	c.cancel = cancel
	c.ctx = context.WithValue(ctx, witness{}, func(cause error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fallbacks++
		c.cause = cause
	})
	do := s.do
	go func() {
		defer close(c.done)
		defer stop()
		defer func() { c.died = recover() }()
		c.began = time.Now()
		defer func() { c.took = time.Since(c.began) }()
		c.value, c.err = do(c.ctx)
		c.returned = true
	}()
	return c
}

// call makes a call and returns when it is over.
func (s *session) call(plan string) *call {
	c := s.start("", plan)
	<-c.done
	c.cancel(nil)
	return c
}

// perform does one step of a plan.
func (c *call) perform(ctx context.Context, step string) (int, error) {
	switch step {
	case "hold":
		select {
		case step = <-c.gate:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	case "H":
		<-ctx.Done()
		return 0, ctx.Err()
	case "cause":
		<-ctx.Done()
		c.raise("caller", errCaller)
		return 0, context.Cause(ctx)
	case "C":
		c.cancel(nil)
		step = "S"
	}
	if what, d, ok := strings.Cut(step, "/"); ok {
		select {
		case <-time.After(parse(d)):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		step = what
	}
	if what, d, ok := strings.Cut(step, "!"); ok {
		time.Sleep(parse(d))
		step = what
	}
	return c.result(step)
}

var successes = map[string]int{"S": 1, "0": 0, "-1": -1, "-2": -2, "-3": -3}

var failures = map[string]error{
	"F": E, "X": X, "I": I, "Other": Other, "BadRequest": BadRequest, "Child": Child{}, "Exception": errors.New("Exception"),
	"caller": errCaller, "WF": fmt.Errorf("wrapped: %w", E), "WI": fmt.Errorf("wrapped: %w", I),
	"Unavailable": grpc.Unavailable, "PermissionDenied": grpc.PermissionDenied,
	"E0": E0{}, "E1": E1{}, "E2": E2{},
	"E0S": fmt.Errorf("wrapped: %w", E0{}), "E1S": fmt.Errorf("wrapped: %w", E1{}), "E2S": fmt.Errorf("wrapped: %w", E2{}),
	"after": After{}, "Trap": Trap, "Canceled": context.Canceled,
}

func (c *call) result(step string) (int, error) {
	switch step {
	case "P":
		panic(step)
	case "G":
		runtime.Goexit()
	}
	if n, ok := successes[step]; ok {
		return n, nil
	}
	err := failures[step]
	if d, ok := strings.CutPrefix(step, "after:"); ok {
		err = After{parse(d), true}
	}
	if err == nil {
		panic("no such step: " + step)
	}
	c.raise(step, err)
	return 0, err
}

func (c *call) raise(step string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raised[step] = err
}

// outcome is what the caller of c sees, in the words of the scripts.
func (c *call) outcome() string {
	switch {
	case c.died != nil:
		return "panic"
	case !c.returned:
		return "goexit"
	case c.err == nil && c.value == 1:
		return "ok"
	case c.err == nil && c.value == Answer:
		return "fb"
	case c.err == nil:
		return fmt.Sprint(c.value)
	}
	var names []string
	for _, o := range []struct {
		name string
		err  error
	}{
		{"open", resilience.ErrCircuitOpen}, {"full", resilience.ErrBulkheadFull}, {"limited", resilience.ErrRateLimited}, {"timeout", resilience.ErrTimeout},
		{"unwanted", resilience.ErrUnwantedResult}, {"budget", resilience.ErrBudgetExhausted}, {"canceled", context.Canceled}, {"deadline", context.DeadlineExceeded},
	} {
		if errors.Is(c.err, o.err) && !(o.name == "deadline" && errors.Is(c.err, resilience.ErrTimeout)) {
			names = append(names, o.name)
		}
	}
	for step, err := range c.raised {
		if errors.Is(c.err, err) {
			names = append(names, strings.TrimPrefix(step, "W"))
		}
	}
	return strings.Join(names, "+")
}

func parse(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d
}
