package resilience

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetentionByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := NewRing(100)
		stores := MemoryStores()
		rt := openLetters(t, Options{Stores: stores, Observe: ring.Observe})
		n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q", MaxAge: 2 * time.Hour, KeepReplayed: time.Hour}, LetterMethod[notifyArgs]{})
		b := rt.DeadLetters()
		move := func(l Letter, to LetterState) {
			t.Helper()
			if _, err := b.change(t.Context(), l, letterRecord{Transition: &LetterTransition{At: time.Now(), To: to}}); err != nil {
				t.Fatal(err)
			}
		}
		dead := keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
		done := keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
		claimed := keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
		if !dead.ExpiresAt.Equal(dead.DeadAt.Add(2 * time.Hour)) {
			t.Errorf("expires at %v", dead.ExpiresAt)
		}
		move(claimed, LetterClaimed)
		time.Sleep(30 * time.Minute)
		move(done, LetterReplayed)
		left := func(want ...string) {
			t.Helper()
			b.sweep(t.Context())
			var ids []string
			for _, s := range summaries(t, b) {
				ids = append(ids, s.ID)
			}
			if !slices.Equal(ids, want) {
				t.Errorf("letters %v, want %v", ids, want)
			}
		}
		time.Sleep(59 * time.Minute)
		left(dead.ID, done.ID, claimed.ID)
		time.Sleep(2 * time.Minute)
		left(dead.ID, claimed.ID)
		time.Sleep(time.Hour)
		left(claimed.ID)
		if got := stores.Log.(*memoryLog).keys[letterKey("q", dead.ID)]; got != nil {
			t.Error("an expired letter is still in the store")
		}
		s, err := b.Stats(t.Context())
		if err != nil || s.Queues[0].Dropped[dropAge] != 1 || s.Queues[0].Dropped[dropSettled] != 1 || s.Queues[0].Letters != 1 {
			t.Errorf("stats %+v, %v", s, err)
		}
		again, err := reopened(t, stores).Stats(t.Context())
		if err != nil || again.Queues[0].Dropped[dropAge] != 1 || again.Queues[0].Dropped[dropSettled] != 1 {
			t.Errorf("after a restart %+v, %v", again, err)
		}
		var told []string
		events, _ := ring.Events()
		for _, e := range events {
			if e.Kind == LetterDropped {
				told = append(told, e.Key+" "+e.Reason)
			}
		}
		if fmt.Sprint(told) != fmt.Sprint([]string{done.ID + " keepReplayed", dead.ID + " maxAge"}) {
			t.Errorf("told %v", told)
		}
	})
}

// TestRetentionByCount fills a queue: settled letters go first, then the oldest.
func TestRetentionByCount(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q", MaxCount: 3}, LetterMethod[notifyArgs]{})
	b := rt.DeadLetters()
	var list []Letter
	for range 3 {
		list = append(list, keptLetter(t, n, n.call(t.Context(), notifyArgs{})))
	}
	if _, err := b.change(t.Context(), list[1], letterRecord{Transition: &LetterTransition{At: time.Now(), To: LetterDiscarded}}); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]int{{0, 2, 3}, {2, 3, 4}, {3, 4, 5}} {
		list = append(list, keptLetter(t, n, n.call(t.Context(), notifyArgs{})))
		var ids []string
		for _, at := range want {
			ids = append(ids, list[at].ID)
		}
		var got []string
		for _, s := range summaries(t, b) {
			got = append(got, s.ID)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("letter %d: %v are left, want %v", i+3, got, ids)
		}
	}
}

func TestRetentionByBytes(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q", MaxBytes: 20 << 10}, LetterMethod[notifyArgs]{})
	for range 20 {
		keptLetter(t, n, n.call(t.Context(), notifyArgs{CustomerID: strings.Repeat("x", 3<<10)}))
		if s, err := rt.DeadLetters().Stats(t.Context()); err != nil || s.Queues[0].Bytes > 20<<10 || s.Queues[0].Letters == 0 {
			t.Fatalf("stats %+v, %v", s, err)
		}
	}
}

func TestOverflowRejects(t *testing.T) {
	var lost []Letter
	rt := openLetters(t, Options{Letters: LetterOptions{OnLost: func(l Letter, err error) {
		if errors.Is(err, ErrQueueFull) {
			lost = append(lost, l)
		}
	}}})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q", MaxCount: 1, Overflow: OverflowReject}, LetterMethod[notifyArgs]{})
	keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
	err := n.call(t.Context(), notifyArgs{CustomerID: "c"})
	if !errors.Is(err, ErrQueueFull) || !errors.Is(err, errDown) || errors.Is(err, ErrDeadLettered) {
		t.Errorf("a full queue: %v", err)
	}
	if s, _ := rt.DeadLetters().Stats(t.Context()); len(lost) != 1 || string(lost[0].Call.Args[0].JSON) != `"c"` || s.Lost != 1 || s.Queues[0].Letters != 1 {
		t.Errorf("lost %+v, stats %+v", lost, s)
	}
}

func TestOverflowBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := openLetters(t, Options{})
		n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q", MaxCount: 1, Overflow: OverflowBlock, BlockTimeout: 3 * time.Second}, LetterMethod[notifyArgs]{})
		first := keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
		begun := time.Now()
		if err := n.call(t.Context(), notifyArgs{}); !errors.Is(err, ErrQueueFull) || time.Since(begun) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		time.AfterFunc(time.Second, func() {
			b := rt.DeadLetters()
			b.mu.Lock()
			s := *b.letters[first.ID]
			b.mu.Unlock()
			if err := b.dropAll(context.Background(), []doomed{{s, dropErased}}); err != nil {
				t.Error(err)
			}
		})
		begun = time.Now()
		if err := n.call(t.Context(), notifyArgs{}); !errors.Is(err, ErrDeadLettered) || time.Since(begun) != time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}

// TestOnExpire keeps letters that the program cannot archive yet.
func TestOnExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var archived []Letter
		answer := errors.New("no room")
		rt := openLetters(t, Options{Letters: LetterOptions{OnExpire: func(_ context.Context, batch []Letter) error {
			if answer == nil {
				archived = append(archived, batch...)
			}
			return answer
		}}})
		n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q", MaxAge: time.Hour}, LetterMethod[notifyArgs]{})
		l := keptLetter(t, n, n.call(t.Context(), notifyArgs{CustomerID: "c"}))
		b := rt.DeadLetters()
		time.Sleep(time.Hour)
		b.sweep(t.Context())
		if len(summaries(t, b)) != 1 {
			t.Fatal("a letter that could not be archived is gone")
		}
		answer = nil
		time.Sleep(2 * sweepInterval)
		b.sweep(t.Context())
		if len(summaries(t, b)) != 0 || len(archived) != 1 || archived[0].ID != l.ID || archived[0].State != LetterExpired || string(archived[0].Call.Args[0].JSON) != `"c"` {
			t.Errorf("archived %+v", archived)
		}
	})
}

// brokenLog fails at every append, or drops the record and says so.
type brokenLog struct {
	Log
	err error
}

func (l *brokenLog) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	if l.err != nil {
		return 0, fmt.Errorf("append to %s: %w", key, l.err)
	}
	return l.Log.Append(ctx, key, after, body)
}

func (l *brokenLog) Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	if l.err != nil {
		return func(yield func(Record, error) bool) { yield(Record{}, l.err) }
	}
	return l.Log.Heads(ctx, prefix, from)
}

func TestLetterLost(t *testing.T) {
	for _, why := range []error{ErrUnavailable, ErrStoreFull, ErrTooLarge, ErrClosed, ErrConflict, context.DeadlineExceeded, errDown} {
		t.Run(why.Error(), func(t *testing.T) {
			ring := NewRing(10)
			log := &brokenLog{newMemoryLog(), why}
			var lost Letter
			rt := openLetters(t, Options{Stores: Stores{Log: log}, Observe: ring.Observe, Letters: LetterOptions{OnLost: func(l Letter, _ error) { lost = l; panic("also this") }}})
			n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
			cause := &nilError{"the cause"}
			n.next = func(context.Context, notifyArgs) error { return cause }
			err := n.call(t.Context(), notifyArgs{CustomerID: "c"})
			var found *nilError
			var write *WriteError
			if !errors.Is(err, why) || !errors.As(err, &found) || !errors.As(err, &write) || errors.Is(err, ErrDeadLettered) {
				t.Errorf("Keep returned %v", err)
			}
			if lost.ID != write.ID || string(lost.Call.Args[0].JSON) != `"c"` {
				t.Errorf("lost %+v", lost)
			}
			events, _ := ring.Events()
			if last := events[len(events)-1]; last.Kind != LetterLost || last.Key != lost.ID || !errors.Is(last.Err, why) {
				t.Errorf("last event %v", last)
			}
			log.err = nil // the store works again
			keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
			if s, err := rt.DeadLetters().Stats(t.Context()); err != nil || s.Lost != 1 || s.Queues[0].Letters != 1 {
				t.Errorf("stats %+v, %v", s, err)
			}
		})
	}
}

// TestLettersCostNothing compares calls that succeed with letters and without: no
// allocation in either.
func TestLettersCostNothing(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{Retry: Retry{MaxAttempts: 3}, Breaker: Breaker{On: true}}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
	n.next = func(context.Context, notifyArgs) error { return nil }
	args := notifyArgs{CustomerID: "c"}
	if got := testing.AllocsPerRun(1000, func() {
		if err := n.call(t.Context(), args); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// TestHealthOfLetters has a queue fill up, and a letter lost, with a health that was
// made before the letters and one that was made after.
func TestHealthOfLetters(t *testing.T) {
	for _, before := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			log := &brokenLog{newMemoryLog(), nil}
			rt := openLetters(t, Options{Stores: Stores{Log: log}})
			if before {
				rt.Health()
			}
			n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q", MaxCount: 10}, LetterMethod[notifyArgs]{})
			h := rt.Health()
			if err := h.Start(); err != nil {
				t.Fatal(err)
			}
			is := func(want HealthState) {
				t.Helper()
				time.Sleep(time.Minute)
				if c := h.Snapshot().Component("letters"); c.State != want {
					t.Errorf("letters are %v, want %v: %+v", c.State, want, c)
				}
			}
			is(Healthy)
			for range 9 {
				keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
			}
			is(Unhealthy)
			if _, err := rt.DeadLetters().Erase(t.Context(), "queue:q"); err != nil {
				t.Fatal(err)
			}
			is(Healthy)
			log.err = ErrStoreFull
			_ = n.call(t.Context(), notifyArgs{})
			is(Unhealthy)
			time.Sleep(lostFor)
			is(Healthy)
			_ = rt.Close()
		})
	}
}
