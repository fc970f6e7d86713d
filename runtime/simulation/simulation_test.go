package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

const ms = time.Millisecond

// guarded wraps calls of the peer as generated code does.
func guarded(p *Peer, policy resilience.Policy) func(*resilience.Runtime) (Call, error) {
	return func(rt *resilience.Runtime) (Call, error) {
		w := rt.Wrap("shop.Gateway", p)
		g := w.Guard("Charge", policy)
		return func(ctx context.Context) error {
			call := g.Begin(ctx)
			defer call.End()
			for call.Next() {
				call.Record(p.Serve(call.Context()))
			}
			if call.WantsFallback() {
				return ErrAnswered
			}
			return call.Err()
		}, w.Err()
	}
}

// simulated runs a load in a bubble of its own.
func simulated(t *testing.T, c Config, policy resilience.Policy) (out *Result, err error) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		p := NewPeer(c, nil)
		out, err = Run(c, p, guarded(p, policy))
	})
	return out, err
}

func mustSimulate(t *testing.T, c Config, policy resilience.Policy) *Result {
	t.Helper()
	out, err := simulated(t, c, policy)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func phaseNamed(t *testing.T, r *Result, name string) Phase {
	t.Helper()
	i := slices.IndexFunc(r.Phases, func(p Phase) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("no phase %s in %v", name, r.Phases)
	}
	return r.Phases[i]
}

// steady is a load whose every number is known.
var steady = Config{Seed: 1, Rate: 10, Uniform: true, Duration: 12 * time.Second, P50: 20 * ms, P99: 20 * ms}

func TestSteadyLoad(t *testing.T) {
	r := mustSimulate(t, steady, resilience.Policy{})
	want := Phase{Name: "all", Seconds: 12, Calls: 120, Success: 120, P50: 0.02, P99: 0.02, Attempts: 120}
	if len(r.Phases) != 1 || r.Phases[0] != want || r.MostInFlight != 1 {
		t.Errorf("phases %+v, in flight %d; want %+v, 1", r.Phases, r.MostInFlight, want)
	}
	for i, s := range r.Slices {
		if s.Arrivals != 1 || s.Attempts != 1 || s.Succeeded != 1 {
			t.Fatalf("slice %d is %+v, want one call", i, s)
		}
	}
}

// TestOutage: what an outage does to calls without a policy, and that each phase
// has its own.
func TestOutage(t *testing.T) {
	c := steady
	c.Outage = Outage{Start: 4 * time.Second, Length: 2 * time.Second}
	r := mustSimulate(t, c, resilience.Policy{})
	for _, want := range []Phase{
		{Name: "before", Seconds: 4, Calls: 40, Success: 40, P50: 0.02, P99: 0.02, Attempts: 40},
		{Name: "outage", Seconds: 2, Calls: 20, Failed: 20, Attempts: 20},
		{Name: "after", Seconds: 6, Calls: 60, Success: 60, P50: 0.02, P99: 0.02, Attempts: 60},
		{Name: "all", Seconds: 12, Calls: 120, Success: 100, Failed: 20, P50: 0.02, P99: 0.02, Attempts: 120},
	} {
		if got := phaseNamed(t, r, want.Name); got != want {
			t.Errorf("phase is %+v, want %+v", got, want)
		}
	}
	if r.GaveUp["delegate"] != 20 {
		t.Errorf("gave up %v, want 20 by the delegate", r.GaveUp)
	}
}

// TestOutageThatHangs: attempts end with the outage, or with their timeout.
func TestOutageThatHangs(t *testing.T) {
	c := steady
	c.Outage = Outage{Start: 4 * time.Second, Length: 2 * time.Second, Hang: true}
	p := phaseNamed(t, mustSimulate(t, c, resilience.Policy{}), "outage")
	if p.Failed != 20 || p.P99 < 1.8 || p.P99 > 2 {
		t.Errorf("without a timeout %+v, want 20 failures within 2s", p)
	}
	r := mustSimulate(t, c, resilience.Policy{Timeout: resilience.Timeout{Attempt: 100 * ms}})
	if p := phaseNamed(t, r, "outage"); p.Failed != 20 || p.P99 != 0.1 {
		t.Errorf("with a timeout of 100ms %+v, want 20 failures after it", p)
	}
	if r.GaveUp["timeout"] != 19 || r.GaveUp["delegate"] != 1 {
		t.Errorf("gave up %v, want 19 by timeout, and the last when the outage ended", r.GaveUp)
	}
	c.Deadline = 50 * ms
	if p := phaseNamed(t, mustSimulate(t, c, resilience.Policy{}), "outage"); p.Failed != 20 || p.P99 != 0.05 {
		t.Errorf("with callers that wait 50ms %+v, want 20 failures after it", p)
	}
}

// TestBreakerTimeLine: a breaker opens in the outage, probes, and closes after it.
func TestBreakerTimeLine(t *testing.T) {
	c := steady
	c.Outage = Outage{Start: 4 * time.Second, Length: 2 * time.Second}
	r := mustSimulate(t, c, resilience.Policy{
		Breaker:  resilience.Breaker{ConsecutiveFailures: 5, OpenDuration: time.Second},
		Fallback: resilience.Fallback{On: true},
	})
	b := r.Breakers[0]
	var got []string
	for _, x := range b.Transitions {
		got = append(got, x.From+" "+x.To+" "+x.Reason)
	}
	want := []string{
		"closed open consecutive failures", "open half_open openDuration passed", "half_open open probe failed",
		"open half_open openDuration passed", "half_open closed probes passed",
	}
	if b.Name != "shop.Gateway.Charge" || b.Initial != "closed" || !slices.Equal(got, want) {
		t.Errorf("breaker %s, %s: %q, want %q", b.Name, b.Initial, got, want)
	}
	if first := b.Transitions[0]; first.At < 4.39 || first.At > 4.41 || first.Consecutive != 5 {
		t.Errorf("opened %+v, want the fifth call of the outage", first)
	}
	out := phaseNamed(t, r, "outage")
	if out.Fallback != 20 || out.Attempts >= 10 || out.Failed != 0 {
		t.Errorf("outage %+v, want 20 answers of the fallback and few attempts", out)
	}
	if n := r.Rejected["circuitBreaker"]; n != r.GaveUp["circuitBreaker"] || n < 20-out.Attempts {
		t.Errorf("rejected %v, gave up %v", r.Rejected, r.GaveUp)
	}
}

// TestInstances: they take turns, and each breaker sees its own calls.
func TestInstances(t *testing.T) {
	c := steady
	c.Instances, c.Failures = 3, 1
	r := mustSimulate(t, c, resilience.Policy{Breaker: resilience.Breaker{ConsecutiveFailures: 5, OpenDuration: time.Minute}})
	if all := phaseNamed(t, r, "all"); all.Attempts != 15 || r.Rejected["circuitBreaker"] != 105 {
		t.Errorf("%d attempts, rejected %v; want five of each instance", all.Attempts, r.Rejected)
	}
	for i, b := range r.Breakers {
		if want := 1.22 + float64(i)/10; b.Instance != i || len(b.Transitions) != 1 || b.Transitions[0].At < want-0.01 || b.Transitions[0].At > want+0.02 {
			t.Errorf("breaker %d is %+v, want it to open after %.2fs, at its fifth call", i, b, want)
		}
	}
	if len(r.Breakers) != 3 {
		t.Errorf("%d breakers, want 3", len(r.Breakers))
	}
}

// TestFailures: as many as were asked for, and retries mend them.
func TestFailures(t *testing.T) {
	c := Config{Seed: 3, Rate: 100, Duration: 100 * time.Second, P50: 20 * ms, P99: 200 * ms, Failures: 0.1}
	bare := phaseNamed(t, mustSimulate(t, c, resilience.Policy{}), "all")
	if share := float64(bare.Failed) / float64(bare.Calls); share < 0.09 || share > 0.11 {
		t.Errorf("%.3f failed, want 0.1", share)
	}
	r := mustSimulate(t, c, resilience.Policy{Retry: resilience.Retry{MaxAttempts: 3, Backoff: resilience.Backoff{InitialDelay: ms}}})
	all := phaseNamed(t, r, "all")
	if all.Failed > all.Calls/500 || r.Retries != all.Attempts-all.Calls || r.Retries < all.Calls/12 {
		t.Errorf("with retries %+v, %d retries", all, r.Retries)
	}
}

// TestCapacity: attempts beyond it queue, and the queue is as long as arithmetic
// says: 20 a second come, 10 are served, for 12s.
func TestCapacity(t *testing.T) {
	c := Config{Seed: 1, Rate: 20, Uniform: true, Duration: 12 * time.Second, P50: 100 * ms, P99: 100 * ms, Capacity: 1}
	r := mustSimulate(t, c, resilience.Policy{})
	if all := phaseNamed(t, r, "all"); all.Success != 240 || all.P99 < 11.5 || all.P99 > 12.1 || r.MostInFlight < 119 || r.MostInFlight > 121 {
		t.Errorf("%+v, in flight %d; want the last call to take 12s, behind 120", all, r.MostInFlight)
	}
}

// TestPiledUp: calls that nothing bounds do not fill the memory.
func TestPiledUp(t *testing.T) {
	if testing.Short() {
		t.Skip("fifty thousand goroutines")
	}
	c := Config{Seed: 1, Rate: 100_000, Duration: 10 * time.Second, P50: 10 * time.Second, P99: 10 * time.Second}
	_, err := simulated(t, c, resilience.Policy{})
	if err == nil || !strings.Contains(err.Error(), "calls pile up: 50001 are in flight ") {
		t.Errorf("error is %v, want that calls pile up", err)
	}
}

// TestSeedFixesTheResult: the same one twice, another one with another seed.
func TestSeedFixesTheResult(t *testing.T) {
	c := Config{Seed: 7, Rate: 50, Duration: 30 * time.Second, P50: 20 * ms, P99: 400 * ms, Failures: 0.2, Outage: Outage{Start: 10 * time.Second, Length: 5 * time.Second}}
	policy := resilience.Policy{
		Timeout: resilience.Timeout{Attempt: 300 * ms}, Retry: resilience.Retry{MaxAttempts: 3},
		Breaker: resilience.Breaker{ConsecutiveFailures: 5, OpenDuration: time.Second},
	}
	first, second := mustSimulate(t, c, policy), mustSimulate(t, c, policy)
	if !reflect.DeepEqual(first, second) {
		t.Errorf("two runs of seed 7 differ:\n%+v\n%+v", first.Phases, second.Phases)
	}
	c.Seed = 8
	if third := mustSimulate(t, c, policy); reflect.DeepEqual(first.Phases, third.Phases) {
		t.Error("seed 8 gives the same as seed 7")
	}
}

// TestArrivals: as many as the rate says, in order, within the duration.
func TestArrivals(t *testing.T) {
	for _, uniform := range []bool{false, true} {
		c := Config{Seed: 5, Rate: 1000, Uniform: uniform, Duration: 100 * time.Second}
		count, last := 0, time.Duration(-1)
		for n, at := range c.arrivals {
			if n != count || at < last || at >= c.Duration {
				t.Fatalf("call %d of uniform %v is number %d at %v, after one at %v", count, uniform, n, at, last)
			}
			count, last = count+1, at
		}
		if count < 99_000 || count > 101_000 {
			t.Errorf("%d calls of uniform %v, want about 100000", count, uniform)
		}
	}
}

// TestLatency: half of them below p50, a hundredth above p99.
func TestLatency(t *testing.T) {
	c := Config{P50: 20 * ms, P99: 400 * ms}
	random := rand.New(rand.NewPCG(1, 1))
	below, above := 0, 0
	for range 100_000 {
		switch d := c.latency(random); {
		case d < c.P50:
			below++
		case d > c.P99:
			above++
		}
	}
	if below < 49_500 || below > 50_500 || above < 900 || above > 1100 {
		t.Errorf("%d below p50 and %d above p99 of 100000", below, above)
	}
}

func TestWrongLoads(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Rate = 0 }, "a load has a rate and a duration above 0"},
		{func(c *Config) { c.Duration = 0 }, "a load has a rate and a duration above 0"},
		{func(c *Config) { c.Rate = 1e6 }, "12000000 calls are more than 2000000"},
		{func(c *Config) { c.P99 = ms }, "no latency has a p50 of 20ms and a p99 of 1ms"},
		{func(c *Config) { c.P50 = 0 }, "no latency has a p50 of 0s and a p99 of 20ms"},
		{func(c *Config) { c.Failures = 1.1 }, "failures are a share in [0,1]"},
		{func(c *Config) { c.Outage = Outage{Start: 11 * time.Second, Length: 2 * time.Second} }, "an outage lies within the duration"},
		{func(c *Config) { c.Capacity = -1 }, "neither capacity nor deadline nor instances are negative"},
	} {
		wrong := steady
		c.change(&wrong)
		if _, err := simulated(t, wrong, resilience.Policy{}); err == nil || err.Error() != c.want {
			t.Errorf("error is %v, want %s", err, c.want)
		}
	}
	refused := errors.New("refused")
	if _, err := Run(steady, NewPeer(steady, nil), func(*resilience.Runtime) (Call, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Errorf("error is %v, want that of the wrapper", err)
	}
}

