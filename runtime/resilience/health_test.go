package resilience

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// patient is a check whose answer a test chooses.
type patient struct {
	mu    sync.Mutex
	err   error
	runs  int
	hangs chan struct{} // until it is closed, whatever the context says
}

func (p *patient) check(context.Context) error {
	p.mu.Lock()
	p.runs++
	err, hangs := p.err, p.hangs
	p.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	return err
}

func (p *patient) set(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *patient) hang() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gate := make(chan struct{})
	p.hangs = gate
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hangs = nil
		close(gate)
	}
}

func (p *patient) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs
}

// registry returns a started registry with the components, closed with the test.
func registry(t *testing.T, rt *Runtime, components ...Component) *HealthRegistry {
	t.Helper()
	h := rt.Health()
	for _, c := range components {
		if err := h.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(h.Start(), h.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// expect waits for d and compares the states: "db healthy, cache unknown".
func expect(t *testing.T, h *HealthRegistry, d time.Duration, want string) *HealthSnapshot {
	t.Helper()
	time.Sleep(d)
	synctest.Wait()
	s := h.Snapshot()
	var got []string
	for _, c := range s.Components {
		got = append(got, c.Name+" "+c.State.String())
	}
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("%s, want %s", text, want)
	}
	return s
}

func TestHealthOfACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p patient
		h := registry(t, &Runtime{seed: 1}, Component{Name: "db", Check: p.check, InitialDelay: time.Second})
		if s := expect(t, h, 0, "db starting"); s.Ready != StatusFail || s.Startup != StatusFail || s.Live != StatusPass {
			t.Errorf("before the first run: %+v", s)
		}
		if s := expect(t, h, time.Second, "db healthy"); s.Status(GroupLive|GroupReady|GroupStartup) != StatusPass {
			t.Errorf("after it: %+v", s)
		}
		p.set(errPeer)
		s := expect(t, h, 11*time.Second, "db degraded")
		if c := s.Component("db"); s.Ready != StatusWarn || c.Reason != errPeer.Error() || c.ConsecutiveFailures != 1 {
			t.Errorf("after one failure: %v, %+v", s.Ready, c)
		}
		if s := expect(t, h, 22*time.Second, "db unhealthy"); s.Ready != StatusFail || s.Startup != StatusPass {
			t.Errorf("after three: ready %v, startup %v", s.Ready, s.Startup)
		}
		p.set(nil)
		s = expect(t, h, 11*time.Second, "db degraded")
		if c := s.Component("db"); c.Reason != "recovers: 1 of 2 successes" || c.LastSuccess.IsZero() {
			t.Errorf("after one success: %+v", c)
		}
		c := expect(t, h, 11*time.Second, "db healthy").Component("db")
		if c.Runs != int64(p.count()) || c.Failures != 3 || c.Reason != "" || c.Interval != 10*time.Second {
			t.Errorf("%d runs: %+v", p.count(), c)
		}
	})
}

func TestHungCheckHarmsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p, q patient
		h := registry(t, &Runtime{}, Component{Name: "hung", Check: p.check}, Component{Name: "well", Check: q.check})
		expect(t, h, time.Millisecond, "hung healthy, well healthy")
		release := p.hang()
		time.Sleep(11 * time.Second) // it hangs since some moment of the last two seconds
		if s := expect(t, h, 2*time.Second, "hung degraded, well healthy"); !s.Component("hung").Stuck || s.Component("hung").Reason != "no answer within 2s" {
			t.Errorf("%+v", s.Component("hung"))
		}
		s := expect(t, h, time.Hour, "hung unknown, well healthy")
		if c := s.Component("hung"); p.count() != 2 || c.Timeouts != 1 || s.Ready != StatusFail || c.Reason != "no run completed within 32s" {
			t.Errorf("%d runs, ready %v, %+v", p.count(), s.Ready, c)
		}
		if n := q.count(); n < 300 {
			t.Errorf("the other one ran %d times in an hour", n)
		}
		release()
		expect(t, h, 0, "hung degraded, well healthy") // heard again; the late answer counts for nothing
		expect(t, h, 22*time.Second, "hung healthy, well healthy")
	})
}

func TestSlowCheckRunsOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, most atomic.Int32
		h := registry(t, &Runtime{}, Component{Name: "slow", Interval: time.Second, Timeout: time.Second, Check: func(context.Context) error {
			most.Store(max(most.Load(), out.Add(1)))
			defer out.Add(-1)
			time.Sleep(7 * time.Second)
			return nil
		}})
		for range 100 {
			time.Sleep(333 * time.Millisecond)
			go func() { _ = h.Refresh(t.Context(), "slow") }()
		}
		if most.Load() != 1 {
			t.Errorf("%d at a time", most.Load())
		}
		if c := h.Snapshot().Component("slow"); c.Failures < 4 || c.State == Healthy {
			t.Errorf("%+v: a success that came late is a failure", c)
		}
		_ = h.Close()
		time.Sleep(10 * time.Second) // what was left behind ends
	})
}

// textless panics where it is asked for its text.
type textless struct{ text string }

func (e *textless) Error() string { return e.text }

func TestChecksThatPanicAndExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := registry(t, &Runtime{},
			Component{Name: "error", Check: func(context.Context) error { return (*textless)(nil) }},
			Component{Name: "exit", Check: func(context.Context) error { runtime.Goexit(); return nil }},
			Component{Name: "mute", Check: func(context.Context) error { return errors.New("") }},
			Component{Name: "panic", Measure: func(context.Context) (HealthReading, error) { panic(strings.Repeat("é", 5000)) }})
		s := expect(t, h, time.Millisecond, "error starting, exit starting, mute starting, panic starting")
		for name, want := range map[string]string{"error": "panic: runtime error: invalid memory", "exit": "the check ended its goroutine", "mute": "an error without", "panic": "panic: éé"} {
			c := s.Component(name)
			if !strings.HasPrefix(c.Reason, want) || len(c.Reason) > 3000 || (c.Stack != "") != strings.HasPrefix(want, "panic") || c.Panics != int64(min(len(c.Stack), 1)) {
				t.Errorf("%s: %.200s, %d panics, stack %d bytes", name, c.Reason, c.Panics, len(c.Stack))
			}
		}
		expect(t, h, time.Minute, "error unhealthy, exit unhealthy, mute unhealthy, panic unhealthy")
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A goroutine that is left behind would end every test here: synctest calls it
// a deadlock.
func TestCloseJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &Runtime{}
		var components []Component
		for i := range 50 {
			components = append(components, Component{Name: fmt.Sprint(i), Check: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		}
		h := registry(t, rt, components...)
		time.Sleep(time.Second)
		start := time.Now()
		if err := rt.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(time.Hour)
		s := h.Snapshot()
		if s.Ready != StatusFail || s.Live != StatusPass || s.Draining != "closed" || s.Component("7").Failures != 0 {
			t.Errorf("%v %v %q %+v", s.Ready, s.Live, s.Draining, s.Component("7"))
		}
		if err := errors.Join(h.Register(Component{Name: "late", Check: okCheck}), h.Start(), h.Refresh(t.Context(), "7")); strings.Count(err.Error(), "closed") != 3 {
			t.Errorf("after Close: %v", err)
		}
	})
}

func okCheck(context.Context) error { return nil }

func TestCloseLeavesBehindWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p, q, r patient
		releaseP, releaseQ := p.hang(), q.hang() // before the first run, which begins at once
		h := registry(t, &Runtime{},
			Component{Name: "a", Check: p.check},
			Component{Name: "b", Check: q.check, InitialDelay: 5 * time.Second, Timeout: 4 * time.Second},
			Component{Name: "c", Check: r.check})
		observer := make(chan struct{})
		h.OnChange(func(HealthChange) { <-observer })
		time.Sleep(6 * time.Second)
		h.Snapshot()
		synctest.Wait()
		start := time.Now()
		err := h.Close()
		for _, want := range []string{`component "a": its check has not returned`, `component "b"`, "observer"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v lacks %s", err, want)
			}
		}
		if strings.Contains(err.Error(), `"c"`) || time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		releaseP()
		releaseQ()
		close(observer)
	})
}

