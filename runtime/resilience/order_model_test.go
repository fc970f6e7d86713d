package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestOrdersAgainstClosures plays random calls under every order that is
// accepted, and through closures around closures, which is what an order means.
// What a layer does by itself, its queue or its window, is the same code on both
// sides; when it is asked and what it is told is not.
func TestOrdersAgainstClosures(t *testing.T) {
	orders := acceptedOrders(everyLayer(rand.New(rand.NewPCG(1, 1))))
	if len(orders) != 504 {
		t.Errorf("%d orders", len(orders))
	}
	every := 1
	if testing.Short() {
		every = 16
	}
	seen := map[string]int{}
	for i := 0; i < len(orders); i += every {
		random := rand.New(rand.NewPCG(2, uint64(i)))
		p := everyLayer(random)
		p.Order = thinned(&p, random, orders[i])
		script := randomCalls(random)
		ours, theirs := playCalls(t, p, script, viaOrder), playCalls(t, p, script, viaClosures)
		if !slices.Equal(ours, theirs) {
			t.Fatalf("order %d: %v\npolicy %+v\n%v", i, p.Order, p, beside(ours, theirs, script))
		}
		for _, line := range ours[:len(script)] {
			var n int
			var class string
			_, _ = fmt.Sscanf(line, "%s after %d", &class, &n)
			seen[class]++
		}
	}
	t.Log(seen)
	for _, class := range []string{"ok", "peer", "open", "full", "limited", "timeout", "canceled"} {
		if seen[class] == 0 {
			t.Errorf("no call came out as %s", class)
		}
	}
}

// everyLayer returns a policy with all that an order may move.
func everyLayer(random *rand.Rand) Policy {
	span := func(least, more int) time.Duration {
		return time.Duration(least)*ms + time.Duration(random.Int64N(int64(more)*int64(ms)))
	}
	p := Policy{
		Timeout:   Timeout{Total: span(300, 700), Attempt: span(40, 100)},
		Retry:     Retry{MaxAttempts: 2 + random.IntN(3), Backoff: Backoff{Strategy: Constant, InitialDelay: span(5, 60)}, RetryAfter: RetryAfter{Ignore: true}},
		Breaker:   Breaker{ConsecutiveFailures: 2 + random.IntN(3), OpenDuration: span(50, 300), HalfOpen: HalfOpen{SuccessThreshold: 1 + random.IntN(2), MaxWait: None}},
		RateLimit: RateLimit{Mode: RollingLimit, Limit: 2 + random.IntN(6), Period: span(100, 300)},
		Bulkhead:  Bulkhead{MaxConcurrent: 1 + random.IntN(3)},
		Adaptive:  Adaptive{K: 1 + random.Float64(), Window: 3 * time.Second, MaxRejectionRatio: 0.8},
	}
	if random.IntN(2) == 0 {
		p.RateLimit.MaxWait = span(10, 200)
	}
	if random.IntN(3) > 0 {
		p.Bulkhead.MaxWait = span(10, 300)
	}
	if random.IntN(2) == 0 {
		p.Retry.RetryOn = Matcher{Any: true, Kinds: KindCircuitOpen | KindBulkheadFull | KindRateLimited}
	}
	return p
}

// thinned takes layers out, so that the others meet.
func thinned(p *Policy, random *rand.Rand, order []Layer) []Layer {
	var list []Layer
	for _, l := range order {
		if part := lookupPart(layerNames[l]); l != LayerRetry && part != nil && random.IntN(4) == 0 {
			part.from(p, &Policy{})
			continue
		}
		switch {
		case l == LayerTotal && random.IntN(4) == 0:
			p.Timeout.Total = 0
			continue
		case l == LayerAttempt && random.IntN(4) == 0:
			p.Timeout.Attempt = 0
			continue
		}
		list = append(list, l)
	}
	return list
}

// acceptedOrders returns every order of the layers of p that makes sense.
func acceptedOrders(p Policy) [][]Layer {
	var list [][]Layer
	permute(p.nesting(), 0, func(order []Layer) {
		p.Order = order
		if p.check() == nil {
			list = append(list, slices.Clone(order))
		}
	})
	return list
}

func permute(list []Layer, from int, do func([]Layer)) {
	if from == len(list) {
		do(list)
		return
	}
	for i := from; i < len(list); i++ {
		list[from], list[i] = list[i], list[from]
		permute(list, from+1, do)
		list[from], list[i] = list[i], list[from]
	}
}

