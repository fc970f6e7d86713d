package letters

import (
	"context"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// BenchmarkHappyPath calls a method that succeeds, with and without dead letters
// under the same policy: a retry of three attempts with a limit of a second each.
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
	without, err := NewResilientBare(rt, p)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	for _, c := range []struct {
		name string
		Gateway
	}{{"with", with}, {"without", without}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Charge(ctx, ChargeRequest{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
