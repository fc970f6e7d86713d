package resilience

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

type notifyArgs struct {
	CustomerID string            `json:"customerID"`
	Event      map[string]string `json:"event"`
	Cents      int64             `json:"cents"`
}

var notifyFields = []LetterField{{"customerID", "string"}, {"event", "map[string]string"}, {"cents", "int64"}}

// notifier is what a generated wrapper of a method Notify with deadLetter is made
// of.
type notifier struct {
	guard   *Guard
	letters *DeadLetters[notifyArgs]
	next    func(ctx context.Context, args notifyArgs) error
}

func newNotifier(t testing.TB, rt *Runtime, p Policy, d DeadLetterPolicy, m LetterMethod[notifyArgs]) *notifier {
	t.Helper()
	return notifierTo(t, rt, p, d, m, func(context.Context, notifyArgs) error { return errDown })
}

func notifierTo(t testing.TB, rt *Runtime, p Policy, d DeadLetterPolicy, m LetterMethod[notifyArgs], next func(context.Context, notifyArgs) error) *notifier {
	t.Helper()
	n := &notifier{next: next}
	w := rt.Wrap("payments.Gateway", n)
	n.guard = w.Guard("Notify", p)
	m.Fields = notifyFields
	m.Replay = n.call
	m.Direct = func(ctx context.Context, args notifyArgs) error { return n.next(ctx, args) }
	n.letters = NewDeadLetters(w, "Notify", d, m)
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *notifier) call(ctx context.Context, args notifyArgs) (err error) {
	call := n.guard.Begin(ctx)
	defer call.End()
	defer func() {
		if v := recover(); v != nil {
			n.letters.Panicked(&call, args, v)
			panic(v)
		}
	}()
	for call.Next() {
		err = n.next(call.Context(), args)
		call.Record(err)
	}
	if err = call.Err(); err != nil {
		return n.letters.Keep(&call, args, err)
	}
	return nil
}

var errDown = errors.New("gateway is down")

func openLetters(t testing.TB, o Options) *Runtime {
	t.Helper()
	if o.Stores.Log == nil && o.Dir == "" {
		o.Stores = MemoryStores()
	}
	rt, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

func TestKeepLetter(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}}, DeadLetterPolicy{Queue: "payments.notify"}, LetterMethod[notifyArgs]{Sig: "0123456789abcdef"})
	args := notifyArgs{"c-17", map[string]string{"kind": "paid"}, 1<<62 + 1}
	err := n.call(WithIdempotencyKey(t.Context(), "key-1"), args)

	var gave *Error
	var kept *KeptError
	if !errors.Is(err, ErrDeadLettered) || !errors.Is(err, errDown) || !errors.As(err, &gave) || !errors.As(err, &kept) {
		t.Fatalf("Keep returned %v", err)
	}
	again, l, err := n.letters.Get(t.Context(), kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(again) != fmt.Sprint(args) {
		t.Errorf("arguments came back as %v, want %v", again, args)
	}
	if l.State != LetterDead || l.Reason != ReasonExhausted || l.AttemptCount != 3 || l.Queue != "payments.notify" || l.Call.IdemKey != "key-1" || l.Err() == "" {
		t.Errorf("letter %+v", l)
	}
	if !strings.HasSuffix(l.Call.Interface, "/runtime/resilience.Gateway") || l.Call.Method != "Notify" {
		t.Errorf("letter of %s.%s", l.Call.Interface, l.Call.Method)
	}
	if !isLetterID(l.ID) || l.DeadAt.Sub(letterTime(l.ID)) >= time.Millisecond || letterTime(l.ID).After(l.DeadAt) {
		t.Errorf("id %s of %v, want that of %v", l.ID, letterTime(l.ID), l.DeadAt)
	}
	page, err := rt.DeadLetters().List(t.Context(), LetterQuery{})
	if err != nil || len(page.Letters) != 1 || page.Letters[0].ID != kept.ID || page.Next != "" {
		t.Errorf("List returned %+v, %v", page, err)
	}
}

