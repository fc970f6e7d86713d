package resilience

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Wrapper collects the guards of one generated wrapper, and every complaint
// about them. It is used by one goroutine, in the constructor.
type Wrapper struct {
	rt       *Runtime
	name     string
	instance string
	pkg      string
	errs     []error
	ready    func() // called when all of the wrapper is there; nil: nobody waits for it
}

// Wrap begins the wrapper of an interface, such as "payments.Gateway". next
// and others are what the wrapper calls; one that is nil is an error of
// [Wrapper.Err].
func (rt *Runtime) Wrap(name string, next any, others ...any) *Wrapper {
	root, err := rt.root()
	as := ""
	if rt != nil {
		as = rt.name
	}
	w := &Wrapper{rt: root, name: name, instance: root.instance(name, as), pkg: callersPackage()}
	if err != nil {
		w.errs = append(w.errs, err)
	}
	for i, arg := range append([]any{next}, others...) {
		if arg == nil {
			w.errs = append(w.errs, fmt.Errorf("%s: argument %d of its constructor is nil", name, i+2))
		}
	}
	return w
}

// callersPackage is the path of the package of the constructor that calls Wrap.
func callersPackage() string {
	var at [1]uintptr
	frame, _ := runtime.CallersFrames(at[:runtime.Callers(3, at[:])]).Next()
	dir, name := splitPath(frame.Function)
	name, _, _ = strings.Cut(name, ".")
	return dir + strings.ReplaceAll(name, "%2e", ".") // as the linker writes it
}

// splitPath splits a path behind its last slash.
func splitPath(text string) (dir, name string) {
	end := strings.LastIndexByte(text, '/') + 1
	return text[:end], text[end:]
}

// below is the full name of a method of what is called name. One with a slash is
// a path: of the nodes of a workflow, "workflow/Research/Plan".
func below(name, method string) string {
	if strings.Contains(name, "/") {
		return name + "/" + method
	}
	return name + "." + method
}

// Guard returns the guard of a method under p.
func (w *Wrapper) Guard(method string, p Policy) *Guard {
	full := below(w.name, method)
	g := &Guard{rt: w.rt, name: full + w.instance, method: full, iface: w.name, wrapper: w.name + w.instance, pkg: w.pkg, policy: p, stats: newMethodStats(w.rt)}
	if err := p.check(); err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s: %w", g.name, err))
		return g
	}
	if err := w.rt.enlist(g); err != nil {
		w.errs = append(w.errs, err)
	}
	return g
}

// Err returns every complaint, nil if there is none.
func (w *Wrapper) Err() error {
	if w.ready != nil {
		w.ready()
	}
	return errors.Join(w.errs...)
}

// Guard is the policy of one method and its state. It is safe for concurrent
// use.
type Guard struct {
	rt                  *Runtime
	name, method, iface string
	wrapper             string // iface and instance
	pkg                 string // path of the package that holds the wrapper
	policy              Policy
	plan                atomic.Pointer[plan] // nil: switched off
	misfit              error                // why overrides leave it out; under rt.mu
	latencies           *latencies           // of a hedge by percentile; under rt.mu
	stats               *methodStats         // nil: none are kept
	throttle            *throttle            // of its calls, with steering; under rt.mu
	steering            *steering
}

// Guard returns a guard for code that has no interface, see [Do] and [Try].
func (rt *Runtime) Guard(name string, p Policy) (*Guard, error) {
	w := rt.Wrap(name, p)
	g := &Guard{rt: w.rt, name: name + w.instance, method: name, iface: name, wrapper: name + w.instance, policy: p, stats: newMethodStats(w.rt)}
	if err := errors.Join(w.Err(), p.check()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return g, w.rt.enlist(g)
}

// check refuses what cannot work or is not built.
func (p *Policy) check() error {
	var list complaints
	refuse := list.refuse
	refuse(p.Caching != (Caching{}) && p.Caching.TTL <= 0, "cache.ttl: must be given, and > 0")
	refuse(p.Caching.MaxEntries < 0, "cache.maxEntries: must be at least 1")
	b := &p.Retry.Backoff
	refuse(p.Retry.MaxAttempts < 0, "retry.maxAttempts: must be at least 1")
	refuse(b.MaxDelay >= 0 && max(b.InitialDelay, slices.Max(slices.Concat([]time.Duration{0}, b.Delays))) > orDuration(b.MaxDelay, maxDelay),
		"retry.backoff.maxDelay: cuts off a delay that is given; its default is 10s")
	refuse(b.Multiplier != 0 && b.Multiplier < 1, "retry.backoff.multiplier: must be at least 1")
	refuse(b.JitterFactor > 1, "retry.backoff.jitterFactor: must be in [0,1]")
	refuse(p.Chaos.InjectionRatio < 0 || p.Chaos.InjectionRatio > 1, "chaos.injectionRatio: must be in (0,1]")
	refuse(p.Chaos.Result && (p.Chaos.Fault != nil || p.Chaos.Panic), "chaos.result: stands in the place of fault and panic, and not beside one")
	refuse(p.Hedge.set() && p.Retry.set(), "hedge: not together with retry")
	refuse(p.Hedge.MaxHedges < 0, "hedge.maxHedges: must be at least 1")
	refuse(p.Hedge.Percentile < 0 || p.Hedge.Percentile > 100, "hedge.percentile: must be in (0,100]")
	refuse(p.Hedge.Delay != 0 && (p.Hedge.Percentile != 0 || p.Hedge.Warmup != 0), "hedge: either delay or percentile")
	refuse(p.Budget.Ratio > 1, "retry.budget.ratio: must be in (0,1]")
	refuse(p.Breaker.FailureRateThreshold > 100 || p.Breaker.SlowCallRateThreshold > 100, "circuitBreaker: a threshold must be in (0,100]")
	refuse(p.Breaker.Window.Size > 1<<24, "circuitBreaker.window.size: must be at most 16777216")
	refuse(p.Breaker.Window.Buckets > 1<<16, "circuitBreaker.window.buckets: must be at most 65536")
	refuse(p.Breaker.HalfOpen.Mode == RateMode && p.Breaker.ConsecutiveFailures > 0 && !p.Breaker.byRate() && p.Breaker.SlowCallDuration <= 0,
		"circuitBreaker.halfOpen.mode: rate decides by rates, and consecutiveFailures alone has none")
	refuse(p.Breaker.Window.Type != TimeWindow && p.Breaker.MinimumCalls > orInt(p.Breaker.Window.Size, 100),
		"circuitBreaker.minimumCalls: must not be greater than window.size")
	p.RateLimit.check(refuse)
	p.Adaptive.check(refuse)
	p.checkOrder(refuse)
	return errors.Join(list...)
}

// complaints are what is wrong with a policy.
type complaints []error

func (c *complaints) refuse(bad bool, text string) {
	if bad {
		*c = append(*c, errors.New(text))
	}
}
