package resilience

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMatchingLetters chooses among more letters than are looked at at once.
func TestMatchingLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := openLetters(t, Options{})
		n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "payments.notify"}, LetterMethod[notifyArgs]{})
		for i := range 2*chunk + 10 {
			_ = n.call(t.Context(), notifyArgs{CustomerID: "c-" + strconv.Itoa(i%7), Cents: int64(i)})
			time.Sleep(time.Minute)
		}
		count := func(text string, oldestFirst bool) (ids []string) {
			f, err := ParseFilter(text)
			if err != nil {
				t.Fatal(err)
			}
			for s, err := range rt.DeadLetters().matching(t.Context(), f, "", oldestFirst) {
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, s.ID)
			}
			return ids
		}
		all := count("", true)
		if back := count("", false); len(all) != 2*chunk+10 || !slices.IsSorted(all) || back[0] != all[len(all)-1] || len(back) != len(all) {
			t.Errorf("%d letters from old to new, %d back", len(all), len(back))
		}
		for text, want := range map[string]int{
			"interface:resilience.Gateway": 522, "interface:payments.Gateway": 0,
			"queue:payments.notify method:Notify state:dead":          522,
			"args.customerID=c-3":                                     75,
			"args.cents=500 or args.cents=501":                        2,
			`error:"gateway is down" age<1h`:                          59,
			"since:2h not until:1h":                                   60,
			"id:" + all[4]:                                            1,
			"id:" + all[0][:9] + "*":                                  1,
			"attempts>1":                                              0,
			"replays=0 reason:exhausted interface:*.Gateway args.x=1": 0,
		} {
			if got := count(text, false); len(got) != want {
				t.Errorf("%s chooses %d, want %d", text, len(got), want)
			}
		}
	})
}

// TestMatchingLettersInFiles is for what reads letters from files: several at once,
// and not the arguments of those that cannot have the value.
func TestMatchingLettersInFiles(t *testing.T) {
	rt := openLetters(t, Options{Dir: t.TempDir()})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, LetterMethod[notifyArgs]{})
	names := []string{"c-1", "c-2", `a "quoted" <one>`, "4", "true"}
	const letters = 2*chunk + 10
	for i := range letters {
		_ = n.call(t.Context(), notifyArgs{CustomerID: names[i%len(names)], Cents: int64(i)})
	}
	for text, want := range map[string]int{
		"args.customerID=c-1":                      letters/5 + 1,
		"not args.customerID=c-1":                  letters - letters/5 - 1,
		`args.customerID="a \"quoted\" <one>"`:     letters / 5,
		`args.customerID="4" or args.cents=10`:     letters/5 + 1,
		"args.cents=50e1":                          1,
		"args.*=true":                              letters / 5,
		"args.customerID=c-3 or error:nothing":     0,
		`error:"gateway is down" args.cents=500`:   1,
		"args.customerID=c-2 queue:q reason:none*": 0,
	} {
		f, err := ParseFilter(text)
		if err != nil {
			t.Fatal(text, err)
		}
		got := 0
		for _, err := range rt.DeadLetters().matching(t.Context(), f, "", false) {
			if err != nil {
				t.Fatal(err)
			}
			got++
		}
		if got != want {
			t.Errorf("%s chooses %d, want %d", text, got, want)
		}
	}
}

// unreadableLog fails to scan.
type unreadableLog struct{ Log }

var errDisk = errors.New("disk is gone")

func (l unreadableLog) Scan(context.Context, string, Version) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) { yield(Record{}, errDisk) }
}

// TestMatchingSaysThatItCannotRead holds that a letter that cannot be read is not
// taken for one that does not match.
func TestMatchingSaysThatItCannotRead(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
	if err := n.call(t.Context(), notifyArgs{}); !errors.Is(err, ErrDeadLettered) {
		t.Fatal(err)
	}
	f, err := ParseFilter("args.cents=5")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rt.DeadLetters().List(t.Context(), LetterQuery{}); err != nil { // reads the index
		t.Fatal(err)
	}
	rt.stores.Log = unreadableLog{rt.stores.Log}
	var got error
	for _, err := range rt.DeadLetters().matching(t.Context(), f, "", true) {
		got = err
	}
	if !errors.Is(got, errDisk) || !strings.Contains(got.Error(), "disk") {
		t.Errorf("error %v", got)
	}
}

// TestLettersOfAMethod holds that a typed handle has only its own.
func TestLettersOfAMethod(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, idempotent)
	w := rt.Wrap("payments.Other", n)
	g := w.Guard("Notify", Policy{})
	other := NewDeadLetters(w, "Notify", DeadLetterPolicy{Queue: "q"}, LetterMethod[struct{}]{})
	call := g.Begin(t.Context())
	_ = other.Keep(&call, struct{}{}, errDown)
	call.End()
	for i := range 3 {
		_ = n.call(t.Context(), notifyArgs{CustomerID: "c-" + strconv.Itoa(i)})
	}
	for filter, want := range map[string]int{"": 3, "queue:q": 3, "args.customerID=c-1 or args.customerID=c-2": 2, "method:Other": 0} {
		page, err := n.letters.List(t.Context(), LetterQuery{Filter: filter})
		p, failed := n.letters.Plan(t.Context(), filter, ReplayOptions{})
		if err != nil || failed != nil || len(page.Letters) != want || p.Count != want {
			t.Errorf("%q lists %d, plans %d, want %d: %v, %v", filter, len(page.Letters), p.Count, want, err, failed)
		}
	}
	var bad *FilterError
	if _, err := n.letters.List(t.Context(), LetterQuery{Filter: "queue:q) or (queue:q"}); !errors.As(err, &bad) || bad.Column != 8 {
		t.Errorf("a filter got out of its parentheses: %v", err)
	}
}
