package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatternLife takes a pattern from new to ongoing, resolved and regressed.
func TestPatternLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := NewRing(100)
		stores := MemoryStores()
		rt := openLetters(t, Options{Stores: stores, Observe: ring.Observe, Letters: LetterOptions{Version: "v1"}})
		n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
		b := rt.DeadLetters()
		id := keptLetter(t, n, n.call(t.Context(), notifyArgs{})).Group
		is := func(want PatternState) {
			t.Helper()
			if p, err := b.Pattern(t.Context(), id); err != nil || p.State != want {
				t.Errorf("pattern is %s, %v, want %s", p.State, err, want)
			}
		}
		set := func(c PatternChange) {
			t.Helper()
			if _, err := b.SetPattern(t.Context(), id, c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		fails := func(version string) {
			b.o.Version = version
			_ = n.call(t.Context(), notifyArgs{})
			time.Sleep(time.Second)
		}
		is(PatternNew)
		time.Sleep(newFor)
		is(PatternOngoing)
		set(PatternChange{State: PatternResolved, ResolvedIn: "v3", By: "ann"})
		is(PatternResolved)
		fails("v1") // an instance that still runs
		is(PatternResolved)
		fails("v3")
		is(PatternRegressed)
		set(PatternChange{State: PatternResolved})
		fails("v1")
		is(PatternRegressed)
		set(PatternChange{State: PatternMuted, Owner: "bob", Note: "known"})
		fails("v9")
		is(PatternMuted)
		if p, _ := b.Pattern(t.Context(), id); p.Total != 5 || p.Open != 5 || p.Owner != "bob" || len(p.Notes) != 1 || p.Versions["v1"] != 3 || len(p.Samples) != 3 {
			t.Errorf("pattern %+v", p)
		}
		var told []string
		events, _ := ring.Events()
		for _, e := range events {
			if e.Kind == PatternChanged {
				told = append(told, e.Reason)
			}
		}
		if fmt.Sprint(told) != "[new regressed regressed]" {
			t.Errorf("told %v", told)
		}
		again := reopened(t, stores)
		if p, err := again.Pattern(t.Context(), id); err != nil || p.State != PatternMuted || p.Owner != "bob" || p.Total != 5 {
			t.Errorf("after a crash: %+v, %v", p, err)
		}
		for _, c := range []PatternChange{{State: PatternNew}, {State: "gone"}} {
			if _, err := b.SetPattern(t.Context(), id, c); err == nil {
				t.Errorf("state %s was set", c.State)
			}
		}
		if _, err := b.SetPattern(t.Context(), "fp1:none", PatternChange{Owner: "x"}); !errors.Is(err, ErrNoPattern) {
			t.Errorf("no pattern: %v", err)
		}
	})
}

func TestPatternSpike(t *testing.T) {
	p := newPattern("x")
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p.FirstSeen = at
	spikes := 0
	minute := func(n int) {
		for range n {
			if p.spikes(at) {
				spikes++
			}
		}
		at = at.Add(time.Minute)
	}
	for range 120 {
		minute(8) // more than usual at first, and less than the floor
	}
	if spikes != 0 {
		t.Fatalf("%d spikes of a steady rate", spikes)
	}
	minute(30)
	if spikes != 0 {
		t.Errorf("%d spikes at less than four times the usual", spikes)
	}
	minute(60)
	if spikes != 1 {
		t.Errorf("%d spikes, want 1 told once", spikes)
	}
}

// TestPatternsModel compares counts with those of a list of letters, through moves
// of letters, restarts and drops.
func TestPatternsModel(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) { modelPatterns(t, seed) })
	}
}

