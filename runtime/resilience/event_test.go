package resilience

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// listener keeps events, and does something with each.
type listener struct {
	mu     sync.Mutex
	events []Event
	ctxs   []context.Context
	then   func(Event)
}

func (l *listener) observe(ctx context.Context, e Event) {
	l.mu.Lock()
	l.events, l.ctxs = append(l.events, e), append(l.ctxs, ctx)
	l.mu.Unlock()
	if l.then != nil {
		l.then(e)
	}
}

// lines are the events without the name of the guard.
func (l *listener) lines() []string {
	var lines []string
	for _, e := range l.events {
		_, line, _ := strings.Cut(e.String(), ": ")
		lines = append(lines, line)
	}
	return lines
}

// of are the events of a kind.
func (l *listener) of(k EventKind) []Event {
	return slices.DeleteFunc(slices.Clone(l.events), func(e Event) bool { return e.Kind != k })
}

// heard returns a guard under p, and who listens to its Runtime.
func heard(t testing.TB, p Policy) (*Runtime, *Guard, *listener) {
	t.Helper()
	l := &listener{}
	rt, err := Open(Options{Seed: 1, Observe: l.observe})
	if err != nil {
		t.Fatal(err)
	}
	g, err := rt.Guard("pay.Charge", p)
	if err != nil {
		t.Fatal(err)
	}
	return rt, g, l
}

// fallible makes a call whose delegate fails with each of errs in turn, and
// asks for the fallback.
func fallible(ctx context.Context, g *Guard, errs ...error) {
	call := g.Begin(ctx)
	defer call.End()
	for n := 0; call.Next(); n++ {
		call.Record(errs[min(n, len(errs)-1)])
	}
	_ = call.WantsFallback()
}

type eventCase struct {
	kind EventKind
	name string
	p    Policy
	do   func(t *testing.T, rt *Runtime, g *Guard)
	want []string
}