func TestGroups(t *testing.T) {
	fail, pass := errPeer, error(nil)
	for _, c := range []struct {
		name                 string
		criticality          Criticality
		groups               HealthGroup
		err                  error
		live, ready, startup HealthStatus
	}{
		{"critical and well", Critical, 0, pass, StatusPass, StatusPass, StatusPass},
		{"critical", Critical, 0, fail, StatusPass, StatusFail, StatusFail},
		{"degradable", Degradable, 0, fail, StatusPass, StatusWarn, StatusPass},
		{"informational", Informational, 0, fail, StatusPass, StatusPass, StatusPass},
		{"live", Critical, GroupLive, fail, StatusFail, StatusPass, StatusPass},
		{"startup", Critical, GroupStartup, fail, StatusPass, StatusPass, StatusFail},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := patient{err: c.err}
			h := registry(t, &Runtime{}, Component{Name: "x", Check: p.check, InProcess: true, Criticality: c.criticality, Groups: c.groups, FailAfter: 1})
			time.Sleep(time.Second)
			if s := h.Snapshot(); s.Live != c.live || s.Ready != c.ready || s.Startup != c.startup {
				t.Errorf("%s: live %v, ready %v, startup %v", c.name, s.Live, s.Ready, s.Startup)
			}
			if err := h.Maintain("x", "moving", time.Minute); err != nil {
				t.Fatal(err)
			}
			if s := expect(t, h, 0, "x maintenance"); s.Status(GroupLive|GroupReady|GroupStartup) != StatusPass || s.Component("x").Reason != "moving" {
				t.Errorf("%s in maintenance: %+v", c.name, s)
			}
			if c.err != nil {
				expect(t, h, 61*time.Second, "x unhealthy")
			}
		})
	}
}

func TestStartingLiveComponentIsNotKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := registry(t, &Runtime{}, Component{Name: "loop", Check: okCheck, InProcess: true, Groups: GroupLive | GroupReady, InitialDelay: time.Minute})
		if s := expect(t, h, time.Second, "loop starting"); s.Live != StatusPass || s.Ready != StatusFail {
			t.Errorf("live %v, ready %v", s.Live, s.Ready)
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := registry(t, &Runtime{}, Component{Name: "x", Check: okCheck})
		expect(t, h, time.Second, "x healthy")
		start := time.Now()
		var during atomic.Pointer[HealthSnapshot]
		time.AfterFunc(time.Second, func() { during.Store(h.Snapshot()) })
		if err := h.ShutdownDelay(t.Context(), "SIGTERM", 5*time.Second); err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		h.BeginDrain("again")
		if during.Load().Ready != StatusFail || during.Load().Live != StatusPass || h.Snapshot().Draining != "SIGTERM" {
			t.Errorf("%+v", during.Load())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.ShutdownDelay(ctx, "", time.Hour); err != context.Canceled {
			t.Error(err)
		}
	})
}

func TestDependentsNameTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disk, db, api patient
		var mu sync.Mutex
		var told []string
		rt := &Runtime{}
		rt.Health().OnChange(func(c HealthChange) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf("%s %v %v cause=%s quiet=%v", c.Component, c.From, c.To, c.Cause, c.Quiet))
		})
		h := registry(t, rt,
			Component{Name: "disk", Check: disk.check, FailAfter: 1, RecoverAfter: 1},
			Component{Name: "db", Check: db.check, FailAfter: 1, RecoverAfter: 1, InitialDelay: time.Second, DependsOn: []string{"disk"}},
			Component{Name: "api", Check: api.check, FailAfter: 1, RecoverAfter: 1, InitialDelay: 2 * time.Second, DependsOn: []string{"db"}})
		expect(t, h, 3*time.Second, "api healthy, db healthy, disk healthy")
		for _, p := range []*patient{&disk, &db, &api} {
			p.set(errPeer)
		}
		s := expect(t, h, 14*time.Second, "api unhealthy, db unhealthy, disk unhealthy")
		if s.Component("api").Cause != "disk" || s.Component("db").Cause != "disk" || s.Component("disk").Cause != "" {
			t.Errorf("%+v", s.Components)
		}
		for _, p := range []*patient{&disk, &db, &api} {
			p.set(nil)
		}
		if s = expect(t, h, 14*time.Second, "api healthy, db healthy, disk healthy"); s.Component("api").Cause != "" {
			t.Errorf("%+v", s.Component("api"))
		}
		_ = h.Close()
		for _, want := range []string{"disk healthy unhealthy cause= quiet=false", "api healthy unhealthy cause=disk quiet=true", "db unhealthy healthy cause= quiet=false"} {
			if !slices.Contains(told, want) {
				t.Errorf("nobody was told %q: %q", want, told)
			}
		}
	})
}

func TestFlappingIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n, loud, all int
		rt := &Runtime{}
		rt.Health().OnChange(func(c HealthChange) {
			if all++; c.Flapping && !c.Quiet {
				loud++
			}
		})
		h := registry(t, rt, Component{Name: "x", RecoverAfter: 1, Check: func(context.Context) error {
			if n++; n%2 == 0 {
				return errPeer
			}
			return nil
		}})
		if s := expect(t, h, 2*time.Minute, "x degraded"); !s.Component("x").Flapping || !strings.HasSuffix(s.Component("x").Reason, "flapping") {
			t.Errorf("%+v", s.Component("x"))
		}
		expect(t, h, time.Hour, "x degraded")
		_ = h.Close()
		if loud != 1 || all != 6 {
			t.Errorf("%d alerts, %d changes", loud, all)
		}
	})
}

func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p patient
		rt := &Runtime{}
		h := registry(t, rt, Component{Name: "x", Check: p.check, FailAfter: 1})
		told := 0
		h.OnChange(func(c HealthChange) {
			told++
			if h.Snapshot().Component(c.Component) == nil { // may call back in
				t.Error("no such component")
			}
			panic("observer")
		})
		expect(t, h, 2*time.Second, "x healthy")
		if s := h.Snapshot(); told != 1 {
			t.Errorf("told %d times, %+v", told, s)
		}
		h.OnChange(func(HealthChange) { told++; runtime.Goexit() })
		if err := errors.Join(h.Maintain("x", "", time.Second)); err != nil {
			t.Error(err)
		}
		expect(t, h, 3*time.Second, "x healthy")
		if told != 3 {
			t.Errorf("told %d times by goroutines that ended", told)
		}
		told = 1
		h.OnChange(nil)
		p.set(errPeer)
		if s := expect(t, h, 12*time.Second, "x unhealthy"); told != 1 || s.Panics != 1 {
			t.Errorf("told %d times, %d panics", told, s.Panics)
		}
		h.OnChange(func(HealthChange) {})
		changes := make([]HealthChange, queueLimit+7)
		h.building.Lock()
		h.report(changes)
		h.building.Unlock()
		time.Sleep(2 * time.Second)
		if s := h.Snapshot(); s.Dropped != 7 {
			t.Errorf("%d dropped", s.Dropped)
		}
	})
}

func TestRefreshJoinsARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		rt := &Runtime{}
		g, err := rt.Guard("g", Policy{Breaker: Breaker{On: true}})
		if err != nil {
			t.Fatal(err)
		}
		if err := rt.Health().Register(Component{Name: "x", InitialDelay: time.Hour, Check: func(context.Context) error { runs++; time.Sleep(time.Second); return nil }}); err != nil {
			t.Fatal(err)
		}
		if err := rt.Health().Refresh(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "not started") {
			t.Error(err)
		}
		h := registry(t, rt, Component{Name: "g", Guard: g})
		var group sync.WaitGroup
		for i := range 10 {
			time.Sleep(50 * time.Millisecond)
			group.Go(func() {
				if err := h.Refresh(t.Context(), "x"); err != nil {
					t.Error(i, err)
				}
				if c := h.Snapshot().Component("x"); c.State != Healthy {
					t.Errorf("%d: %+v", i, c)
				}
			})
		}
		group.Wait()
		if runs != 1 {
			t.Errorf("%d runs", runs)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := h.Refresh(ctx, "x"); err != context.DeadlineExceeded {
			t.Error(err)
		}
		if err := errors.Join(h.Refresh(ctx, "g"), h.Refresh(ctx, "y"), h.Maintain("y", "", 0)); strings.Count(err.Error(), "\n") != 2 {
			t.Error(err)
		}
	})
}

// TestRefreshBeforeARunBegins joins that one: none follows that nobody waits for,
// and that might read what the caller of Refresh changes next.
func TestRefreshBeforeARunBegins(t *testing.T) {
	rt, runs := &Runtime{}, 0
	h := rt.Health()
	if err := h.Register(Component{Name: "x", Check: func(context.Context) error { runs++; return nil }}); err != nil {
		t.Fatal(err)
	}
	c, err := h.component("x")
	if err != nil {
		t.Fatal(err)
	}
	joined := []<-chan struct{}{c.hurry(), c.hurry()}
	c.probe() // of which its goroutine was on the way when they asked
	for _, done := range joined {
		<-done
	}
	if runs != 1 || len(c.wake) != 0 {
		t.Errorf("%d runs, and %d more to come", runs, len(c.wake))
	}
	c.hurry() // when it is over, the next one is asked for
	if len(c.wake) != 1 {
		t.Error("nothing is to run")
	}
}

func TestMeasureIsJudgedByItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Pointer[HealthReading]
		say := func(r HealthReading) { now.Store(&r) }
		say(HealthReading{})
		h := registry(t, &Runtime{seed: 3}, Component{Name: "q", Interval: time.Second, Hold: 5 * time.Second,
			DegradeWhen: HealthLimits{P95: 100 * time.Millisecond, Load: 0.5}, UnhealthyWhen: HealthLimits{Load: 0.9},
			Measure: func(context.Context) (HealthReading, error) { return *now.Load(), nil }})
		expect(t, h, 2*time.Second, "q healthy")
		say(HealthReading{Load: 0.6})
		expect(t, h, 2*time.Second, "q healthy")
		if s := expect(t, h, 5*time.Second, "q degraded"); s.Component("q").Reason != "load 0.6, limit 0.5" || s.Component("q").Reading != *now.Load() {
			t.Errorf("%+v", s.Component("q"))
		}
		say(HealthReading{Load: 0.45})
		expect(t, h, 20*time.Second, "q degraded") // within the dead band
		say(HealthReading{Load: 0.95})
		expect(t, h, 2*time.Second, "q unhealthy")
		say(HealthReading{Load: 0.75})
		expect(t, h, 2*time.Second, "q unhealthy")
		say(HealthReading{Load: 0.7})
		expect(t, h, 2*time.Second, "q degraded")
		say(HealthReading{Samples: 19, P95: time.Second})
		expect(t, h, 2*time.Second, "q healthy") // too few
		say(HealthReading{Samples: 20, P95: time.Second})
		if s := expect(t, h, 8*time.Second, "q degraded"); !s.Component("q").Flapping && s.Component("q").Reason != "p95 1s, limit 100ms" {
			t.Errorf("%+v", s.Component("q"))
		}
	})
}

func TestRunsAreJudgedByTheirWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		h := registry(t, &Runtime{}, Component{Name: "x", Interval: time.Second, Window: time.Minute, Hold: None, RecoverAfter: 1, FailAfter: 10,
			DegradeWhen: HealthLimits{ErrorRate: 0.2}, UnhealthyWhen: HealthLimits{ErrorRate: 0.4},
			Check: func(context.Context) error {
				time.Sleep(10 * time.Millisecond)
				if n++; n < 100 && n%2 == 0 {
					return errPeer
				}
				return nil
			}})
		s := expect(t, h, 40*time.Second, "x unhealthy")
		if c := s.Component("x"); c.Reading.P95 != 10*time.Millisecond || c.Reading.ErrorRate < 0.4 || !strings.Contains(c.Reason, "error rate 0.") {
			t.Errorf("%+v", c)
		}
		expect(t, h, 20*time.Minute, "x healthy")
	})
}

func TestStartupDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := registry(t, &Runtime{}, Component{Name: "x", Check: okCheck, InitialDelay: time.Minute, StartupDeadline: 30 * time.Second})
		expect(t, h, 29*time.Second, "x starting")
		if s := expect(t, h, time.Second, "x unhealthy"); s.Component("x").Reason != "no success within 30s" || s.Component("x").Since != s.At {
			t.Errorf("%+v", s.Component("x"))
		}
		expect(t, h, 30*time.Second, "x degraded")
	})
}

func TestMemoryOfRunsIsBounded(t *testing.T) {
	v := &vital{conf: Component{Check: okCheck, Window: time.Hour, Timeout: time.Second}}
	for i := range 3 * maxSamples {
		v.begin(moment(i))
		v.finish(moment(i), HealthReading{}, "")
	}
	if n := len(v.samples); n != maxSamples {
		t.Errorf("%d", n)
	}
	v.settle(moment(0)) // a clock that was behind
	if v.clock != moment(3*maxSamples-1) {
		t.Error(v.clock)
	}
}

