package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// standIn implements the generated interfaces; what it answers is injected.
type standIn struct {
	answer func(context.Context, error) (int, error)
}

func (f standIn) DoFallback(ctx context.Context, cause error) (int, error) {
	return f.answer(ctx, cause)
}
func (f standIn) M2Fallback(ctx context.Context, cause error) (int, error) {
	return f.answer(ctx, cause)
}

func newMPFB01Method(rt *resilience.Runtime, next Service) (*ResilientMPFB01Method, error) {
	return NewResilientMPFB01Method(rt, next, standIn{answerTo})
}

var fallbackCases = family{
	"MP-FB-01": all(
		play(NewResilientMPFB01, "F>fb execs=2 fallbacks=1"),
		play(NewResilientMPFB01Three, "F>fb execs=3 fallbacks=1"),
		play(newMPFB01Method, "F>fb execs=2 fallbacks=1")),
	"MP-FB-02": func(t *testing.T) {
		bubble(t, func(s *session) {
			depends := standIn{func(ctx context.Context, cause error) (int, error) { return -2, nil }}
			wrap(s, func(rt *resilience.Runtime, next Service) (*ResilientMPFB01Method, error) {
				return NewResilientMPFB01Method(rt, next, depends)
			})
			s.play("F>-2 execs=2")
		})
	},
	"MP-FB-03": play(NewResilientMPFB03, "S/1s>fb execs=2 fallbacks=1", "F>fb execs=2 fallbacks=1"),
	"MP-FB-06": all(
		answered24(NewResilientMPFB06As24, "E0 E0S", "E1 E1S E2 E2S Exception X F"),
		answered24(NewResilientMPFB06As26, "", "E0 E0S E1 E1S E2 E2S Exception X F")),
	"MP-FB-08": signatures,
	"MP-FB-09": all(
		generate("interfaces: {Gateway: {timeout: {total: 1s}, fallback: {func: wrongResult}}}", mismatch("wrongResult", "(string, error)")...),
		generate("interfaces: {Gateway: {timeout: {total: 1s}, fallback: {func: wrongArgs}}}", mismatch("wrongArgs", "id int")...),
		generate("interfaces: {Gateway: {timeout: {total: 1s}, fallback: {func: noError}}}", mismatch("noError", ") int")...),
		generate("interfaces: {Gateway: {timeout: {total: 1s}, fallback: {func: wildcard}}}", mismatch("wildcard", "[]T")...),
		generate("interfaces: {Gateway: {timeout: {total: 1s}, fallback: {func: ErrBusy}}}", "Charge", "ErrBusy", "fallback"),
		generate("interfaces: {Gateway: {timeout: {total: 1s}, fallback: {func: elsewhere}}}", "elsewhere", "fallback"),
		generate("interfaces: {Gateway: {timeout: {total: 1s}, fallback: {func: right}}}")),
	"POL-38": play(NewResilientPOL38, "F>fb fallbacks=1 X>X S>ok fallbacks=1"),
	"HYX-11": play(NewResilientHYX11, "BadRequest>BadRequest fallbacks=0 calls=0 failures=0"),
	"HYX-16": play(NewResilientHYX16, "P>panic fallbacks=0 calls=1 failures=1 S>ok calls=2 failures=1"),
	"HYX-17": func(t *testing.T) {
		bubble(t, func(s *session) {
			w := wrapPair(s, func(rt *resilience.Runtime, next Pair) (*ResilientHYX17, error) {
				return NewResilientHYX17(rt, next, standIn{answerTo})
			})
			s.play("F>E fallbacks=0")
			s.do = w.M2
			s.play("F>fb fallbacks=1")
		})
	},
	"OUR-05": with(NewResilientOUR05, func(s *session, script string) {
		s.play(script)
		var e *resilience.Error
		cause := s.last.cause
		if !errors.Is(cause, resilience.ErrCircuitOpen) || !errors.As(cause, &e) || e.Method != "conformance.OUR05.Do" {
			s.t.Fatalf("cause %v", cause)
		}
		if after, ok := e.RetryAfter(); !ok || after != 7*time.Second {
			s.t.Errorf("RetryAfter = %v, %v, want 7s", after, ok)
		}
	}, "F*2>E =OPEN +3s S>fb execs=2 fallbacks=1"),
}

func mismatch(found ...string) []string {
	return append(found, "Charge", "func(ctx context.Context, id string) (int, error)", "(RG040)")
}

// answered24 calls once with each error.
func answered24[W Service](make func(*resilience.Runtime, Service) (W, error), answered, not string) func(*testing.T) {
	return func(t *testing.T) {
		for _, e := range strings.Fields(answered) {
			play(make, e+">fb fallbacks=1")(t)
		}
		for _, e := range strings.Fields(not) {
			play(make, fmt.Sprintf("%[1]s>%[1]s fallbacks=0", e))(t)
		}
	}
}

// signatures calls fallbacks of many forms.
func signatures(t *testing.T) {
	broken := brokenShapes[string]{}
	forms, err := NewResilientForms(nil, Forms[string](broken))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if got, err := forms.Get(ctx, "k"); err != nil || got != "" {
		t.Errorf("generic: %q, %v", got, err)
	}
	if got, err := forms.Sum(ctx, 1, 2, 3); err != nil || got != 6 {
		t.Errorf("variadic: %d, %v", got, err)
	}
	if got, err := forms.Add(ctx, 1, 2, 3); err != nil || got != 6 {
		t.Errorf("variadic, with the cause: %d, %v", got, err)
	}
	if err := forms.Touch(); err != nil {
		t.Errorf("no parameters: %v", err)
	}
	byMethod, err := NewResilientFormsByMethod(nil, Forms[string](broken), formsAnswers[string]{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := byMethod.Sum(ctx, 1, 2, 3); err != nil || got != 6 {
		t.Errorf("variadic method: %d, %v", got, err)
	}
	if got, err := byMethod.Get(ctx, "k"); err != nil || got != "" {
		t.Errorf("generic method: %q, %v", got, err)
	}
	if err := byMethod.Touch(); err != nil {
		t.Errorf("promoted method: %v", err)
	}
}

type brokenShapes[T any] struct{}

func (brokenShapes[T]) Get(context.Context, string) (t T, err error) { return t, E }
func (brokenShapes[T]) Sum(context.Context, ...int) (int, error)     { return 0, E }
func (brokenShapes[T]) Add(context.Context, ...int) (int, error)     { return 0, E }
func (brokenShapes[T]) Touch() error                                 { return E }

type formsAnswers[T any] struct{ toucher }

func (formsAnswers[T]) GetFallback(context.Context, string, error) (t T, err error) { return t, nil }
func (f formsAnswers[T]) AddFallback(ctx context.Context, ns []int, cause error) (int, error) {
	return f.SumFallback(ctx, ns, cause)
}
func (formsAnswers[T]) SumFallback(_ context.Context, ns []int, _ error) (int, error) {
	return sumInstead(nil, ns...)
}

// toucher is embedded: its method is promoted.
type toucher struct{}

func (toucher) TouchFallback(error) error { return nil }