var eventCases = []eventCase{
	{AttemptFailed, "success", Policy{Retry: Retry{On: true}}, func(t *testing.T, _ *Runtime, g *Guard) {
		fallible(t.Context(), g, nil)
	}, nil},
	{RetryScheduled, "retry", Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Jitter: NoJitter}}}, func(t *testing.T, _ *Runtime, g *Guard) {
		fallible(t.Context(), g, errPeer, errPeer, nil)
	}, []string{
		"attempt failed, attempt 1: gateway: 503", "retry scheduled, attempt 2 in 100ms",
		"attempt failed, attempt 2: gateway: 503", "retry scheduled, attempt 3 in 200ms"}},
	{RetryScheduled, "no delay", Policy{Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}}, func(t *testing.T, _ *Runtime, g *Guard) {
		fallible(t.Context(), g, errPeer)
	}, []string{
		"attempt failed, attempt 1: gateway: 503", "retry scheduled, attempt 2 in 0s",
		"attempt failed, attempt 2: gateway: 503", "gave up, attempt 2, by retry: gateway: 503"}},
	{GaveUp, "caller left", Policy{Retry: Retry{On: true, Backoff: Backoff{Jitter: NoJitter}}}, func(t *testing.T, _ *Runtime, g *Guard) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		fallible(ctx, g, errPeer)
		fallible(ctx, g, errPeer)
	}, []string{
		"attempt failed, attempt 1: gateway: 503", "retry scheduled, attempt 2 in 100ms",
		"gave up, attempt 1, by retry: context canceled", "gave up, attempt 0: context canceled"}},
	{AttemptFailed, "timeout", Policy{Timeout: Timeout{Attempt: time.Second}}, func(t *testing.T, _ *Runtime, g *Guard) {
		_ = Try(t.Context(), g, hang)
	}, []string{
		"attempt failed, attempt 1, by timeout: timeout.attempt of 1s passed: context deadline exceeded",
		"gave up, attempt 1, by timeout: timeout.attempt of 1s passed: context deadline exceeded"}},
	{AttemptFailed, "panic", Policy{Retry: Retry{On: true}}, func(t *testing.T, _ *Runtime, g *Guard) {
		defer func() { _ = recover() }()
		_ = Try(t.Context(), g, func(context.Context) error { panic("boom") })
	}, []string{"attempt failed, attempt 1, panic or Goexit", "gave up, attempt 1, panic or Goexit"}},
	{GaveUp, "panic of the policy's", Policy{Retry: Retry{RetryOn: Matcher{Match: func(error) bool { panic("boom") }}}}, func(t *testing.T, _ *Runtime, g *Guard) {
		defer func() { _ = recover() }()
		fallible(t.Context(), g, errPeer)
	}, []string{"attempt failed, attempt 1: gateway: 503", "gave up, attempt 1, panic or Goexit"}},
	{AttemptFailed, "unwanted result", Policy{Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}}, func(t *testing.T, _ *Runtime, g *Guard) {
		call := g.Begin(t.Context())
		defer call.End()
		for call.Next() {
			call.RecordResult(nil, true, false)
		}
	}, []string{"attempt failed, attempt 1", "retry scheduled, attempt 2 in 0s", "attempt failed, attempt 2"}},
	{Rejected, "breaker", Policy{Breaker: Breaker{ConsecutiveFailures: 1}, Fallback: Fallback{On: true}}, func(t *testing.T, _ *Runtime, g *Guard) {
		fallible(t.Context(), g, errPeer)
		fallible(t.Context(), g, errPeer)
	}, []string{
		"attempt failed, attempt 1: gateway: 503",
		"breaker transition, closed to open, consecutive failures (calls 0, failures 0, slow 0, in a row 1)",
		"gave up, attempt 1: gateway: 503", "fallback used: gateway: 503",
		"rejected, by circuitBreaker: circuit open, next try in 5s",
		"gave up, attempt 0, by circuitBreaker: circuit open, next try in 5s",
		"fallback used: circuit open, next try in 5s"}},
	{Rejected, "bulkhead", Policy{Bulkhead: Bulkhead{MaxConcurrent: 1}}, func(t *testing.T, _ *Runtime, g *Guard) {
		_ = Try(t.Context(), g, func(ctx context.Context) error { fallible(ctx, g, nil); return nil })
	}, []string{"rejected, by bulkhead: bulkhead full", "gave up, attempt 0, by bulkhead: bulkhead full"}},
	{FallbackUsed, "not for what is permanent", Policy{Fallback: Fallback{On: true}}, func(t *testing.T, _ *Runtime, g *Guard) {
		fallible(t.Context(), g, Permanent(errPeer))
	}, []string{"attempt failed, attempt 1: gateway: 503", "gave up, attempt 1: gateway: 503"}},
	{BreakerTransition, "probe", Policy{Breaker: Breaker{ConsecutiveFailures: 1, AutoHalfOpen: true, Mode: Shadow}}, func(t *testing.T, _ *Runtime, g *Guard) {
		fallible(t.Context(), g, errPeer)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		fallible(t.Context(), g, nil)
	}, []string{
		"attempt failed, attempt 1: gateway: 503",
		"breaker transition, closed to open, shadow, consecutive failures (calls 0, failures 0, slow 0, in a row 1)",
		"gave up, attempt 1: gateway: 503",
		"breaker transition, open to half_open, shadow, openDuration passed",
		"breaker transition, half_open to closed, shadow, probes passed (calls 1, failures 0, slow 0, in a row 0)"}},
	{BreakerTransition, "operator", Policy{Breaker: Breaker{On: true, InitialState: StateOpen}}, func(_ *testing.T, rt *Runtime, _ *Guard) {
		b := rt.Breaker("pay.Charge")
		b.Close()
		b.Disable()
		b.ForceOpen()
		b.ForceOpen()
		b.Close()
		b.Close()
	}, []string{
		"breaker transition, open to closed, operator", "breaker transition, closed to disabled, operator",
		"breaker transition, disabled to forced_open, operator", "breaker transition, forced_open to closed, operator"}},
	{BreakerTransition, "override", Policy{Breaker: Breaker{ConsecutiveFailures: 1, HalfOpen: HalfOpen{SuccessThreshold: 2}}}, func(t *testing.T, rt *Runtime, g *Guard) {
		fallible(t.Context(), g, errPeer)
		time.Sleep(5 * time.Second)
		fallible(t.Context(), g, nil)
		for _, change := range []func(*Policy) error{
			func(p *Policy) error { p.Breaker.HalfOpen.SuccessThreshold = 1; return nil },
			func(p *Policy) error { p.Breaker.Mode = ForcedOpen; return nil },
		} {
			if err := rt.Update("pay.Charge", change); err != nil {
				t.Error(err)
			}
		}
	}, []string{
		"attempt failed, attempt 1: gateway: 503",
		"breaker transition, closed to open, consecutive failures (calls 0, failures 0, slow 0, in a row 1)",
		"gave up, attempt 1: gateway: 503",
		"breaker transition, open to half_open, openDuration passed",
		"override applied, circuitBreaker.halfOpen.successThreshold = 1, by Runtime.Update",
		"breaker transition, half_open to closed, new numbers (calls 1, failures 0, slow 0, in a row 0)",
		"override applied, circuitBreaker.mode = forcedOpen, by Runtime.Update",
		"breaker transition, closed to forced_open, new numbers"}},
	{HedgeWon, "hedge", Policy{Hedge: Hedge{Delay: time.Second}}, func(t *testing.T, _ *Runtime, g *Guard) {
		call := g.Begin(t.Context())
		defer call.End()
		_, _ = Hedged(&call, func(ctx context.Context) (int, error) {
			if n := Attempt(ctx).Number; n > 1 {
				return n, nil
			}
			return 0, hang(ctx)
		})
	}, []string{"hedge started, attempt 2", "hedge won, attempt 2"}},
	{GaveUp, "hedges", Policy{Hedge: Hedge{Delay: time.Second}}, func(t *testing.T, _ *Runtime, g *Guard) {
		call := g.Begin(t.Context())
		defer call.End()
		_, _ = Hedged(&call, func(context.Context) (int, error) { return 0, errPeer })
	}, []string{"attempt failed, attempt 1: gateway: 503", "hedge started, attempt 2",
		"attempt failed, attempt 2: gateway: 503", "gave up, attempt 2, by hedge: gateway: 503"}},
	{BreakerReset, "reset", Policy{Breaker: Breaker{Window: Window{Size: 2}}}, func(t *testing.T, rt *Runtime, g *Guard) {
		fallible(t.Context(), g, errPeer)
		rt.Breaker("pay.Charge").Reset()
	}, []string{
		"attempt failed, attempt 1: gateway: 503", "gave up, attempt 1: gateway: 503",
		"breaker reset (calls 1, failures 1, slow 0, in a row 1)"}},
	{AbandonedEnded, "abandoned", Policy{Timeout: Timeout{Attempt: time.Second, Mode: Abandon}}, func(t *testing.T, _ *Runtime, g *Guard) {
		for _, end := range []func() (string, error){
			func() (string, error) { return "", errPeer }, func() (string, error) { panic("late") }, func() (string, error) { runtime.Goexit(); return "", nil },
		} {
			_, _ = abandonableCall(t.Context(), g, func(context.Context) (string, error) { time.Sleep(2 * time.Second); return end() })
			time.Sleep(2 * time.Second)
		}
	}, []string{
		late, lateCall, "abandoned call ended, attempt 1: gateway: 503",
		late, lateCall, "abandoned call ended, attempt 1: panic: late",
		late, lateCall, "abandoned call ended, attempt 1, Goexit"}},
	{LimitChanged, "latency", Policy{Adaptive: Adaptive{Mode: Concurrency, InitialLimit: 10}}, func(t *testing.T, rt *Runtime, g *Guard) {
		for _, d := range []time.Duration{time.Second, time.Second, time.Minute, time.Minute} {
			together(t, 10, func() { _ = Try(t.Context(), g, func(context.Context) error { time.Sleep(d); return nil }) })
		}
		if err := rt.Update("pay.Charge", func(p *Policy) error { p.Adaptive.MaxLimit = 3; p.Adaptive.InitialLimit = 3; return nil }); err != nil {
			t.Error(err)
		}
	}, []string{
		"limit changed, 10 to 11, by adaptive, latency", "limit changed, 11 to 10, by adaptive, latency",
		"override applied, adaptive.initialLimit = 3, by Runtime.Update", "override applied, adaptive.maxLimit = 3, by Runtime.Update",
		"limit changed, 10 to 3, by adaptive, new numbers"}},
	{LimitChanged, "failures", Policy{Adaptive: Adaptive{Mode: Concurrency, InitialLimit: 10}}, func(t *testing.T, _ *Runtime, g *Guard) {
		for range 10 {
			fallible(t.Context(), g, errPeer)
		}
	}, slices.Concat(slices.Repeat([]string{"attempt failed, attempt 1: gateway: 503", "gave up, attempt 1: gateway: 503"}, 9),
		[]string{"attempt failed, attempt 1: gateway: 503", "limit changed, 10 to 9, by adaptive, failures", "gave up, attempt 1: gateway: 503"})},
	{LimitChanged, "throttle", Policy{Adaptive: Adaptive{K: 1, MaxRejectionRatio: 0.001, Window: time.Minute}}, func(t *testing.T, _ *Runtime, g *Guard) {
		fallible(t.Context(), g, nil)
		fallible(t.Context(), g, errPeer)
		time.Sleep(2 * time.Minute)
		fallible(t.Context(), g, nil)
	}, []string{
		"attempt failed, attempt 1: gateway: 503", "limit changed, by adaptive, rejects some (calls 2, failures 1, slow 0, in a row 0)",
		"gave up, attempt 1: gateway: 503", "limit changed, by adaptive, rejects none"}},
	{OverrideApplied, "all who can", Policy{Retry: Retry{On: true}}, func(t *testing.T, rt *Runtime, _ *Guard) {
		set := func(list ...Override) {
			if err := rt.SetOverrides(list); err != nil {
				t.Error(err)
			}
		}
		set(Override{"", "retry.maxAttempts", "4", "o.yaml:2:3"}, Override{"pay.Charge", "retry.maxDuration", "1s", "o.yaml:3:3"})
		set(Override{"", "retry.maxAttempts", "4", "o.yaml:7:7"}, Override{"pay.Charge", "retry.maxDuration", "2s", "o.yaml:8:3"})
		set(Override{"", "retry.maxAttempts", "4", "o.yaml:7:7"})
		set()
		set()
		rt.SetEnabled(false, "pay.Charge")
		rt.SetEnabled(false, "pay.Charge")
		rt.Apply(Production)
		rt.Apply(Production)
		rt.Apply(NoPreset)
		if err := rt.Disable([]string{"retry"}); err != nil {
			t.Error(err)
		}
	}, []string{
		"override applied, retry.maxAttempts = 4, by o.yaml:2:3", "override applied, retry.maxDuration = 1s, by o.yaml:3:3",
		"override applied, retry.maxDuration = 2s, by o.yaml:8:3", "override applied, retry.maxDuration, taken back", "override applied, retry.maxAttempts, taken back",
		"override applied, enabled = false, by Runtime.SetEnabled", "override applied, preset = production, by Runtime.Apply", "override applied, preset, by Runtime.Apply, taken back",
		"override applied, disable = retry, by Runtime.Disable"}},
	{OverrideRefused, "by what is wrong", Policy{Retry: Retry{On: true}}, func(t *testing.T, rt *Runtime, _ *Guard) {
		for _, err := range []error{
			rt.SetOverrides([]Override{{"", "retry.maxAttempts", "0", "o.yaml:2:3"}}),
			rt.SetOverrides([]Override{{"", "retry.maxAttempts", "0", "o.yaml:2:3"}}), // said once
			rt.Update("pay.Charge", func(*Policy) error { return errPeer }),
			rt.Update("pay.Refund", func(*Policy) error { return nil }),
			rt.Disable([]string{"rety"}),
		} {
			if err == nil {
				t.Error("not refused")
			}
		}
		rt.RefuseOverrides(errors.New("o.yaml:1:1: not valid YAML"))
		_ = rt.SetOverrides([]Override{{"pay.Refund", "retry.maxAttempts", "4", "o.yaml:2:3"}})
		if err := rt.SetOverrides(nil); err != nil {
			t.Error(err)
		}
		rt.RefuseOverrides(errors.New("o.yaml:1:1: not valid YAML"))
	}, []string{
		"override refused: o.yaml:2:3: retry.maxAttempts: must be ≥ 1 (is 0)", "override refused, by Runtime.Update: pay.Charge: gateway: 503",
		`override refused, by Runtime.Update: there is no interface and no method "pay.Refund" with a policy`, "override refused: Runtime.Disable: disable: there is no part rety to take out, only timeout, retry, retry.budget, hedge, circuitBreaker, rateLimit, bulkhead, adaptive, chaos, fallback, cache",
		"override refused: o.yaml:1:1: not valid YAML", `override refused: o.yaml:2:3: retry.maxAttempts: there is no interface and no method "pay.Refund" with a policy`,
		"override refused: o.yaml:1:1: not valid YAML"}},
	{OverrideRefused, "for a new guard", Policy{Breaker: Breaker{On: true}}, func(t *testing.T, rt *Runtime, _ *Guard) {
		if err := rt.SetOverrides([]Override{{"", "circuitBreaker.minimumCalls", "60", "o.yaml:2:3"}}); err != nil {
			t.Error(err)
		}
		if _, err := rt.Guard("pay.Refund", Policy{Breaker: Breaker{Window: Window{Size: 50}}}); err != nil {
			t.Error(err)
		}
	}, []string{"override applied, circuitBreaker.minimumCalls = 60, by o.yaml:2:3",
		"override refused: pay.Refund: circuitBreaker.minimumCalls: must not be greater than window.size"}},
	{CheckpointUsed, "kept before", Policy{}, func(t *testing.T, rt *Runtime, g *Guard) {
		log := &moodyLog{Log: newMemoryLog()}
		rt.stores.Log = log
		w := rt.Wrap("pay.Charge", g)
		w.Guard("X", Policy{})
		c := NewCheckpoints[int, int](w, "X", CheckpointPolicy{}, nil)
		one := func(context.Context) (int, Outcome) { return 1, Outcome{tries: 2} }
		for _, args := range []int{0, 0, 1} {
			_, _ = c.Do(t.Context(), "a", args, one)
		}
		log.set(ErrStoreFull, nil)
		_, _ = c.Do(t.Context(), "b", 0, one)
	}, []string{
		"checkpoint kept, attempt 2", "checkpoint used", `checkpoint refused: pay.Charge.X#2: key "a": checkpoint of other arguments`,
		"checkpoint not kept, attempt 2: store full"}},
	{LetterKept, "and dropped, and lost", Policy{}, func(t *testing.T, rt *Runtime, g *Guard) {
		log := &brokenLog{Log: newMemoryLog()}
		rt.stores.Log = log
		rt.DeadLetters().ids.last[0] = 0xf0 // ids count from there
		w := rt.Wrap("pay.Charge", g)
		x := w.Guard("X", Policy{})
		letters := NewDeadLetters(w, "X", DeadLetterPolicy{Queue: "q", MaxCount: 1}, LetterMethod[notifyArgs]{Fields: notifyFields})
		for _, log.err = range []error{nil, nil, ErrStoreFull} {
			call := x.Begin(t.Context())
			_ = letters.Keep(&call, notifyArgs{}, errPeer)
		}
	}, []string{
		"pattern changed, fp1:52a4b02dee3c of q, new", "letter kept, 7g000000000000000000000001 of q, exhausted",
		"letter kept, 7g000000000000000000000002 of q, exhausted", "letter dropped, 7g000000000000000000000001 of q, maxCount",
		"letter lost, 7g000000000000000000000003 of q, exhausted: append to dlq/q/7g000000000000000000000003: store full"}},
	{RunStarted, "and ended", Policy{}, func(t *testing.T, rt *Runtime, _ *Guard) {
		for _, e := range []Event{
			{Kind: RunStarted, Key: "r"},
			{Kind: StepDone, Key: "r", Value: "0", Attempt: 2},
			{Kind: MessageNoted, Key: "r", Value: "1", Reason: "scheduled", Delay: time.Hour},
			{Kind: RunPaused, Key: "r", Reason: "waits"},
			{Kind: RunResumed, Key: "r"},
			{Kind: StepFailed, Key: "r", Value: "1", Attempt: 1, Reason: "letter", Err: errPeer},
			{Kind: RunEnded, Key: "r", Reason: "failed"},
		} {
			e.Name = "workflow/Research"
			rt.Tell(t.Context(), e)
		}
	}, []string{
		"run started, r", "step done, r, message 0, attempt 2", "message noted, r, message 1, in 1h0m0s, scheduled", "run paused, r, waits", "run resumed, r",
		"step failed, r, message 1, letter: gateway: 503", "run ended, r, failed"}},
	{HealthChanged, "snapshot", Policy{Breaker: Breaker{ConsecutiveFailures: 1}, Health: Health{Register: true}}, func(t *testing.T, rt *Runtime, g *Guard) {
		rt.Health().Snapshot()
		fallible(t.Context(), g, errPeer)
		time.Sleep(time.Second)
		rt.Health().Snapshot()
		rt.Health().Snapshot()
	}, []string{
		"health changed, starting to healthy", "attempt failed, attempt 1: gateway: 503",
		"breaker transition, closed to open, consecutive failures (calls 0, failures 0, slow 0, in a row 1)",
		"gave up, attempt 1: gateway: 503", "health changed, healthy to degraded, circuit open"}},
	{HealthChanged, "started", Policy{Retry: Retry{On: true}}, func(t *testing.T, rt *Runtime, _ *Guard) {
		h, ill := rt.Health(), atomic.Bool{}
		for _, err := range []error{
			h.Register(Component{Name: "db", FailAfter: 1, RecoverAfter: 1, Check: func(context.Context) error {
				if ill.Load() {
					return errPeer
				}
				return nil
			}}),
			h.Register(Component{Name: "store", DependsOn: []string{"db"}, Check: func(context.Context) error { return nil }}), h.Start(),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		time.Sleep(5 * time.Second)
		ill.Store(true)
		time.Sleep(20 * time.Second)
		if err := h.Maintain("db", "a new disk", time.Hour); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
	}, []string{"health changed, starting to healthy", "health changed, starting to healthy", "health changed, healthy to unhealthy, gateway: 503",
		"health changed, unhealthy to maintenance, a new disk"}},
}

