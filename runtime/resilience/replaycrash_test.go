package resilience

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// mortal is a log whose process dies at an append: before it is written, or after
// that and before it is told.
type mortal struct {
	*memoryLog
	left  atomic.Int64 // appends until then; < 0: it lives
	after bool
	dead  atomic.Bool
	n     atomic.Int64
}

var errKilled = fmt.Errorf("the process is dead: %w", ErrUnavailable)

func (l *mortal) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	if l.dead.Load() {
		return 0, errKilled
	}
	l.n.Add(1)
	if l.left.Add(-1) == 0 {
		l.dead.Store(true)
		if l.after {
			_, _ = l.memoryLog.Append(ctx, key, after, body)
		}
		return 0, errKilled
	}
	return l.memoryLog.Append(ctx, key, after, body)
}

func (l *mortal) Scan(ctx context.Context, key string, after Version) iter.Seq2[Record, error] {
	if l.dead.Load() {
		return func(yield func(Record, error) bool) { yield(Record{}, errKilled) }
	}
	return l.memoryLog.Scan(ctx, key, after)
}

func (l *mortal) Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	if l.dead.Load() {
		return func(yield func(Record, error) bool) { yield(Record{}, errKilled) }
	}
	return l.memoryLog.Heads(ctx, prefix, from)
}

// ledger counts what a peer did, for each customer. What a process asks for after
// its death does not come.
type ledger struct {
	mu   sync.Mutex
	done map[string]int
}

// book returns a func that books calls while log lives. Customers that begin with f
// fail after they were booked.
func (l *ledger) book(log *mortal) func(context.Context, notifyArgs) error {
	return func(ctx context.Context, args notifyArgs) error {
		time.Sleep(100 * time.Millisecond)
		if log != nil && log.dead.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.done[args.CustomerID]++
		if strings.HasPrefix(args.CustomerID, "f") {
			return errDown
		}
		return nil
	}
}

// TestReplaySurvivesEveryCrash kills a process at each append that a replay of some
// letters makes, before and after it is written, and has the next process go on.
// A call of a letter is repeated only where the process died between the claim and
// the end of that letter, and never if its method is not idempotent.
func TestReplaySurvivesEveryCrash(t *testing.T) {
	for _, m := range []LetterMethod[notifyArgs]{idempotent, {Sig: "0123456789abcdef"}} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("idempotent %v, written %v", m.Idempotent, after), func(t *testing.T) {
				for at := int64(1); ; at++ {
					died := false
					synctest.Test(t, func(t *testing.T) { died = crashOnce(t, m, at, after) })
					if !died {
						if at < 15 {
							t.Errorf("only %d appends", at)
						}
						return
					}
					if t.Failed() {
						t.Fatalf("killed at append %d", at)
					}
				}
			})
		}
	}
}

// crashOnce reports whether the process died before the job was over.
func crashOnce(t *testing.T, m LetterMethod[notifyArgs], at int64, after bool) (died bool) {
	raw := newMemoryLog()
	setup := openLetters(t, Options{Stores: Stores{Log: raw}})
	nt := newNotifier(t, setup, Policy{}, DeadLetterPolicy{Queue: "q"}, m)
	for _, c := range []string{"a", "b", "f", "d"} {
		_ = nt.call(t.Context(), notifyArgs{CustomerID: c})
		time.Sleep(time.Second)
	}
	_ = setup.Close()

	books := &ledger{done: map[string]int{}}
	log := &mortal{memoryLog: raw, after: after}
	log.left.Store(at)
	first := openLetters(t, Options{Stores: Stores{Log: log}})
	notifierTo(t, first, Policy{}, DeadLetterPolicy{Queue: "q"}, m, books.book(log))
	o, a := ReplayOptions{NoCanary: true}, ApplyOptions{AllowDuplicates: true, Queue: "q"}
	run := func(rt *Runtime) error {
		p, err := rt.DeadLetters().Plan(t.Context(), "state:dead", o)
		if err != nil {
			return err
		}
		_, err = rt.DeadLetters().Apply(t.Context(), p.Token, a)
		return err
	}
	_ = run(first)
	time.Sleep(20 * time.Second)
	_ = first.Close()

	second := openLetters(t, Options{Stores: Stores{Log: raw}})
	notifierTo(t, second, Policy{}, DeadLetterPolicy{Queue: "q"}, m, books.book(nil))
	time.Sleep(time.Minute) // it goes on with the job, if there is one
	jobs, err := second.DeadLetters().Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) == 0 { // it died before there was one
		if err := run(second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		jobs, _ = second.DeadLetters().Jobs(t.Context())
	}
	j, err := second.DeadLetters().Job(t.Context(), jobs[0].ID)
	if err != nil || j.State != JobDone || j.Left != 0 || j.Total != 4 {
		t.Fatalf("%s, %v", jobText(j), err)
	}
	checkBooks(t, second, books, j, m.Idempotent, log)
	_ = second.Close()
	return log.dead.Load()
}

