package workflow

import (
	"encoding/json"
	"time"
)

// RunQuery asks for runs. Zero asks for the newest hundred of all workflows.
type RunQuery struct {
	Workflow    string `json:"workflow,omitempty"` // its full name, or what stands behind the last dot of it; "" for all
	Status      Status `json:"status,omitempty"`   // "" for all
	Cursor      string `json:"cursor,omitempty"`   // RunPage.Next of the page before
	Limit       int    `json:"limit,omitempty"`    // default 100, at most 1,000
	OldestFirst bool   `json:"oldestFirst,omitempty"`
}

// RunPage is what was asked for, or a part of it.
type RunPage struct {
	Runs []RunSummary `json:"runs"`           // by when they were started, then by id
	Next string       `json:"next,omitempty"` // the cursor of the next page; "" if there is none
}

// RunSummary is a run in one line.
type RunSummary struct {
	Workflow string    `json:"workflow"` // full name: import path and name, example.com/app/research.Research
	ID       string    `json:"id"`
	Status   Status    `json:"status"`
	Started  time.Time `json:"started"`
	Updated  time.Time `json:"updated"`           // its last record
	Ended    time.Time `json:"ended,omitzero"`    // zero while it has not
	Steps    int       `json:"stepCount"`         // messages whose node was done with them, failures among them
	Failures int       `json:"failures"`          // messages whose node failed for good
	Cost     float64   `json:"cost,omitempty"`    // the sum of what its nodes added
	Owner    string    `json:"owner,omitempty"`   // who has it or had it last: host, process and claim
	Waiting  string    `json:"waiting,omitempty"` // what for, in words: "signal approval", "until 2026-11-27T20:00:00Z", "a worker"
}

// RunDetail is all that is known of a run without the code that it runs.
type RunDetail struct {
	RunSummary
	Graph   RunGraph         `json:"graph"`             // as it was when the run began, or when it last went on with another one
	Input   json.RawMessage  `json:"input,omitempty"`   // as it is stored: what is sealed stays sealed
	Output  json.RawMessage  `json:"output,omitempty"`  // null while there is none; a list where the graph has several
	Err     string           `json:"error,omitempty"`   // why it failed, was cancelled or is parked
	Steps   []RunStep        `json:"steps"`             // in the order of their records
	Pending []PendingMessage `json:"pending,omitempty"` // by when they are due; none of a run that has ended
	Joins   []WaitingJoin    `json:"joins,omitempty"`   // that have some of their inputs and wait for others; none of one that has ended
	Letters []string         `json:"letters,omitempty"` // ids of its dead letters that stand open
	Unread  []UnreadEntry    `json:"unread,omitempty"`  // what came into its inbox and could not be read: the last hundred
	// UnreadForgotten is how many more were put aside before those of Unread.
	UnreadForgotten int         `json:"unreadForgotten,omitempty"`
	Version         uint64      `json:"version"`           // of its last record
	Epoch           uint64      `json:"epoch"`             // version of the record by which Owner took it
	Resumes         int         `json:"resumes,omitempty"` // times that another owner took it
	Refused         *RunRefusal `json:"refused,omitempty"` // while its Status is that
}

// RunGraph is a graph as a run's first record describes it.
type RunGraph struct {
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	Entry       string    `json:"entry"`
	Nodes       []RunNode `json:"nodes"` // in the order of the YAML
}

// RunNode is a node of a [RunGraph].
type RunNode struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind,omitempty"`    // "" is a method; else "signal", "workflow" or "pipeline"
	Of      string   `json:"of,omitempty"`      // name of the signal, the workflow or the pipeline
	Next    []string `json:"next,omitempty"`    // "end" is the end of a branch
	Routes  bool     `json:"routes,omitempty"`  // it picks from Next
	WaitFor []string `json:"waitFor,omitempty"` // a join of those
	Any     bool     `json:"any,omitempty"`     // of the first of those
	Role    string   `json:"role,omitempty"`
}

// RunStep is a message that a node was done with.
type RunStep struct {
	Node     string        `json:"node"`
	Message  string        `json:"message"`            // its id; of a join's it is made from those of Consumed
	Consumed []string      `json:"consumed,omitempty"` // what a join took
	Sent     []SentMessage `json:"sent,omitempty"`
	Attempts int           `json:"attempts"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration"` // nanoseconds
	Outcome  string        `json:"outcome"`  // done, fallback, failed, skipped, routed
	Cost     float64       `json:"cost,omitempty"`
	Err      string        `json:"error,omitempty"`
	Letter   string        `json:"letter,omitempty"` // id of the dead letter that it became
	Stages   []RunStage    `json:"stages,omitempty"` // of a pipeline that is its node: the first 64; of steps that are in a snapshot alone none
	Version  uint64        `json:"version"`          // of its record: a point that Fork may begin at
}

// SentMessage is a message that a step sent.
type SentMessage struct {
	ID string    `json:"id"`
	To string    `json:"to"` // "end" for an output
	At time.Time `json:"due,omitzero"`
}

// PendingMessage is a message that its node has not been done with.
type PendingMessage struct {
	ID      string    `json:"id"`
	From    string    `json:"from,omitempty"` // "" for the input of the run
	To      string    `json:"to"`
	Due     time.Time `json:"due,omitzero"`      // zero: at once
	Waiting string    `json:"waiting,omitempty"` // "signal approval", "workflow Billing"; "" for a method
}

// WaitingJoin is a join that waits.
type WaitingJoin struct {
	Node    string         `json:"node"`
	Arrived map[string]int `json:"arrived"`          // messages that have come and wait, by the node that sent them
	Missing []string       `json:"missing"`          // nodes that it waits for
	Due     time.Time      `json:"due,omitzero"`     // when it goes on without them
	Parked  bool           `json:"parked,omitempty"` // one that it waits for became a dead letter
}