// together runs f in n goroutines of a bubble, and waits for all.
func together(t *testing.T, n int, f func()) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(f)
	}
	all.Wait()
}

const (
	late     = "attempt failed, attempt 1, by timeout: timeout.attempt of 1s passed: context deadline exceeded"
	lateCall = "gave up, attempt 1, by timeout: timeout.attempt of 1s passed: context deadline exceeded"
)

func TestEvents(t *testing.T) {
	for _, c := range eventCases {
		t.Run(c.kind.String()+" "+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, g, l := heard(t, c.p)
				c.do(t, rt, g)
				synctest.Wait()
				if got := l.lines(); !slices.Equal(got, c.want) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
				_ = rt.Close()
			})
		})
	}
}

// TestEveryKind fails for a kind without a name, or one that no case emits.
func TestEveryKind(t *testing.T) {
	for kind := EventKind(1); int(kind) < len(eventNames); kind++ {
		if eventNames[kind] == "" {
			t.Errorf("kind %d has no name", kind)
		}
		if !slices.ContainsFunc(eventCases, func(c eventCase) bool {
			return slices.ContainsFunc(c.want, func(line string) bool { return strings.HasPrefix(line, kind.String()) })
		}) {
			t.Errorf("no case of TestEvents emits %q", kind)
		}
	}
	if got := EventKind(200).String() + State(200).String(); got != "EventKind(200)State(200)" {
		t.Error(got)
	}
}