func TestKeepReasons(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	late, stop := context.WithTimeout(t.Context(), -1)
	defer stop()
	cancel()
	for _, c := range []struct {
		name string
		p    Policy
		ctx  context.Context
		next func(context.Context, notifyArgs) error
		all  bool
		want Reason // "" is not kept
	}{
		{"one attempt", Policy{}, t.Context(), nil, false, ReasonExhausted},
		{"permanent", Policy{}, t.Context(), func(context.Context, notifyArgs) error { return Permanent(errDown) }, false, ReasonPermanent},
		{"timeout", Policy{Timeout: Timeout{Total: time.Millisecond}}, t.Context(), func(ctx context.Context, _ notifyArgs) error { <-ctx.Done(); return ctx.Err() }, false, ReasonDeadline},
		{"caller's deadline", Policy{}, late, nil, false, ReasonDeadline},
		{"cancelled", Policy{}, gone, nil, true, ""},
		{"breaker, not listed", Policy{Breaker: Breaker{InitialState: StateOpen}}, t.Context(), nil, false, ""},
		{"breaker", Policy{Breaker: Breaker{InitialState: StateOpen}}, t.Context(), nil, true, ReasonBreakerOpen},
		{"bulkhead", Policy{Bulkhead: Bulkhead{MaxConcurrent: None}}, t.Context(), nil, true, ReasonRejected},
		{"cancelled inside", Policy{}, t.Context(), func(context.Context, notifyArgs) error { return context.Canceled }, false, ReasonExhausted},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := openLetters(t, Options{})
			d := DeadLetterPolicy{}
			if c.all {
				d.When = Reasons{ReasonExhausted, ReasonPermanent, ReasonDeadline, ReasonPanic, ReasonRejected, ReasonBreakerOpen}
			}
			n := newNotifier(t, rt, c.p, d, LetterMethod[notifyArgs]{})
			if c.next != nil {
				n.next = c.next
			}
			err := n.call(c.ctx, notifyArgs{})
			page, failed := rt.DeadLetters().List(t.Context(), LetterQuery{})
			if failed != nil || err == nil {
				t.Fatal(failed, err)
			}
			switch {
			case c.want == "" && (len(page.Letters) != 0 || errors.Is(err, ErrDeadLettered)):
				t.Errorf("kept as %s: %v", page.Letters[0].Reason, err)
			case c.want != "" && (len(page.Letters) != 1 || page.Letters[0].Reason != c.want || !errors.Is(err, ErrDeadLettered)):
				t.Errorf("got %+v, %v, want a letter for %s", page.Letters, err, c.want)
			}
		})
	}
}

func TestKeepPanic(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
	n.next = func(context.Context, notifyArgs) error { panic("boom") }
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic changed")
			}
		}()
		_ = n.call(t.Context(), notifyArgs{})
	}()
	page, err := rt.DeadLetters().List(t.Context(), LetterQuery{})
	if err != nil || len(page.Letters) != 1 || page.Letters[0].Reason != ReasonPanic || page.Letters[0].Error != "boom" {
		t.Errorf("List returned %+v, %v", page, err)
	}
}

func TestKeepSwitchedOff(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
	rt.SetEnabled(false)
	if err := n.call(t.Context(), notifyArgs{}); !errors.Is(err, ErrDeadLettered) {
		t.Errorf("policies switched off: %v, want a letter all the same", err)
	}
	rt.SetDurable(false)
	if err := n.call(t.Context(), notifyArgs{}); err != errDown {
		t.Errorf("what is durable switched off: %v, want the bare error", err)
	}
}

func TestKeepWithoutStore(t *testing.T) {
	rt, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := rt.Wrap("payments.Gateway", t)
	w.Guard("Notify", Policy{})
	NewDeadLetters(w, "Notify", DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
	if err := w.Err(); !errors.Is(err, ErrNoStore) || !strings.Contains(err.Error(), "payments.Gateway.Notify: deadLetter") {
		t.Errorf("constructor returned %v", err)
	}
	if _, err := rt.DeadLetters().List(t.Context(), LetterQuery{}); !errors.Is(err, ErrNoStore) {
		t.Errorf("List returned %v", err)
	}
}

func TestKeepStoreFails(t *testing.T) {
	stores := MemoryStores()
	rt := openLetters(t, Options{Stores: stores})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
	stores.Log.(*memoryLog).Close()
	err := n.call(t.Context(), notifyArgs{})
	var failed *WriteError
	if !errors.Is(err, errDown) || errors.Is(err, ErrDeadLettered) || !errors.As(err, &failed) || !errors.Is(failed.Err, ErrClosed) {
		t.Errorf("Keep returned %v", err)
	}
}

func TestListPages(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
	for range 25 {
		_ = n.call(t.Context(), notifyArgs{})
	}
	for _, oldestFirst := range []bool{false, true} {
		var ids []string
		for q := (LetterQuery{Limit: 10, OldestFirst: oldestFirst}); ; {
			page, err := rt.DeadLetters().List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range page.Letters {
				ids = append(ids, l.ID)
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		if len(ids) != 25 {
			t.Fatalf("%d letters on all pages, want 25", len(ids))
		}
		for i := 1; i < len(ids); i++ {
			if (ids[i] > ids[i-1]) != oldestFirst {
				t.Errorf("oldest first %v: %s after %s", oldestFirst, ids[i], ids[i-1])
			}
		}
	}
}

func TestLetterIDsGrow(t *testing.T) {
	var s idSource
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	last := ""
	for i := range 1000 {
		if i%10 == 0 {
			at = at.Add(time.Millisecond)
		}
		if i%100 == 0 {
			at = at.Add(-5 * time.Millisecond) // the clock was set back
		}
		id := s.next(at)
		if id <= last || !isLetterID(id) {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
	if id := newLetterID(at); !letterTime(id).Equal(at) || isLetterID(id[1:]) || isLetterID(strings.ToUpper(id)) || isLetterID("8"+id[1:]) {
		t.Errorf("id %s of %v, want %v", id, letterTime(id), at)
	}
}
