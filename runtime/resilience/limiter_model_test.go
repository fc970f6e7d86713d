package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// arrival is a call of a random history.
type arrival struct {
	at, leaves time.Duration // since the limiter was made; leaves 0: never
	deadline   bool          // leaves by its deadline, which everybody knows
	cost       int
}

// fate is what became of a call.
type fate struct {
	how string // ok, limited, left
	at  time.Duration
}

func (f fate) String() string {
	if f.how == "limited" { // at once where waiting is of no use, and else in the end
		return f.how
	}
	return fmt.Sprint(f.how, " at ", f.at)
}

// modelLimiter is a limiter that looks at everything it ever granted. It does
// not know costs that are more than there can be at once.
type modelLimiter struct {
	conf   RateLimit
	grants []arrival
}

// ready returns when cost is allowed after now, if nothing else is granted.
func (m *modelLimiter) ready(now time.Duration, cost int) time.Duration {
	for !m.allows(now, cost) {
		now = m.next(now)
	}
	return now
}

func (m *modelLimiter) allows(now time.Duration, cost int) bool {
	sum := cost
	switch m.conf.Mode {
	case FixedLimit:
		for _, g := range m.grants {
			if g.at/m.conf.Period == now/m.conf.Period {
				sum += g.cost
			}
		}
		return sum <= m.conf.Limit
	case RollingLimit:
		for _, g := range m.grants {
			if g.at > now-m.conf.Period {
				sum += g.cost
			}
		}
		return sum <= m.conf.Limit
	}
	return m.level(now) >= time.Duration(cost)*m.conf.interval()
}

// level is what is in the bucket, as time.
func (m *modelLimiter) level(now time.Duration) time.Duration {
	each := m.conf.interval()
	holds := time.Duration(m.conf.Burst) * each
	level, at := holds, time.Duration(0)
	if m.conf.Mode == SmoothLimit {
		level = each
	}
	for _, g := range m.grants {
		level = min(holds, level+g.at-at) - time.Duration(g.cost)*each
		at = g.at
	}
	return min(holds, level+now-at)
}

// next is the next instant at which anything may change.
func (m *modelLimiter) next(now time.Duration) time.Duration {
	switch m.conf.Mode {
	case FixedLimit:
		return (now/m.conf.Period + 1) * m.conf.Period
	case RollingLimit:
		for _, g := range m.grants {
			if at := g.at + m.conf.Period; at > now {
				return at
			}
		}
	}
	each := m.conf.interval()
	return now + each - m.level(now)%each
}

// play returns the fate of each call.
func (m *modelLimiter) play(calls []arrival) []fate {
	fates := make([]fate, len(calls))
	var queue []int
	until := func(i int) time.Duration { return calls[i].at + m.conf.MaxWait }
	grant := func(i int, at time.Duration) {
		fates[i] = fate{"ok", at}
		m.grants = append(m.grants, arrival{at: at, cost: calls[i].cost})
	}
	drop := func(i int, how string, at time.Duration) {
		fates[i] = fate{how, at}
		for n, w := range queue {
			if w == i {
				queue = append(queue[:n:n], queue[n+1:]...)
			}
		}
	}
	arrived, now := 0, time.Duration(0)
	for arrived < len(calls) || len(queue) > 0 {
		// What happens next, and to whom.
		who, what, at := -1, "", time.Duration(1<<62)
		consider := func(i int, w string, t time.Duration) {
			if t < at {
				who, what, at = i, w, t
			}
		}
		if len(queue) > 0 {
			consider(queue[0], "grant", m.ready(now, calls[queue[0]].cost))
		}
		for _, i := range queue {
			consider(i, "limited", until(i))
			if calls[i].leaves > 0 {
				consider(i, "left", calls[i].leaves)
			}
		}
		if arrived < len(calls) {
			consider(arrived, "arrive", calls[arrived].at)
		}
		now = at
		switch what {
		case "grant":
			queue = queue[1:]
			grant(who, now)
		case "limited", "left":
			drop(who, what, now)
		default:
			arrived++
			c := calls[who]
			patience := until(who)
			if c.deadline {
				patience = min(patience, c.leaves)
			}
			switch ready := m.ready(now, c.cost); {
			case len(queue) == 0 && ready == now:
				grant(who, now)
			case m.conf.MaxWait == 0 || ready > patience:
				fates[who] = fate{"limited", now}
			default:
				queue = append(queue, who)
			}
		}
	}
	return fates
}

