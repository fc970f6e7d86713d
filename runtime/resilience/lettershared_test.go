package resilience

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sharedStores returns stores of which no process may believe that it is alone.
func sharedStores() Stores {
	s := MemoryStores()
	s.Log = shared{s.Log}
	return s
}

// tenant is one of several processes that use a store.
type tenant struct {
	*Runtime
	pay  *notifier
	box  *LetterBox
	fail atomic.Bool
}

// tenantOf opens a process whose calls fail until its fail is set to false, and then go
// to a peer.
func tenantOf(t testing.TB, stores Stores, d DeadLetterPolicy, m LetterMethod[notifyArgs], o LetterOptions, to func(context.Context, notifyArgs) error) *tenant {
	t.Helper()
	p := &tenant{Runtime: openLetters(t, Options{Stores: stores, Letters: o})}
	p.fail.Store(true)
	p.box = p.DeadLetters()
	p.pay = notifierTo(t, p.Runtime, Policy{}, d, m, func(ctx context.Context, args notifyArgs) error {
		if p.fail.Load() {
			return fmt.Errorf("class %.1s: %w", args.CustomerID, errDown)
		}
		return to(ctx, args)
	})
	return p
}

func (p *tenant) keep(t testing.TB, customer string) Letter {
	t.Helper()
	return keptLetter(t, p.pay, p.pay.call(t.Context(), notifyArgs{CustomerID: customer}))
}

// sharedWorld is some processes over one store, and what has become of each letter.
type sharedWorld struct {
	t      *testing.T
	stores Stores
	random *rand.Rand
	ps     []*tenant
	states map[string]LetterState // by id
	told   map[string]string      // owners of patterns
	gone   int64
}

var sharedPolicy = DeadLetterPolicy{Queue: "q", MaxAge: 20 * time.Hour, KeepReplayed: 5 * time.Hour, MaxCount: 40}

func (w *sharedWorld) start() *tenant {
	return tenantOf(w.t, w.stores, sharedPolicy, idempotent, LetterOptions{}, func(_ context.Context, args notifyArgs) error {
		if strings.HasSuffix(args.CustomerID, "!") {
			return errDown
		}
		return nil
	})
}

// one returns a letter in one of some states, "" if there is none.
func (w *sharedWorld) one(of ...LetterState) string {
	var ids []string
	for id, s := range w.states {
		if slices.Contains(of, s) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	return ids[w.random.IntN(len(ids))]
}

// step has a process do something, and notes what comes of it.
func (w *sharedWorld) step() {
	p := w.ps[w.random.IntN(len(w.ps))]
	ctx := w.t.Context()
	switch w.random.IntN(12) {
	case 0, 1, 2, 3:
		if len(w.states) < 38 { // below what makes letters go
			l := p.keep(w.t, string(rune('a'+w.random.IntN(3)))+[]string{"", "!"}[w.random.IntN(2)])
			w.states[l.ID] = LetterDead
		}
	case 4:
		if id := w.one(LetterDead); id != "" {
			_, err := p.box.Discard(ctx, id, 0, "ann", "")
			w.did(id, LetterDiscarded, err)
		}
	case 5:
		if id := w.one(LetterDiscarded, LetterQuarantined); id != "" {
			_, err := p.box.Resolve(ctx, id, 0, LetterDead, "ann", "")
			w.did(id, LetterDead, err)
		}
	case 6:
		if id := w.one(LetterDead, LetterReplayed); id != "" {
			_, err := p.box.Note(ctx, id, LetterNote{Text: "seen", Tags: []string{fmt.Sprint("t", w.random.IntN(3))}})
			w.did(id, w.states[id], err)
		}
	case 7:
		if id := w.one(LetterDead); id != "" {
			_, err := p.box.Edit(ctx, id, LetterEditRequest{Patch: []byte(`[{"op":"replace","path":"/event","value":{"edited":"yes"}}]`)})
			w.did(id, LetterDead, err)
		}
	case 8:
		w.replay(p)
	case 9:
		if id := w.one(LetterDead, LetterReplayed, LetterDiscarded, LetterQuarantined); id != "" && w.random.IntN(2) == 0 {
			n, err := p.box.Erase(ctx, "id:"+id)
			if n != 1 || err != nil {
				w.t.Errorf("erased %d of letter %s, %v", n, id, err)
			}
			delete(w.states, id)
			w.gone++
		}
	case 10:
		if list := patternsOf(w.t, p.box); len(list) > 0 {
			id, owner := list[w.random.IntN(len(list))].ID, fmt.Sprint("owner", w.random.IntN(100))
			if _, err := p.box.SetPattern(ctx, id, PatternChange{Owner: owner, Note: owner}); err != nil {
				w.t.Error(err)
			}
			w.told[id] = owner
		}
	case 11:
		i := w.random.IntN(len(w.ps))
		if err := w.ps[i].Close(); err != nil {
			w.t.Error(err)
		}
		w.ps[i] = w.start()
	}
}

func (w *sharedWorld) did(id string, s LetterState, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Errorf("letter %s, which is %s: %v", id, w.states[id], err)
	}
	w.states[id] = s
}