func TestHealthPresets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &Runtime{preset: Production}
		h := registry(t, rt, Component{Name: "own", Check: okCheck, Interval: time.Second}, Component{Name: "x", Check: okCheck})
		time.Sleep(time.Second)
		for preset, want := range map[Preset]time.Duration{NoPreset: 10 * time.Second, Production: 15 * time.Second, Development: time.Minute, Testing: 5 * time.Minute} {
			rt.Apply(preset)
			time.Sleep(1300 * time.Millisecond) // not while the registry itself looks
			if s := h.Snapshot(); s.Component("x").Interval != want || s.Component("own").Interval != time.Second {
				t.Errorf("%v: %v and %v", preset, s.Component("x").Interval, s.Component("own").Interval)
			}
		}
		c := Component{UnhealthyWhen: HealthLimits{ErrorRate: None}}.under(Production)
		if c.DegradeWhen.ErrorRate != 0.1 || c.UnhealthyWhen.ErrorRate != None {
			t.Errorf("%+v", c)
		}
	})
}

func TestIntervalsOfASeed(t *testing.T) {
	draw := func(seed uint64, name string) (list []time.Duration) {
		c := &component{h: &HealthRegistry{rt: &Runtime{seed: seed}}, given: Component{Name: name}}
		c.conf.Interval = 10 * time.Second
		for range 100 {
			d := c.pause()
			if d < 9*time.Second || d >= 11*time.Second {
				t.Errorf("%v", d)
			}
			list = append(list, d)
		}
		return list
	}
	if !slices.Equal(draw(5, "a"), draw(5, "a")) || slices.Equal(draw(5, "a"), draw(5, "b")) || slices.Equal(draw(5, "a"), draw(6, "a")) || slices.Equal(draw(0, "a"), draw(0, "a")) {
		t.Error("a seed and a name make the intervals")
	}
	if first := draw(5, "a"); first[0] == first[1] {
		t.Error(first)
	}
}

