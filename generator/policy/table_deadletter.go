package policy

import (
	"fmt"
	"go/token"
	"slices"
	"strings"
)

func deadLetterKeys() []*Key {
	return slices.Concat([]*Key{
		{Path: "deadLetter", Type: Part, Since: first, Unset: none, Bare: true,
			Doc: "Keeps a call that finally failed as a letter: durably, with its typed arguments, to be looked at, mended and replayed. The error of the call matches `resilience.ErrDeadLettered`. `true` takes every default. The Runtime needs a store.", Example: "deadLetter: {queue: payments.notify, overflow: reject}"},
		{Path: "deadLetter.queue", Type: Text, Since: first, Default: "the name of the method",
			Doc: "Where letters are kept. Methods that name one queue share it.", Example: "queue: payments.notify"},
		{Path: "deadLetter.when", Type: Words, Since: first, def: "exhausted, permanent, deadline, panic",
			Doc: "The reasons for which a call is kept. What its caller cancelled never is.", Example: "when: {add: [breakerOpen]}",
			Values: []EnumValue{
				{Name: "exhausted", GoConst: "ReasonExhausted", Doc: "every attempt that the policy makes failed, or the retry budget has none left"},
				{Name: "permanent", GoConst: "ReasonPermanent", Doc: "an error that no repetition mends"},
				{Name: "deadline", GoConst: "ReasonDeadline", Doc: "a timeout of the policy, or the deadline of the caller"},
				{Name: "panic", GoConst: "ReasonPanic", Doc: "a panic, which goes on as it was"},
				{Name: "rejected", GoConst: "ReasonRejected", Doc: "rejected by a bulkhead, a rate limit or the adaptive part"},
				{Name: "breakerOpen", GoConst: "ReasonBreakerOpen", Doc: "rejected by an open breaker"},
			}},
		{Path: "deadLetter.afterFallback", Type: Bool, Since: first, def: "false",
			needs: []need{{path: "fallback"}},
			Doc:   "Keeps also what the fallback answers. Without it a call is kept only if no fallback answered, or that failed too.", Example: "afterFallback: true"},
	}, carryingKeys(), redactionKeys(), retentionKeys())
}

// carryingKeys say how arguments that JSON cannot carry get into a letter.
func carryingKeys() []*Key {
	return []*Key{
		{Path: "deadLetter.exclude", Type: Texts, Since: first, Unset: none, item: notIdentifier,
			Doc: "Parameters that are not kept. The letters can be read then, and never replayed.", Example: "exclude: [body]"},
		{Path: "deadLetter.codec", Type: Pairs, Since: first, Unset: none,
			Doc: "For parameters whose types JSON cannot carry, the Go variable or type whose methods `Encode(T) ([]byte, error)` and `Decode([]byte) (T, error)` turn them into JSON and back.", Example: "codec: {shape: shapeCodec}"},
		{Path: "deadLetter.ref", Type: Pairs, Since: first, Unset: none,
			Doc: "For parameters that are large, or that JSON cannot carry, the Go variable or type that keeps them elsewhere: by its methods `Put(context.Context, T) (string, error)`, whose reference the letter holds, and `Get(context.Context, string) (T, error)`, which a replay calls.", Example: "ref: {body: blobs}"},
		{Path: "deadLetter.orderKey", Type: Expression, Since: first, Unset: none,
			Doc: "Letters with one key are replayed one after the other, the oldest first: a Go expression of a string type over the parameters that are kept.", Example: "orderKey: \"customerID\""},
		{Path: "deadLetter.fingerprint", Type: Section, Since: first, Unset: none,
			Doc: "What tells the patterns of failures apart, beside the method, the reason and the errors.", Example: "fingerprint: {extra: [tenant]}"},
		{Path: "deadLetter.fingerprint.extra", Type: Texts, Since: first, Unset: none, item: notPlain,
			Doc: "Values of the context, by the names that `LetterOptions.Context` gives them.", Example: "extra: [tenant]"},
	}
}