// TestTransitionTellsWhatWasLeft is case 29 of the field's list: the counts of
// the state that was left, and the context of the call that caused it.
func TestTransitionTellsWhatWasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, g, l := heard(t, Policy{Breaker: Breaker{Window: Window{Size: 2}, MinimumCalls: 2,
			HalfOpen: HalfOpen{Mode: RateMode, PermittedCalls: 5}}})
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "the call")
		fallible(t.Context(), g, nil)
		fallible(ctx, g, errPeer)
		time.Sleep(5 * time.Second)
		for _, err := range []error{errPeer, errPeer, nil, nil} {
			fallible(t.Context(), g, err)
		}
		fallible(ctx, g, nil)
		rt.Breaker("pay.Charge").ForceOpen()
		var got []string
		for i, e := range l.events {
			if e.Kind == BreakerTransition {
				got = append(got, fmt.Sprintf("%v %v %v", e.To, e.Counts, l.ctxs[i].Value(key{})))
			}
		}
		want := []string{"open {2 1 0 1} the call", "half_open {0 0 0 0} <nil>", "closed {5 2 0 0} the call", "forced_open {0 0 0 0} <nil>"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if last := len(l.ctxs) - 1; l.ctxs[last] != context.Background() {
			t.Error("an operator's context is not Background")
		}
	})
}