// replay has a letter replayed by one process, of a plan that another one made.
func (w *sharedWorld) replay(p *tenant) {
	id := w.one(LetterDead)
	if id == "" {
		return
	}
	ctx := w.t.Context()
	plan, err := w.ps[w.random.IntN(len(w.ps))].box.Plan(ctx, "id:"+id, ReplayOptions{})
	if err != nil || plan.Count != 1 {
		w.t.Fatalf("plan %+v, %v", plan, err)
	}
	p.fail.Store(false)
	defer p.fail.Store(true)
	j, err := p.box.Apply(ctx, plan.Token, ApplyOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	j = awaitJob(w.t, w.ps[w.random.IntN(len(w.ps))].Runtime, j.ID)
	switch {
	case j.Succeeded == 1:
		w.states[id] = LetterReplayed
	case j.Quarantined == 1:
		w.states[id] = LetterQuarantined
	case j.Failed != 1:
		w.t.Fatalf("%s: %+v", jobText(j), j.Done)
	}
}

// check compares what each process shows with what was done, and with what one shows
// that has just begun.
func (w *sharedWorld) check() {
	w.t.Helper()
	fresh := w.start()
	defer func() { _ = fresh.Close() }()
	want := summaries(w.t, fresh.box)
	for i, p := range w.ps {
		got := summaries(w.t, p.box)
		if !reflect.DeepEqual(got, want) {
			w.t.Errorf("process %d shows\n%+v\nin the store lies\n%+v", i, got, want)
		}
		shown := map[string]LetterState{}
		for _, s := range got {
			shown[s.ID] = s.State
		}
		if !reflect.DeepEqual(shown, w.states) {
			w.t.Errorf("process %d shows %v, want %v", i, shown, w.states)
		}
		w.checkCounts(i, p)
	}
}

func (w *sharedWorld) checkCounts(i int, p *tenant) {
	w.t.Helper()
	s, err := p.box.Stats(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	states, open, gone := map[LetterState]int{}, map[string]int{}, int64(0)
	for _, q := range s.Queues {
		for state, n := range q.States {
			states[state] += n
		}
		for _, n := range q.Dropped {
			gone += n
		}
	}
	want := map[LetterState]int{}
	for _, state := range w.states {
		want[state]++
	}
	if !reflect.DeepEqual(states, want) || gone != w.gone {
		w.t.Errorf("process %d counts %v and %d that are gone, want %v and %d", i, states, gone, want, w.gone)
	}
	for _, l := range summaries(w.t, p.box) {
		if l.open() {
			open[l.Group]++
		}
	}
	for _, pt := range patternsOf(w.t, p.box) {
		if pt.Open != open[pt.ID] || pt.Owner != w.told[pt.ID] {
			w.t.Errorf("process %d: %d letters of pattern %s are open, of %q: want %d, of %q", i, pt.Open, pt.ID, pt.Owner, open[pt.ID], w.told[pt.ID])
		}
	}
}

// TestSharedLetters has three processes do at random what can be done with letters, over
// one store: each shows exactly what is there.
func TestSharedLetters(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &sharedWorld{t: t, stores: sharedStores(), random: rand.New(rand.NewPCG(seed, 7)), states: map[string]LetterState{}, told: map[string]string{}}
				for range 3 {
					w.ps = append(w.ps, w.start())
				}
				for i := range 60 {
					w.step()
					time.Sleep(time.Second)
					if i%2 == 1 {
						w.check()
					}
					if t.Failed() {
						return
					}
				}
			})
		})
	}
}