// checkBooks compares what was done with what letters and the job say.
func checkBooks(t *testing.T, rt *Runtime, books *ledger, j Job, idempotent bool, log *mortal) {
	t.Helper()
	repeated, missing := 0, 0
	for _, c := range []string{"a", "b", "f", "d"} {
		switch n := books.done[c]; {
		case n == 0:
			missing++
		case n > 1:
			repeated += n - 1
		}
	}
	crashes := 0
	if log.dead.Load() {
		crashes = 1
	}
	if repeated > crashes || !idempotent && repeated > 0 {
		t.Errorf("%d calls were repeated after %d crashes: %v", repeated, crashes, books.done)
	}
	if missing > j.InDoubt || idempotent && j.InDoubt > 0 || j.InDoubt > crashes {
		t.Errorf("%d calls are missing, %d letters in doubt: %v", missing, j.InDoubt, books.done)
	}
	if j.Succeeded+j.InDoubt < 3 || j.Succeeded+j.InDoubt+j.Failed != 4 {
		t.Error(jobText(j))
	}
	for _, r := range j.Done {
		l, err := rt.DeadLetters().Get(t.Context(), r.Letter)
		want := map[string]LetterState{ReplaySucceeded: LetterReplayed, ReplayFailed: LetterDead, JobInDoubt: LetterInDoubt}[r.Outcome]
		if err != nil || l.State != want {
			t.Errorf("the job says %s, the letter %s, %v", r.Outcome, l.State, err)
		}
	}
}

// TestLettersModel plays random histories of calls, replays, edits, decisions and
// crashes, and compares the letters with a map.
func TestLettersModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				newLettersModel(t, seed).play(60)
			})
		})
	}
}

// modelLetter is a letter as it should be.
type modelLetter struct {
	state    LetterState
	failures int
	customer string
	edits    int
	calls    int // of replays
}

type lettersModel struct {
	t       *testing.T
	rand    *rand.Rand
	raw     *memoryLog
	rt      *Runtime
	nt      *notifier
	failing map[string]bool
	letters map[string]*modelLetter
	calls   map[string]int // by customer
	mu      sync.Mutex
	hang    chan struct{} // calls wait for it; nil: they do not
}

func newLettersModel(t *testing.T, seed uint64) *lettersModel {
	m := &lettersModel{t: t, rand: rand.New(rand.NewPCG(seed, 1)), raw: newMemoryLog(), failing: map[string]bool{}, letters: map[string]*modelLetter{}, calls: map[string]int{}}
	m.open()
	return m
}

// open is a new process on the same store.
func (m *lettersModel) open() {
	m.rt = openLetters(m.t, Options{Stores: Stores{Log: m.raw}})
	m.nt = notifierTo(m.t, m.rt, Policy{}, DeadLetterPolicy{Queue: "q"}, idempotent, m.notify)
}

// notify is what letters call.
func (m *lettersModel) notify(_ context.Context, a notifyArgs) error {
	m.mu.Lock()
	m.calls[a.CustomerID]++
	hang, fails := m.hang, m.failing[a.CustomerID]
	m.mu.Unlock()
	if hang != nil {
		<-hang
		return errDown
	}
	if fails {
		return errDown
	}
	return nil
}

func (m *lettersModel) play(steps int) {
	for i := range steps {
		switch m.rand.IntN(8) {
		case 0, 1:
			m.fails(fmt.Sprintf("c-%d", i))
		case 2, 3:
			m.replays()
		case 4:
			m.edits(fmt.Sprintf("e-%d", i))
		case 5:
			m.decides()
		case 6:
			m.reopens()
		case 7:
			m.crashes()
		}
		time.Sleep(2 * time.Second)
		m.check(i)
		if m.t.Failed() {
			return
		}
	}
}

