package overrides

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/runtime/resilience"
)

var errPeer = errors.New("peer")

// acting is a part that acts on the calls of a guard.
type acting struct {
	part   string
	policy resilience.Policy
	// acts makes calls and reports whether the part did something about them.
	acts func(ctx context.Context, rt *resilience.Runtime, g *resilience.Guard) bool
}

var actings = []acting{
	{"retry", resilience.Policy{Retry: resilience.Retry{MaxAttempts: 3}}, func(ctx context.Context, _ *resilience.Runtime, g *resilience.Guard) bool {
		n := 0
		_ = resilience.Try(ctx, g, func(context.Context) error { n++; return errPeer })
		return n == 3
	}},
	{"hedge", resilience.Policy{Hedge: resilience.Hedge{Delay: time.Second}}, func(ctx context.Context, _ *resilience.Runtime, g *resilience.Guard) bool {
		hedged := make(chan bool, 2)
		call := g.Begin(ctx)
		defer call.End()
		_, _ = resilience.Hedged(&call, func(ctx context.Context) (int, error) {
			time.Sleep(time.Minute)
			hedged <- resilience.Attempt(ctx).Hedge
			return 0, nil
		})
		synctest.Wait()
		return len(hedged) == 2
	}},
	{"timeout", resilience.Policy{Timeout: resilience.Timeout{Attempt: time.Second}}, func(ctx context.Context, _ *resilience.Runtime, g *resilience.Guard) bool {
		return errors.Is(resilience.Try(ctx, g, hangs), resilience.ErrTimeout)
	}},
	{"circuitBreaker", resilience.Policy{Breaker: resilience.Breaker{On: true}}, func(ctx context.Context, rt *resilience.Runtime, g *resilience.Guard) bool {
		for _, b := range rt.Breakers() {
			b.ForceOpen()
		}
		return errors.Is(resilience.Try(ctx, g, works), resilience.ErrCircuitOpen)
	}},
	{"rateLimit", resilience.Policy{RateLimit: resilience.RateLimit{Limit: 1, Period: time.Hour}}, func(ctx context.Context, _ *resilience.Runtime, g *resilience.Guard) bool {
		return errors.Is(errors.Join(resilience.Try(ctx, g, works), resilience.Try(ctx, g, works)), resilience.ErrRateLimited)
	}},
	{"bulkhead", resilience.Policy{Bulkhead: resilience.Bulkhead{MaxConcurrent: 1}}, nested},
	{"adaptive", resilience.Policy{Adaptive: resilience.Adaptive{Mode: resilience.Concurrency, InitialLimit: 1, MaxLimit: 1}}, nested},
	{"fallback", resilience.Policy{Fallback: resilience.Fallback{On: true}}, func(ctx context.Context, _ *resilience.Runtime, g *resilience.Guard) bool {
		call := g.Begin(ctx)
		defer call.End()
		for call.Next() {
			call.Record(errPeer)
		}
		return call.WantsFallback()
	}},
	{"cache", resilience.Policy{Caching: resilience.Caching{TTL: time.Hour}}, func(ctx context.Context, _ *resilience.Runtime, g *resilience.Guard) bool {
		c, n := resilience.NewCache[string, int](g), 0
		for range 2 {
			if _, kept := c.Get("a"); kept {
				continue
			}
			c.Fill(ctx, "a", func(ctx context.Context) (int, resilience.Outcome) {
				call := g.Begin(ctx)
				defer call.End()
				for call.Next() {
					n++
					call.Record(nil)
				}
				return n, call.Outcome()
			})
		}
		return n == 1
	}},
}

func works(context.Context) error { return nil }

// hangs until its context ends, or for a minute.
func hangs(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return nil
	}
}

// nested makes a call within a call, which finds no place where there is one.
func nested(ctx context.Context, _ *resilience.Runtime, g *resilience.Guard) bool {
	err := resilience.Try(ctx, g, func(ctx context.Context) error { return resilience.Try(ctx, g, works) })
	return errors.Is(err, resilience.ErrBulkheadFull)
}