// TestSharedLettersAtOnce has processes keep, decide and list at one moment: a list has
// each letter that was kept before it was asked for, as it was at least then.
func TestSharedLettersAtOnce(t *testing.T) {
	stores := sharedStores()
	var mu sync.Mutex
	known := map[string]LetterState{} // what is surely there
	ps := []*tenant{}
	for range 3 {
		ps = append(ps, tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, nil))
	}
	var group sync.WaitGroup
	for i, p := range ps {
		group.Go(func() {
			for range 40 {
				l := p.keep(t, "a")
				mu.Lock()
				known[l.ID] = LetterDead
				mu.Unlock()
				if _, err := ps[(i+1)%len(ps)].box.Discard(t.Context(), l.ID, 0, "", ""); err != nil {
					t.Error(err)
				}
				mu.Lock()
				known[l.ID] = LetterDiscarded
				mu.Unlock()
			}
		})
		group.Go(func() {
			for range 30 {
				mu.Lock()
				want := map[string]LetterState{}
				for id, s := range known {
					want[id] = s
				}
				mu.Unlock()
				shown := map[string]LetterState{}
				for _, s := range summaries(t, p.box) {
					shown[s.ID] = s.State
				}
				for id, s := range want {
					if shown[id] != s && shown[id] != LetterDiscarded {
						t.Errorf("letter %s is %q in a list, and was %s before", id, shown[id], s)
					}
				}
			}
		})
	}
	group.Wait()
	want := summaries(t, reopened(t, stores))
	for i, p := range ps {
		if got := summaries(t, p.box); !reflect.DeepEqual(got, want) || len(got) != len(known) {
			t.Errorf("process %d shows %d letters, of %d", i, len(got), len(known))
		}
		if list := patternsOf(t, p.box); len(list) != 1 || list[0].Total != int64(len(known)) || list[0].Open != 0 {
			t.Errorf("process %d counts %+v, want %d letters", i, list, len(known))
		}
	}
}

// TestSharedReplayOnce has two processes apply plans over the same letters at one
// moment: each letter is replayed once.
func TestSharedReplayOnce(t *testing.T) {
	for seed := range 10 {
		synctest.Test(t, func(t *testing.T) {
			replayTwice(t, seed, func() { time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) })
		})
	}
	replayTwice(t, 0, func() {})
}