func redactionKeys() []*Key {
	return []*Key{
		{Path: "deadLetter.redact", Type: Texts, Since: first, Unset: none, item: notRedaction,
			Doc:     "Places in the arguments that are not kept as they are: JSON pointers from the parameter on, with `*` for one step and `**` for any number. A mode may follow, else it is `seal`: encrypted by the Sealer of the Runtime, and gone where there is none; `omit`: gone; `hash`: a keyed hash; `mask`: the last characters of a long text. Beside them stand the fields with a tag `resilience:\"secret\"` (seal), `\"pii\"` (seal), `\"omit\"` or `\"hash\"`, and those whose names are of secrets: password, token, apiKey, card, cvv, iban, ssn and their like.",
			Example: "redact: [/req/card/number, \"**/email hash\"]"},
		{Path: "deadLetter.allow", Type: Texts, Since: first, Unset: none, item: notPointer,
			Doc: "Places that are kept although their names are of secrets.", Example: "allow: [/req/pageToken]"},
	}
}

func retentionKeys() []*Key {
	return []*Key{
		{Path: "deadLetter.maxReplays", Type: Int, Since: first, min: 1, def: "3",
			Doc: "Replays that fail before a letter is quarantined.", Example: "maxReplays: 5"},
		{Path: "deadLetter.maxAge", Type: Duration, Since: first, above: true, def: "720h", Unset: none, NoneIs: true,
			Doc: "How long letters are kept. Of methods that share a queue the smallest number holds, here and below.", Example: "maxAge: 168h"},
		{Path: "deadLetter.keepReplayed", Type: Duration, Since: first, above: true, def: "24h", Unset: none, NoneIs: true,
			Doc: "How long letters are kept that were replayed or discarded.", Example: "keepReplayed: 72h"},
		{Path: "deadLetter.maxCount", Type: Int, Since: first, min: 1, def: "100000", Unset: unbounded, NoneIs: true,
			Doc: "Letters in the queue.", Example: "maxCount: 5000"},
		{Path: "deadLetter.maxBytes", Type: Bytes, Since: first, above: true, def: "256MiB", Unset: unbounded, NoneIs: true,
			Doc: "What they take together.", Example: "maxBytes: 64MiB"},
		{Path: "deadLetter.overflow", Type: Enum, Since: first, def: "dropOldest",
			Doc: "What happens when a queue is full.", Example: "overflow: reject",
			Values: []EnumValue{
				{Name: "dropOldest", GoConst: "OverflowDropOldest", Doc: "the oldest letters go, those first that are settled; each is counted and told of"},
				{Name: "reject", GoConst: "OverflowReject", Doc: "the new one is not kept, and the error of its call says so"},
				{Name: "block", GoConst: "OverflowBlock", Doc: "the call waits for room as long as `maxWait`, then it is rejected"},
			}},
		{Path: "deadLetter.maxWait", Type: Duration, Since: first, above: true, def: "1s",
			needs: []need{{path: "deadLetter.overflow", values: []string{"block"}}},
			Doc:   "How long a call waits for room.", Example: "maxWait: 5s"},
	}
}

// RedactModes are what may follow a place in redact.
var RedactModes = []string{"omit", "hash", "mask", "seal"}

// CutMode splits an entry of redact into the place and what happens to it.
func CutMode(entry string) (pointer, mode string) {
	pointer, mode, ok := strings.Cut(entry, " ")
	if !ok {
		return entry, "seal"
	}
	return pointer, mode
}

func notRedaction(text string) string {
	pointer, mode := CutMode(text)
	if !slices.Contains(RedactModes, mode) {
		return fmt.Sprintf("%q is none of %s%s", show(mode), strings.Join(RedactModes, ", "), hint(mode, RedactModes))
	}
	return notPointer(pointer)
}

// notPointer says why text is no JSON pointer with steps that may be * or **.
func notPointer(text string) string {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		rest, ok = strings.CutPrefix(text, "**/")
	}
	if !ok || rest == "" || strings.ContainsAny(rest, " \t\n") || slices.Contains(strings.Split(rest, "/"), "") {
		return fmt.Sprintf("%q is not a place in the arguments: want a JSON pointer from the parameter on, like /req/card/number or **/token", show(text))
	}
	return ""
}

func notIdentifier(text string) string {
	if !token.IsIdentifier(text) {
		return fmt.Sprintf("%q is not the name of a parameter", show(text))
	}
	return ""
}

func notPlain(text string) string {
	if len(text) > 100 || !plainWord.MatchString(text) {
		return fmt.Sprintf("%q: want a plain name", show(text))
	}
	return ""
}

// NeedsWholeTypes reports whether the files say something for which the types of
// arguments or results must be known to the last field.
func (s *Set) NeedsWholeTypes() bool {
	return s.HasGraphs() || s.holds(func(v Value) bool { return isDurable(v.Key.Path) && !v.None })
}
