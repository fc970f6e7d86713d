package resilience

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errPeer = errors.New("gateway: 503")

func mustGuard(t testing.TB, p Policy) *Guard {
	t.Helper()
	rt, err := Open(Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	g, err := rt.Guard("payments.Gateway.Charge", p)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// failing fails n times, then succeeds, and counts.
func failing(n int, err error) (f func(context.Context) error, calls *int) {
	calls = new(int)
	return func(context.Context) error {
		*calls++
		if *calls <= n {
			return err
		}
		return nil
	}, calls
}

func TestRetryUntilSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 4, Backoff: Backoff{InitialDelay: 100 * time.Millisecond, Jitter: NoJitter}}})
		f, calls := failing(3, errPeer)
		start := time.Now()
		if err := Try(t.Context(), g, f); err != nil || *calls != 4 {
			t.Fatalf("Try = %v after %d calls, want nil after 4", err, *calls)
		}
		if got, want := time.Since(start), 700*time.Millisecond; got != want {
			t.Errorf("slept %v, want %v", got, want)
		}
	})
}

func TestExhaustedTellsWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{InitialDelay: 100 * time.Millisecond, Jitter: NoJitter}}})
		f, _ := failing(9, errPeer)
		err := Try(t.Context(), g, f)
		if want := "payments.Gateway.Charge: gave up after 3 attempts in 300ms: gateway: 503"; err == nil || err.Error() != want {
			t.Errorf("Try = %v, want %s", err, want)
		}
		if !errors.Is(err, errPeer) {
			t.Errorf("%v does not match the delegate's error", err)
		}
	})
}

func TestPolicyThatDidNothingLeavesErrorAlone(t *testing.T) {
	for _, err := range []error{Permanent(errPeer), context.Canceled} {
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3}, Timeout: Timeout{Total: time.Hour}})
		f, calls := failing(9, err)
		if got := Try(t.Context(), g, f); got != err || *calls != 1 {
			t.Errorf("Try = %v after %d calls, want %v itself after 1", got, *calls, err)
		}
	}
}

func TestCallerGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3}})
	f, calls := failing(9, errPeer)
	if err := Try(ctx, g, f); err != context.Canceled || *calls != 0 {
		t.Errorf("Try = %v after %d calls, want context.Canceled after none", err, *calls)
	}
}

func TestLastErrorSurvivesCancelledSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		g := mustGuard(t, Policy{Retry: Retry{Backoff: Backoff{InitialDelay: time.Hour, MaxDelay: time.Hour, Jitter: NoJitter}}})
		f, calls := failing(9, errPeer)
		if err := Try(ctx, g, f); !errors.Is(err, errPeer) || *calls != 1 {
			t.Errorf("Try = %v after %d calls, want the delegate's error after 1", err, *calls)
		}
	})
}

func TestSleepPastDeadlineIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		g := mustGuard(t, Policy{Retry: Retry{Backoff: Backoff{InitialDelay: time.Second, Jitter: NoJitter}}})
		f, _ := failing(9, errPeer)
		start := time.Now()
		if err := Try(ctx, g, f); !errors.Is(err, errPeer) || time.Since(start) != 0 {
			t.Errorf("Try = %v after %v, want the delegate's error at once", err, time.Since(start))
		}
	})
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAttemptTimeoutIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second}, Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}})
		start := time.Now()
		err := Try(t.Context(), g, hang)
		if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("Try = %v after %v, want a timeout after 3s", err, time.Since(start))
		}
	})
}

func TestTotalTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Total: 5 * time.Second, Attempt: 2 * time.Second}, Retry: Retry{MaxAttempts: 9, Backoff: Backoff{Strategy: NoBackoff}}})
		start := time.Now()
		err := Try(t.Context(), g, hang)
		var e *Error
		if !errors.As(err, &e) || e.Policy != "timeout" || e.Attempts != 3 || time.Since(start) != 5*time.Second {
			t.Errorf("Try = %v after %v, want timeout.total after 5s in attempt 3", err, time.Since(start))
		}
	})
}

func TestLateSuccessIsSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Attempt: time.Second}})
		if err := Try(t.Context(), g, func(context.Context) error { time.Sleep(2 * time.Second); return nil }); err != nil {
			t.Errorf("Try = %v, want nil", err)
		}
	})
}

type throttled struct{ after time.Duration }

