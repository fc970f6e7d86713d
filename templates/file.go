// Package templates is the shape of generated code, and nothing else: it turns
// a [File], whose names are all chosen, into Go source.
package templates

import (
	"go/types"
	"slices"
)

// File is one generated file.
type File struct {
	Package string // name of the package
	Path    string // import path of the package: its names stand unqualified
	Sources string // what it was made from, for the header
	Imports []Import
	// Wrappers are in the order of the policy file.
	Wrappers []*Wrapper
	// Workflows and Pipelines are too. What guards their handlers is in Wrappers.
	Workflows []*Workflow
	Pipelines []*Pipeline
	// Permanent is what the file's policies call permanent; nil if nothing.
	Permanent *Matcher
	// GRPCCode finds the gRPC code of an error; nil where gRPC is not imported.
	GRPCCode *Matcher
}

// Import is a package that the file refers to, under its final name.
type Import struct{ Name, Path string }

// Wrapper is one generated type.
type Wrapper struct {
	Key      string // name in statistics and errors: "payments.Gateway"
	Type     string // ResilientGateway
	New      string // NewResilientGateway
	Fallback string // GatewayFallback, "" if no method has one
	Iface    types.Type
	// TypeParams are those of a generic interface, for all generated types.
	TypeParams []Var
	// Error is how the built-in error is spelled where the package has a type
	// of that name.
	Error types.Type
	// Hidden is the name of the embedded field when the interface has methods
	// that this package cannot name; "" otherwise.
	Hidden    string
	Secondary string   // GatewaySecondary, "" if no method has one
	Short     string   // name of the interface in comments: Gateway
	Link      string   // doc link to it: Gateway, net/http.RoundTripper
	Summary   []string // one line a method
	Source    string   // resilience.yaml
	Unwrap    bool
	// Nodes says that it guards the nodes of a workflow or the stages of a pipeline,
	// and nobody else uses it.
	Nodes   bool
	Base    string // what generated names contain: Gateway of ResilientGateway
	Recv    string // name of the receiver
	Methods []*Method
	// Fields are the names of the struct's fields, Vars of the constructor's
	// variables.
	Fields, Vars Names
}

// Names are those of what a wrapper holds, and of what makes it.
type Names struct {
	Next, Fallback, Secondary string
	Runtime, Wrap, Self       string
}

// Method is one method of a [Wrapper].
type Method struct {
	Name     string
	Field    string // of its guard
	Call     string // name of the call
	Cause    string // name of the fallback's last parameter
	Doc      string // a sentence or two
	Params   []Var
	Results  []Var
	Variadic bool
	Ctx      int      // index of the context parameter, -1 if none
	Request  string   // the *http.Request that brings the context instead, "" if none does
	Context  string   // name of the variable for the context of Request
	Err      int      // index of the error result, -1 if none
	Zeros    []string // names of the zero values that a fallback returns
	Policy   *Literal // nil: pass straight through
	Loop     bool
	Rewound  []int // indices of the parameters that each attempt needs as they were
	Fallback Answer
	Key      *Expr // of the breaker; nil if there is one for all
	LimitKey *Expr // of the limiter; nil if there is one for all
	Cost     *Expr // in permits of the limiter; nil: one
	Repeats  *Expr // the condition under which a call may be executed twice; nil if it always may
	// Idempotency is nil if calls carry no key.
	Idempotency *Idempotency
	Cache       *Cache // nil if no results are kept
	// Checkpoint is nil if no results are kept durably.
	Checkpoint *Checkpoint
	Letters    *Letters // nil if no calls are kept
	Abandon    bool     // the delegate may be left behind
	Hedge      bool     // several attempts may be in flight
	Tells      bool     // the run or the pipeline of its context what a call took
	Kept       Const    // how long a result is in use, "" if no longer than the call
	Held       *Held    // nil if no result holds what the call held
	Opens      bool     // what is guarded is the opening of a result
	// Bundle is the struct that holds several results of a delegate that may be
	// left behind or lose, or be kept, BundleVar a variable of it. BundleNames are the
	// names of its fields, one for each result, BundleJSON those in JSON, where it is
	// kept durably.
	Bundle, BundleVar       string
	BundleNames, BundleJSON []string
	// Closers says of each result how one that nobody takes is closed: not, "." by
	// its own method, ".Body" by that of the field.
	Closers []string
	// RetryResult and RecordResult are funcs that judge results without an
	// error; nil if there are none.
	RetryResult, RecordResult types.Object
	// Injects is the func whose results chaos has stand for those of the delegate;
	// nil if there is none, and where the delegate is hedged or left behind.
	Injects  types.Object
	Matchers []*Matcher
}

// Exprs are the expressions over the parameters of m.
func (m *Method) Exprs() []*Expr {
	list := []*Expr{m.Key, m.LimitKey, m.Cost, m.Repeats}
	if m.Idempotency != nil {
		list = append(list, m.Idempotency.Key, m.Idempotency.Into)
	}
	if m.Cache != nil {
		list = append(list, m.Cache.Key)
	}
	if m.Letters != nil {
		list = append(list, m.Letters.Order)
	}
	if m.Checkpoint != nil {
		list = append(list, m.Checkpoint.Key)
	}
	return slices.DeleteFunc(list, func(x *Expr) bool { return x == nil })
}

// Answer is who answers after the policies gave up. The zero value is nobody.
type Answer struct {
	Method    bool         // of the generated fallback interface
	Func      types.Object // of the package
	Cause     bool         // Func takes the cause
	Secondary bool         // another implementation
	Zero      bool         // zero values
}

// Var is a parameter or a result.
type Var struct {
	Name string
	Type types.Type
}

// Matcher is a generated func that reports whether an error is listed.
type Matcher struct {
	Func string
	Doc  string
	Err  types.Type     // of its parameter
	Is   []types.Object // errors.Is
	As   []types.Type   // errors.As
	Call []types.Object // func(error) bool
	// Param is the name of its parameter, Targets those of the variables for As.
	Param   string
	Targets []string
}

// Literal is a composite literal of the runtime's types.
type Literal struct {
	Type   string // Policy, Retry, …
	Fields []Field
}

// Field is a field of a [Literal]. Value is a *Literal, a time.Duration, an
// int, a float64, a bool, a string, a []time.Duration, a []string, a [Const], a
// [Consts], a [List], a [Size], a [Func] or a types.Object.
type Field struct {
	Name  string
	Value any
}

// Const is a constant of the runtime.
type Const string

// Size is a number of bytes.
type Size int

// Consts are several constants, or-ed.
type Consts []string

// List is a slice of constants of a type of the runtime; of the slice type itself
// where Named says so.
type List struct {
	Type   string
	Named  bool
	Consts []string
}

// Func is a func of the generated file.
type Func string
