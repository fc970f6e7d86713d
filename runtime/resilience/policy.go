package resilience

import "time"

// Version1 is the handshake between generated code and this package: a
// generated file refers to the constant of the generation it was written for,
// so a file and a runtime that have drifted apart do not compile together.
const Version1 = 1

// None in a number or a duration of a [Policy] says "explicitly none": no
// delay, no wait, no queue. The zero value says "not given": the preset's
// value, then the default, holds.
const None = -1

// Policy says how the calls of one method are guarded. The zero value guards
// nothing. A part is on as soon as one of its fields is set.
//
// A field that is zero was not given, and the preset in force or else the
// default of the field holds; [None] gives an explicit none. That is how a
// preset chosen at run time slips under what a policy says itself.
type Policy struct {
	// Preset is the preset of the policy file. One that the Runtime was given
	// replaces it.
	Preset Preset

	Timeout   Timeout
	Retry     Retry
	Budget    Budget
	Hedge     Hedge
	Breaker   Breaker
	RateLimit RateLimit
	Bulkhead  Bulkhead
	Adaptive  Adaptive
	Fallback  Fallback
	Chaos     Chaos
	Health    Health
	Caching   Caching

	// Result says how long what the method returned is in use.
	Result Result

	// Errors teaches the built-in classes about errors of the user's own.
	Errors Errors

	// Order is how the layers nest, outermost first; nil is the order of their
	// constants. LayerRetry or LayerHedge and each of LayerBreaker, LayerRateLimit,
	// LayerBulkhead and LayerAdaptive that the policy has must be in it; the others
	// stand where they always do unless it says otherwise. A layer outside the retry
	// or the hedge is asked once for each call, and holds what it gave until that is
	// over. What makes no sense is an error; docs/policy.md says why.
	Order []Layer
}

// Errors teaches the built-in classes (see [Kind]) about errors of one
// package. The zero value adds nothing. The funcs are called concurrently,
// with non-nil errors only.
type Errors struct {
	// Permanent reports errors that are as permanent as those of [Permanent].
	Permanent func(error) bool
	// StatusOf returns the HTTP status of errors that have no method for it.
	StatusOf func(error) (status int, ok bool)
	// GRPCCodeOf returns the gRPC code of errors that carry a status. Generated
	// code has it where the package imports gRPC, which this package does not.
	GRPCCodeOf func(error) (code uint32, ok bool)
	// RetryAfterOf returns the wait that the peer asked for.
	RetryAfterOf func(error) (after time.Duration, ok bool)
}

// Matcher is a set of errors: those of a kind in Kinds and those that Match
// reports. What is listed also lifts the floor beneath the list (see [Kind]).
//
// The zero Matcher is "not given": any error for RetryOn, RecordOn and
// ApplyOn, none for AbortOn, IgnoreOn and SkipOn.
type Matcher struct {
	// Any adds every error above the floor. It is how a list is written that
	// adds to the default of any error.
	Any   bool
	Kinds Kind
	// Match is called concurrently, with non-nil errors only.
	Match func(error) bool
}

// Timeout bounds the time of a call. Durations that are zero or None are
// unset: there are no defaults.
type Timeout struct {
	Total   time.Duration // the whole call: sleeps, queues, attempts
	Attempt time.Duration // one execution of the delegate
	// Open bounds the time until the method returns, and then the context lives on
	// until the result is closed or the caller's ends: for results that outlive the
	// call, see Result. It is no deadline of the context, which a delegate would put
	// on what lives longer.
	Open time.Duration
	Mode TimeoutMode
}

// TimeoutMode says what happens to a delegate that outlives its timeout.
type TimeoutMode uint8

const (
	// Cooperative cancels the context and waits for the delegate. The default.
	Cooperative TimeoutMode = iota
	// Abandon returns at the deadline, or when the caller leaves; the delegate
	// runs on in a goroutine of its own and is counted (see [Runtime.Abandoned]).
	Abandon
)

// Retry repeats failed attempts.
type Retry struct {
	On          bool          // on with defaults, for a Retry that gives nothing else
	MaxAttempts int           // executions including the first, ≥ 1; default 3
	MaxDuration time.Duration // no attempt starts and no sleep begins past it; default none
	Backoff     Backoff
	RetryOn     Matcher
	AbortOn     Matcher // wins over RetryOn
	RetryAfter  RetryAfter
	// FailOnExhaustedResult makes an unwanted result (see [Call.RecordResult])
	// that stays unwanted an error that matches [ErrUnwantedResult].
	FailOnExhaustedResult bool
}

