package soak

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// account is what the harness itself counts of one method of one instance.
type account struct {
	name   string // of the guard
	method method
	book   *book

	// What callers saw. One that had left by the time it got an error may have
	// failed, been rejected, or canceled: it is unsure. A fallback of zeros says
	// nothing of why, and is one that is answered.
	begun, success, failure, rejected, canceled, unsure, answered atomic.Int64
	vanished                                                      atomic.Int64 // of failure
	mended                                                        atomic.Int64 // successes with more than one execution
	worked                                                        atomic.Int64 // calls with an execution
	came                                                          atomic.Int64 // calls that had left before they began

	executed, running, most, tokens atomic.Int64
	opened, closed                  atomic.Int64
	fallbacks                       atomic.Int64

	// What events told.
	events             [32]atomic.Int64 // by kind
	timeouts, injected atomic.Int64
	mu                 sync.Mutex
	turned             map[string]int64 // Rejected by part
}

// book holds the accounts of one instance.
type book struct {
	instance string
	accounts [methods]account

	mu     sync.Mutex
	wrongs map[string]int
}

func newBook(instance string) *book {
	b := &book{instance: instance, wrongs: map[string]int{}}
	for m := range b.accounts {
		a := &b.accounts[m]
		a.name, a.method, a.book, a.turned = "soak.Peer."+names[m]+"@"+instance, method(m), b, map[string]int64{}
	}
	return b
}

// wrong notes something that must not be.
func (a *account) wrong(format string, args ...any) {
	a.book.mu.Lock()
	defer a.book.mu.Unlock()
	a.book.wrongs[a.name+": "+fmt.Sprintf(format, args...)]++
}

// enter notes that an execution runs.
func (a *account) enter() {
	n := a.running.Add(1)
	for {
		most := a.most.Load()
		if n <= most || a.most.CompareAndSwap(most, n) {
			return
		}
	}
}

// judge counts a call that returned err. It had left before it began if early.
func (a *account) judge(c *call, err error, early bool) {
	if c.fell {
		err = c.cause
	}
	switch {
	case err == nil:
		a.success.Add(1)
		if c.executed.Load() > 1 {
			a.mended.Add(1)
		}
	case early:
		a.canceled.Add(1)
	case !c.gone():
		if turnedAway(err) {
			a.rejected.Add(1)
		} else {
			a.failure.Add(1)
		}
	case plain[a.method] && c.left.Load() && c.executed.Load() > 0:
		a.canceled.Add(1)
	default:
		a.unsure.Add(1)
	}
}

// gone reports whether the caller has left, by now.
func (c *call) gone() bool {
	deadline, ok := c.caller.Deadline()
	return c.caller.Err() != nil || ok && !time.Now().Before(deadline)
}

// turnedAway reports whether err is that of a call whose delegate was never
// called, because a part did not admit it.
func turnedAway(err error) bool {
	var e *resilience.Error
	return errors.As(err, &e) && e.Attempts == 0 &&
		(errors.Is(err, resilience.ErrCircuitOpen) || errors.Is(err, resilience.ErrBulkheadFull) || errors.Is(err, resilience.ErrRateLimited))
}

// observe counts an event.
func (b *book) observe(e resilience.Event) {
	if a := b.find(e.Name); a != nil {
		a.observe(e)
	}
}

// find returns the account of a guard, nil if it is not in the book.
func (b *book) find(name string) *account {
	for m := range b.accounts {
		if b.accounts[m].name == name {
			return &b.accounts[m]
		}
	}
	return nil
}

func (a *account) observe(e resilience.Event) {
	a.events[e.Kind].Add(1)
	switch e.Kind {
	case resilience.AttemptFailed:
		if e.By == "timeout" {
			a.timeouts.Add(1)
		}
		if errors.Is(e.Err, ErrInjected) || e.Reason != "" && a.method == mChaosPanic {
			a.injected.Add(1)
		}
	case resilience.Rejected:
		a.mu.Lock()
		a.turned[e.By]++
		a.mu.Unlock()
	}
}

// names are those of the methods.
var names = strings.Fields(`Retry Budget Slow Total Abandon Judge Open Hedge HedgeAll HedgeAbandon PerKey HedgeKey AbandonKey
	Token Smooth Fixed Rolling Throttle Gradient Vegas Cached Stale Idempotent Chaos ChaosPanic Bare`)

// plain are the methods whose delegate runs on the goroutine of the call, so
// that it is known which one came last.
var plain = [methods]bool{mRetry: true, mSlow: true, mTotal: true, mJudge: true, mOpen: true, mPerKey: true, mToken: true, mSmooth: true,
	mFixed: true, mRolling: true, mThrottle: true, mGradient: true, mVegas: true, mIdempotent: true, mBare: true}
