package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// peer is what a notifier calls: it counts what it was asked to do, and fails as it
// is told.
type peer struct {
	mu    sync.Mutex
	calls []string // customers, in the order of the calls
	keys  []string // idempotency keys
	fail  func(args notifyArgs) error
	out   int // calls that run
	most  int
}

func (p *peer) notify(ctx context.Context, args notifyArgs) error {
	p.mu.Lock()
	p.calls = append(p.calls, args.CustomerID)
	key, _ := IdempotencyKey(ctx)
	p.keys = append(p.keys, key)
	fail := p.fail
	p.out++
	p.most = max(p.most, p.out)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.out--
		p.mu.Unlock()
	}()
	if fail == nil {
		return nil
	}
	return fail(args)
}

func (p *peer) heal(fail func(args notifyArgs) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.keys, p.fail = nil, nil, fail
}

func (p *peer) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

func down(notifyArgs) error { return errDown }

// letters makes a notifier and n letters of it, one a second.
func letters(t *testing.T, o Options, p Policy, n int, m LetterMethod[notifyArgs]) (*Runtime, *notifier, *peer) {
	t.Helper()
	rt := openLetters(t, o)
	to := &peer{fail: down}
	nt := notifierTo(t, rt, p, DeadLetterPolicy{Queue: "payments.notify"}, m, to.notify)
	for i := range n {
		ctx := WithIdempotencyKey(t.Context(), "key-"+strconv.Itoa(i))
		if err := nt.call(ctx, notifyArgs{CustomerID: "c-" + strconv.Itoa(i), Cents: 1<<62 + int64(i)}); !errors.Is(err, ErrDeadLettered) {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	to.heal(nil)
	return rt, nt, to
}

var idempotent = LetterMethod[notifyArgs]{Sig: "0123456789abcdef", Idempotent: true}

// apply plans and applies.
func apply(t *testing.T, rt *Runtime, filter string, o ReplayOptions, a ApplyOptions) Job {
	t.Helper()
	p, err := rt.DeadLetters().Plan(t.Context(), filter, o)
	if err != nil {
		t.Fatal(err)
	}
	j, err := rt.DeadLetters().Apply(t.Context(), p.Token, a)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// awaitJob waits until a job does nothing more.
func awaitJob(t *testing.T, rt *Runtime, id string) Job {
	t.Helper()
	for range 10_000 {
		j, err := rt.DeadLetters().Job(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if j.State.over() || j.State == JobStopped {
			return j
		}
		time.Sleep(time.Second)
	}
	t.Fatal("the job does not end")
	return Job{}
}

func statesOf(t *testing.T, rt *Runtime) map[LetterState]int {
	t.Helper()
	page, err := rt.DeadLetters().List(t.Context(), LetterQuery{})
	if err != nil {
		t.Fatal(err)
	}
	count := map[LetterState]int{}
	for _, s := range page.Letters {
		count[s.State]++
	}
	return count
}

func jobText(j Job) string {
	return fmt.Sprintf("%s: %d of %d succeeded, %d failed, %d quarantined, %d skipped, %d in doubt, %d left", j.State, j.Succeeded, j.Total, j.Failed, j.Quarantined, j.Skipped, j.InDoubt, j.Left)
}

func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, to := letters(t, Options{}, Policy{}, 10, idempotent)
		b := rt.DeadLetters()
		p, err := b.Plan(t.Context(), "queue:payments.notify state:dead", ReplayOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if p.Count != 10 || p.BySig != (PlanSig{Same: 10}) || len(p.ByGroup) != 1 || p.ByGroup[0].Count != 10 || p.EstDuration != 1800*time.Millisecond || p.Left != nil {
			t.Errorf("plan %+v", p)
		}
		if got := to.asked(); got != nil {
			t.Errorf("the plan called %v", got)
		}
		begun := time.Now()
		j, err := b.Apply(t.Context(), p.Token, ApplyOptions{By: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		j = awaitJob(t, rt, j.ID)
		if got := jobText(j); got != "done: 10 of 10 succeeded, 0 failed, 0 quarantined, 0 skipped, 0 in doubt, 0 left" {
			t.Error(got)
		}
		want := []string{"c-0", "c-1", "c-2", "c-3", "c-4", "c-5", "c-6", "c-7", "c-8", "c-9"}
		if got := to.asked(); !slices.Equal(got, want) || to.most != 1 {
			t.Errorf("called %v, %d at a time: want the oldest first, one at a time", got, to.most)
		}
		for i, key := range to.keys {
			if key != "key-"+strconv.Itoa(i) {
				t.Errorf("replay %d has key %q: want that of the first call", i, key)
			}
		}
		if last := j.Done[9].At.Sub(begun); last < 1800*time.Millisecond || last > 2*time.Second {
			t.Errorf("10 replays at 5 a second ended after %v", last)
		}
		if got := statesOf(t, rt); got[LetterReplayed] != 10 {
			t.Errorf("states %v", got)
		}
		l, err := b.Get(t.Context(), j.Done[0].Letter)
		if err != nil || len(l.Replays) != 1 || l.Replays[0].Outcome != ReplaySucceeded || l.Replays[0].JobID != j.ID || l.Replays[0].By != "ann" || l.AttemptCount != 1 {
			t.Errorf("letter %+v, %v", l.Replays, err)
		}
		if again, err := b.Apply(t.Context(), p.Token, ApplyOptions{}); !errors.Is(err, ErrPlanApplied) || again.ID != j.ID {
			t.Errorf("the second Apply returned %v, %v", again.ID, err)
		}
	})
}

// TestReplayThatFails adds to the same letter, until it goes into quarantine.
func TestReplayThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, to := letters(t, Options{}, Policy{Retry: Retry{MaxAttempts: 4, Backoff: Backoff{Strategy: NoBackoff}}}, 1, idempotent)
		to.heal(down)
		for i, want := range []string{"failed", "failed", "quarantined"} {
			j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID)
			if len(j.Done) != 1 || j.Done[0].Outcome != want || j.Done[0].Why != "gateway is down" {
				t.Fatalf("replay %d: %+v", i+1, j.Done)
			}
		}
		page, err := rt.DeadLetters().List(t.Context(), LetterQuery{})
		if err != nil || len(page.Letters) != 1 {
			t.Fatalf("%d letters, %v", len(page.Letters), err)
		}
		l, err := rt.DeadLetters().Get(t.Context(), page.Letters[0].ID)
		if err != nil || l.State != LetterQuarantined || len(l.Replays) != 3 || l.AttemptCount != 4+3 {
			t.Errorf("letter %s, %d replays, %d attempts, %v: want one attempt for each replay", l.State, len(l.Replays), l.AttemptCount, err)
		}
		if len(to.asked()) != 3 {
			t.Errorf("called %d times", len(to.asked()))
		}
		p, err := rt.DeadLetters().Plan(t.Context(), "", ReplayOptions{})
		if err != nil || p.Count != 0 || len(p.Left) != 1 || p.Left[0].Why != "it is quarantined" {
			t.Errorf("plan %+v, %v", p, err)
		}
		if _, err := rt.DeadLetters().Resolve(t.Context(), l.ID, l.Rev, LetterDead, "ann", "mended"); err != nil {
			t.Fatal(err)
		}
		to.heal(nil)
		j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{Attempts: 2}, ApplyOptions{}).ID)
		if j.Succeeded != 1 {
			t.Error(jobText(j))
		}
	})
}

func TestReplayAttemptsAndDirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, to := letters(t, Options{}, Policy{Retry: Retry{MaxAttempts: 4, Backoff: Backoff{Strategy: NoBackoff}}}, 1, idempotent)
		to.heal(down)
		awaitJob(t, rt, apply(t, rt, "", ReplayOptions{Attempts: 3}, ApplyOptions{}).ID)
		if n := len(to.asked()); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
		to.heal(down)
		j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{Direct: true, Attempts: 9}, ApplyOptions{}).ID)
		if n := len(to.asked()); n != 1 || j.Failed != 1 || j.Done[0].Why != "gateway is down" {
			t.Errorf("%d calls past the policy, %+v", n, j.Done)
		}
		l, err := rt.DeadLetters().Get(t.Context(), j.Done[0].Letter)
		if err != nil || l.Replays[1].Mode != "direct" || l.AttemptCount != 4+3+1 || l.Reason != ReasonExhausted {
			t.Errorf("letter %+v, %d attempts, %v", l.Replays, l.AttemptCount, err)
		}
	})
}

// TestReplayLeavesTheOthers holds that a job touches what was planned, as it was.
func TestReplayLeavesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, nt, to := letters(t, Options{}, Policy{}, 3, idempotent)
		b := rt.DeadLetters()
		p, err := b.Plan(t.Context(), "", ReplayOptions{})
		if err != nil {
			t.Fatal(err)
		}
		same, err := b.Plan(t.Context(), "", ReplayOptions{})
		if err != nil || same.Token != p.Token {
			t.Errorf("the same plan has token %s, not %s: %v", same.Token, p.Token, err)
		}
		to.heal(down)
		_ = nt.call(t.Context(), notifyArgs{CustomerID: "late"})
		to.heal(nil)
		page, _ := b.List(t.Context(), LetterQuery{OldestFirst: true})
		if _, err := b.Discard(t.Context(), page.Letters[1].ID, 0, "ann", "by hand"); err != nil {
			t.Fatal(err)
		}
		j, err := b.Apply(t.Context(), p.Token, ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		j = awaitJob(t, rt, j.ID)
		if got := to.asked(); !slices.Equal(got, []string{"c-0", "c-2"}) {
			t.Errorf("called %v", got)
		}
		if j.Skipped != 1 || j.Done[1].Letter != page.Letters[1].ID || !strings.Contains(j.Done[1].Why, "changed since") {
			t.Errorf("%s: %+v", jobText(j), j.Done)
		}
		if got := statesOf(t, rt); got[LetterDead] != 1 || got[LetterDiscarded] != 1 || got[LetterReplayed] != 2 {
			t.Errorf("states %v", got)
		}
	})
}

func TestPlanEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, _ := letters(t, Options{}, Policy{}, 1, idempotent)
		p, err := rt.DeadLetters().Plan(t.Context(), "", ReplayOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(planValid + time.Second)
		if _, err := rt.DeadLetters().Apply(t.Context(), p.Token, ApplyOptions{}); !errors.Is(err, ErrNoPlan) {
			t.Errorf("a plan of before 15 minutes was applied: %v", err)
		}
		for _, token := range []string{"", "x", p.Token + "0", "../../etc"} {
			if _, err := rt.DeadLetters().Apply(t.Context(), token, ApplyOptions{}); !errors.Is(err, ErrNoPlan) {
				t.Errorf("token %q: %v", token, err)
			}
		}
	})
}

// TestReplayAsksForDuplicates holds that a method that is not idempotent is not
// called again by mistake.
func TestReplayAsksForDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, to := letters(t, Options{}, Policy{}, 2, LetterMethod[notifyArgs]{Sig: "0123456789abcdef"})
		p, err := rt.DeadLetters().Plan(t.Context(), "", ReplayOptions{})
		if err != nil || p.NonIdempotent != 2 {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, c := range []struct {
			o    ApplyOptions
			want string
		}{
			{ApplyOptions{}, "not idempotent"},
			{ApplyOptions{AllowDuplicates: true}, `the letters are in queue payments.notify: "" was typed`},
			{ApplyOptions{AllowDuplicates: true, Queue: "payments"}, `"payments" was typed`},
		} {
			if _, err := rt.DeadLetters().Apply(t.Context(), p.Token, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v", c.o, err)
			}
		}
		j, err := rt.DeadLetters().Apply(t.Context(), p.Token, ApplyOptions{AllowDuplicates: true, Queue: "payments.notify"})
		if err != nil {
			t.Fatal(err)
		}
		if j = awaitJob(t, rt, j.ID); j.Succeeded != 2 || len(to.asked()) != 2 {
			t.Error(jobText(j))
		}
	})
}