// Budget limits the calls that execute their delegate more than once: retries
// would else multiply the load of a peer that is in trouble. It acts where the
// policy retries or hedges.
type Budget struct {
	On   bool   // on with defaults, for a Budget that gives nothing else
	Name string // shares the budget with every Budget of this name in the Runtime
	// Ratio is the share of the calls in flight that may be at a retry or a hedge,
	// or wait for a retry, in (0,1]; default 0.2. None switches the budget of a preset off.
	Ratio          float64
	MinConcurrency int // calls that may be retried whatever Ratio says; default 3; None: none
}

// Hedge starts another attempt while the one before has not answered: after
// Delay, or when the one before was slower than Percentile of those that
// succeeded lately. A policy that hedges does not retry: a failure, unless it is
// in the floor, starts the next attempt at once. See [Hedged].
type Hedge struct {
	On         bool          // on with defaults, for a Hedge that gives nothing else
	MaxHedges  int           // attempts beside the first one; default 1
	Delay      time.Duration // replaces Percentile; None starts all at once
	Percentile float64       // in (0,100]; default 95
	Warmup     int           // successes before the first hedge by Percentile; default 100
}

// Backoff computes the delay before each retry; the formulas are in
// docs/policy.md. It is a pure function of the retry's number (and for
// [DecorrelatedJitter] of the delay before), so a value may be shared.
type Backoff struct {
	Strategy     Strategy
	InitialDelay time.Duration   // default 100ms
	MaxDelay     time.Duration   // holds before jitter and after it; default 10s
	Multiplier   float64         // ≥ 1; default 2
	Jitter       Jitter          // default FullJitter
	JitterFactor float64         // of RatioJitter, in [0,1]; default 0.5
	Delays       []time.Duration // of Sequence; the last one repeats
}

// Strategy is how delays grow.
type Strategy uint8

// Strategies.
const (
	_           Strategy = iota // not given: Exponential
	NoBackoff                   // no delay at all
	Constant                    // b
	Linear                      // b·(n+1)
	Exponential                 // b·mⁿ
	Fibonacci                   // b·(1, 2, 3, 5, 8 …)
	Sequence                    // the given delays
)

// Jitter is how delays are spread.
type Jitter uint8

// Jitters.
const (
	_                    Jitter = iota // not given: FullJitter
	NoJitter                           // d
	FullJitter                         // r·d
	EqualJitter                        // d/2 + r·d/2
	RatioJitter                        // d·(1−f+2·f·r)
	DecorrelatedJitter                 // b + r·(3·prev−b)
	DecorrelatedJitterV2               // Polly's smooth variant
)

// RetryAfter says what is made of the wait that a peer asks for.
type RetryAfter struct {
	Ignore bool          // do not honour it
	Max    time.Duration // a longer one ends the call; default 30s
}

// Breaker stops calls to a peer that fails.
type Breaker struct {
	On    bool   // on with defaults, for a Breaker that gives nothing else
	Name  string // shares the state with every Breaker of this name in the Runtime
	Scope Scope

	Window               Window
	MinimumCalls         int     // default 20, or the count window's size if smaller
	FailureRateThreshold float64 // percent in (0,100], trips at ≥; default 50
	// ConsecutiveFailures replaces the rate, or adds to it when
	// FailureRateThreshold, MinimumCalls or Window is given too.
	ConsecutiveFailures   int
	SlowCallDuration      time.Duration // a call is slow if it took strictly longer; default unset
	SlowCallRateThreshold float64       // percent; default 100

	OpenDuration time.Duration // default 5s
	OpenBackoff  OpenBackoff
	AutoHalfOpen bool // a timer, not the next caller, ends the open state
	HalfOpen     HalfOpen

	RecordOn Matcher // once given, errors it does not list are successes
	IgnoreOn Matcher // wins; neither success nor failure

	InitialState State // StateClosed or StateOpen
	Mode         BreakerMode

	// PerKey keeps one breaker for each key given to [Guard.BeginKey], and no more
	// than MaxKeys: roughly the least recently used goes, never one that is in
	// use, half-open or has to stay open. If all are, one shared breaker serves the
	// keys that found no place.
	PerKey  bool
	MaxKeys int // default 1000
}

// Scope is what shares the state of an unnamed [Breaker].
type Scope uint8

// Scopes.
const (
	MethodScope    Scope = iota // one breaker for each method
	InterfaceScope              // one for all methods of a wrapper
)