// TestMainReports: the order is read from a file, and the report is in its place.
func TestMainReports(t *testing.T) {
	path := filepath.Join(t.TempDir(), "order.json")
	t.Setenv(Variable, path)
	send := func(order Order, failure error) (report Report) {
		data, err := json.Marshal(order)
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(*testing.T) {
			err = Main(failure, func(rt *resilience.Runtime, p *Peer) (Call, error) {
				return guarded(p, resilience.Policy{Retry: resilience.Retry{MaxAttempts: 2}})(rt)
			})
		})
		if err == nil {
			data, err = os.ReadFile(path)
		}
		if err == nil {
			err = json.Unmarshal(data, &report)
		}
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	c := steady
	c.Failures = 1
	if r := send(Order{Config: c, Status: 503}, nil); r.Err != "" || r.Result.Retries != 120 {
		t.Errorf("503 is retried %+v times, want 120; %s", r.Result, r.Err)
	}
	if r := send(Order{Config: c, Status: 404}, nil); r.Err != "" || r.Result.Retries != 0 {
		t.Errorf("404 is retried %+v times, want 0; %s", r.Result, r.Err)
	}
	if r := send(Order{Config: c, Status: 404}, errors.New("busy")); r.Err != "" || r.Result.Retries != 120 {
		t.Errorf("a failure of its own is retried %+v times, want 120; %s", r.Result, r.Err)
	}
	if r := send(Order{}, nil); r.Err != "a load has a rate and a duration above 0" {
		t.Errorf("no load reports %q", r.Err)
	}
	t.Setenv(Variable, "")
	if err := Main(nil, nil); err == nil || !strings.Contains(err.Error(), "resilgen simulate runs this test") {
		t.Errorf("without a file: %v", err)
	}
}
