package resilience

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"testing"
)

func TestCallThatIsNotIdempotentHasOneAttempt(t *testing.T) {
	failing := errors.New("failing")
	for name, c := range map[string]struct {
		is       bool
		attempts int
	}{"idempotent": {true, 3}, "not": {false, 1}} {
		t.Run(name, func(t *testing.T) {
			g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}})
			call := g.Begin(t.Context())
			defer call.End()
			call.Idempotent(c.is)
			if !call.MayRepeat() {
				t.Error("what was not executed may be executed")
			}
			attempts := 0
			for call.Next() {
				attempts++
				call.Record(failing)
			}
			if attempts != c.attempts || call.MayRepeat() != c.is {
				t.Errorf("%d attempts, MayRepeat %v, want %d, %v", attempts, call.MayRepeat(), c.attempts, c.is)
			}
			if !c.is && call.Err() != failing {
				t.Errorf("a policy that did nothing made %v of the error", call.Err())
			}
		})
	}
}

func TestCallThatIsNotIdempotentEndsWithAnUnwantedResult(t *testing.T) {
	g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3, FailOnExhaustedResult: true}})
	call := g.Begin(t.Context())
	defer call.End()
	call.Idempotent(false)
	for call.Next() {
		call.RecordResult(nil, true, false)
	}
	if !errors.Is(call.Err(), ErrUnwantedResult) {
		t.Errorf("got %v, want ErrUnwantedResult, as with one attempt", call.Err())
	}
}

// A rejection was not executed; still, the policy has one attempt.
func TestCallThatIsNotIdempotentIsRejectedOnce(t *testing.T) {
	g := mustGuard(t, Policy{
		Retry:   Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}, RetryOn: Matcher{Any: true, Kinds: KindCircuitOpen}},
		Breaker: Breaker{Mode: ForcedOpen},
	})
	call := g.Begin(t.Context())
	defer call.End()
	call.Idempotent(false)
	if call.Next() || call.tries != 1 || !call.MayRepeat() || !errors.Is(call.Err(), ErrCircuitOpen) {
		t.Errorf("%d tries, MayRepeat %v, %v", call.tries, call.MayRepeat(), call.Err())
	}
}

func TestIdempotentAllocatesNothing(t *testing.T) {
	g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3}})
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		call := g.Begin(ctx)
		defer call.End()
		call.Idempotent(len(g.name) == 0)
		for call.Next() {
			call.Record(nil)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestNewIdempotencyKey(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		key := NewIdempotencyKey()
		if !uuid4.MatchString(key) || seen[key] {
			t.Fatalf("%q, seen before: %v", key, seen[key])
		}
		seen[key] = true
	}
}

func TestIdempotencyKeyOfTheContext(t *testing.T) {
	ctx := t.Context()
	if key, ok := IdempotencyKey(ctx); ok {
		t.Errorf("a key from nowhere: %q", key)
	}
	if WithIdempotencyKey(ctx, "") != ctx {
		t.Error("an empty key changed the context")
	}
	ensured := EnsureIdempotencyKey(ctx)
	key, ok := IdempotencyKey(ensured)
	if !ok || !uuid4.MatchString(key) {
		t.Errorf("got %q, %v", key, ok)
	}
	if EnsureIdempotencyKey(ensured) != ensured {
		t.Error("a context that has a key got another one")
	}
	if again, _ := IdempotencyKey(WithIdempotencyKey(ensured, "mine")); again != "mine" {
		t.Errorf("got %q, want mine", again)
	}
	if taken, ok := IdempotencyKey(WithIdempotencyKey(ensured, "")); ok {
		t.Errorf("an empty key left %q", taken)
	}
	var none context.Context
	if _, ok := IdempotencyKey(none); ok {
		t.Error("a nil context has a key")
	}
	if _, ok := IdempotencyKey(EnsureIdempotencyKey(none)); !ok {
		t.Error("no key for a nil context")
	}
}

type token string

func TestAssignIdempotencyKey(t *testing.T) {
	ctx, made := AssignIdempotencyKey(t.Context(), token(""))
	if key, _ := IdempotencyKey(ctx); token(key) != made || !uuid4.MatchString(key) {
		t.Errorf("context %q, field %q", key, made)
	}
	if _, again := AssignIdempotencyKey(ctx, token("")); again != made {
		t.Errorf("got %q, want the key of the context %q", again, made)
	}
	ctx, kept := AssignIdempotencyKey(ctx, token("mine"))
	if key, _ := IdempotencyKey(ctx); key != "mine" || kept != "mine" {
		t.Errorf("context %q, field %q: a field that is set wins", key, kept)
	}
}

func TestPutIdempotencyKey(t *testing.T) {
	header := http.Header{}
	PutIdempotencyKey(t.Context(), header.Set)
	if len(header) != 0 {
		t.Errorf("a header without a key: %v", header)
	}
	PutIdempotencyKey(WithIdempotencyKey(t.Context(), "k1"), header.Set)
	if got := header.Get("Idempotency-Key"); got != "k1" {
		t.Errorf("got %q, want k1", got)
	}
}

// askedContext makes its key when it is asked for it.
type askedContext struct{ context.Context }

func (c askedContext) Value(key any) any {
	if AsksIdempotencyKey(key) {
		return "made"
	}
	return c.Context.Value(key)
}

func TestContextMayMakeItsKeyWhenItIsAsked(t *testing.T) {
	if key, ok := IdempotencyKey(askedContext{t.Context()}); key != "made" || !ok {
		t.Errorf("%q, %v", key, ok)
	}
	if AsksIdempotencyKey("key") {
		t.Error("another key is taken for that")
	}
}

func TestKeysOfParts(t *testing.T) {
	ctx := WithIdempotencyKey(t.Context(), "key")
	a, ok := IdempotencyKey(ctx, "a")
	b, _ := IdempotencyKey(ctx, "b")
	again, _ := IdempotencyKey(ctx, "a")
	two, _ := IdempotencyKey(ctx, "a", "")
	if !ok || a == "key" || a == b || a != again || two == a {
		t.Errorf("%q, %q, %q, %q", a, b, again, two)
	}
	if key, ok := IdempotencyKey(t.Context(), "a"); ok || key != "" {
		t.Errorf("a part of nothing: %q", key)
	}
}