// TestTransitionsInOrder has observers that call back in, panic, end their
// goroutine and block: every transition arrives once, and alternating.
func TestTransitionsInOrder(t *testing.T) {
	for name, then := range map[string]func(rt *Runtime, n int){
		"calls back": func(rt *Runtime, n int) {
			if b := rt.Breaker("pay.Charge"); n < 100 && n%2 == 0 {
				b.Snapshot()
				b.Close()
			}
		},
		"panics":  func(*Runtime, int) { panic("observer") },
		"Goexits": func(*Runtime, int) { runtime.Goexit() },
		"blocks":  func(*Runtime, int) { time.Sleep(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, g, l := heard(t, Policy{Breaker: Breaker{ConsecutiveFailures: 1, OpenDuration: time.Millisecond}})
				n := 0
				l.then = func(e Event) {
					if e.Kind == BreakerTransition {
						n++
						then(rt, n)
					}
				}
				for range 8 {
					go func() {
						for range 50 {
							done := make(chan struct{})
							go func() {
								defer close(done)
								fallible(context.Background(), g, errPeer)
							}()
							<-done
							time.Sleep(time.Millisecond)
						}
					}()
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				alternate(t, l.of(BreakerTransition), rt.Breaker("pay.Charge").Snapshot())
				panics := int64(0)
				if name == "panics" {
					panics = int64(n)
				}
				if got := rt.Observer(); got != (ObserverCounts{Panics: panics}) {
					t.Errorf("counted %+v, want %d panics", got, panics)
				}
			})
		})
	}
}

