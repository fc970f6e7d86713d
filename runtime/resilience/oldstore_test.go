package resilience

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// The stores in testdata/stores were written once, by the first version of the
// format, and are never written again: what a service has on its disk is to be read
// by every later version. "closed" had a clean end, "killed" none. A later format
// gets directories of its own beside them:
//
//	RESILIENCE_WRITE_STORES=testdata/stores/format-2 go test ./runtime/resilience -run TestWriteOldStores
const oldStores = "testdata/stores/format-1"

// oldLetters is the policy of the letters in them, which never go.
var oldLetters = DeadLetterPolicy{Queue: "payments.notify", MaxAge: None, KeepReplayed: None}

// inOldStore opens a Runtime on a store and makes what uses it.
func inOldStore(t *testing.T, dir string, o journal.Options, down *bool) (*Runtime, *notifier, *Checkpoints[string, int]) {
	t.Helper()
	disk, err := journal.OS(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{dir: dir}
	if s.log, err = openFileLog(disk, o, s.hear); err != nil {
		t.Fatal(err)
	}
	s.stores = storesIn(s.log)
	rt, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	rt.adoptStore(s)
	n := notifierTo(t, rt, Policy{}, oldLetters, idempotent, func(context.Context, notifyArgs) error {
		if *down {
			return errDown
		}
		return nil
	})
	w := rt.Wrap("pay.Gateway", rt)
	w.Guard("Quote", Policy{})
	kept := NewCheckpoints[string, int](w, "Quote", CheckpointPolicy{TTL: None, Type: "string", Shape: "1"}, nil)
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	return rt, n, kept
}

// result is a checkpointed call that would come to value.
func result(t *testing.T, kept *Checkpoints[string, int], key, value string) string {
	t.Helper()
	v, o := kept.Do(t.Context(), key, len(key), func(context.Context) (string, Outcome) { return value, Outcome{} })
	if o.Err() != nil {
		t.Error(o.Err())
	}
	return v
}

// TestWriteOldStores writes a store for ever, where it is told to.
func TestWriteOldStores(t *testing.T) {
	to := os.Getenv("RESILIENCE_WRITE_STORES")
	if to == "" {
		t.Skip("RESILIENCE_WRITE_STORES names no directory")
	}
	down, ctx, dir := true, t.Context(), filepath.Join(to, "closed")
	rt, n, kept := inOldStore(t, dir, journal.Options{SegmentSize: 64 << 10, Serial: true}, &down)
	for _, customer := range []string{"ada", "bob", "eve"} {
		if err := n.call(ctx, notifyArgs{customer, map[string]string{"kind": "paid"}, 1<<60 + 1}); !errors.Is(err, ErrDeadLettered) {
			t.Fatal(err)
		}
	}
	list := summaries(t, rt.DeadLetters())
	if _, err := rt.DeadLetters().Discard(ctx, list[0].ID, 0, "ann", "known"); err != nil {
		t.Fatal(err)
	}
	result(t, kept, "a", "first")
	result(t, kept, "b", "second")
	s := rt.stores
	for _, id := range []string{"1", "2"} {
		if err := s.Queue.Put(ctx, "work", id, []byte("job "+id), 0); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.Queue.Claim(ctx, "work", 1e9, 0)
	if err == nil {
		err = c.Ack(ctx)
	}
	if err == nil {
		_, err = s.Cells.Set(ctx, "config", 0, []byte("on"))
	}
	v, e := s.Log.Append(ctx, "gone", 0, []byte("x"))
	if err = errors.Join(err, e, s.Log.Drop(ctx, "gone", v)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(to, "killed"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOldStores reads the stores of the first version, and goes on in them.
func TestOldStores(t *testing.T) {
	for _, end := range []string{"closed", "killed"} {
		t.Run(end, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(oldStores, end))); err != nil {
				t.Fatal(err)
			}
			report, err := VerifyStore(dir)
			if err != nil || len(report.Damage) > 0 || report.Format != 1 || report.Clean != (end == "closed") || report.Keys < 7 {
				t.Errorf("verify: %+v, %v", report, err)
			}
			version := goOnInOldStore(t, dir)
			if report, err = VerifyStore(dir); err != nil || len(report.Damage) > 0 || report.Format != 1 || Version(report.Version) < version {
				t.Errorf("verify afterwards: %+v, %v", report, err)
			}
			down := true
			rt, _, kept := inOldStore(t, dir, journal.Options{}, &down)
			if got := customers(t, rt.DeadLetters()); !slices.Equal(got, []string{"ada", "bob", "eve", "zoe"}) {
				t.Errorf("letters of %v", got)
			}
			if got := result(t, kept, "c", "again"); got != "third" {
				t.Errorf("the new checkpoint is %q", got)
			}
			if err := rt.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// goOnInOldStore holds an old store against what is known to be in it, and writes
// more. It returns a version of that.
func goOnInOldStore(t *testing.T, dir string) Version {
	t.Helper()
	down, ctx := false, t.Context()
	rt, n, kept := inOldStore(t, dir, journal.Options{}, &down)
	box := rt.DeadLetters()
	if got := customers(t, box); !slices.Equal(got, []string{"ada", "bob", "eve"}) {
		t.Errorf("letters of %v", got)
	}
	states := map[LetterState]int{}
	for _, l := range summaries(t, box) {
		states[l.State]++
		if args, _, err := n.letters.Get(ctx, l.ID); err != nil || args.Cents != 1<<60+1 || args.Event["kind"] != "paid" {
			t.Errorf("arguments %+v, %v", args, err)
		}
	}
	if states[LetterDead] != 2 || states[LetterDiscarded] != 1 {
		t.Errorf("states %v", states)
	}
	if plan, err := box.Plan(ctx, "", ReplayOptions{}); err != nil || plan.Count != 2 {
		t.Errorf("plan %+v, %v", plan, err)
	}
	for key, want := range map[string]string{"a": "first", "b": "second"} {
		if got := result(t, kept, key, "anew"); got != want {
			t.Errorf("checkpoint %s is %q, want %q", key, got, want)
		}
	}
	s := rt.stores
	c, err := s.Queue.Claim(ctx, "work", 1e9, 0)
	if err != nil || string(c.Entry().Body) != "job 2" {
		t.Fatalf("claim: %v, %v", c, err)
	}
	if err := c.Ack(ctx); err != nil {
		t.Error(err)
	}
	if _, err := s.Queue.Claim(ctx, "work", 1e9, 0); !errors.Is(err, ErrEmpty) {
		t.Errorf("a third entry: %v", err)
	}
	if value, _, err := s.Cells.Get(ctx, "config"); err != nil || string(value) != "on" {
		t.Errorf("cell %q, %v", value, err)
	}
	down = true
	if err := n.call(ctx, notifyArgs{CustomerID: "zoe"}); !errors.Is(err, ErrDeadLettered) {
		t.Error(err)
	}
	result(t, kept, "c", "third")
	v, err := s.Log.Append(ctx, "gone", 0, []byte("new"))
	if err != nil {
		t.Error(err)
	}
	if err := rt.Close(); err != nil {
		t.Error(err)
	}
	return v
}
