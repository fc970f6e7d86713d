package conformance

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestHealthOfGeneratedWrappers has the three wrappers of health.resilience.yaml
// fail until their breakers open, and asks for the health of the service.
func TestHealthOfGeneratedWrappers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, err := resilience.Open(resilience.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var answer error
		delegate := doFunc(func(context.Context) (int, error) { return 1, answer })
		watched, err1 := NewResilientHealthWatched(rt, delegate)
		vital, err2 := NewResilientHealthVital(rt, delegate)
		none, err3 := NewResilientHealthNone(rt, delegate)
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
		expect := func(when string, ready resilience.HealthStatus, watched, vital resilience.HealthState) {
			t.Helper()
			time.Sleep(time.Second)
			s := rt.Health().Snapshot()
			if len(s.Components) != 2 || s.Ready != ready || s.Component("conformance.HealthWatched.Do").State != watched || s.Component("conformance.HealthVital.Do").State != vital {
				t.Errorf("%s: ready %v, %+v", when, s.Ready, s.Components)
			}
		}
		three := func(s Service) {
			for range 3 {
				_, _ = s.Do(t.Context())
			}
		}
		expect("before a call", resilience.StatusPass, resilience.Healthy, resilience.Healthy)
		answer = E
		three(none)
		expect("one that is not registered is open", resilience.StatusPass, resilience.Healthy, resilience.Healthy)
		three(watched)
		expect("one that only warns is open", resilience.StatusWarn, resilience.Degraded, resilience.Healthy)
		three(vital)
		expect("one that fails is open", resilience.StatusFail, resilience.Degraded, resilience.Unhealthy)
		time.Sleep(30 * time.Second)
		answer = nil
		expect("both are half-open", resilience.StatusWarn, resilience.Degraded, resilience.Degraded)
		three(watched)
		three(vital)
		expect("both are closed", resilience.StatusPass, resilience.Healthy, resilience.Healthy)
	})
}

type doFunc func(context.Context) (int, error)

func (f doFunc) Do(ctx context.Context) (int, error) { return f(ctx) }