// alternate fails unless each transition leaves the state that the one before
// entered, and none is missing.
func alternate(t *testing.T, transitions []Event, s BreakerSnapshot) {
	t.Helper()
	if len(transitions) < 50 || int64(len(transitions)) != s.Transitions {
		t.Errorf("%d transitions told, %d made", len(transitions), s.Transitions)
	}
	at := StateClosed
	for i, e := range transitions {
		if e.From != at || e.To == at {
			t.Fatalf("transition %d is %v to %v, from %v", i, e.From, e.To, at)
		}
		at = e.To
	}
}

// TestBlockedObserverDropsWhatIsTooMuch bounds what waits for an observer that
// never returns.
func TestBlockedObserverDropsWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, l := heard(t, Policy{Breaker: Breaker{On: true}})
		gate := make(chan struct{})
		l.then = func(Event) { <-gate }
		b := rt.Breaker("pay.Charge")
		go b.ForceOpen()
		synctest.Wait()
		for range maxNews {
			b.Close()
			b.ForceOpen()
		}
		close(gate)
		synctest.Wait()
		if got := rt.Observer().Dropped; got != maxNews || len(l.events) != maxNews+1 {
			t.Errorf("%d dropped and %d told, want %d and one more", got, len(l.events), maxNews)
		}
	})
}