func (e throttled) Error() string                     { return "throttled" }
func (e throttled) RetryAfter() (time.Duration, bool) { return e.after, true }

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		calls int
	}{{3 * time.Second, 2}, {31 * time.Second, 1}} {
		synctest.Test(t, func(t *testing.T) {
			g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 2}})
			f, calls := failing(1, throttled{c.after})
			start := time.Now()
			_ = Try(t.Context(), g, f)
			if *calls != c.calls || *calls == 2 && time.Since(start) < c.after {
				t.Errorf("Retry-After %v: %d calls in %v, want %d", c.after, *calls, time.Since(start), c.calls)
			}
		})
	}
}

func TestMatchersAndFloor(t *testing.T) {
	never := func(error) bool { return false }
	for _, c := range []struct {
		name  string
		retry Retry
		err   error
		calls int
	}{
		{"any", Retry{}, errPeer, 3},
		{"not listed", Retry{RetryOn: Matcher{Match: never}}, errPeer, 1},
		{"abort wins", Retry{AbortOn: Matcher{Match: func(error) bool { return true }}}, errPeer, 1},
		{"floor", Retry{}, Permanent(errPeer), 1},
		{"lifted", Retry{RetryOn: Matcher{Kinds: KindPermanent}}, Permanent(errPeer), 3},
		{"any and lifted", Retry{RetryOn: Matcher{Any: true, Kinds: KindPermanent}}, errPeer, 3},
		{"transient", Retry{RetryOn: Matcher{Kinds: KindTransient}}, errPeer, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.retry.Backoff.Strategy = NoBackoff
			g := mustGuard(t, Policy{Retry: c.retry})
			f, calls := failing(9, c.err)
			_ = Try(t.Context(), g, f)
			if *calls != c.calls {
				t.Errorf("%d calls, want %d", *calls, c.calls)
			}
		})
	}
}