// history returns calls at instants of their own, so that nothing depends on
// who is first of two at the same moment.
func history(r *rand.Rand, conf RateLimit) []arrival {
	var calls []arrival
	at := time.Duration(0)
	for i := range 5 + r.IntN(60) {
		if r.IntN(3) > 0 {
			at += time.Duration(r.IntN(int(2*conf.interval()/time.Millisecond))) * time.Millisecond
		}
		if r.IntN(20) == 0 {
			at += 3 * conf.Period
		}
		c := arrival{at: at + time.Duration(i+1)*time.Microsecond, cost: 1}
		if r.IntN(4) == 0 {
			c.cost = 1 + r.IntN(conf.Limit)
		}
		if conf.MaxWait > 0 && r.IntN(3) == 0 {
			c.leaves = c.at + time.Duration(1+r.IntN(int(conf.MaxWait/time.Millisecond)+20))*time.Millisecond + 500*time.Nanosecond
			c.deadline = r.IntN(2) == 0
		}
		calls = append(calls, c)
	}
	return calls
}

func randomLimit(r *rand.Rand) RateLimit {
	limit := 1 + r.IntN(5)
	conf := RateLimit{Mode: LimitMode(r.IntN(4)), Limit: limit, Period: time.Duration(limit*(1+r.IntN(40))) * time.Millisecond}
	if conf.Mode == TokenLimit {
		conf.Burst = limit + r.IntN(4)
	}
	if r.IntN(4) > 0 {
		conf.MaxWait = time.Duration(1+r.IntN(200)) * time.Millisecond
	}
	return conf
}

// TestLimiterAgainstModel plays random histories: calls that wait, leave by
// themselves or by their deadline, and cost more than one permit.
func TestLimiterAgainstModel(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		conf := randomLimit(r)
		calls := history(r, conf)
		model := modelLimiter{conf: conf.withDefaults()}
		want := model.play(calls)
		var got []fate
		synctest.Test(t, func(t *testing.T) { got = playLimiter(t, conf, calls) })
		for i := range calls {
			if got[i].String() != want[i].String() {
				t.Fatalf("seed %d, %+v, call %d %+v: got %v, want %v\ncalls %+v", seed, conf, i, calls[i], got[i], want[i], calls)
			}
		}
	}
}

func playLimiter(t *testing.T, conf RateLimit, calls []arrival) []fate {
	g := mustGuard(t, Policy{RateLimit: conf})
	fates := make([]fate, len(calls))
	begun := time.Now()
	var group sync.WaitGroup
	for i, c := range calls {
		group.Go(func() {
			time.Sleep(c.at)
			ctx, cancel := context.WithCancel(context.Background())
			if c.deadline {
				ctx, cancel = context.WithDeadline(ctx, begun.Add(c.leaves))
			} else if c.leaves > 0 {
				defer time.AfterFunc(c.leaves-c.at, cancel).Stop()
			}
			defer cancel()
			call := g.Begin(ctx)
			defer call.End()
			call.Cost(c.cost)
			if call.Next() {
				call.Record(nil)
			}
			how := "ok"
			switch err := call.Err(); {
			case errors.Is(err, ErrRateLimited):
				how = "limited"
			case err != nil:
				how = "left"
			}
			fates[i] = fate{how, time.Since(begun)}
		})
	}
	group.Wait()
	return fates
}