func replayTwice(t *testing.T, seed int, pause func()) {
	const n = 30
	stores := sharedStores()
	calls := map[string]int{}
	var mu sync.Mutex
	peer := func(_ context.Context, args notifyArgs) error {
		pause()
		mu.Lock()
		defer mu.Unlock()
		calls[args.CustomerID]++
		return nil
	}
	first := tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, peer)
	second := tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, peer)
	for i := range n {
		[]*tenant{first, second}[i%2].keep(t, fmt.Sprint(i))
	}
	var jobs [2]Job
	var group sync.WaitGroup
	ready := make(chan struct{})
	for i, p := range []*tenant{first, second} {
		p.fail.Store(false)
		plan, err := p.box.Plan(t.Context(), "", ReplayOptions{Rate: 1e5 + float64(seed+i), Concurrency: 4, NoCanary: true})
		if err != nil || plan.Count != n {
			t.Fatalf("plan of %d letters, %v", plan.Count, err)
		}
		group.Go(func() {
			<-ready
			j, err := p.box.Apply(t.Context(), plan.Token, ApplyOptions{})
			if err != nil {
				t.Error(err)
			}
			jobs[i] = j
		})
	}
	close(ready)
	group.Wait()
	for i, p := range []*tenant{first, second} {
		for run := p.box.board.running(jobs[i].ID); run != nil; run = nil {
			<-run.ended
		}
		j, err := []*tenant{second, first}[i].box.Job(t.Context(), jobs[i].ID) // as the other one sees it
		if jobs[i] = j; err != nil || j.State != JobDone || j.Succeeded+j.Skipped != n {
			t.Errorf("%s, %v", jobText(j), err)
		}
	}
	if got := jobs[0].Succeeded + jobs[1].Succeeded; got != n {
		t.Errorf("%d letters were replayed, of %d", got, n)
	}
	for customer, times := range calls {
		if times != 1 {
			t.Errorf("the call of %s was made %d times", customer, times)
		}
	}
	for i, p := range []*tenant{first, second} {
		for _, s := range summaries(t, p.box) {
			if s.State != LetterReplayed || s.ReplayCount != 1 {
				t.Errorf("process %d: letter %s is %s after %d replays", i, s.ID, s.State, s.ReplayCount)
			}
		}
	}
}

// TestSharedReplayHasItsLetterAlone holds that the clock of a process that goes ahead
// does not make it replay a letter that another one replays now.
func TestSharedReplayHasItsLetterAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := sharedStores()
		p := tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, func(context.Context, notifyArgs) error { return nil })
		l := p.keep(t, "a")
		lease, err := stores.Leases.Acquire(t.Context(), StoreKey("letters", "replay", l.ID), "another", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		past := time.Now().Add(-time.Hour).UTC() // by the clock of p, the claim ended
		claim := LetterClaim{Owner: "another", JobID: "other", Attempt: "x", At: past, Until: past.Add(time.Minute)}
		if l, err = p.box.claim(t.Context(), l.ID, l.Rev, claim); err != nil {
			t.Fatal(err)
		}
		p.fail.Store(false)
		j := awaitJob(t, p.Runtime, apply(t, p.Runtime, "", ReplayOptions{}, ApplyOptions{}).ID)
		if j.Skipped != 1 || !strings.Contains(j.Done[0].Why, "held by another") {
			t.Errorf("%s: %+v", jobText(j), j.Done)
		}
		if err := stores.Leases.Release(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		j = awaitJob(t, p.Runtime, apply(t, p.Runtime, "", ReplayOptions{Rate: 1}, ApplyOptions{}).ID)
		if j.Succeeded != 1 {
			t.Errorf("%s: %+v", jobText(j), j.Done)
		}
	})
}

