package letters

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// replay replays every letter, and returns the job when it is over.
func replay(t *testing.T, rt *resilience.Runtime, o resilience.ReplayOptions) resilience.Job {
	t.Helper()
	box, ctx := rt.DeadLetters(), context.Background()
	plan, err := box.Plan(ctx, "", o)
	if err != nil {
		t.Fatal(err)
	}
	job, err := box.Apply(ctx, plan.Token, resilience.ApplyOptions{By: "test"})
	for err == nil && job.State == resilience.JobRunning {
		time.Sleep(10 * time.Millisecond)
		job, err = box.Job(ctx, job.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// outage is a peer that fails until it is healed.
type outage struct{ healed atomic.Bool }

func (o *outage) do(context.Context) error {
	if o.healed.Load() {
		return nil
	}
	return errDown
}

// failAll makes calls that fail, one of each method that can be replayed, and
// returns what they would have done.
func failAll(t *testing.T, g Gateway) []string {
	t.Helper()
	ctx := context.Background()
	req := ChargeRequest{ID: "c1", Customer: "ada", Amount: 1<<60 + 1, Email: "a@b", Card: Card{"4711", "123"}, Note: "n"}
	_, charge := g.Charge(ctx, req)
	_, quote := g.Quote(ctx, "unknown")
	_, _, hedged := g.Hedged(ctx, "h1")
	_, paid := g.Paid(ctx, "i1", 5)
	for _, err := range []error{charge, quote, hedged, paid, g.Left(ctx, "l1"), g.Plain("p1", 1<<60+1), g.Draw(ctx, Circle{2.5}, 3), g.Keyed(ctx, "k1")} {
		deadLettered(t, err)
	}
	if _, err := g.Cancel(ctx, "x1"); err != nil {
		t.Error(err)
	}
	return slices.Sorted(slices.Values([]string{fmt.Sprintf("charge %v", req), "quote unknown", "hedged h1", "left l1",
		"plain p1 1152921504606846977", "draw {2.5} 3", "keyed k1", "cancel x1", "paid i1 5"}))
}

// TestReplay makes each call again, with the arguments that it had.
func TestReplay(t *testing.T) {
	for _, direct := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var o outage
			g, rt, p := wrapped(t, o.do)
			want := failAll(t, g)
			o.healed.Store(true)
			job := replay(t, rt, resilience.ReplayOptions{Direct: direct})
			if job.Succeeded != len(want) || job.Total != len(want) {
				t.Errorf("job %+v", job)
			}
			if got := p.done(); !slices.Equal(got, want) {
				t.Errorf("direct %v: done\n%s\nwant\n%s", direct, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for _, s := range kept(t, rt) {
				if s.State != resilience.LetterReplayed {
					t.Errorf("%s is %s", s.Method, s.State)
				}
			}
		})
	}
}

// TestReplayThatFails adds to its letter, and makes no second one: where the method
// takes no context, and where a fallback answers, too.
func TestReplayThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outage
		g, rt, _ := wrapped(t, o.do)
		all := len(failAll(t, g))
		job := replay(t, rt, resilience.ReplayOptions{StopErrors: resilience.None})
		if job.Failed != all {
			t.Errorf("job %+v", job)
		}
		list := kept(t, rt)
		if len(list) != all {
			t.Errorf("%d letters, want %d", len(list), all)
		}
		for _, s := range list {
			if s.State != resilience.LetterDead || s.ReplayCount != 1 {
				t.Errorf("%s is %s after %d replays", s.Method, s.State, s.ReplayCount)
			}
		}
	})
}

// TestReadOnlyLetters: what lacks an argument is not replayed.
func TestReadOnlyLetters(t *testing.T) {
	g, rt, _ := wrapped(t, fails)
	deadLettered(t, g.Upload(context.Background(), "u1", strings.NewReader("body")))
	plan, err := rt.DeadLetters().Plan(context.Background(), "", resilience.ReplayOptions{})
	if err != nil || plan.Count != 0 || len(plan.Left) != 1 {
		t.Errorf("plan %+v, %v", plan, err)
	}
}

// TestKilled: a process keeps letters until it is killed. The next one has every
// letter that it was told of, and makes each call once.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("LETTERS_DIR"); dir != "" {
		keepUntilKilled(t, dir)
	}
	dir := t.TempDir()
	acked := killed(t, dir)
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}()
	p := &peer{do: works}
	if _, err := NewResilientGateway(rt, p); err != nil {
		t.Fatal(err)
	}
	job := replay(t, rt, resilience.ReplayOptions{Rate: 1e6, Concurrency: 8, Max: 100_000})
	done := p.done()
	for _, id := range acked {
		if n, found := slices.BinarySearch(done, "keyed "+id); !found || n+1 < len(done) && done[n+1] == done[n] {
			t.Errorf("the call %s was kept, and not made once", id)
		}
	}
	if extra := len(done) - len(acked); extra < 0 || extra > 1 || job.Failed > 0 || len(slices.Compact(done)) != job.Succeeded {
		t.Errorf("%d calls were made, %d were kept: %+v", len(done), len(acked), job)
	}
	t.Logf("%d letters survived", len(acked))
}

// killed runs the test in another process, kills that in the middle of its work,
// and returns the calls of which it had said that they were kept.
func killed(t *testing.T, dir string) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "LETTERS_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var acked []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id, ok := strings.CutPrefix(lines.Text(), "kept ")
		if !ok {
			t.Fatalf("the process says %s", lines.Text())
		}
		if acked = append(acked, id); len(acked) == 100 {
			_ = cmd.Process.Kill() // what is still in the pipe was kept, too
		}
	}
	_ = cmd.Wait()
	if len(acked) < 100 {
		t.Fatalf("%d letters only", len(acked))
	}
	return acked
}

// keepUntilKilled tells of each letter when the call has returned.
func keepUntilKilled(t *testing.T, dir string) {
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewResilientGateway(rt, &peer{do: func(context.Context) error { return resilience.Permanent(errDown) }})
	for n := 0; err == nil; n++ {
		id := fmt.Sprint(n)
		if err = g.Keyed(context.Background(), id); errors.Is(err, resilience.ErrDeadLettered) {
			_, err = io.WriteString(os.Stdout, "kept "+id+"\n")
		}
	}
	t.Fatal(err)
}
