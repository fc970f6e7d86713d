package resilience

import (
	"slices"
	"strings"
)

// fingerprintOf returns the id of the pattern of a failure by the algorithm fp1:
// what tells it from others is the method, the reason, the chain of errors and, of
// a panic, where it was raised; then what the policy adds. Another algorithm gets
// another number, so that ids of two never meet.
func (m *letterMethod) fingerprintOf(reason Reason, err error, stack []Frame, ctx map[string]string) string {
	parts := []string{m.iface + "." + m.method, string(reason)}
	if reason == ReasonPanic {
		parts = append(parts, errorType(err), ownFrame(stack))
	} else {
		parts = append(parts, errorChain(err, &m.guard.policy.Errors))
	}
	for _, name := range m.conf.Extra {
		parts = append(parts, name+"="+ctx[name])
	}
	return "fp1:" + shortHash(strings.Join(parts, "|"))
}

// group returns the id of the pattern of l, whose error is err.
func (b *LetterBox) group(m *letterMethod, l *Letter, err error) string {
	if own := b.o.Fingerprint; own != nil {
		if id := ask(func() string { return own(l, err) }); id != "" {
			return "own:" + cutText(strings.Map(printable, id), 64)
		}
	}
	return m.fingerprintOf(l.Reason, err, l.Stack, l.Ctx)
}

// ask calls a func of the user's. A panic in it is no answer: the letter of a call
// that failed must not be lost to it.
func ask[T any](f func() T) (answer T) {
	defer func() { _ = recover() }()
	return f()
}

// failureOf returns the part of a letter that the failure writes.
func (l *Letter) failureOf() *LetterFailure {
	return &LetterFailure{
		Reason: l.Reason, Errors: l.Errors, Stack: l.Stack, Attempts: l.Attempts, Elided: slices.Clone(l.Elided),
		Count: l.AttemptCount, Last: l.Last, Group: l.Group,
	}
}