// TestObserverMayDoAnything has the observer change the Runtime, of which no
// lock may be held.
func TestObserverMayDoAnything(t *testing.T) {
	rt, g, l := heard(t, Policy{Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}, Breaker: Breaker{ConsecutiveFailures: 1}, Health: Health{Register: true},
		Adaptive: Adaptive{Mode: Concurrency, InitialLimit: 10}})
	nested := 0
	l.then = func(Event) {
		if nested++; nested > 20 {
			return
		}
		rt.Breakers()
		rt.Breaker("pay.Charge").Snapshot()
		rt.SetEnabled(true)
		rt.Health().Snapshot()
		rt.Explain("")
		_ = rt.SetOverrides([]Override{{Key: "adaptive.maxLimit", Value: fmt.Sprint(20 + nested)}})
		_ = rt.Disable([]string{"rety"})
		rt.RefuseOverrides(errPeer)
		rt.Apply(Preset(nested % 3))
		rt.Breaker("pay.Charge").Reset()
		fallible(context.Background(), g, errPeer)
	}
	fallible(t.Context(), g, errPeer)
	if nested < 20 {
		t.Errorf("%d events", nested)
	}
}

// TestTellingDoesNotAllocate counts what an observer costs a failing call.
func TestTellingDoesNotAllocate(t *testing.T) {
	told := 0
	rt, _ := Open(Options{Observe: func(context.Context, Event) { told++ }})
	g, err := rt.Guard("a", Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}, Fallback: Fallback{On: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { fallible(ctx, g, errPeer) }); n != 0 || told != 101*7 {
		t.Errorf("%v allocations and %d events, want none and %d", n, told, 101*7)
	}
}

