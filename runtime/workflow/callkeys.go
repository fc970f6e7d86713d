package workflow

import (
	"context"
	"strconv"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// callKeys makes the idempotency keys of calls that a node makes through wrappers:
// from the key of its message, what is called with what, and how often that was so in
// the same attempt. Two attempts of one node, and two processes, make the same ones.
type callKeys invocation

// nthCall tells calls of one attempt of a node apart.
type nthCall struct {
	attempt int
	what    string
}

// CallKey implements [resilience.CallKeys].
func (k *callKeys) CallKey(ctx context.Context, what string) (key string, ok bool) {
	inv := (*invocation)(k)
	own := inv.key()
	if have, _ := resilience.IdempotencyKey(ctx); have != own {
		return "", false // of a call within another one, or given by the node
	}
	call := nthCall{resilience.Attempt(ctx).Number, shortHash([]byte(what))}
	inv.mu.Lock()
	if inv.calls == nil {
		inv.calls = map[nthCall]int{}
	}
	n := inv.calls[call]
	inv.calls[call]++
	inv.mu.Unlock()
	return messageKey(own, what, strconv.Itoa(n)), true
}