// TestDisableAtEveryLevel takes each part out at each level, and looks at what
// calls do, also those of a method that is not meant.
func TestDisableAtEveryLevel(t *testing.T) {
	elsewhere := []string{"chaos", "deadLetter", "checkpoint"} // behind a build tag alone; what is durable is not taken out
	for _, part := range policy.Parts() {
		if !slices.Contains(elsewhere, part) && !slices.ContainsFunc(actings, func(a acting) bool { return a.part == part }) {
			t.Errorf("nothing says what %s does", part)
		}
	}
	for level, text := range map[string]string{
		"file":                    "disable: [PART]",
		"interface":               "interfaces: {p.Gateway: {disable: [PART]}}",
		"instance":                "interfaces: {p.Gateway@eu: {disable: [PART]}}",
		"path":                    "interfaces: {github.com/resilgen/resilgen/runtime/overrides.Gateway: {disable: [PART]}}",
		"method":                  "interfaces: {p.Gateway: {methods: {Charge: {disable: [PART]}}}}",
		"method of an instance":   "interfaces: {p.Gateway@eu: {methods: {Charge: {disable: [PART]}}}}",
		"glob":                    "interfaces: {p.Gateway: {methods: {\"Ch*\": {disable: [PART]}}}}",
		"less and more specific":  "disable: []\ninterfaces: {p.Gateway: {disable: [], methods: {Charge: {disable: [PART]}}}}",
		"and again":               "disable: [PART]\ninterfaces: {p.Gateway: {methods: {Charge: {disable: []}}}}",
		"none":                    "disable: []",
		"the part itself":         "interfaces: {p.Gateway: {methods: {Charge: {PART: none}}}}",
		"the environment":         "",
		"the environment, undone": "disable: []",
		"Runtime.Disable":         "",
	} {
		for _, a := range actings {
			t.Run(level+" "+a.part, func(t *testing.T) {
				if a.part == "fallback" && level == "the part itself" {
					t.Skip("compiled in: only disable takes it out")
				}
				if strings.HasPrefix(level, "the environment") {
					t.Setenv("RESILIENCE_DISABLE", a.part)
				}
				synctest.Test(t, func(t *testing.T) { disabled(t, level, strings.ReplaceAll(text, "PART", a.part), a) })
			})
		}
	}
}

func disabled(t *testing.T, level, text string, a acting) {
	rt, err := resilience.Open(resilience.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := rt.Named("eu").Wrap("p.Gateway", t)
	g, other := w.Guard("Charge", a.policy), w.Guard("Refund", a.policy)
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	if text != "" {
		path := filepath.Join(t.TempDir(), "o.yaml")
		if err := os.WriteFile(path, []byte("version: 1\n"+text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		stop, err := Watch(rt, path, Options{StrictOverrides: true, Report: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	if level == "Runtime.Disable" {
		if err := rt.Disable([]string{a.part}, "p.Gateway.Charge@eu"); err != nil {
			t.Fatal(err)
		}
	}
	back := level == "none" || level == "and again" || strings.HasSuffix(level, "undone")
	for _, c := range []struct {
		g    *resilience.Guard
		acts bool
	}{{g, back}, {other, slices.Contains([]string{"method", "method of an instance", "glob", "less and more specific", "the part itself", "Runtime.Disable"}, level) || back && level != "and again"}} {
		if got := a.acts(t.Context(), rt, c.g); got != c.acts {
			t.Errorf("%s acts: %v, want %v\n%s", a.part, got, c.acts, rt.Explain(""))
		}
	}
}

// TestEveryKeyOfTheEnvironment puts the example of each key in force by its
// variable.
func TestEveryKeyOfTheEnvironment(t *testing.T) {
	for _, said := range keyExamples(t) {
		o := said[len(said)-1]
		name := "RESILIENCE_" + strings.ToUpper(strings.ReplaceAll(o.Key, ".", "_"))
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, o.Value)
			if !slices.ContainsFunc(besides, func(list []resilience.Override) bool { return explains(t, list, o.Key, name) }) {
				t.Errorf("%s=%s is never in force", name, o.Value)
			}
		})
	}
}

// explains reports whether a policy gets the key from the variable.
func explains(t *testing.T, beside []resilience.Override, key, variable string) bool {
	t.Helper()
	return slices.ContainsFunc(everyPolicy(), func(p resilience.Policy) bool {
		rt, err := resilience.Open(resilience.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rt.Guard("all", p); err != nil || rt.SetOverrides(beside) != nil {
			return false
		}
		for line := range strings.Lines(rt.Explain("all")) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == key && f[len(f)-1] == variable {
				return true
			}
		}
		return false
	})
}