// TestSharedJob has one process look after the job of another: it sees it, pauses it, has
// it go on, and finishes it when that one is gone. No letter is replayed twice.
func TestSharedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := sharedStores()
		to := &peer{}
		first := tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, to.notify)
		second := tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, to.notify)
		for i := range 30 {
			first.keep(t, fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		first.fail.Store(false)
		second.fail.Store(false)
		id := apply(t, first.Runtime, "", ReplayOptions{Rate: 1}, ApplyOptions{}).ID
		time.Sleep(5 * time.Second)
		if list, err := second.box.Jobs(t.Context()); err != nil || len(list) != 1 || list[0].Succeeded < 4 || list[0].State != JobRunning {
			t.Errorf("jobs %+v, %v", list, err)
		}
		if _, err := second.box.PauseJob(t.Context(), id, "ann", "lunch"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		before := len(to.asked())
		time.Sleep(time.Minute)
		if j, err := first.box.Job(t.Context(), id); err != nil || j.State != JobPaused || j.Why != "lunch" || len(to.asked()) != before {
			t.Errorf("%s, %q, %v; %d replays, %d later", j.State, j.Why, err, before, len(to.asked()))
		}
		if _, err := second.box.ResumeJob(t.Context(), id, "ann", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if after := len(to.asked()); after < before+3 || after > before+6 {
			t.Errorf("%d replays in 5 s, at 1 a second", after-before)
		}
		if j, err := second.box.Job(t.Context(), id); err != nil || !strings.Contains(j.Waits, "which runs it") {
			t.Errorf("it stands by as %q, %v", j.Waits, err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if j := awaitJob(t, second.Runtime, id); j.Succeeded != 30 {
			t.Errorf("%s: %+v", jobText(j), j.Done)
		}
		var want []string
		for i := range 30 {
			want = append(want, fmt.Sprint(i))
		}
		if got := to.asked(); !slices.Equal(got, want) {
			t.Errorf("called %v", got)
		}
	})
}

// TestSharedSlowJob holds that a job that waits long between two replays keeps its lease,
// and hears that it is cancelled.
func TestSharedSlowJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := sharedStores()
		to := &peer{}
		first := tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, to.notify)
		second := tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, to.notify)
		for range 3 {
			first.keep(t, "a")
		}
		first.fail.Store(false)
		id := apply(t, first.Runtime, "", ReplayOptions{Rate: 0.0001}, ApplyOptions{}).ID
		run := first.box.board.running(id)
		time.Sleep(10 * time.Minute)
		if owner, _, err := stores.Leases.Holder(t.Context(), StoreKey("letters", "job", id)); err != nil || owner != first.box.instance {
			t.Errorf("the lease is %q's, %v", owner, err)
		}
		if _, err := second.box.CancelJob(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		select {
		case <-run.ended:
		default:
			t.Error("it does not hear that it is cancelled")
		}
	})
}

// TestSharedJobOfOneThatHangs has a process that lost its job come back in the middle of
// a replay: the letter is told of once, and replayed once.
func TestSharedJobOfOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := sharedStores()
		free, hung := make(chan struct{}), make(chan struct{}, 1)
		to := &peer{}
		first := tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, func(ctx context.Context, args notifyArgs) error {
			hung <- struct{}{}
			<-free
			return to.notify(ctx, args)
		})
		second := tenantOf(t, stores, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, to.notify)
		for i := range 3 {
			first.keep(t, fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		first.fail.Store(false)
		second.fail.Store(false)
		id := apply(t, first.Runtime, "", ReplayOptions{NoCanary: true, Timeout: time.Hour}, ApplyOptions{}).ID
		<-hung
		if _, err := second.box.PauseJob(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := second.box.ResumeJob(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		run := first.box.board.running(id)
		time.Sleep(time.Second)
		if err := stores.Leases.Release(t.Context(), run.turnOf.lease); err != nil { // as if it had ended
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if got := to.asked(); len(got) != 0 {
			t.Errorf("called %v: the first letter is claimed", got)
		}
		close(free)
		go func() { // the others of the first process
			for range hung {
			}
		}()
		j := awaitJob(t, second.Runtime, id)
		close(hung)
		if got := to.asked(); j.Succeeded != 3 || !slices.Equal(got, []string{"0", "1", "2"}) {
			t.Errorf("%s, called %v: %+v", jobText(j), got, j.Done)
		}
	})
}

// TestSharedRetention holds that of two processes one drops a letter, that both know
// what is gone, and that a letter whose replay begins meanwhile stays whole.
func TestSharedRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := sharedStores()
		var second *tenant
		var saved string
		expired := map[string]int{}
		d := DeadLetterPolicy{Queue: "q", MaxAge: time.Hour}
		o := LetterOptions{OnExpire: func(ctx context.Context, batch []Letter) error {
			for _, l := range batch {
				expired[l.ID]++
			}
			if saved != "" {
				return nil
			}
			l := batch[0] // what another process does while these are being dropped
			saved = l.ID
			_, err := second.box.claim(ctx, l.ID, l.Rev, LetterClaim{Owner: second.box.instance, Attempt: "x", At: time.Now(), Until: time.Now().Add(24 * time.Hour)})
			return err
		}}
		first := tenantOf(t, stores, d, idempotent, o, nil)
		second = tenantOf(t, stores, d, idempotent, o, nil)
		second.box.board.begin("x")
		for i := range 10 {
			[]*tenant{first, second}[i%2].keep(t, fmt.Sprint(i))
		}
		time.Sleep(2 * time.Hour)
		first.box.sweep(t.Context())
		second.box.sweep(t.Context())
		for i, p := range []*tenant{first, second} {
			list := summaries(t, p.box)
			if len(list) != 1 || list[0].ID != saved || list[0].State != LetterClaimed {
				t.Errorf("process %d shows %+v, want only %s", i, list, saved)
			}
			if s, err := p.box.Stats(t.Context()); err != nil || s.Queues[0].Dropped[dropAge] != 9 {
				t.Errorf("process %d: %+v, %v", i, s, err)
			}
		}
		if len(expired) != 10 {
			t.Errorf("%d letters were given to OnExpire", len(expired))
		}
		l, err := second.box.settle(t.Context(), saved, LetterClaim{Attempt: "x"}, LetterTransition{To: LetterReplayed, Replay: &LetterReplay{Outcome: ReplaySucceeded}})
		if err != nil || l.State != LetterReplayed || l.Call.Method != "Notify" {
			t.Errorf("the claimed letter: %s, %v", l.State, err)
		}
	})
}