func modelPatterns(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	stores := MemoryStores()
	rt := openLetters(t, Options{Stores: stores})
	var b *LetterBox
	var n *notifier
	begin := func() {
		b = rt.DeadLetters()
		n = newNotifier(t, rt, Policy{}, DeadLetterPolicy{MaxCount: 12}, LetterMethod[notifyArgs]{})
		n.next = func(_ context.Context, a notifyArgs) error { return errors.New(a.CustomerID) }
	}
	begin()
	total, open := map[string]int64{}, map[string]int{}
	for range 60 {
		switch rnd.IntN(6) {
		case 0:
			list := summaries(t, b)
			if len(list) == 0 {
				continue
			}
			l, err := b.Get(t.Context(), list[rnd.IntN(len(list))].ID)
			if err != nil {
				t.Fatal(err)
			}
			to := []LetterState{LetterDead, LetterReplayed, LetterDiscarded}[rnd.IntN(3)]
			if _, err := b.change(t.Context(), l, letterRecord{Transition: &LetterTransition{At: time.Now(), To: to}}); err != nil {
				t.Fatal(err)
			}
		case 1:
			time.Sleep(time.Millisecond)
			if rnd.IntN(2) == 0 {
				_ = rt.Close()
			}
			rt = openLetters(t, Options{Stores: stores})
			begin()
		default:
			l := keptLetter2(t, n, fmt.Sprint("error ", string(rune('a'+rnd.IntN(4)))))
			total[l.Group]++
		}
	}
	clear(open)
	for _, s := range summaries(t, b) {
		if s.open() {
			open[s.Group]++
		}
	}
	list, err := b.Patterns(t.Context(), "")
	if err != nil || len(list) != len(total) {
		t.Fatalf("seed %d: %d patterns, %v, want %d", seed, len(list), err, len(total))
	}
	for _, p := range list {
		if p.Total != total[p.ID] || p.Open != open[p.ID] {
			t.Fatalf("seed %d: %s has %d of which %d are open, want %d and %d", seed, p.Title, p.Total, p.Open, total[p.ID], open[p.ID])
		}
	}
}

// keptLetter2 is the letter of a call that fails with a text.
func keptLetter2(t testing.TB, n *notifier, text string) (l LetterSummary) {
	t.Helper()
	var kept *KeptError
	if err := n.call(t.Context(), notifyArgs{CustomerID: text}); !errors.As(err, &kept) {
		t.Fatal(err)
	}
	b := n.letters.box
	b.mu.Lock()
	defer b.mu.Unlock()
	return *b.letters[kept.ID]
}

func TestPatternsMakeRoom(t *testing.T) {
	ps := patterns{map[string]*pattern{}}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 3000 {
		s := LetterSummary{ID: fmt.Sprintf("%026d", i), Group: fmt.Sprint("g", i), DeadAt: at, Last: at, State: LetterDead}
		ps.count(&s)
		ps.tally(&s, 1)
		if i == 0 {
			ps.by["g0"].say(patternChange{ID: "g0", Owner: "ann"})
		}
		at = at.Add(time.Second)
	}
	var total int64
	open := 0
	for _, p := range ps.by {
		total += p.Total
		open += p.Open
	}
	if len(ps.by) > maxPatterns+1 || total != 3000 || open != 3000 || ps.by["g0"] == nil || ps.by["g2999"] == nil || ps.by["g1"] != nil {
		t.Errorf("%d patterns with %d letters, %d open", len(ps.by), total, open)
	}
	gone, before := LetterSummary{ID: "x", Group: "g1", State: LetterDead}, ps.by[OtherPattern].Open
	if ps.tally(&gone, -1); ps.by[OtherPattern].Open != before-1 {
		t.Errorf("other has %d open, want %d less one", ps.by[OtherPattern].Open, before)
	}
}

// TestCountedPatternStandsStill has letters come while what was counted of others is
// written: a record that goes on counting is written half, and its maps are changed
// while they are read.
func TestCountedPatternStandsStill(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, LetterMethod[notifyArgs]{Sig: "s"})
	box := rt.DeadLetters()
	_ = n.call(t.Context(), notifyArgs{CustomerID: "c"})
	if _, err := box.Erase(t.Context(), "queue:q"); err != nil {
		t.Fatal(err)
	}
	written := func() string {
		box.mu.Lock()
		defer box.mu.Unlock()
		for _, p := range box.patterns.by {
			if p.change.Counted != nil {
				return fmt.Sprintf("%+v", p.change.Counted.Pattern)
			}
		}
		t.Fatal("nothing was counted for good")
		return ""
	}
	before := written()
	_ = n.call(t.Context(), notifyArgs{CustomerID: "c"})
	if after := written(); after != before {
		t.Errorf("the record became\n%s\nand was\n%s", after, before)
	}

	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range 20 {
				_ = n.call(t.Context(), notifyArgs{CustomerID: "c"})
			}
		})
	}
	group.Go(func() {
		for range 20 {
			if _, err := box.Erase(t.Context(), "queue:q"); err != nil {
				t.Error(err)
			}
		}
	})
	group.Wait()
}
