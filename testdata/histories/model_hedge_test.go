package histories

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// modelRace is the attempts of a hedged call.
type modelRace struct {
	*model
	mu     sync.Mutex
	runs   []*modelRun
	winner *modelRun // nil: none yet
	over   bool      // there is a winner, or an attempt died
	deaths []*modelRun
}

// modelRun is an attempt in a race.
type modelRun struct {
	*modelCall
	cancel   context.CancelFunc
	beaten   bool
	executed bool
	lane     int // the goroutine: 0 is the caller's, others are ours
	died     bool
	panicked any // what it died of; nil: its goroutine ended
}

// ends is told that the delegate has returned. The first success wins; the
// contexts of all others end before anything that they wait for is free.
func (r *modelRace) ends(c *modelCall) {
	if r == nil || c.last != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.winner = r.runs[c.number]
		r.decide(c.number)
	}
}

// decide ends every attempt but one. r.mu is held.
func (r *modelRace) decide(but int) {
	r.over = true
	for _, run := range r.runs {
		if run.number != but {
			run.beaten = true
			run.cancel()
		}
	}
}

// lost reports whether the attempt was ended for another one.
func (r *modelRace) lost(c *modelCall) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[c.number].beaten
}

// hedge begins further attempts while those before have not answered.
func (m *model) hedge(c *modelCall) {
	permit, _ := m.admit(c)
	if permit == nil {
		return
	}
	r := &modelRace{model: m}
	ended := make(chan *modelRun)
	caller := c.Context
	run := func(c *modelCall, permit *modelPermit, lane int) {
		run := &modelRun{modelCall: c, lane: lane}
		c.Context, run.cancel = context.WithCancel(caller)
		c.race, c.number = r, len(r.runs)
		r.mu.Lock()
		r.runs = append(r.runs, run)
		r.mu.Unlock()
		go func() {
			run.died = true
			defer func() {
				if run.died {
					run.panicked = recover()
					r.mu.Lock()
					r.deaths = append(r.deaths, run)
					r.decide(-1)
					r.mu.Unlock()
				}
				ended <- run
			}()
			m.runs(run, permit)
			run.died = false
		}()
	}
	like := *c
	run(c, permit, 0)
	delay := m.span("hedge.delay", 0)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	left, refused := m.whole("hedge.maxHedges", 1), false
	if !m.has("hedge.delay") { // by percentile, and a script has fewer calls than the warm-up
		left = 0
	}
	hedge := func(lane int) {
		r.mu.Lock()
		over := r.over
		r.mu.Unlock()
		if over || left == 0 {
			return
		}
		if !m.budget.take() {
			left, refused = 0, true
			return
		}
		left--
		timer.Reset(delay)
		next := like
		run(&next, nil, lane)
	}
	for running := 1; running > 0; {
		before := len(r.runs)
		select {
		case e := <-ended:
			running--
			if e.number > 0 {
				m.budget.release()
			}
			switch {
			case e.died || e.last == nil && e.reason == nil:
			case e.kinds.has(floor...), !c.due.IsZero() && !time.Now().Before(c.due):
				left = 0
			case !m.does("a failure starts no hedge"):
				hedge(e.lane)
			}
		case <-timer.C:
			m.fires()
			hedge(len(r.runs))
		}
		running += len(r.runs) - before
	}
	c.Context = caller
	r.finish(c, refused)
}

// fires notes that a hedge is due. Two calls may have begun to wait for one at the
// same instant, when a slot went from one to the other: who is first is chance.
func (m *model) fires() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doubtful = m.doubtful || m.fired.Equal(time.Now())
	m.fired = time.Now()
}

// runs is one attempt; that of the caller has been admitted.
func (m *model) runs(run *modelRun, permit *modelPermit) {
	if permit == nil && run.Err() != nil { // its caller has left
		run.last, run.kinds = run.Err(), run.left()
		return
	}
	if permit == nil {
		if permit, _ = m.admit(run.modelCall); permit == nil {
			return
		}
	}
	run.executed = true
	m.execute(run.modelCall, permit)
	run.again(m)
}

// finish makes what the attempts came to that of the call.
func (r *modelRace) finish(c *modelCall, refused bool) {
	c.attempts = 0
	for _, run := range r.runs {
		run.cancel()
		if run.executed {
			c.attempts++
		}
	}
	r.die()
	switch {
	case r.winner != nil:
		c.n, c.last, c.reason, c.by, c.kinds, c.late = r.winner.n, nil, nil, "", nil, false
	case refused && !c.kinds.has(floor...):
		r.count(func(n *modelCounts) { n.rejections++ })
		c.kinds = append(c.kinds, "BudgetExhausted")
		c.by, c.reason = "retry.budget", errors.Join(resilience.ErrBudgetExhausted, c.reason)
	case c.by == "" && c.attempts > 1:
		c.by = "hedge"
	}
}

// die raises again what attempts died of: that of the caller's goroutine, or
// else the first panic, or the end of a goroutine.
func (r *modelRace) die() {
	for _, run := range r.deaths {
		if run.lane == 0 && run.panicked != nil {
			panic(run.panicked)
		}
		if run.lane == 0 {
			goexit()
		}
	}
	for _, run := range r.deaths {
		if run.panicked != nil {
			carry(0, nil, run.panicked, false)
		}
	}
	if len(r.deaths) > 0 {
		goexit()
	}
}
