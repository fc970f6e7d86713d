package templates

import (
	"go/types"
	"time"
)

// Workflow is a graph of nodes that was proved to fit together.
type Workflow struct {
	Name   string // Research
	Source string // resilience.yaml
	// Fingerprint is made of nodes, edges and shapes: 16 hexadecimal digits.
	Fingerprint string
	// Type, New, Result and Handle are ResearchWorkflow, NewResearchWorkflow,
	// ResearchResult and ResearchHandle.
	Type, New, Result, Handle string
	// Wrapper guards the handlers. It is one of the wrappers of the file, with
	// Nodes set.
	Wrapper *Wrapper
	Entry   string
	Input   Payload // the parameter of the entry
	// Output is what comes out: of type struct{} if the nodes that end a branch
	// have no result.
	Output    Payload
	OutputAll bool // every output counts, not the only one
	Nodes     []*Node

	Limits      Limits
	Concurrency int // nodes of one run at a time; 0 if it was not said
	Checkpoint  RunCheckpoint
	Retention   Retention
	Roles       []Role
	Forbid      []Handoff
	Runs        Runs
	Schedules   []Schedule
	DeadLetters string // queue of the letters of its nodes; "" is the workflow's own
	// Error is how the built-in error is spelled.
	Error types.Type
	Vars  WorkflowVars
	// Children are the workflows and pipelines that nodes are.
	Children []Child
	// Doc, NewDoc and RunDoc are the doc comments of the type, the constructor and the
	// method Run.
	Doc, NewDoc, RunDoc string
}

// Child is a parameter of the constructor of a [Workflow].
type Child struct{ Var, Type string }

// WorkflowVars are the names of a generated workflow's variables and field.
type WorkflowVars struct {
	Recv, Handle, Engine string // receivers and field
	// Of the constructor: parameters and variables.
	Runtime, Nodes, Fallback, Secondary, Guarded, Made string
	Ctx, In, Route, Report                             string // of the funcs that call nodes
	Input, Options, ID, Concurrency, Run               string // of methods
	Err                                                string
	Any                                                string // how the type any is spelled
}

// Payload is a type that JSON carries, and its shape: 16 hexadecimal digits.
type Payload struct {
	Type  types.Type
	Shape string
}

// Node is a node of a [Workflow]. It is a method of the handlers, unless one of
// Signal, Child and Pipeline is set.
type Node struct {
	Name   string
	Method *Method // of Workflow.Wrapper; nil if it is none
	// Const is the constant by which routes name the node, ResearchAnalyse; "" if no
	// node that picks its successors has it among them.
	Const string
	// Params are the parameters of the method but the context, or what goes into a
	// child or a pipeline. A signal has none.
	Params []NodeParam
	Out    *Payload // nil: no result
	// Value and Route are the indices of the method's results, -1 if it has none.
	Value, Route int
	Next         []string // "end" ends the branch
	// SendOnly are those of Next that take another type than the result, so that a
	// route reaches them by workflow.Send alone.
	SendOnly []string
	// WaitFor makes the node a join: the parameters are the results of these.
	WaitFor     []string
	Any         bool
	WaitTimeout time.Duration

	Delay         time.Duration
	Signal        string
	SignalTimeout time.Duration // with it, Out is of a pointer type, and nil when nothing came
	Child         *Workflow
	Pipeline      *Pipeline
	Role          string
	DurableMemory bool
	// Redact and Sig are for the letters of the node.
	Redact []Redaction
	Sig    string
	// ValueVar is a variable for the result, ChildVar that of Child or Pipeline.
	ValueVar, ChildVar string
	// SignalMethod is the method of the handle that gives the signal, SignalApproval; ""
	// if another node has it. SignalVar is its parameter, of SignalType.
	SignalMethod, SignalDoc, SignalVar string
	SignalType                         types.Type
}

// NodeParam is what a node takes. Where a join may go on without the value, Type
// is a pointer to the type of Payload, or the same pointer type: nil if it is
// missing.
type NodeParam struct {
	Name     string // in JSON
	Type     types.Type
	Payload  Payload
	Optional bool
}

// Limits are those of a run; zero is none.
type Limits struct {
	Invocations int
	Duration    time.Duration
	Cost        float64
}

// RunCheckpoint says what is kept of a run on its way.
type RunCheckpoint struct {
	Keep     int
	Autosave time.Duration
	NoResume bool
}

// Retention says how long runs are remembered: zero is the runtime's default,
// -1 for ever.
type Retention struct{ Completed, Failed, Parked time.Duration }

// Role is a set of nodes.
type Role struct {
	Name  string
	Nodes []string
}

// Handoff is an edge between roles.
type Handoff struct{ From, To string }

// Runs says how the runs of a workflow share what executes them.
type Runs struct {
	// PerKey is a string over the input, which it calls PerKeyVar: parameter 0. It is
	// nil if there is none.
	PerKey    *Expr
	PerKeyVar string
	Max       int
	Queue     string // from which workers take runs; "" is the workflow's own
}

// Schedule starts runs.
type Schedule struct {
	Name     string
	Every    time.Duration
	Cron     string
	TimeZone string
	CatchUp  string       // skip, one, all; "" if it was not said
	Overlap  string       // skip, queue, allow; ""
	Input    types.Object // func() T, or func() (T, error)
	Fails    bool         // Input returns an error
}

// Pipeline is a sequence of stages that was proved to fit together.
type Pipeline struct {
	Name   string // Invocation
	Source string
	// Type and New are InvocationPipeline and NewInvocationPipeline.
	Type, New string
	// Wrapper guards the handlers. It is one of the wrappers of the file, with
	// Nodes set.
	Wrapper       *Wrapper
	Input, Output Payload // their shapes are "" unless a workflow has it for a node
	Stages        []*Stage
	Error         types.Type
	Vars          PipelineVars
	// Doc and RunDoc are the doc comments of the type and of the method Run.
	Doc, RunDoc string
}

// PipelineVars are the names of a generated pipeline's variables and fields.
type PipelineVars struct {
	Recv, Stages, Pipeline                          string // receiver and fields
	Runtime, Handlers, Fallback, Secondary, Guarded string // of the constructor
	Ctx, Input, Output, Report, Pass, Made          string // of Run
	Err                                             string
}

// Stage is a stage of a [Pipeline].
type Stage struct {
	Name     string
	Method   *Method
	Optional bool // its failure is reported, and the value goes on
	// In and Out are the variables of what goes in and comes out. Declare says that Out,
	// of Type, is declared before the stage; Begin, if it is not "", what it holds until
	// the stage has succeeded.
	In, Out, Begin string
	Type           types.Type
	Declare        bool
}
