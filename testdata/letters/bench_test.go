package letters

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// BenchmarkHappyPath calls a method that succeeds, with dead letters and without
// them under the same policy: a retry of three attempts with a limit of a second
// each. They take turns of 500 calls, so that other work on the machine slows all
// alike; medians of the turns are reported, and what letters took more. noise is
// the same difference between two wrappers without letters.
func BenchmarkHappyPath(b *testing.B) {
	rt, err := resilience.Open(resilience.Options{Stores: resilience.MemoryStores()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rt.Close() }()
	p := &peer{do: works, quiet: true}
	with, err := NewResilientGateway(rt, p)
	if err != nil {
		b.Fatal(err)
	}
	var without [2]Gateway
	for i := range without {
		if without[i], err = NewResilientBare(rt, p); err != nil {
			b.Fatal(err)
		}
	}
	ctx := context.Background()
	for _, c := range []struct {
		name string
		call func(g Gateway) error
	}{
		{"104-bytes", func(g Gateway) error { _, err := g.Charge(ctx, ChargeRequest{}); return err }},
		{"16-bytes", func(g Gateway) error { return g.Draw(ctx, Circle{}, 2) }},
	} {
		b.Run(c.name, func(b *testing.B) { takeTurns(b, c.call, with, without[0], without[1]) })
	}
}

// takeTurns reports how long a call takes with letters, and without them twice.
func takeTurns(b *testing.B, call func(g Gateway) error, with, without, again Gateway) {
	const turn = 500
	var took [3][]time.Duration
	for round := 0; b.Loop(); round++ {
		for i := range took {
			who := (round + i) % len(took) // none always comes after the same one
			begin := time.Now()
			for range turn {
				if err := call([]Gateway{with, without, again}[who]); err != nil {
					b.Fatal(err)
				}
			}
			took[who] = append(took[who], time.Since(begin))
		}
	}
	var ns [3]float64
	for i, list := range took {
		slices.Sort(list)
		ns[i] = float64(list[len(list)/2]) / turn
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ns[0], "with-ns")
	b.ReportMetric(ns[1], "without-ns")
	b.ReportMetric(ns[0]-ns[1], "more-ns")
	b.ReportMetric(ns[2]-ns[1], "noise-ns")
}
