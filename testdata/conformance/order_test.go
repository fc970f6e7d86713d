package conformance

import "testing"

var orderCases = family{
	"FSG-07": all(
		generate("interfaces: {Gateway: {methods: {Charge: {idempotent: true, retry: true, fallback: true, order: [retry, fallback]}}}}",
			"Charge", "order puts fallback inside retry", "never sees a failure", "(RG042)"),
		play(NewResilientFSG07, "F>fb execs=3 fallbacks=1")),
}

// TestOrders plays what other systems make by nesting policies by hand.
func TestOrders(t *testing.T) {
	for name, run := range (family{
		"one permit for a call": play(NewResilientOrderRate, "F,F,S>ok execs=3 S>limited execs=3 +1h S>ok"),
		"a permit goes back where nothing was executed": play(NewResilientOrderRateBack,
			"a:hold +1h S>full S>full execs=1 a!S a>ok S>ok execs=2 S>limited"),
		"the breaker counts calls":       play(NewResilientOrderBreaker, "F>E execs=2 =CLOSED F>E execs=4 =OPEN S>open execs=4 +1m S>ok =CLOSED"),
		"a slot is held in sleeps":       play(NewResilientOrderSlot, "a:F,S S>full +1s a>ok S>ok execs=3"),
		"the queue counts":               play(NewResilientOrderQueue, "a:S!10s b:S +1s b? +1s b>timeout execs=1 =CLOSED +8s a>ok execs=1"),
		"the queue does not count":       play(NewResilientOrderTotal, "a:S!10s b:S/500ms +10s a>ok +500ms b>ok execs=2"),
		"hedges share a slot":            play(NewResilientOrderHedge, "a:H,S +1s a>ok execs=2 =CLOSED S>ok"),
		"a probe that finds a full part": play(NewResilientOrderProbe, "a:hold,F b:F b>full =CLOSED a!F a>E =OPEN +1m S>ok =CLOSED"),
	}) {
		t.Run(name, run)
	}
}