// fails makes a call that fails, whose customer fails for ever or only now.
func (m *lettersModel) fails(customer string) {
	m.mu.Lock()
	m.failing[customer] = true
	m.mu.Unlock()
	var kept *KeptError
	if err := m.nt.call(m.t.Context(), notifyArgs{CustomerID: customer}); !errors.As(err, &kept) {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	m.failing[customer] = m.rand.IntN(2) == 0
	m.calls[customer] = 0
	m.mu.Unlock()
	m.letters[kept.ID] = &modelLetter{state: LetterDead, customer: customer}
}

// pick returns the id of any letter.
func (m *lettersModel) pick() string {
	if len(m.letters) == 0 {
		m.fails("first")
	}
	ids := make([]string, 0, len(m.letters))
	for id := range m.letters {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids[m.rand.IntN(len(ids))]
}

func (m *lettersModel) replays() {
	planned := 0
	for _, l := range m.letters {
		if l.state == LetterDead || l.state == LetterInDoubt {
			planned++
		}
	}
	p, err := m.rt.DeadLetters().Plan(m.t.Context(), "", ReplayOptions{NoCanary: true, StopErrors: None, Rate: 1000})
	if err != nil || p.Count != planned {
		m.t.Fatalf("%d letters planned, want %d: %v", p.Count, planned, err)
	}
	if planned == 0 {
		return
	}
	j, err := m.rt.DeadLetters().Apply(m.t.Context(), p.Token, ApplyOptions{})
	if err != nil {
		m.t.Fatal(err)
	}
	awaitJob(m.t, m.rt, j.ID)
	for _, l := range m.letters {
		if l.state != LetterDead && l.state != LetterInDoubt {
			continue
		}
		if l.state == LetterInDoubt {
			if l.failures++; l.failures >= 3 {
				l.state = LetterQuarantined
				continue
			}
		}
		l.calls++
		l.state = LetterReplayed
		if m.failing[l.customer] {
			l.state = LetterDead
			if l.failures++; l.failures >= 3 {
				l.state = LetterQuarantined
			}
		}
	}
}

func (m *lettersModel) edits(customer string) {
	id := m.pick()
	l := m.letters[id]
	_, err := m.rt.DeadLetters().Edit(m.t.Context(), id, LetterEditRequest{Patch: []byte(`[{"op":"replace","path":"/customerID","value":"` + customer + `"}]`)})
	if may := l.state == LetterDead || l.state == LetterQuarantined; may != (err == nil) {
		m.t.Fatalf("edit of a letter that is %s: %v", l.state, err)
	}
	if err == nil {
		l.customer, l.calls = customer, 0
		l.edits++
	}
}

func (m *lettersModel) decides() {
	id := m.pick()
	l := m.letters[id]
	to := []LetterState{LetterDead, LetterReplayed, LetterDiscarded}[m.rand.IntN(3)]
	var err error
	if to == LetterDiscarded {
		_, err = m.rt.DeadLetters().Discard(m.t.Context(), id, 0, "ann", "")
	} else {
		_, err = m.rt.DeadLetters().Resolve(m.t.Context(), id, 0, to, "ann", "")
	}
	may := map[LetterState]string{LetterDead: "replayed discarded", LetterInDoubt: "dead replayed discarded", LetterQuarantined: "dead replayed discarded", LetterDiscarded: "dead"}[l.state]
	if slices.Contains(strings.Fields(may), string(to)) != (err == nil) {
		m.t.Fatalf("from %s to %s: %v", l.state, to, err)
	}
	if err != nil {
		return
	}
	if l.state == LetterInDoubt {
		l.failures++
	}
	l.state = to
}

func (m *lettersModel) reopens() {
	if err := m.rt.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.open()
}

// crashes kills the process while it replays one letter, and cancels the job.
func (m *lettersModel) crashes() {
	id := ""
	for range 10 {
		if id = m.pick(); m.letters[id].state == LetterDead {
			break
		}
		id = ""
	}
	if id == "" {
		return
	}
	_ = m.rt.Close()
	log := &mortal{memoryLog: m.raw}
	log.left.Store(-1)
	rt := openLetters(m.t, Options{Stores: Stores{Log: log}})
	notifierTo(m.t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, idempotent, m.notify)
	hang := make(chan struct{})
	m.waitFor(hang)
	j := apply(m.t, rt, "id:"+id, ReplayOptions{}, ApplyOptions{})
	time.Sleep(time.Second)
	if _, err := rt.DeadLetters().CancelJob(m.t.Context(), j.ID, "", ""); err != nil {
		m.t.Fatal(err)
	}
	log.dead.Store(true)
	m.waitFor(nil)
	close(hang)
	_ = rt.Close()
	l := m.letters[id]
	l.state = LetterInDoubt
	l.calls++
	m.open()
}

// waitFor has calls wait.
func (m *lettersModel) waitFor(hang chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hang = hang
}

func (m *lettersModel) check(step int) {
	m.t.Helper()
	page, err := m.rt.DeadLetters().List(m.t.Context(), LetterQuery{})
	if err != nil || len(page.Letters) != len(m.letters) {
		m.t.Fatalf("step %d: %d letters, want %d: %v", step, len(page.Letters), len(m.letters), err)
	}
	for _, s := range page.Letters {
		want := m.letters[s.ID]
		l, err := m.rt.DeadLetters().Get(m.t.Context(), s.ID)
		if err != nil {
			m.t.Fatal(err)
		}
		failures := 0
		for _, r := range l.Replays {
			if r.Outcome != ReplaySucceeded {
				failures++
			}
		}
		got := modelLetter{l.State, failures, strings.Trim(string(l.Call.Args[0].JSON), `"`), len(l.Edits), m.calls[want.customer]}
		if got != *want || s.State != l.State {
			m.t.Errorf("step %d: letter is %+v, and %s in the index, want %+v", step, got, s.State, *want)
		}
	}
}
