package resiliencetest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/resiliencetest"
)

func ExampleFaulty() {
	peer := &resiliencetest.Faulty[string]{Script: "F down S", Value: "paid", Errors: map[string]error{"down": errors.New("peer is down")}}
	for range 4 {
		fmt.Println(peer.Call(context.Background()))
	}
	fmt.Println(peer.Calls(), "calls")
	// Output:
	//  faulty
	//  peer is down
	// paid <nil>
	// paid <nil>
	// 4 calls
}

func ExampleRecorder() {
	var events resiliencetest.Recorder
	rt, err := resilience.Open(resilience.Options{Observe: events.Observe})
	if err != nil {
		panic(err)
	}
	guard, err := rt.Guard("payments.Charge", resilience.Policy{Breaker: resilience.Breaker{ConsecutiveFailures: 1}})
	if err != nil {
		panic(err)
	}
	peer := &resiliencetest.Faulty[string]{Script: "F"}
	_, _ = resilience.Do(context.Background(), guard, peer.Call)
	rt.Breaker("payments.Charge").Close()
	for _, line := range events.Lines() {
		_, event, _ := cut(line)
		fmt.Println(event)
	}
	// Output:
	// payments.Charge: attempt failed, attempt 1: faulty
	// payments.Charge: breaker transition, closed to open, consecutive failures (calls 0, failures 0, slow 0, in a row 1)
	// payments.Charge: gave up, attempt 1: faulty
	// payments.Charge: breaker transition, open to closed, operator
}
