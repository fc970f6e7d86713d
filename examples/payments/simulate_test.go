package payments

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/simulation"
)

var lasting = flag.Duration("real", 0, "how long loads last that are held against resilgen simulate; 0 is a short one without an outage")

// TestSimulateAgreesWithAServer sends the same load through the same wrapper twice:
// in virtual time by resilgen simulate, and in real time to a server on this
// machine that has the modelled latencies, failures and outage. make
// simulate-check plays half a minute of each, and prints both.
func TestSimulateAgreesWithAServer(t *testing.T) {
	load := simulation.Config{Seed: 1, Rate: 200, Duration: 3 * time.Second, P50: 20 * time.Millisecond, P99: 400 * time.Millisecond, Failures: 0.05}
	loads := map[string]simulation.Config{"failures": load}
	if *lasting > 0 {
		load.Duration = *lasting
		load.Outage = simulation.Outage{Start: *lasting * 2 / 5, Length: *lasting / 5}
		loads["outage that fails"] = load
		load.Outage.Hang = true
		loads["outage that hangs"] = load
	}
	for name, load := range loads {
		t.Run(name, func(t *testing.T) {
			virtual, actual := simulated(t, load), punctual(t, load)
			t.Logf("%-8s %28s %28s", "", "simulated", "real")
			for i, v := range virtual.Phases {
				r := actual.Phases[i]
				t.Logf("%-8s %s %s", v.Name, figures(v), figures(r))
				if v.Name == "outage" {
					continue // almost nobody succeeds, and few attempts are made
				}
				if !near(v.Attempts, r.Attempts) {
					t.Errorf("%s: the callee got %d attempts, simulated %d", v.Name, r.Attempts, v.Attempts)
				}
				if !near(v.Success, r.Success) || v.Calls != r.Calls {
					t.Errorf("%s: %d of %d calls succeeded, simulated %d of %d", v.Name, r.Success, r.Calls, v.Success, v.Calls)
				}
			}
		})
	}
}

func figures(p simulation.Phase) string {
	return fmt.Sprintf("%5d calls %6.2f%% %6.1f/s", p.Calls, 100*float64(p.Success)/float64(p.Calls), float64(p.Attempts)/p.Seconds)
}

// near reports whether b is within a tenth of a.
func near(a, b int) bool { return math.Abs(float64(a-b)) <= 0.1*float64(a) }

// simulated is what resilgen simulate says about the load.
func simulated(t *testing.T, c simulation.Config) *simulation.Result {
	t.Helper()
	args := []string{"run", "../../cmd/resilgen", "simulate", "Gateway.Charge", "-json", "-seed", fmt.Sprint(c.Seed), "-arrivals", fmt.Sprintf("%v/s", c.Rate),
		"-duration", c.Duration.String(), "-latency", fmt.Sprintf("p50=%v,p99=%v", c.P50, c.P99), "-failures", fmt.Sprintf("%v%%", c.Failures*100)}
	if c.Outage.Length > 0 {
		args = append(args, "-outage", fmt.Sprintf("%v@%v", c.Outage.Length, c.Outage.Start), "-outage-mode", map[bool]string{true: "hang", false: "fail"}[c.Outage.Hang])
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var r simulation.Result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// punctual serves a load that comes when it should: where a machine stands still
// for a while, it is another load.
func punctual(t *testing.T, c simulation.Config) *simulation.Result {
	t.Helper()
	for range 3 {
		r := served(t, c)
		if r.Late < 0.2 {
			return r
		}
		t.Logf("a call began %.1fs too late, so this run does not count", r.Late)
	}
	t.Skip("the machine does not keep up with the load")
	return nil
}

// served is what came of the load against a server.
func served(t *testing.T, c simulation.Config) *simulation.Result {
	t.Helper()
	peer := simulation.NewPeer(c, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var failure simulation.StatusError
		switch err := peer.Serve(r.Context()); {
		case errors.As(err, &failure):
			w.WriteHeader(failure.StatusCode())
		case err == nil:
			_ = json.NewEncoder(w).Encode(Receipt{ID: "r"})
		}
	}))
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 500}
	defer transport.CloseIdleConnections()
	client := &Client{URL: server.URL, HTTP: &http.Client{Transport: transport}}
	result, err := simulation.Run(c, peer, func(rt *resilience.Runtime) (simulation.Call, error) {
		gateway, err := NewResilientGateway(rt, client, Deferred{})
		return func(ctx context.Context) error {
			receipt, err := gateway.Charge(ctx, ChargeRequest{ID: "1", Cents: 995})
			if receipt.Deferred {
				return simulation.ErrAnswered
			}
			return err
		}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}
