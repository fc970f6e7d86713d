package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// BenchmarkDLQ100k runs commands about 100,000 letters of 100 patterns: against the
// service that keeps them in files, through its socket, and against its directory
// after it closed. A command is a process of its own, from its start to its end.
func BenchmarkDLQ100k(b *testing.B) {
	const letters = 100_000
	tmp := b.TempDir()
	bin := filepath.Join(tmp, "tool")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	require.NoError(b, err, "%s", out)
	dir, addr := filepath.Join(tmp, "store"), "unix:"+filepath.Join(tmp, "x.sock")
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	require.NoError(b, err)
	keepMany(b, rt, letters)
	server, err := ops.Listen(rt, addr)
	require.NoError(b, err)

	commands := []struct {
		args  string
		lines int // of the answer, with the title
	}{
		{"ls", 51},
		{"ls --limit 0", letters + 1},
		{"patterns", 101},
		{"ls args.customer=c77777", 2},
		{"ls reason:exhausted error:unknown", 0},
	}
	run := func(b *testing.B, where ...string) {
		for _, c := range commands {
			b.Run(c.args, func(b *testing.B) {
				for b.Loop() {
					args := append(append([]string{"dlq"}, strings.Fields(c.args)...), where...)
					cmd := exec.Command(bin, args...)
					out, err := cmd.Output()
					require.NoError(b, err)
					b.ReportMetric(float64((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Milliseconds()), "cpu-ms")
					require.Equal(b, c.lines, strings.Count(string(out), "\n"))
				}
			})
		}
	}
	b.Run("running", func(b *testing.B) { run(b, "--addr", addr) })
	require.NoError(b, server.Close())
	require.NoError(b, rt.Close())
	b.Run("closed", func(b *testing.B) { run(b, "--dir", dir) })
}

// keepMany has a method fail n times, in 100 ways.
func keepMany(b *testing.B, rt *resilience.Runtime, n int) {
	w := rt.Wrap("payments.Gateway", rt)
	g := w.Guard("Notify", resilience.Policy{})
	kept := resilience.NewDeadLetters(w, "Notify", resilience.DeadLetterPolicy{MaxCount: resilience.None, MaxBytes: resilience.None}, resilience.LetterMethod[notice]{
		Sig:    "0123456789abcdef",
		Fields: []resilience.LetterField{{Name: "customer", Type: "string"}, {Name: "card", Type: "string"}, {Name: "cents", Type: "int64"}},
	})
	require.NoError(b, w.Err())
	const callers = 64
	var group sync.WaitGroup
	for first := range callers {
		group.Go(func() {
			for i := first; i < n; i += callers {
				call := g.Begin(context.Background())
				for call.Next() {
					call.Record(fmt.Errorf("class %s of %d", strings.Repeat("x", i%100), i))
				}
				if err := kept.Keep(&call, notice{Customer: fmt.Sprint("c", i), Cents: int64(i)}, call.Err()); !errors.Is(err, resilience.ErrDeadLettered) {
					b.Error(err)
				}
				call.End()
			}
		})
	}
	begin := time.Now()
	group.Wait()
	b.Logf("%d letters kept in %v", n, time.Since(begin).Round(time.Second))
}