// TestReplayCanary tries one letter of each pattern, and spares the others where it
// fails in the same way.
func TestReplayCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, nt, to := letters(t, Options{}, Policy{}, 3, idempotent)
		errOther := fmt.Errorf("other: %w", context.DeadlineExceeded)
		to.heal(func(notifyArgs) error { return errOther })
		for i := range 3 {
			_ = nt.call(t.Context(), notifyArgs{CustomerID: "o-" + strconv.Itoa(i)})
			time.Sleep(time.Second)
		}
		to.heal(func(a notifyArgs) error {
			if strings.HasPrefix(a.CustomerID, "c-") {
				return errDown
			}
			return nil
		})
		j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{Concurrency: 4}, ApplyOptions{}).ID)
		if got := to.asked(); !slices.Equal(got, []string{"c-0", "o-0", "o-1", "o-2"}) {
			t.Errorf("called %v", got)
		}
		if j.Failed != 1 || j.Skipped != 2 || j.Succeeded != 3 {
			t.Errorf("%s: %+v", jobText(j), j.Done)
		}
		to.heal(func(notifyArgs) error { return errOther }) // another failure than before says nothing of the pattern
		j = awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID)
		if j.Failed != 3 {
			t.Errorf("%s: %+v", jobText(j), j.Done)
		}
	})
}

func TestReplayStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, to := letters(t, Options{}, Policy{}, 60, idempotent)
		n := 0
		to.heal(func(notifyArgs) error {
			if n++; n > 20 && n%4 == 0 {
				return errDown
			}
			return nil
		})
		j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID)
		if j.State != JobStopped || j.Why != "4 of the last 20 replays failed" || j.Failed != 4 || j.Left != 24 {
			t.Errorf("%s: %s", jobText(j), j.Why)
		}
		to.heal(nil)
		if _, err := rt.DeadLetters().ResumeJob(t.Context(), j.ID, "ann", "mended"); err != nil {
			t.Fatal(err)
		}
		if j = awaitJob(t, rt, j.ID); j.State != JobDone || j.Left != 0 || j.Failed != 4 {
			t.Error(jobText(j))
		}
	})
}

// TestReplayInOrder holds letters of one order key behind each other.
func TestReplayInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := idempotent
		m.OrderKey = func(a *notifyArgs) string { return strconv.FormatInt(a.Cents%2, 10) }
		rt, _, to := letters(t, Options{}, Policy{}, 8, m)
		to.heal(func(a notifyArgs) error {
			time.Sleep(3 * time.Second)
			if a.CustomerID == "c-3" {
				return errors.New("another failure")
			}
			return nil
		})
		j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{Concurrency: 4, Rate: 100, NoCanary: true}, ApplyOptions{}).ID)
		if to.most != 2 {
			t.Errorf("%d at a time: want one of each key", to.most)
		}
		got := to.asked()
		slices.Sort(got)
		if !slices.Equal(got, []string{"c-0", "c-1", "c-2", "c-3", "c-4", "c-6"}) || j.Skipped != 2 {
			t.Errorf("called %v, %s: nothing may overtake a letter of its key that failed", got, jobText(j))
		}
	})
}

func TestReplayPausesForTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, nt, to := letters(t, Options{}, Policy{Breaker: Breaker{ConsecutiveFailures: 5, OpenDuration: 30 * time.Second}}, 4, idempotent)
		to.heal(down)
		_ = nt.call(t.Context(), notifyArgs{CustomerID: "opens"})
		to.heal(nil)
		opened := time.Now()
		j := apply(t, rt, "args.customerID=c-0 or args.customerID=c-1", ReplayOptions{}, ApplyOptions{})
		time.Sleep(10 * time.Second)
		if now, _ := rt.DeadLetters().Job(t.Context(), j.ID); len(to.asked()) != 0 || now.Waits != "for breaker payments.Gateway.Notify, which is open" || now.State != JobRunning {
			t.Errorf("%v, waits %q", to.asked(), now.Waits)
		}
		j = awaitJob(t, rt, j.ID)
		if took := j.Done[0].At.Sub(opened); j.Succeeded != 2 || took < 35*time.Second || took > 40*time.Second {
			t.Errorf("%s, the first after %v: want it to probe when nobody else does", jobText(j), took)
		}
		if got := statesOf(t, rt); got[LetterDead] != 3 || got[LetterReplayed] != 2 {
			t.Errorf("states %v", got)
		}
	})
}

func TestPauseAndCancelJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, to := letters(t, Options{}, Policy{}, 10, idempotent)
		b := rt.DeadLetters()
		j := apply(t, rt, "", ReplayOptions{Rate: 1}, ApplyOptions{})
		time.Sleep(2500 * time.Millisecond)
		if _, err := b.PauseJob(t.Context(), j.ID, "ann", "lunch"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(to.asked()); n != 3 {
			t.Errorf("%d calls, want 3 before the pause", n)
		}
		if _, err := b.ResumeJob(t.Context(), j.ID, "ann", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		if _, err := b.CancelJob(t.Context(), j.ID, "ann", "enough"); err != nil {
			t.Fatal(err)
		}
		j = awaitJob(t, rt, j.ID)
		if j.State != JobCancelled || j.Why != "enough" || j.Succeeded != 5 || j.Left != 5 || len(j.Log) != 4 {
			t.Errorf("%s, log %+v", jobText(j), j.Log)
		}
		if _, err := b.ResumeJob(t.Context(), j.ID, "ann", ""); err == nil {
			t.Error("a cancelled job went on")
		}
		if _, err := b.PauseJob(t.Context(), "nobody", "", ""); !errors.Is(err, ErrNoJob) {
			t.Error(err)
		}
		if list, err := b.Jobs(t.Context()); err != nil || len(list) != 1 || list[0].Done != nil {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// TestReplayOfWhatPanics counts a panic and an ended goroutine as failures.
func TestReplayOfWhatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, to := letters(t, Options{}, Policy{}, 1, idempotent)
		to.heal(func(notifyArgs) error { panic("boom") })
		for _, direct := range []bool{false, true} {
			j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{Direct: direct}, ApplyOptions{}).ID)
			if j.Failed != 1 || j.Done[0].Why != "boom" {
				t.Errorf("direct %v: %+v", direct, j.Done)
			}
			l, err := rt.DeadLetters().Get(t.Context(), j.Done[0].Letter)
			if err != nil || l.Reason != ReasonPanic || len(l.Stack) == 0 {
				t.Errorf("direct %v: reason %s, %d frames, %v", direct, l.Reason, len(l.Stack), err)
			}
		}
	})
}

// TestReplayAnsweredByAFallback holds that the answer of a fallback is no success,
// whether calls that it answers are kept or not.
func TestReplayAnsweredByAFallback(t *testing.T) {
	for _, afterFallback := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			rt := openLetters(t, Options{})
			falls := false
			n := &notifier{}
			w := rt.Wrap("payments.Gateway", n)
			n.guard = w.Guard("Notify", Policy{Fallback: Fallback{On: true}})
			m := idempotent
			m.Fields = notifyFields
			m.Replay = func(ctx context.Context, args notifyArgs) error {
				call := n.guard.Begin(ctx)
				defer call.End()
				for call.Next() {
					call.Record(errDown)
				}
				if afterFallback {
					_ = n.letters.Keep(&call, args, call.Err())
				}
				if falls && call.WantsFallback() {
					return nil
				}
				return n.letters.Keep(&call, args, call.Err())
			}
			n.letters = NewDeadLetters(w, "Notify", DeadLetterPolicy{AfterFallback: afterFallback}, m)
			if err := w.Err(); err != nil {
				t.Fatal(err)
			}
			falls = afterFallback
			_ = m.Replay(t.Context(), notifyArgs{})
			falls = true
			l := onlyLetter(t, rt)
			j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID)
			if got := onlyLetter(t, rt); j.Failed != 1 || got.ID != l.ID || got.State != LetterDead || got.Replays[0].Outcome != ReplayFailed {
				t.Errorf("afterFallback %v: %s, %s", afterFallback, jobText(j), got.State)
			}
		})
	}
}

