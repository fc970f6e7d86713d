package overrides

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestObserverHearsOfTheFile holds what a Runtime tells of a file to what the
// file went through, each state once, and its health to whether the file is in
// force.
func TestObserverHearsOfTheFile(t *testing.T) {
	bubble(t, func(w *watched) {
		var heard []string
		rt, err := resilience.Open(resilience.Options{Observe: func(_ context.Context, e resilience.Event) {
			heard = append(heard, strings.ReplaceAll(e.String(), w.path, "o.yaml"))
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.rt = rt
		w.guard()
		ready := func(when string, status resilience.HealthStatus, why string) {
			t.Helper()
			if s := rt.Health().Snapshot(); s.Ready != status || !strings.Contains(s.Overrides, why) || why == "" && s.Overrides != "" {
				t.Errorf("%s: ready %v, %q", when, s.Ready, s.Overrides)
			}
		}
		w.watch(Options{})
		time.Sleep(5 * time.Second)
		ready("missing at start", resilience.StatusWarn, "no such file")
		w.write(attempts(4))
		time.Sleep(5 * time.Second)
		ready("there", resilience.StatusPass, "")
		w.replace(attempts(0))
		time.Sleep(5 * time.Second)
		ready("wrong", resilience.StatusWarn, "o.yaml:2:73: retry.maxAttempts: must be ≥ 1")
		w.replace(strings.Replace(attempts(4), "Charge", "Refund", 1))
		time.Sleep(5 * time.Second)
		ready("stale name", resilience.StatusWarn, `"payments.Gateway.Refund"`)
		if err := os.Remove(w.path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		ready("gone", resilience.StatusWarn, "no such file")
		w.replace(attempts(4))
		time.Sleep(5 * time.Second)
		ready("back", resilience.StatusPass, "")
		w.stop()
		w.reports = nil
		want := []string{
			"everything: override refused: stat o.yaml: no such file or directory",
			"payments.Gateway.Charge: override applied, retry = true, by o.yaml:2:59",
			"payments.Gateway.Charge: override applied, retry.maxAttempts = 4, by o.yaml:2:73",
			"everything: override refused: o.yaml:2:73: retry.maxAttempts: must be ≥ 1 (is 0); it counts the first attempt too, so “maxRetries: 3” means maxAttempts: 4 (RG010)",
			`everything: override refused: o.yaml:2:59: retry: there is no interface and no method "payments.Gateway.Refund" with a policy`,
			"everything: override refused: stat o.yaml: no such file or directory",
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard\n%s\nwant\n%s", strings.Join(heard, "\n"), strings.Join(want, "\n"))
		}
	})
}
