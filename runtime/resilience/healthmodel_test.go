package resilience

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// healthModel is the state machine of docs/health.md, by the second and from
// the whole history each time.
type healthModel struct {
	conf    Component
	runs    []modelRun
	guard   guardReading
	kept    int // end of maintenance
	now     int
	states  []HealthState // own, one entry for each transition, Starting first
	at      []int         // of the entries
	hot     int           // seconds in a row over a limit while healthy, -1 for none
	flapAt  int           // entry at which flapping began, -1 for none
	shown   HealthState
	changes []HealthChange
	results []modelRun // verdicts by now, see judge
}

type modelRun struct {
	begin, end int // -1 while it is out
	ok         bool
}

var healthZero = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func moment(second int) time.Time { return healthZero.Add(time.Duration(second) * time.Second) }

func seconds(d time.Duration) int { return int(d / time.Second) }

// judge collects the verdicts so far: a run that is late has failed.
func (m *healthModel) judge() {
	m.results = m.results[:0]
	for _, r := range m.runs {
		late := r.begin + seconds(m.conf.Timeout)
		switch {
		case (r.end < 0 || r.end >= late) && late <= m.now:
			m.results = append(m.results, modelRun{r.begin, late, false})
		case r.end >= 0:
			m.results = append(m.results, r)
		}
	}
}

func (m *healthModel) inARow(ok bool) (n int) {
	for _, r := range slices.Backward(m.results) {
		if r.ok != ok {
			break
		}
		n++
	}
	return n
}

func (m *healthModel) passed() bool {
	return slices.ContainsFunc(m.results, func(r modelRun) bool { return r.ok })
}

// exceeds says whether the error rate or the times within Window, or the guard's
// reading, are above share of a limit (at it, for a share of less than 1).
func (m *healthModel) exceeds(l HealthLimits, share float64) bool {
	above := func(x, limit float64) bool {
		return limit > 0 && (x > limit || share < 1 && x >= share*limit)
	}
	bad, all := 0, 0
	took := []int{0}
	for _, r := range m.results {
		if r.end > m.now-seconds(m.conf.Window) {
			all++
			took = append(took, r.end-r.begin)
			if !r.ok {
				bad++
			}
		}
	}
	slices.Sort(took)
	p95 := time.Duration(took[(all*95+99)/100]) * time.Second
	return all >= l.MinSamples && (above(float64(bad)/float64(max(all, 1)), l.ErrorRate) || above(float64(p95), float64(l.P95))) ||
		m.guard.Samples >= l.MinSamples && above(m.guard.ErrorRate, l.ErrorRate) || above(m.guard.Load, l.Load) ||
		m.guard.timed >= l.MinSamples && above(float64(m.guard.P95), float64(l.P95))
}

func (m *healthModel) own() HealthState { return m.states[len(m.states)-1] }

// step looks at the present second once more.
func (m *healthModel) step() {
	m.judge()
	degrade, unhealthy := m.conf.DegradeWhen, m.conf.UnhealthyWhen
	over := m.exceeds(degrade, 1) || m.exceeds(unhealthy, 1)
	if m.own() != Healthy || !over {
		m.hot = -1
	} else if m.hot < 0 {
		m.hot = m.now
	}
	open, half := m.guard.breaker == StateOpen, m.guard.breaker == StateHalfOpen
	fails, successes := m.inARow(false), m.inARow(true)
	dead := fails >= m.conf.FailAfter || open && m.conf.FailOn == FailOpen
	deadline := seconds(m.conf.StartupDeadline)
	held := over && (m.conf.Hold == 0 || m.hot >= 0 && m.now-m.hot >= seconds(m.conf.Hold))
	first := m.own()
	table := []struct {
		from, to HealthState
		when     bool
	}{
		{Starting, Unhealthy, !m.passed() && (fails >= m.conf.FailAfter || deadline > 0 && m.now >= deadline)},
		{Starting, Healthy, m.passed()},
		{Healthy, Unhealthy, dead},
		{Healthy, Degraded, fails > 0 || open || half || held},
		{Degraded, Unhealthy, dead || m.exceeds(unhealthy, 1)},
		{Degraded, Healthy, successes >= m.conf.RecoverAfter && !open && !half && !m.exceeds(degrade, deadBand) && !m.exceeds(unhealthy, 1)},
		{Unhealthy, Degraded, successes > 0 && !dead && !m.exceeds(unhealthy, deadBand)},
	}
	s := first
again:
	for _, row := range table {
		if row.from == s && row.when {
			s = row.to
			goto again
		}
	}
	began := false
	if s != first {
		m.states, m.at = append(m.states, s), append(m.at, m.now)
		if s == Healthy && over {
			m.hot = m.now
		}
		if m.flapAt < 0 && m.flips() > 4 {
			m.flapAt, began = len(m.states)-2, true
		}
	}
	if m.flips() <= 4 {
		m.flapAt = -1
	}
	m.show(began)
}

// flips counts the transitions of the last ten minutes, but those from Starting.
func (m *healthModel) flips() (n int) {
	for i := 1; i < len(m.states); i++ {
		if m.states[i-1] != Starting && m.at[i] > m.now-600 {
			n++
		}
	}
	return n
}

func (m *healthModel) show(began bool) {
	heard := seconds(m.conf.InitialDelay)
	for _, r := range m.runs {
		heard = max(heard, r.end)
	}
	s := m.own()
	switch {
	case m.now < m.kept:
		s = Maintenance
	case m.now-heard >= seconds(m.conf.MaxStale):
		s = Unknown
	case m.flapAt >= 0:
		s = slices.Max(m.states[m.flapAt:])
	}
	if s != m.shown || began {
		m.changes = append(m.changes, HealthChange{From: m.shown, To: s, At: moment(m.now), Flapping: m.flapAt >= 0, Quiet: m.flapAt >= 0 && !began})
		m.shown = s
	}
}