// TestReplayOfOtherTypes replays letters that were written when a method had other
// types.
func TestReplayOfOtherTypes(t *testing.T) {
	type first struct {
		Customer int64 `json:"customer"`
	}
	synctest.Test(t, func(t *testing.T) {
		stores := MemoryStores()
		old := openLetters(t, Options{Stores: stores})
		w := old.Wrap("payments.Gateway", t)
		g := w.Guard("Notify", Policy{})
		keep := func(sig string, fields []LetterField, args any) {
			d := NewDeadLetters(w, "Notify", DeadLetterPolicy{Queue: "q"}, LetterMethod[map[string]any]{Sig: sig, Fields: fields})
			call := g.Begin(t.Context())
			call.Next()
			call.Record(errDown)
			_ = d.Keep(&call, args.(map[string]any), errDown)
			call.End()
			time.Sleep(time.Second)
		}
		keep("1111111111111111", []LetterField{{"customer", "int64"}}, map[string]any{"customer": int64(1<<53 + 1)})
		keep("2222222222222222", notifyFields, map[string]any{"customerID": "c-2", "cents": 5, "event": nil})
		keep("3333333333333333", append(slices.Clone(notifyFields), LetterField{"gone", "string"}), map[string]any{"customerID": "c-3", "cents": 5, "event": nil, "gone": "x"})
		keep("4444444444444444", notifyFields, map[string]any{"customerID": 4, "cents": 5, "event": nil})
		_ = old.Close()

		rt := openLetters(t, Options{Stores: stores})
		if err := Upcast(rt, "1111111111111111", func(f first) (notifyArgs, error) {
			return notifyArgs{CustomerID: strconv.FormatInt(f.Customer, 10)}, nil
		}); err != nil {
			t.Fatal(err)
		}
		to := &peer{}
		notifierTo(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, idempotent, to.notify)
		p, err := rt.DeadLetters().Plan(t.Context(), "", ReplayOptions{NoCanary: true})
		if err != nil || p.BySig != (PlanSig{Convertible: 2, Lossy: 1, Unknown: 1}) || p.Count != 3 {
			t.Fatalf("%+v, %v", p, err)
		}
		if len(p.Left) != 1 || !strings.Contains(p.Left[0].Why, "cannot unmarshal number") {
			t.Errorf("left %+v", p.Left)
		}
		lossy := p.ByGroup[0]
		if want := []PlanChange{{"/gone", `"x"`, ""}}; lossy.Lossy != 1 || !slices.Equal(lossy.Changes, want) {
			t.Errorf("group %+v", lossy)
		}
		j, err := rt.DeadLetters().Apply(t.Context(), p.Token, ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		j = awaitJob(t, rt, j.ID)
		if got := to.asked(); !slices.Equal(got, []string{"9007199254740993", "c-2"}) || j.Skipped != 1 || !strings.Contains(j.Done[2].Why, "allow it for its group") {
			t.Errorf("called %v, %+v", got, j.Done)
		}
		j = awaitJob(t, rt, apply(t, rt, "state:dead", ReplayOptions{}, ApplyOptions{AllowLossy: []string{lossy.Group}}).ID)
		if got := to.asked(); len(got) != 3 || got[2] != "c-3" || j.Succeeded != 1 {
			t.Errorf("called %v, %s", got, jobText(j))
		}
	})
}

// stubborn is a log that does not answer while it is told not to. What it is asked
// to append may be written all the same.
type stubborn struct {
	*memoryLog
	mu      sync.Mutex
	silent  bool
	written bool
}

func (l *stubborn) set(silent, written bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent, l.written = silent, written
}

func (l *stubborn) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	l.mu.Lock()
	silent, written := l.silent, l.written
	l.mu.Unlock()
	if !silent {
		return l.memoryLog.Append(ctx, key, after, body)
	}
	if written {
		_, _ = l.memoryLog.Append(ctx, key, after, body)
	}
	return 0, ErrUnavailable
}