// Window is what a [Breaker] remembers.
type Window struct {
	Type     WindowType
	Size     int           // of CountWindow; default 100
	Duration time.Duration // of TimeWindow; default 30s
	Buckets  int           // of TimeWindow; default 10
}

// WindowType is the kind of a [Window].
type WindowType uint8

// Kinds of windows.
const (
	_ WindowType = iota // not given: CountWindow
	CountWindow
	TimeWindow
)

// OpenBackoff lengthens OpenDuration with each re-opening; it starts anew when
// the breaker closes. The zero value keeps it constant.
type OpenBackoff struct {
	Multiplier  float64
	MaxDuration time.Duration
}

// HalfOpen says how an open breaker is probed.
type HalfOpen struct {
	Mode             HalfOpenMode
	SuccessThreshold int           // of AllMode: successes in a row that close; default 1
	PermittedCalls   int           // probes at a time, in RateMode also the sample; default 1, RateMode 10
	MaxWait          time.Duration // ends a half-open that cannot decide; default OpenDuration; None never
	OnMaxWait        State         // StateOpen (default) or StateClosed
}

// HalfOpenMode is how probes decide.
type HalfOpenMode uint8

// Modes of half-open breakers.
const (
	_ HalfOpenMode = iota // not given: AllMode
	AllMode
	RateMode
)

// State is a state of a circuit breaker.
type State uint8

// States.
const (
	_ State = iota // not given
	StateClosed
	StateOpen
	StateHalfOpen

	StateForcedOpen // by an operator; only in an [Event] and in [Taken]
	StateDisabled   // only in an [Event]
)

// BreakerMode is what a breaker does with its verdicts.
type BreakerMode uint8

// Modes of breakers.
const (
	Enforce    BreakerMode = iota // the default
	Shadow                        // records and reports, never rejects
	Disabled                      // neither records nor rejects
	ForcedOpen                    // rejects every call
)

// Bulkhead limits the executions in flight.
type Bulkhead struct {
	On            bool          // on with defaults, for a Bulkhead that gives nothing else
	Name          string        // shares the slots with every Bulkhead of this name in the Runtime
	MaxConcurrent int           // default 25; None: every call is rejected
	MaxWait       time.Duration // in the queue, FIFO; default none: nobody queues
	MaxQueue      int           // default unbounded; None: nobody queues
}

// Fallback answers for a call that failed. The answer itself is generated
// code; see [Call.WantsFallback].
type Fallback struct {
	On      bool
	ApplyOn Matcher
	SkipOn  Matcher // wins over ApplyOn
}

// Health makes a guard with a breaker a component of [Runtime.Health].
type Health struct {
	Register bool
	FailOn   FailOn
}

// FailOn is what an open breaker makes of a component of [Runtime.Health].
type FailOn uint8

// What an open breaker makes of a component.
const (
	_         FailOn = iota // not given: FailNever
	FailNever               // degraded, and what the guard says is a warning at most
	FailOpen                // unhealthy, which fails the group ready
)

// Caching keeps results of a method in a [Cache]. It is on as soon as TTL is
// given.
type Caching struct {
	TTL        time.Duration // how long a result answers without an execution
	MaxEntries int           // default 1000
	// StaleOnError is how long after its TTL a result answers for an execution that
	// failed: not for one that its caller ended, nor for a permanent error, which
	// takes the result away.
	StaleOnError time.Duration
	// NegativeTTL is how long an error answers: not that of a caller that left, nor
	// a rejection of ours.
	NegativeTTL time.Duration
}

// Preset chooses numbers for parts that are on. Its values slip under what a
// policy says itself.
type Preset uint8

// Presets.
const (
	NoPreset Preset = iota
	Production
	Development
	Testing // switches every wrapper off
)

// Kind is a set of kinds of errors, the built-in matchers of the policy
// language. The first six are the floor: never retried. Canceled,
// CallerDeadline, Permanent and local rejections are never recorded by a
// breaker; Canceled, CallerDeadline and Permanent get no fallback. Only RetryOn,
// RecordOn and ApplyOn lift that, for what they name.
type Kind uint32

// Kinds of errors.
const (
	KindCanceled Kind = 1 << iota
	KindCallerDeadline
	KindCircuitOpen
	KindBulkheadFull
	KindRateLimited
	KindPermanent
	KindTimeout
	KindBudgetExhausted
	KindPanic
	KindTransient
	KindConnectionError
	KindHTTP429
	KindHTTP5xx
	KindGRPCUnavailable
	KindSQLRetryable
)
