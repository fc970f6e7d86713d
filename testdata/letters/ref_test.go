package letters

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// emptyBlobs has the test begin with no blobs.
func emptyBlobs(t *testing.T) *blobShelf {
	t.Helper()
	shelf := &blobShelf{}
	blobs.kept = shelf
	return shelf
}

func opening(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// keptLarge makes a call of Large that fails, and returns its letter.
func keptLarge(t *testing.T, g Gateway, rt *resilience.Runtime) resilience.Letter {
	t.Helper()
	deadLettered(t, g.Large(context.Background(), "n", []byte("the body"), opening("the file")))
	l, err := rt.DeadLetters().Get(context.Background(), one(t, rt, "Large", resilience.ReasonExhausted).ID)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestRef: a letter holds references, in the place of what is kept elsewhere, and a
// replay gets that back.
func TestRef(t *testing.T) {
	for _, direct := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shelf := emptyBlobs(t)
			var o outage
			g, rt, p := wrapped(t, o.do)
			l := keptLarge(t, g, rt)
			var texts []string
			for _, a := range l.Call.Args {
				texts = append(texts, a.Name+"="+string(a.JSON))
			}
			if want := []string{`name="n"`, `body="blob-1"`, `open="blob-2"`}; !slices.Equal(texts, want) {
				t.Errorf("the letter holds %v, want %v", texts, want)
			}
			args, _, err := g.LargeLetters().Get(context.Background(), l.ID)
			if err != nil || args.Body.Ref != "blob-1" || args.Body.Value != nil {
				t.Errorf("arguments %+v, %v", args, err)
			}
			if shelf.puts != 2 || shelf.gets != 0 {
				t.Errorf("%d puts and %d gets before a replay", shelf.puts, shelf.gets)
			}
			o.healed.Store(true)
			if job := replay(t, rt, resilience.ReplayOptions{Direct: direct}); job.Succeeded != 1 {
				t.Errorf("job %+v", job)
			}
			if got, want := p.done(), []string{"large n the body the file"}; !slices.Equal(got, want) {
				t.Errorf("direct %v: done %q, want %q", direct, got, want)
			}
			if shelf.puts != 2 || shelf.gets != 2 {
				t.Errorf("%d puts and %d gets after a replay", shelf.puts, shelf.gets)
			}
		})
	}
}

// TestRefOnlyForLetters: what is not kept is not put anywhere, nor what is kept
// already.
func TestRefOnlyForLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := emptyBlobs(t)
		g, rt, _ := wrapped(t, fails)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := g.Large(ctx, "n", nil, opening("")); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		rt.SetDurable(false)
		if err := g.Large(context.Background(), "n", nil, opening("")); errors.Is(err, resilience.ErrDeadLettered) {
			t.Error(err)
		}
		rt.SetDurable(true)
		if shelf.puts != 0 {
			t.Errorf("%d puts for calls that are not kept", shelf.puts)
		}
		l := keptLarge(t, g, rt)
		if job := replay(t, rt, resilience.ReplayOptions{}); job.Failed != 1 {
			t.Errorf("job %+v", job)
		}
		if shelf.puts != 2 || len(kept(t, rt)) != 1 {
			t.Errorf("%d puts and %d letters after the replay of %s failed", shelf.puts, len(kept(t, rt)), l.ID)
		}
	})
}

// TestRefNotStored: an argument that nobody takes does not cost the letter, which
// waits for a reference.
func TestRefNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := emptyBlobs(t)
		shelf.down = errors.New("no route to postgres://ann:hunter2@db/x")
		var o outage
		g, rt, p := wrapped(t, o.do)
		l := keptLarge(t, g, rt)
		if !l.NeedsEdit() || len(l.Notes) != 2 || strings.Contains(l.Notes[0].Text, "hunter2") {
			t.Errorf("letter %+v", l)
		}
		shelf.down = nil
		body, err := blobs.Put(context.Background(), []byte("late"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = rt.DeadLetters().Edit(context.Background(), l.ID, resilience.LetterEditRequest{Plain: true,
			Patch: []byte(`[{"op":"replace","path":"/body","value":"` + body + `"},{"op":"replace","path":"/open","value":"` + body + `"}]`)})
		if err != nil {
			t.Fatal(err)
		}
		o.healed.Store(true)
		if job := replay(t, rt, resilience.ReplayOptions{}); job.Succeeded != 1 {
			t.Errorf("job %+v", job)
		}
		if got, want := p.done(), []string{"large n late late"}; !slices.Equal(got, want) {
			t.Errorf("done %q, want %q", got, want)
		}
	})
}

// TestRefPanics: a store that panics is one that fails.
func TestRefPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		emptyBlobs(t)
		g, rt, _ := wrapped(t, fails)
		called := 0
		deadLettered(t, g.Large(context.Background(), "n", []byte("b"), func() (io.ReadCloser, error) {
			if called++; called > 3 { // the attempts' are over
				panic("closed")
			}
			return opening("x")()
		}))
		l, err := rt.DeadLetters().Get(context.Background(), one(t, rt, "Large", resilience.ReasonExhausted).ID)
		if err != nil || string(l.Call.Args[1].JSON) != `"blob-1"` || string(l.Call.Args[2].JSON) != "null" || !l.NeedsEdit() {
			t.Errorf("letter %+v, %v", l, err)
		}
	})
}

// TestRefGone: a reference that leads nowhere is a replay that failed, and no call.
func TestRefGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := emptyBlobs(t)
		var o outage
		g, rt, p := wrapped(t, o.do)
		l := keptLarge(t, g, rt)
		o.healed.Store(true)
		calls := p.calls.Load()
		shelf.texts = nil
		for range 3 {
			if job := replay(t, rt, resilience.ReplayOptions{StopErrors: resilience.None}); job.Succeeded != 0 {
				t.Errorf("job %+v", job)
			}
		}
		l, err := rt.DeadLetters().Get(context.Background(), l.ID)
		if err != nil || l.State != resilience.LetterQuarantined || !strings.Contains(l.Err(), "argument body: no blob of this name") {
			t.Errorf("letter is %s: %q, %v", l.State, l.Err(), err)
		}
		if p.calls.Load() != calls {
			t.Error("the delegate was called without its arguments")
		}
	})
}
