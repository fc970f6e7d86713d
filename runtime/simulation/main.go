package simulation

import (
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/clock"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// Variable names the file that tells [Main] what to simulate.
const Variable = "RESILGEN_SIMULATION"

// Order is what is in that file, as JSON, before the simulation; after it a
// [Report] is.
type Order struct {
	Config Config
	Status int // of failures, if Main is given none
}

// Report is what came of an [Order].
type Report struct {
	Result *Result
	Err    string // "" if the simulation ran to its end
}

// Main simulates what the file named by [Variable] says and writes the report
// into it. It is to be called in a bubble of testing/synctest. wrap puts a
// delegate that asks peer under a policy; failure is that of the peer, nil one by
// the status of the order.
func Main(failure error, wrap func(rt *resilience.Runtime, peer *Peer) (Call, error)) error {
	path := os.Getenv(Variable)
	if path == "" {
		return errors.New(Variable + " is not set: resilgen simulate runs this test")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var order Order
	if err := json.Unmarshal(data, &order); err != nil {
		return err
	}
	if failure == nil {
		failure = StatusError(order.Status)
	}
	time.Sleep(clock.Simulated - time.Since(clock.Epoch)) // in no time
	peer := NewPeer(order.Config, failure)
	var report Report
	report.Result, err = Run(order.Config, peer, func(rt *resilience.Runtime) (Call, error) { return wrap(rt, peer) })
	if err != nil {
		report.Err = err.Error()
	}
	data, err = json.Marshal(report)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