func TestWhatCannotBeRegistered(t *testing.T) {
	rt := &Runtime{}
	g, err := rt.Guard("g", Policy{Breaker: Breaker{On: true}})
	if err != nil {
		t.Fatal(err)
	}
	h := rt.Health()
	if err := h.Register(Component{Name: "taken", Check: okCheck}); err != nil {
		t.Fatal(err)
	}
	measure := func(context.Context) (HealthReading, error) { return HealthReading{}, nil }
	for want, c := range map[string]Component{
		"it needs a name":                              {Check: okCheck},
		"it needs Check, Measure or Guard":             {Name: "x"},
		"give one":                                     {Name: "x", Check: okCheck, Measure: measure},
		"the name is taken":                            {Name: "taken", Check: okCheck},
		`dependsOn: "y" is not registered`:             {Name: "x", Check: okCheck, DependsOn: []string{"taken", "y"}},
		`dependsOn: "x" is not registered`:             {Name: "x", Check: okCheck, DependsOn: []string{"x"}},
		"criticality":                                  {Name: "x", Check: okCheck, Criticality: 9},
		"failOn":                                       {Name: "x", Check: okCheck, FailOn: FailOpen},
		"live is for what happens in the process":      {Name: "x", Check: okCheck, Groups: GroupLive},
		"live is for":                                  {Name: "x", Guard: g, InProcess: true, Groups: GroupLive | GroupReady},
		"live is not for":                              {Name: "x", Check: okCheck, InProcess: true, Groups: GroupLive, DependsOn: []string{"taken"}},
		"a duration is negative":                       {Name: "x", Check: okCheck, Timeout: -1},
		"must be at least 1":                           {Name: "x", Check: okCheck, FailAfter: None},
		"maxStale: wants Interval":                     {Name: "x", Check: okCheck, MaxStale: time.Hour},
		"must be longer":                               {Name: "x", Check: okCheck, Interval: 10 * time.Second, MaxStale: 13 * time.Second},
		"startupDeadline":                              {Name: "x", Guard: g, StartupDeadline: 1},
		"degradeWhen.errorRate: must be in (0,1)":      {Name: "x", Guard: g, DegradeWhen: HealthLimits{ErrorRate: 1}},
		"unhealthyWhen.minSamples: must be at least 1": {Name: "x", Guard: g, UnhealthyWhen: HealthLimits{MinSamples: -1}},
		"load: wants Measure or Guard":                 {Name: "x", Check: okCheck, UnhealthyWhen: HealthLimits{Load: 1}},
		"Window has fewer runs":                        {Name: "x", Check: okCheck, DegradeWhen: HealthLimits{ErrorRate: 0.5}},
		"lower than in degradeWhen":                    {Name: "x", Measure: measure, DegradeWhen: HealthLimits{Load: 0.9}, UnhealthyWhen: HealthLimits{Load: 0.8}},
	} {
		if err := h.Register(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if n := len(h.Snapshot().Components); n != 1 {
		t.Errorf("%d components", n)
	}
}

func TestWordsOfHealth(t *testing.T) {
	for s, want := range map[fmt.Stringer]string{Starting: "starting", Maintenance: "maintenance", HealthState(99): "maintenance", StatusPass: "pass", StatusWarn: "warn", StatusFail: "fail"} {
		if s.String() != want {
			t.Errorf("%s, want %s", s, want)
		}
	}
	if (&HealthSnapshot{}).Component("x") != nil {
		t.Error("a component of nothing")
	}
}

// TestProbesCostNothing has 1000 ask at a time while 100 checks hang: nobody
// waits, and there are no more goroutines than before.
func TestProbesCostNothing(t *testing.T) {
	rt := &Runtime{}
	gate := make(chan struct{})
	for i := range 100 {
		if err := rt.Health().Register(Component{Name: fmt.Sprint(i), Check: func(context.Context) error { <-gate; return nil }}); err != nil {
			t.Fatal(err)
		}
	}
	h := registry(t, rt)
	defer close(gate)
	var mu sync.Mutex
	var waits []time.Duration
	snapshots := map[*HealthSnapshot]bool{}
	begun := time.Now()
	before := runtime.NumGoroutine()
	run(1000, func(int) {
		start := time.Now()
		s := h.Snapshot()
		wait := time.Since(start)
		mu.Lock()
		defer mu.Unlock()
		waits, snapshots[s] = append(waits, wait), true
		if len(s.Components) != 100 {
			t.Error(len(s.Components))
		}
	})
	if n := len(snapshots); n > 3+int(time.Since(begun)/freshness) {
		t.Errorf("%d snapshots were made within %v", n, time.Since(begun))
	}
	if !comesTrue(func() bool { return runtime.NumGoroutine() <= before }) { // those who asked have not all ended
		t.Errorf("%d goroutines more", runtime.NumGoroutine()-before)
	}
	slices.Sort(waits)
	t.Logf("of 1000 half waited less than %v, 99 %% less than %v", waits[500], waits[990])
	least := math.Inf(1)
	for range 50 { // among which there may be some that make a new one
		least = min(least, testing.AllocsPerRun(100, func() { h.Snapshot() }))
	}
	if least > 0 {
		t.Errorf("%v allocations", least)
	}
}

// What Hold waits for happens at its moment, though nobody looked then.
func TestHoldEndsAtItsMoment(t *testing.T) {
	c := Component{Guard: &Guard{}, DegradeWhen: HealthLimits{Load: 0.5}}
	v := &vital{conf: c.under(NoPreset), clock: moment(0)}
	over := guardReading{HealthReading: HealthReading{Load: 0.6}}
	v.look(moment(1), over)
	changes := v.look(moment(60), over)
	if len(changes) != 1 || changes[0].To != Degraded || changes[0].At != moment(11) {
		t.Errorf("%+v", changes)
	}
}

// TestIntervalOfForever runs a component once, and is content with that.
func TestIntervalOfForever(t *testing.T) {
	for _, interval := range []time.Duration{math.MaxInt64, math.MaxInt64 / 2} {
		synctest.Test(t, func(t *testing.T) {
			rt, runs := &Runtime{}, 0
			h := rt.Health()
			if err := h.Register(Component{Name: "once", Interval: interval, Check: func(context.Context) error { runs++; return nil }}); err != nil {
				t.Fatal(err)
			}
			if err := h.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if s := h.Snapshot().Component("once"); s.State != Healthy || runs != 1 {
				t.Errorf("%v: %v, %s, after %d runs", interval, s.State, s.Reason, runs)
			}
			c, _ := h.component("once")
			for range 64 {
				if d := c.pause(); d < interval/10*8 {
					t.Fatalf("%v: pauses for %v", interval, d)
				}
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