// TestSharedSweepsTakeTurns holds that a process leaves it to another one to drop letters
// while that one does, and that either one's tombstones stand on those of the other.
func TestSharedSweepsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := sharedStores()
		d := DeadLetterPolicy{Queue: "q", MaxCount: 3}
		first, second := tenantOf(t, stores, d, idempotent, LetterOptions{}, nil), tenantOf(t, stores, d, idempotent, LetterOptions{}, nil)
		lease, err := stores.Leases.Acquire(t.Context(), "letters/sweep", "another", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		keep := func(p *tenant) {
			time.Sleep(time.Second)
			if err := p.pay.call(t.Context(), notifyArgs{}); !errors.Is(err, ErrDeadLettered) {
				t.Errorf("not kept: %v", err)
			}
		}
		for range 6 {
			keep(first)
		}
		if got := len(summaries(t, second.box)); got != 6 {
			t.Errorf("%d letters, want all while another process drops some", got)
		}
		if err := stores.Leases.Release(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			keep([]*tenant{first, second}[i%2])
			if got := len(summaries(t, first.box)); got > 4 { // one may think that it is alone until it looks
				t.Errorf("%d letters, want 3", got)
			}
		}
		s, err := second.box.Stats(t.Context())
		if err != nil || s.Queues[0].Dropped[dropCount]+int64(s.Queues[0].Letters) != 12 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// countingLog counts what a log is asked for.
type countingLog struct {
	*memoryLog
	alone        bool
	heads, scans atomic.Int64
}

func (l *countingLog) Exclusive() bool { return l.alone }

func (l *countingLog) Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	l.heads.Add(1)
	return l.memoryLog.Heads(ctx, prefix, from)
}

func (l *countingLog) Scan(ctx context.Context, key string, after Version) iter.Seq2[Record, error] {
	l.scans.Add(1)
	return l.memoryLog.Scan(ctx, key, after)
}