func TestRing(t *testing.T) {
	r := NewRing(3)
	for n := range 5 {
		r.Observe(t.Context(), Event{Attempt: n})
		events, dropped := r.Events()
		if want := max(n-2, 0); dropped != int64(want) || len(events) != min(n+1, 3) || events[0].Attempt != want || events[len(events)-1].Attempt != n {
			t.Errorf("after %d: %d dropped, %v", n, dropped, events)
		}
	}
	if events, dropped := NewRing(0).Events(); len(events) != 0 || dropped != 0 {
		t.Errorf("%v, %d dropped", events, dropped)
	}
}

// logged is the line that a LogHandler makes of e.
func logged(e Event) string {
	var out bytes.Buffer
	LogHandler(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))(context.Background(), e)
	return out.String()
}

func TestLogHandler(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	log := LogHandler(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
	for _, e := range []Event{
		{Kind: AttemptFailed, Time: at, Name: "a"},
		{Kind: GaveUp, Time: at, Name: "a", Attempt: 2, Elapsed: time.Second, By: "retry", Err: errors.New("down")},
		{Kind: BreakerTransition, Time: at, Name: "b", From: StateClosed, To: StateOpen, Counts: Counts{4, 3, 2, 1}, Reason: "failure rate", Shadow: true},
		{Kind: BreakerTransition, Time: at, Name: "b", From: StateOpen, To: StateHalfOpen},
	} {
		log(t.Context(), e)
	}
	want := `time=2026-01-02T03:04:05.000Z level=WARN msg="gave up" name=a attempt=2 elapsed=1s by=retry error=down
time=2026-01-02T03:04:05.000Z level=WARN msg="breaker transition" name=b reason="failure rate" from=closed to=open calls=4 failures=3 slow=2 consecutive=1 shadow=true
time=2026-01-02T03:04:05.000Z level=INFO msg="breaker transition" name=b from=open to=half_open
`
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestLogHandlerWithoutLogger logs to the default of the moment of the event.
func TestLogHandlerWithoutLogger(t *testing.T) {
	log := LogHandler(nil)
	var out bytes.Buffer
	old := slog.Default()
	defer slog.SetDefault(old)
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log(t.Context(), Event{Kind: RetryScheduled, Name: "a"})
	if got := out.String(); !strings.Contains(got, `level=DEBUG msg="retry scheduled" name=a delay=0s`) {
		t.Errorf("got %s", got)
	}
}

// TestEventsStayPlain keeps an Event a value that nobody can change through
// another one.
func TestEventsStayPlain(t *testing.T) {
	for i := range reflect.TypeFor[Event]().NumField() {
		switch f := reflect.TypeFor[Event]().Field(i); f.Type.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Func, reflect.Chan:
			t.Errorf("%s is a %v", f.Name, f.Type)
		}
	}
}