// TestReplayWaitsForTheStore holds that a store that does not answer pauses a job,
// wherever it is, and that nothing is done twice because of it.
func TestReplayWaitsForTheStore(t *testing.T) {
	for _, written := range []bool{false, true} {
		for after := range 12 { // calls to the peer and half seconds: before a claim, during a call, after it
			synctest.Test(t, func(t *testing.T) {
				log := &stubborn{memoryLog: newMemoryLog()}
				rt, _, to := letters(t, Options{Stores: Stores{Log: log}}, Policy{}, 5, idempotent)
				to.heal(func(notifyArgs) error { time.Sleep(300 * time.Millisecond); return nil })
				j := apply(t, rt, "", ReplayOptions{Rate: 1}, ApplyOptions{})
				time.Sleep(time.Duration(after)*250*time.Millisecond + 100*time.Millisecond)
				log.set(true, written)
				time.Sleep(20 * time.Second)
				if now, err := rt.DeadLetters().Job(t.Context(), j.ID); err != nil || !written && (now.State != JobRunning || !strings.HasPrefix(now.Waits, "for the store: ")) {
					t.Errorf("%s, waits %q, %v", now.State, now.Waits, err)
				}
				log.set(false, false)
				j = awaitJob(t, rt, j.ID)
				if got := to.asked(); j.Succeeded != 5 || len(got) != 5 {
					t.Errorf("written %v, after %d: %s, called %v", written, after, jobText(j), got)
				}
				for _, r := range j.Done {
					if l, err := rt.DeadLetters().Get(t.Context(), r.Letter); err != nil || len(l.Replays) != 1 || l.State != LetterReplayed {
						t.Errorf("letter %s, %d replays, %v", l.State, len(l.Replays), err)
					}
				}
			})
		}
	}
}

// TestCloseSettlesReplays holds that Close cancels a replay that runs, and that how it
// ends is written: its letter is dead as before, or replayed where it was done all the
// same, and not in doubt.
func TestCloseSettlesReplays(t *testing.T) {
	for _, done := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			stores := MemoryStores()
			rt := openLetters(t, Options{Stores: stores})
			nt := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, idempotent)
			_ = nt.call(t.Context(), notifyArgs{CustomerID: "a"})
			runs := make(chan struct{})
			nt.next = func(ctx context.Context, _ notifyArgs) error {
				close(runs)
				if <-ctx.Done(); done {
					return nil
				}
				return ctx.Err()
			}
			id := apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID
			<-runs
			if err := rt.Close(); err != nil {
				t.Fatal(err)
			}
			next := openLetters(t, Options{Stores: stores})
			l, err := next.DeadLetters().Get(t.Context(), onlyLetter(t, next).ID)
			j, wrong := next.DeadLetters().Job(t.Context(), id)
			if err != nil || wrong != nil || len(l.Replays) != 1 {
				t.Fatalf("%d replays, %v, %v", len(l.Replays), err, wrong)
			}
			got := fmt.Sprint(l.State, " ", l.Replays[0].Outcome, " ", j.Succeeded)
			if want := map[bool]string{false: "dead interrupted 0", true: "replayed succeeded 1"}[done]; got != want {
				t.Errorf("done %v: %s, want %s", done, got, want)
			}
		})
	}
}