// scripted is a call: when it begins, what its attempts come to after how long,
// and when its caller leaves.
type scripted struct {
	random     uint64
	at, leaves time.Duration
	attempts   []scriptedAttempt
}

type scriptedAttempt struct {
	takes time.Duration
	fails bool
}

func randomCalls(random *rand.Rand) []scripted {
	span := func(most int) time.Duration { return time.Duration(1 + random.Int64N(int64(most)*int64(ms))) }
	list := make([]scripted, 24)
	var at time.Duration
	bad := random.IntN(10)
	for i := range list {
		at += span(60)
		list[i].at, list[i].random = at, random.Uint64()
		if random.IntN(6) == 0 {
			list[i].leaves = span(200)
		}
		for range 5 {
			list[i].attempts = append(list[i].attempts, scriptedAttempt{span(90), random.IntN(10) < bad})
		}
	}
	return list
}

// run is the delegate.
func (s *scripted) run(ctx context.Context, n int) error {
	a := s.attempts[n]
	timer := time.NewTimer(a.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		if a.fails {
			return errPeer
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// caller makes calls under the state of a guard, and tells what there is of it
// at the end.
type caller func(t *testing.T, g *Guard) (call func(context.Context, *scripted) (int, error))

// playCalls returns how each call ended, and what the layers have then.
func playCalls(t *testing.T, p Policy, script []scripted, via caller) (lines []string) {
	synctest.Test(t, func(t *testing.T) {
		rt, err := Open(Options{Seed: 7, DisableStats: true})
		if err != nil {
			t.Fatal(err)
		}
		g, err := rt.Guard("M", p)
		if err != nil {
			t.Fatal(err)
		}
		call, begun := via(t, g), time.Now()
		lines = make([]string, len(script))
		var all sync.WaitGroup
		for i := range script {
			all.Go(func() {
				s := &script[i]
				time.Sleep(s.at)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if s.leaves > 0 {
					defer time.AfterFunc(s.leaves, cancel).Stop()
				}
				n, err := call(ctx, s)
				lines[i] = fmt.Sprintf("%s after %d at %v", classOf(err), n, time.Since(begun))
			})
		}
		all.Wait()
		lines = append(lines, stateOf(g.plan.Load()))
	})
	return lines
}

// classOf is what ended the call.
func classOf(err error) string {
	for _, c := range []struct {
		err  error
		name string
	}{
		{context.Canceled, "canceled"}, {ErrCircuitOpen, "open"}, {ErrBulkheadFull, "full"}, {ErrRateLimited, "limited"},
		{ErrTimeout, "timeout"}, {errPeer, "peer"},
	} {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return fmt.Sprint(map[bool]any{true: "ok", false: err}[err == nil])
}

// stateOf tells what was left in the layers. Nothing may be taken.
func stateOf(p *plan) string {
	text := ""
	if b := p.bulkhead; b != nil {
		text += fmt.Sprintf("taken %d queued %d ", b.taken.Load(), b.queued.Load())
	}
	if l := p.limiter; l != nil {
		l.meter.(*rollingMeter).forget(sinceEpoch())
		text += fmt.Sprintf("waiting %d permits %d ", l.waiting.Len(), l.meter.(*rollingMeter).used)
	}
	if b := p.breaker; b != nil {
		s := (&CircuitBreaker{p.rt, b}).Snapshot()
		text += fmt.Sprintf("%v calls %d failures %d openings %d probes %d ", s.State, s.Calls, s.Failures, s.Openings, b.probes)
	}
	if a := p.throttle; a != nil {
		a.date(sinceEpoch())
		sum := a.sum()
		text += fmt.Sprintf("requests %.6f accepts %.6f", sum.requests, sum.accepts)
	}
	return text
}

func beside(ours, theirs []string, script []scripted) (text string) {
	for i := range ours {
		mark, what := "  ", ""
		if ours[i] != theirs[i] {
			mark = "≠ "
		}
		if i < len(script) {
			what = fmt.Sprint(script[i])
		}
		text += fmt.Sprintf("%s%-34s | %-34s | %s\n", mark, ours[i], theirs[i], what)
	}
	return text
}

func viaOrder(_ *testing.T, g *Guard) func(context.Context, *scripted) (int, error) {
	return func(ctx context.Context, s *scripted) (int, error) {
		n := 0
		call := g.Begin(ctx)
		defer call.End()
		call.random = s.random
		for call.Next() {
			n++
			call.Record(s.run(call.Context(), n-1))
		}
		return n, call.Err()
	}
}

// closure is a call inside the layers around it.
type closure func(context.Context, *modelCallOf) error

// modelCallOf is a call: its source of random numbers, and what was executed.
type modelCallOf struct {
	*Call
	executed int
}

// own is an error that says nothing of the peer: nobody asked it.
type own struct{ error }

func (o own) Unwrap() error { return o.error }

// viaClosures nests closures.
func viaClosures(_ *testing.T, g *Guard) func(context.Context, *scripted) (int, error) {
	return func(ctx context.Context, s *scripted) (int, error) {
		p := g.plan.Load()
		run := closure(func(ctx context.Context, c *modelCallOf) error { c.executed++; return s.run(ctx, c.executed-1) })
		for _, l := range slices.Backward(p.nesting()) {
			run = layers[l](p, run)
		}
		c := &modelCallOf{Call: &Call{plan: p, random: s.random}}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		err := run(ctx, c)
		return c.executed, err
	}
}

var layers = map[Layer]func(*plan, closure) closure{
	LayerTotal:   func(p *plan, next closure) closure { return within(p.total, errTotal, next) },
	LayerAttempt: func(p *plan, next closure) closure { return within(p.perTry, errAttempt, next) },
	LayerRetry:   retried, LayerBreaker: byBreaker, LayerRateLimit: metered, LayerBulkhead: slotted, LayerAdaptive: byThrottle,
}

func within(limit time.Duration, cause error, next closure) closure {
	return func(ctx context.Context, c *modelCallOf) error {
		ctx, cancel := context.WithTimeoutCause(ctx, limit, cause)
		defer cancel()
		return next(ctx, c)
	}
}

func retried(p *plan, next closure) closure {
	return func(ctx context.Context, c *modelCallOf) error {
		for n := 1; ; n++ {
			err := next(ctx, c)
			switch class := classOf(err); {
			case err == nil || ctx.Err() != nil || n == p.Retry.MaxAttempts || class == "canceled":
				return err
			case (class == "open" || class == "full" || class == "limited") && p.Retry.RetryOn.Kinds == 0:
				return err
			}
			then := time.Now().Add(p.backoff.delay(n-1, 0, c.chance()))
			if due, ok := ctx.Deadline(); ok && !due.After(then) {
				return err
			}
			select {
			case <-time.After(time.Until(then)):
			case <-ctx.Done():
				return own{context.Cause(ctx)}
			}
		}
	}
}

// verdictOn is what those who listen make of an error.
func verdictOn(err error) outcome {
	_, ours := err.(own)
	switch class := classOf(err); {
	case err == nil:
		return outcomeSuccess
	case ours || class != "timeout" && class != "peer":
		return outcomeIgnored
	}
	return outcomeFailure
}

func byBreaker(p *plan, next closure) closure {
	return func(ctx context.Context, c *modelCallOf) error {
		permit, rejected := p.breaker.allow(ctx, sinceEpoch)
		if rejected != nil {
			return ErrCircuitOpen
		}
		err := next(ctx, c)
		p.breaker.record(ctx, sinceEpoch, permit, verdictOn(err), 0)
		return err
	}
}

func byThrottle(p *plan, next closure) closure {
	return func(ctx context.Context, c *modelCallOf) error {
		if !p.throttle.calm.Load() && p.throttle.rejects(ctx, sinceEpoch(), c.chance()) {
			return ErrRateLimited
		}
		err := next(ctx, c)
		switch verdictOn(err) {
		case outcomeSuccess:
			p.throttle.passed.here().Add(1)
		case outcomeFailure:
			p.throttle.refused(ctx, sinceEpoch())
		}
		return err
	}
}

func metered(p *plan, next closure) closure {
	return func(ctx context.Context, c *modelCallOf) error {
		receipt, ok := p.limiter.quick(sinceEpoch(), 1)
		if !ok {
			var err error
			if receipt, err = p.limiter.acquire(ctx, 0, nil, 1); err != nil {
				return waited(ctx, err)
			}
		}
		before := c.executed
		err := next(ctx, c)
		if c.executed == before {
			p.limiter.repay(receipt, 1)
		}
		return err
	}
}

func slotted(p *plan, next closure) closure {
	return func(ctx context.Context, c *modelCallOf) error {
		if err := p.bulkhead.acquire(ctx, 0, nil); err != nil {
			return waited(ctx, err)
		}
		defer p.bulkhead.release()
		return next(ctx, c)
	}
}

// waited is why a wait was in vain.
func waited(ctx context.Context, err error) error {
	if err == ctx.Err() {
		err = context.Cause(ctx)
	}
	return own{err}
}
