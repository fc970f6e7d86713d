package resiliencetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/resiliencetest"
)

// gateway is the interface of a service, and resilientGateway stands for the
// wrapper that resilgen writes for it.
type gateway interface {
	Charge(context.Context) (string, error)
}

type resilientGateway struct {
	next   gateway
	charge *resilience.Guard
}

func newResilientGateway(rt *resilience.Runtime, next gateway) (*resilientGateway, error) {
	charge, err := rt.Guard("payments.Gateway.Charge", resilience.Policy{
		Timeout: resilience.Timeout{Attempt: 2 * time.Second},
		Retry:   resilience.Retry{MaxAttempts: 3, Backoff: resilience.Backoff{InitialDelay: 50 * time.Millisecond, Jitter: resilience.NoJitter}},
	})
	return &resilientGateway{next, charge}, err
}

func (g *resilientGateway) Charge(ctx context.Context) (string, error) {
	return resilience.Do(ctx, g.charge, g.next.Charge)
}

// faultyGateway is the delegate of the test: one script for each method.
type faultyGateway struct {
	charge resiliencetest.Faulty[string]
}

func (g *faultyGateway) Charge(ctx context.Context) (string, error) { return g.charge.Call(ctx) }

// chargeOutlivesTwoFailures is a test of a service's own policy: the real
// wrapper, the real Runtime, a delegate that fails by a script, and no waiting,
// since a bubble of synctest has a clock of its own.
func chargeOutlivesTwoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events resiliencetest.Recorder
		rt, err := resilience.Open(resilience.Options{Seed: 1, Observe: events.Observe})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		peer := &faultyGateway{resiliencetest.Faulty[string]{Script: "F H S/1s", Value: "paid"}}
		g, err := newResilientGateway(rt, peer)
		if err != nil {
			t.Fatal(err)
		}
		if receipt, err := g.Charge(t.Context()); receipt != "paid" || err != nil {
			t.Errorf("Charge = %q, %v", receipt, err)
		}
		events.Expect(t, `
			0s payments.Gateway.Charge: attempt failed, attempt 1: faulty
			0s payments.Gateway.Charge: retry scheduled, attempt 2 in 50ms
			2.05s payments.Gateway.Charge: attempt failed, attempt 2, by timeout: timeout.attempt of 2s passed: context deadline exceeded
			2.05s payments.Gateway.Charge: retry scheduled, attempt 3 in 100ms`)
	})
}

// A service's own policy is tested in a bubble of synctest. In a test file the
// func is called TestChargeOutlivesTwoFailures.
func Example_policy() {
	var t *testing.T // of the test
	chargeOutlivesTwoFailures(t)
}