// until lets time pass, second by second.
func (m *healthModel) until(second int) {
	for m.now < second {
		m.now++
		m.step()
	}
}

// TestHealthAgreesWithModel plays random histories, with as many looks as come,
// to the state machine and to the model: every change must be the same, and at
// the same moment.
func TestHealthAgreesWithModel(t *testing.T) {
	seen := map[string]int{}
	for seed := range histories(1000) {
		playHealth(t, seed, seen)
		if t.Failed() {
			return
		}
	}
	if testing.Short() {
		return // too few to see every edge
	}
	for _, edge := range []string{
		"starting healthy", "starting unhealthy", "healthy degraded", "healthy unhealthy", "degraded unhealthy", "degraded healthy", "unhealthy degraded",
		"healthy unknown", "unknown degraded", "healthy maintenance", "maintenance healthy", "starting unknown", "flapping",
	} {
		if seen[edge] == 0 {
			t.Errorf("no history went %s: %v", edge, seen)
		}
	}
}

func playHealth(t *testing.T, seed uint64, seen map[string]int) {
	random := rand.New(rand.NewPCG(seed, 1))
	pick := func(low, high int) int { return low + random.IntN(high-low+1) }
	secs := func(low, high int) time.Duration { return time.Duration(pick(low, high)) * time.Second }
	conf := Component{
		Name: "x", Check: func(context.Context) error { return nil }, Timeout: secs(1, 6), InitialDelay: secs(0, 5), FailAfter: pick(1, 4), RecoverAfter: pick(1, 3),
		Hold: secs(0, 40), MaxStale: secs(20, 90), Window: secs(20, 120), Interval: time.Second, FailOn: FailOn(pick(0, 2)),
		DegradeWhen:   HealthLimits{ErrorRate: random.Float64() / 2, MinSamples: pick(1, 5), Load: 0.5},
		UnhealthyWhen: HealthLimits{ErrorRate: 0.5 + random.Float64()/2, MinSamples: pick(1, 5), Load: 0.9},
	}
	if pick(0, 1) == 0 {
		conf.DegradeWhen.P95, conf.UnhealthyWhen.P95 = secs(1, 3), secs(3, 6)
	}
	if pick(0, 1) == 0 {
		conf.StartupDeadline = secs(1, 60)
	}
	v := &vital{conf: conf, watched: moment(0), clock: moment(0)}
	m := &healthModel{conf: conf, states: []HealthState{Starting}, at: []int{0}, hot: -1, flapAt: -1}
	health, gap := random.Float64(), pick(1, 25)
	var changes []HealthChange
	log := ""
	for now := seconds(conf.InitialDelay); now < 1500; now += pick(0, gap) {
		m.until(now)
		what := pick(0, 9)
		log += fmt.Sprint(now, ":", what, " ")
		if pick(0, 60) == 0 {
			health = random.Float64()
		}
		out := len(m.runs) > 0 && m.runs[len(m.runs)-1].end < 0
		switch {
		case what <= 4 && !out:
			v.begin(moment(now))
			m.runs = append(m.runs, modelRun{now, -1, false})
		case what <= 5 && out && (pick(0, 10) > 0 || now > m.runs[len(m.runs)-1].begin+200):
			r, failure := &m.runs[len(m.runs)-1], ""
			if r.end, r.ok = now, random.Float64() < health; !r.ok {
				failure = "failed"
			}
			v.finish(moment(now), HealthReading{}, failure)
			if now >= r.begin+seconds(conf.Timeout) {
				r.ok = false
			}
		case what == 6 && pick(0, 2) == 0:
			m.guard = guardReading{breaker: State(pick(0, 3)), timed: pick(0, 30), HealthReading: HealthReading{Samples: pick(0, 30), ErrorRate: random.Float64() * random.Float64(), Load: random.Float64() * random.Float64(), P95: secs(0, 5)}}
			changes = append(changes, v.look(moment(now), m.guard)...)
		case what == 7 && pick(0, 5) == 0:
			v.advance(moment(now))
			m.kept = now + pick(0, 30)
			v.kept = time.Time{}
			if m.kept > now {
				v.kept = moment(m.kept)
			}
			v.settle(moment(now))
		case what >= 8: // looking changes nothing
			changes = append(changes, v.look(moment(now), m.guard)...)
		}
		m.step()
		changes = append(changes, v.look(moment(now), m.guard)...)
		if v.state != m.shown || v.fails != m.inARow(false) || v.successes != m.inARow(true) {
			t.Fatalf("seed %d at %ds: %v after %d failures and %d successes, the model says %v, %d, %d\n%s", seed, now, v.state, v.fails, v.successes, m.shown, m.inARow(false), m.inARow(true), log)
		}
	}
	for i, c := range changes {
		c.Component, c.Reason = "", ""
		if i >= len(m.changes) || c != m.changes[i] {
			t.Fatalf("seed %d: change %d is %+v, the model says %+v", seed, i, c, m.changes[min(i, len(m.changes)-1)])
		}
		seen[c.From.String()+" "+c.To.String()]++
		if c.Flapping && !c.Quiet {
			seen["flapping"]++
		}
	}
	if len(changes) != len(m.changes) {
		t.Fatalf("seed %d: %d changes, the model says %d", seed, len(changes), len(m.changes))
	}
}