// TestResumedJobKeepsTheOrder holds that a job that another process left replays letters
// of one order key one after the other.
func TestResumedJobKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := MemoryStores()
		m := idempotent
		m.OrderKey = func(*notifyArgs) string { return "one" }
		rt, _, _ := letters(t, Options{Stores: stores}, Policy{}, 10, m)
		id := apply(t, rt, "", ReplayOptions{Rate: 1e5, Concurrency: 4, NoCanary: true}, ApplyOptions{}).ID
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
		next := openLetters(t, Options{Stores: stores})
		to := &peer{fail: func(notifyArgs) error { time.Sleep(time.Second); return nil }}
		notifierTo(t, next, Policy{}, DeadLetterPolicy{Queue: "payments.notify"}, m, to.notify)
		if j := awaitJob(t, next, id); j.Succeeded != 10 || to.most > 1 {
			t.Errorf("%s, %d at a time", jobText(j), to.most)
		}
	})
}

// shared is a log that other processes may write to.
type shared struct{ Log }

// TestReplayInASharedStore holds that a claim is good until its time is over, where
// nobody can know whether who made it lives.
func TestReplayInASharedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := Stores{Log: shared{newMemoryLog()}}
		rt, _, to := letters(t, Options{Stores: stores}, Policy{}, 1, idempotent)
		free := make(chan error)
		to.heal(func(notifyArgs) error { return <-free })
		j := apply(t, rt, "", ReplayOptions{Timeout: 10 * time.Second}, ApplyOptions{})
		time.Sleep(time.Second)
		other := openLetters(t, Options{Stores: stores})
		newNotifier(t, other, Policy{}, DeadLetterPolicy{}, idempotent)
		time.Sleep(time.Minute)
		if l := onlyLetter(t, other); l.State != LetterClaimed || len(to.asked()) != 1 {
			t.Errorf("%s, called %d times", l.State, len(to.asked()))
		}
		time.Sleep(10 * time.Second)
		if l := onlyLetter(t, other); l.State != LetterInDoubt {
			t.Errorf("%s, want it in doubt", l.State)
		}
		if l := onlyLetter(t, rt); l.State != LetterClaimed {
			t.Errorf("%s for the process that replays it", l.State)
		}
		if _, err := other.DeadLetters().Resolve(t.Context(), onlyLetter(t, other).ID, 0, LetterReplayed, "ann", "it is there"); err != nil {
			t.Fatal(err)
		}
		free <- nil
		j = awaitJob(t, rt, j.ID)
		if j.Succeeded != 1 || !strings.Contains(j.Done[0].Why, "changed since") {
			t.Errorf("%s: %+v", jobText(j), j.Done)
		}
	})
}

// TestPlansAndJobsAreForgotten holds that the store does not fill with them.
func TestPlansAndJobsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemoryLog()
		rt, nt, to := letters(t, Options{Stores: Stores{Log: log}}, Policy{}, 1, idempotent)
		done := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID)
		to.heal(down)
		for range 2 { // after the first, the job waits for its rate
			_ = nt.call(t.Context(), notifyArgs{})
		}
		paused := apply(t, rt, "state:dead", ReplayOptions{Rate: 0.001}, ApplyOptions{})
		if _, err := rt.DeadLetters().PauseJob(t.Context(), paused.ID, "", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(jobsKept + time.Hour)
		if _, err := rt.DeadLetters().Plan(t.Context(), "", ReplayOptions{}); err != nil {
			t.Fatal(err)
		}
		plans := 0
		for key := range log.keys {
			if strings.HasPrefix(key, planPrefix) {
				plans++
			}
		}
		if _, err := rt.DeadLetters().Job(t.Context(), done.ID); plans != 1 || !errors.Is(err, ErrNoJob) {
			t.Errorf("%d plans, %v", plans, err)
		}
		if _, err := rt.DeadLetters().Job(t.Context(), paused.ID); err != nil {
			t.Errorf("a job that is paused: %v", err)
		}
	})
}

// TestSamePlanAtOnce has several ask for the same plan: each gets it, with one token.
func TestSamePlanAtOnce(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, LetterMethod[notifyArgs]{Sig: "s"})
	_ = n.call(t.Context(), notifyArgs{CustomerID: "c"})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				if _, err := rt.DeadLetters().Plan(t.Context(), "queue:q", ReplayOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}
