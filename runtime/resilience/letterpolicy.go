package resilience

import (
	"context"
	"time"
)

// DeadLetterPolicy says which failed calls of a method are kept, and for how long.
// Fields that are zero have their defaults; [None] says that there is no limit.
type DeadLetterPolicy struct {
	Queue string  // default: the name of the method, "payments.Gateway.Charge"
	When  Reasons // default: exhausted, permanent, deadline, panic
	// AfterFallback keeps also what a fallback answered. The generated code calls
	// Keep before it in this case.
	AfterFallback bool
	MaxReplays    int // that fail before a letter is quarantined; default 3

	// Retention, of all letters of the queue. Where several methods share a queue the
	// smallest number holds.
	MaxAge       time.Duration // since a letter died; default 30 days
	KeepReplayed time.Duration // since a letter was replayed or discarded; default 24h
	MaxCount     int           // default 100,000
	MaxBytes     int64         // default 256 MiB
	Overflow     Overflow      // what happens when one of the two is reached
	BlockTimeout time.Duration // of [OverflowBlock]; default 1s

	// Name and File say which policy it is, Extra which values of
	// [LetterOptions].Context tell patterns apart.
	Name, File string
	Extra      []string
}

// Overflow is what happens to a letter for which a queue has no room.
type Overflow uint8

// Ways to overflow.
const (
	_                  Overflow = iota // not given: OverflowDropOldest
	OverflowDropOldest                 // the oldest letters go, those first that are settled
	OverflowReject                     // the new one is not kept, and its error says so
	OverflowBlock                      // the call waits for room, then its letter is rejected
)

// LetterField is a parameter of a method whose calls are kept.
type LetterField struct{ Name, Type string }

// Redaction says what happens to a place in the arguments before they are written.
type Redaction struct {
	// Pointer is a JSON pointer over an object with a member for each argument, in
	// which * stands for one step and ** for any number of them: "/req/card/number",
	// "/**/token".
	Pointer string
	Mode    RedactMode
}

// RedactMode is how something is kept from being read.
type RedactMode string

// Modes.
const (
	Omit RedactMode = "omit" // it is gone, and the letter needs an edit before it is replayed
	Hash RedactMode = "hash" // likewise, with a keyed hash in its place that is the same for the same value
	Mask RedactMode = "mask" // likewise, with the last characters of a long text
	Seal RedactMode = "seal" // it is encrypted with [LetterOptions].Sealer, and replayed
)

// LetterMethod is what the generator has proved of a method whose calls are kept.
// A is a struct with one field for each parameter but the context, which
// encoding/json carries there and back.
type LetterMethod[A any] struct {
	Sig         string
	Fields      []LetterField // in the order of the fields of A
	Redact      []Redaction
	InspectOnly bool           // arguments are missing: letters are read and never replayed
	Idempotent  bool           // executing a call twice does no more than once
	Schema      string         // JSON Schema of A
	Refs        []LetterRef[A] // arguments that are kept elsewhere
	// Replay makes the call again under the policy, Direct without it.
	Replay, Direct func(ctx context.Context, args A) error
	// OrderKey names what is replayed one after the other; nil: nothing is.
	OrderKey func(args *A) string
}

// LetterOptions are what dead letters need of a program. The zero value is the
// default.
type LetterOptions struct {
	Service string // default: the module path of the program
	Version string // default: the version of its module

	// Trace returns traceparent and tracestate of W3C.
	Trace func(ctx context.Context) (parent, state string)
	// Context returns what of the caller's context is kept.
	Context func(ctx context.Context) map[string]string

	// Sealer encrypts what [Seal] names. Without one that is omitted.
	Sealer Sealer
	// HashKey keys the hashes of [Hash] and of arguments: 16 bytes or more. Without
	// one a random key is made, and hashes of two processes differ.
	HashKey []byte
	// ScrubEmail takes e-mail addresses out of texts of errors, too.
	ScrubEmail bool

	// OnLost is told of a letter that could not be kept, and why. It may be the last
	// who sees it.
	OnLost func(l Letter, err error)
	// OnExpire is given letters before retention drops them. An error keeps them for
	// another time, unless there is no room.
	OnExpire func(ctx context.Context, batch []Letter) error
	// Fingerprint names the pattern of a letter; "" leaves that to the built-in
	// algorithm.
	Fingerprint func(l *Letter, err error) string
}

// Sealer encrypts arguments. Implementations are safe for concurrent use.
type Sealer interface {
	// Seal encrypts plain, bound to aad, and names the key.
	Seal(ctx context.Context, aad, plain []byte) (keyID string, sealed []byte, err error)
	// Open decrypts what Seal made with the same aad.
	Open(ctx context.Context, keyID string, aad, sealed []byte) ([]byte, error)
}