// TestLooksAreCheap holds that a process that is alone never looks at its store again,
// and that one that is not reads only the letters that have changed.
func TestLooksAreCheap(t *testing.T) {
	for _, alone := range []bool{true, false} {
		log := &countingLog{memoryLog: newMemoryLog(), alone: alone}
		p := tenantOf(t, Stores{Log: log}, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, nil)
		var last Letter
		for range 50 {
			last = p.keep(t, "a")
		}
		other := tenantOf(t, Stores{Log: log}, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, nil)
		_ = summaries(t, other.box)
		log.heads.Store(0)
		log.scans.Store(0)
		_ = summaries(t, p.box)
		_ = patternsOf(t, p.box)
		if _, err := p.box.Stats(t.Context()); err != nil {
			t.Error(err)
		}
		looks := int64(3 * 3) // patterns, tombstones and letters, three times
		if alone {
			looks = 0
		}
		if heads, scans := log.heads.Load(), log.scans.Load(); heads != looks || scans != 0 {
			t.Errorf("alone %v: %d looks and %d letters read, want %d and 0", alone, heads, scans, looks)
		}
		if alone {
			continue
		}
		if _, err := p.box.Discard(t.Context(), last.ID, 0, "", ""); err != nil {
			t.Fatal(err)
		}
		log.scans.Store(0)
		_ = summaries(t, other.box)
		if scans := log.scans.Load(); scans != 1 {
			t.Errorf("%d letters read, want the one that changed", scans)
		}
	}
}

// TestSharedStoreAway holds that a list of what a store has, which does not answer, is
// an error, and right again when it does.
func TestSharedStoreAway(t *testing.T) {
	log := &stubbornHeads{Log: newMemoryLog()}
	p := tenantOf(t, Stores{Log: log}, DeadLetterPolicy{Queue: "q"}, idempotent, LetterOptions{}, nil)
	p.keep(t, "a")
	log.away.Store(true)
	if _, err := p.box.List(t.Context(), LetterQuery{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a list of a store that is away: %v", err)
	}
	p.pay.next = func(context.Context, notifyArgs) error { return errDown }
	if err := p.pay.call(t.Context(), notifyArgs{}); !errors.Is(err, ErrDeadLettered) {
		t.Errorf("not kept: %v", err)
	}
	log.away.Store(false)
	if got := len(summaries(t, p.box)); got != 2 {
		t.Errorf("%d letters, want 2", got)
	}
}

// stubbornHeads is a shared log that may not list its keys.
type stubbornHeads struct {
	Log
	away atomic.Bool
}

func (l *stubbornHeads) Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	if l.away.Load() {
		return func(yield func(Record, error) bool) { yield(Record{}, ErrUnavailable) }
	}
	return l.Log.Heads(ctx, prefix, from)
}

// chatty is a log at which something happens at every look.
type chatty struct {
	Log
	happens func()
}

func (l chatty) Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	l.happens()
	return l.Log.Heads(ctx, prefix, from)
}

// TestLooksTellUnderNoLock: who hears of an event may do anything with letters, also
// where a look has it told: say something of a pattern, or have letters erased.
func TestLooksTellUnderNoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var box *LetterBox
		told, busy := 0, map[string]bool{}
		stores := sharedStores()
		stores.Log = chatty{stores.Log, func() { // in another goroutine of the process
			if box != nil {
				box.tell(t.Context(), Event{Kind: PatternChanged})
			}
		}}
		rt := openLetters(t, Options{Stores: stores, Observe: func(context.Context, Event) {
			if box == nil {
				return
			}
			told++
			for name, mu := range map[string]*sync.Mutex{"sweeping": &box.sweeping, "saying": &box.saying, "mu": &box.mu} {
				if !mu.TryLock() {
					busy[name] = true
					continue
				}
				mu.Unlock()
			}
		}})
		n := notifierTo(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, idempotent, func(context.Context, notifyArgs) error { return errDown })
		box = rt.DeadLetters()
		for range 3 {
			_ = n.call(t.Context(), notifyArgs{})
			time.Sleep(sweepLook + time.Second) // the next one looks
		}
		list, err := box.Patterns(t.Context(), "")
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if _, err := box.SetPattern(t.Context(), list[0].ID, PatternChange{Owner: "ann"}); err != nil {
			t.Error(err)
		}
		if told == 0 || len(busy) > 0 {
			t.Errorf("%d events told, with these locks held: %v", told, busy)
		}
	})
}