func TestSwitches(t *testing.T) {
	rt := &Runtime{}
	g, err := rt.Guard("a.B.C", Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}})
	if err != nil {
		t.Fatal(err)
	}
	calls := func() int {
		f, n := failing(9, errPeer)
		_ = Try(t.Context(), g, f)
		return *n
	}
	steps := []struct {
		name string
		do   func()
		want int
	}{
		{"on", func() {}, 3},
		{"all off", func() { rt.SetEnabled(false) }, 1},
		{"one on", func() { rt.SetEnabled(true, "a.B.C") }, 3},
		{"preset under the policy", func() { rt.Apply(Production) }, 3},
		{"closed", func() { _ = rt.Close() }, 1},
	}
	for _, s := range steps {
		s.do()
		if got := calls(); got != s.want {
			t.Errorf("%s: %d calls, want %d", s.name, got, s.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct{ entry, want string }{
		{"RESILIENCE_ENABLED=false", ""},
		{"RESILIENCE_PRESET=testing", ""},
		{"RESILIENCE_SERVICE_HOST=10.0.0.1", ""},
		{"RESILIENCE_ENABLE=false", "RESILIENCE_ENABLE=false: no such variable, did you mean RESILIENCE_ENABLED?"},
		{"RESILIENCE_ENABLED=maybe", "RESILIENCE_ENABLED=maybe: want true or false"},
		{"RESILIENCE_PRESET=prod", "RESILIENCE_PRESET=prod: want production, development or testing"},
		{"RESILIENCE_DISABLE=retry", ""},
		{"RESILIENCE_DISABLE=retry,rety", "RESILIENCE_DISABLE=retry,rety: there is no part rety to take out, only timeout, retry, retry.budget, hedge, circuitBreaker, rateLimit, bulkhead, adaptive, chaos, fallback, cache"},
		{"RESILIENCE_DURABLE=false", ""},
		{"RESILIENCE_DURABLE=no", "RESILIENCE_DURABLE=no: want true or false"},
		{"RESILIENCE_RETRY_MAXATTEMPTS=5", ""},
		{"RESILIENCE_CIRCUITBREAKER_HALFOPEN_MAXWAIT=none", ""},
		{"RESILIENCE_PORT_80_TCP_ADDR=10.0.0.1", ""},
		{"RESILIENCE_RETRY_SERVICE_HOST=10.0.0.1", ""},
		{"RESILIENCE_RETRY_MAXATTEMPTS=0", "RESILIENCE_RETRY_MAXATTEMPTS=0: must be ≥ 1 (is 0)"},
		{"RESILIENCE_RETRY_MAX_ATTEMPTS=5", "RESILIENCE_RETRY_MAX_ATTEMPTS=5: no such variable, did you mean RESILIENCE_RETRY_MAXATTEMPTS?"},
		{"RESILIENCE_CIRCUIT_BREAKER_HALF_OPEN_MAX_WAIT=1s", "RESILIENCE_CIRCUIT_BREAKER_HALF_OPEN_MAX_WAIT=1s: no such variable, did you mean RESILIENCE_CIRCUITBREAKER_HALFOPEN_MAXWAIT?"},
		{"RESILIENCE_ORDER=retry", "RESILIENCE_ORDER=retry: order: compiled in: change the policy file and generate again"},
		{"RESILIENCE_ORDER_SERVICE_HOST=10.0.0.1", ""},
		{"RESILIENCE_RETRY_RETRYON=x", "RESILIENCE_RETRY_RETRYON=x: retry.retryOn: compiled in: change the policy file and generate again"},
		{"RESILIENCE_CACHE_KEY=id", "RESILIENCE_CACHE_KEY=id: cache.key: compiled in: change the policy file and generate again"},
		{"RESILIENCE_RATELIMIT_COST=2", "RESILIENCE_RATELIMIT_COST=2: rateLimit.cost: compiled in: change the policy file and generate again"},
		{"RESILIENCE_RATE_LIMIT_COST=2", "RESILIENCE_RATE_LIMIT_COST=2: rateLimit.cost: compiled in: change the policy file and generate again"},
		{"RESILIENCE_IDEMPOTENT=true", "RESILIENCE_IDEMPOTENT=true: idempotent: compiled in: change the policy file and generate again"},
		{"RESILIENCE_IDEMPOTENT_KEY=id", "RESILIENCE_IDEMPOTENT_KEY=id: idempotent.key: compiled in: change the policy file and generate again"},
		{"RESILIENCE_HEALTH=none", "RESILIENCE_HEALTH=none: health: compiled in: change the policy file and generate again"},
		{"RESILIENCE_STATUSOF=f", "RESILIENCE_STATUSOF=f: statusOf: compiled in: change the policy file and generate again"},
		{"RESILIENCE_HEALTH_SERVICE_PORT=80", ""},
		{"RESILIENCE_TIMEOUT=2s", "RESILIENCE_TIMEOUT=2s: no such variable: RESILIENCE_DISABLE=timeout takes the part out, RESILIENCE_TIMEOUT_… are its keys"},
	} {
		rt := &Runtime{enabled: map[string]bool{}}
		got := ""
		if err := rt.readEnvironment([]string{c.entry}); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: error %q, want %q", c.entry, got, c.want)
		}
	}
}

func TestWrapperComplains(t *testing.T) {
	w := new(Runtime).Wrap("a.B", nil)
	w.Guard("C", Policy{Retry: Retry{MaxAttempts: -2}})
	want := "a.B: argument 2 of its constructor is nil\na.B.C: retry.maxAttempts: must be at least 1"
	if err := w.Err(); err == nil || err.Error() != want {
		t.Errorf("Err = %v, want %s", err, want)
	}
}

func TestInstances(t *testing.T) {
	rt := &Runtime{}
	var got []string
	for _, r := range []*Runtime{rt, rt, rt.Named("eu"), rt.Named("eu")} {
		got = append(got, r.Wrap("a.B", 1).Guard("C", Policy{}).name)
	}
	want := []string{"a.B.C", "a.B.C#2", "a.B.C@eu", "a.B.C@eu#2"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("instance %d is %s, want %s", i, got[i], want[i])
		}
	}
}

func TestBackoffIsBounded(t *testing.T) {
	for strategy := NoBackoff; strategy <= Sequence; strategy++ {
		for jitter := NoJitter; jitter <= DecorrelatedJitterV2; jitter++ {
			b := Backoff{Strategy: strategy, Jitter: jitter, MaxDelay: time.Minute}
			prev := time.Duration(100 * time.Millisecond)
			for n := range 2000 {
				prev = b.delay(n, prev, float64(n%10)/10)
				if prev < 0 || prev > time.Minute {
					t.Fatalf("strategy %d jitter %d: delay(%d) = %v", strategy, jitter, n, prev)
				}
			}
		}
	}
}

func TestHappyPathDoesNotAllocate(t *testing.T) {
	g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3}})
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() {
		call := g.Begin(ctx)
		for call.Next() {
			call.Record(nil)
		}
		_ = call.Err()
		call.End()
	}); n != 0 {
		t.Errorf("%v allocations a call, want 0", n)
	}
}

func BenchmarkRetrySuccess(b *testing.B) {
	g := mustGuard(b, Policy{Retry: Retry{MaxAttempts: 3}})
	ctx := context.Background()
	for b.Loop() {
		call := g.Begin(ctx)
		for call.Next() {
			call.Record(nil)
		}
		_ = call.Err()
		call.End()
	}
}
