package overrides

import (
	"slices"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestEveryCompiledKeyIsRefused: a variable or an override that changes nothing
// would be believed in.
func TestEveryCompiledKeyIsRefused(t *testing.T) {
	const entry = policy.InPolicy | policy.InInterface | policy.InMethod
	structures := []string{"of", "methods", "lint"} // where the others stand, and what lint says
	for _, k := range policy.Keys() {
		if !k.Built || k.RunTime || k.Places&entry == 0 || slices.Contains(structures, k.Path) {
			continue
		}
		t.Run(k.Path, func(t *testing.T) {
			t.Setenv("RESILIENCE_"+strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_")), "x")
			if _, err := resilience.Open(resilience.Options{}); err == nil || k.Path != "fallback" && !strings.Contains(err.Error(), k.Path+": compiled in") {
				t.Errorf("the variable: %v", err)
			}
			rt := &resilience.Runtime{}
			if err := rt.SetOverrides([]resilience.Override{{Key: k.Path, Value: "x"}}); err == nil || !strings.Contains(err.Error(), "compiled in") {
				t.Errorf("the override: %v", err)
			}
		})
	}
}

// TestBothPhasesAreReported: a mistake in the file hides no wrong name.
func TestBothPhasesAreReported(t *testing.T) {
	bubble(t, func(w *watched) {
		w.guard()
		w.write("version: 1\ninterfaces: {payments.Gateway: {retry: {maxAtempts: 2, maxAttempts: 2}, methods: {Chrage: {retry: {maxAttempts: 2}}}}}\n")
		w.watch(Options{})
		want := []string{"o.yaml:2:41: retry.maxAtempts: unknown key (did you mean maxAttempts?)", `there is no interface and no method "payments.Gateway.Chrage"`}
		if len(w.reports) != 1 {
			t.Fatalf("%d reports", len(w.reports))
		}
		for _, one := range want {
			if !strings.Contains(w.reports[0], one) {
				t.Errorf("no %s in\n%s", one, w.reports[0])
			}
		}
		if info := w.rt.Policies()[0]; info.Drifted() {
			t.Errorf("in force: %+v", info)
		}
	})
}
