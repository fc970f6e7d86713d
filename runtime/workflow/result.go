package workflow

import "time"

// How a step ended, see [Step].Outcome.
const (
	OutcomeDone     = "done"
	OutcomeRouted   = "routed"   // done, and it picked its successors
	OutcomeFallback = "fallback" // its fallback answered
	OutcomeSkipped  = "skipped"  // it was not invoked: a timeout of a signal, an optional part
	OutcomeFailed   = "failed"   // it is a letter, if the run is durable
)

// Step is an invocation of a node that is over.
type Step struct {
	Node     string        `json:"node"`
	Message  string        `json:"message"` // id of the invocation
	Attempts int           `json:"attempts,omitempty"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration"` // in nanoseconds
	Outcome  string        `json:"outcome"`
	Cost     float64       `json:"cost,omitempty"`
	Err      string        `json:"err,omitempty"`
}

// Result is what a run came to.
type Result[Out any] struct {
	ID      string
	Status  Status
	Output  Out   // the last one in the order of lineage
	Outputs []Out // all of them in that order, where the workflow says output: all

	Elapsed time.Duration // from the start to the end
	Cost    float64       // see AddCost
	// CheckpointUsed: some of it, or all, was done before this call.
	CheckpointUsed bool
	NodeFailures   map[string]int // invocations that finally failed, by node
	Steps          []Step         // the last 1,000, in the order of their records
	StepCount      int            // of all
	DeadLetters    []string       // ids of letters that are open
}
