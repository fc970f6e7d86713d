// Package histogram holds the quantiles of statistics to those of
// HdrHistogram, an implementation that is not ours.
package histogram

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestQuantiles makes 20,000 calls whose durations, known to the nanosecond in a
// bubble, are spread in four ways.
func TestQuantiles(t *testing.T) {
	for name, draw := range map[string]func(*rand.Rand) float64{
		"log-normal":  func(r *rand.Rand) float64 { return 2e7 * math.Exp(r.NormFloat64()) },
		"exponential": func(r *rand.Rand) float64 { return 1e9 * r.ExpFloat64() },
		"uniform":     func(r *rand.Rand) float64 { return 5e10 * r.Float64() },
		"two peaks":   func(r *rand.Rand) float64 { return []float64{2e5, 3e9}[r.IntN(2)] * (1 + r.Float64()/10) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { compare(t, draw) })
		})
	}
}

func compare(t *testing.T, draw func(*rand.Rand) float64) {
	rt, err := resilience.Open(resilience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := rt.Guard("peer", resilience.Policy{Retry: resilience.Retry{MaxAttempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	theirs := hdrhistogram.New(1, int64(time.Hour), 5)
	for range 20_000 {
		d := time.Duration(draw(random))
		if err := theirs.RecordValue(int64(d)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_ = resilience.Try(context.Background(), g, func(context.Context) error { time.Sleep(d); return nil })
		}()
	}
	time.Sleep(time.Duration(theirs.Max()) + 1)
	synctest.Wait()
	ours := rt.Stats().Methods[0].Latency
	if ours.Count != theirs.TotalCount() {
		t.Fatalf("%d calls, want %d", ours.Count, theirs.TotalCount())
	}
	worst := 0.0
	for _, c := range []struct {
		name string
		ours time.Duration
		want float64
	}{
		{"p50", ours.P50, float64(theirs.ValueAtQuantile(50))}, {"p90", ours.P90, float64(theirs.ValueAtQuantile(90))},
		{"p95", ours.P95, float64(theirs.ValueAtQuantile(95))}, {"p99", ours.P99, float64(theirs.ValueAtQuantile(99))},
		{"max", ours.Max, float64(theirs.Max())}, {"mean", ours.Mean, theirs.Mean()},
	} {
		off := math.Abs(float64(c.ours)-c.want) / c.want
		if worst = max(worst, off); off > 0.016 {
			t.Errorf("%s is %v, want %v: off by %.2f %%", c.name, c.ours, time.Duration(c.want), 100*off)
		}
	}
	t.Logf("off by at most %.2f %%", 100*worst)
}
