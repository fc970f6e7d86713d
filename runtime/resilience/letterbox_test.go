package resilience

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// reopened returns the letters of stores as another process sees them.
func reopened(t testing.TB, stores Stores) *LetterBox {
	t.Helper()
	return openLetters(t, Options{Stores: stores}).DeadLetters()
}

func summaries(t testing.TB, b *LetterBox) []LetterSummary {
	t.Helper()
	var list []LetterSummary
	for s, err := range b.matching(t.Context(), Filter{}, "", true) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// someLetters keeps letters of several errors and changes some of them.
func someLetters(t testing.TB, rt *Runtime, n int) {
	t.Helper()
	pay := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "pay"}, LetterMethod[notifyArgs]{Sig: "abc", OrderKey: func(a *notifyArgs) string { return a.CustomerID }})
	b := rt.DeadLetters()
	for i := range n {
		pay.next = func(context.Context, notifyArgs) error {
			return fmt.Errorf("class %s of %d: %w", string(rune('a'+i%3)), i, errDown)
		}
		l := keptLetter(t, pay, pay.call(t.Context(), notifyArgs{CustomerID: fmt.Sprint("c", i%7)}))
		var err error
		switch i % 5 {
		case 1:
			_, err = b.change(t.Context(), l, letterRecord{Transition: &LetterTransition{At: time.Now().UTC(), To: LetterReplayed, Replay: &LetterReplay{At: time.Now().UTC(), Outcome: "succeeded"}}})
		case 2:
			_, err = b.change(t.Context(), l, letterRecord{Note: &LetterNote{At: time.Now().UTC(), Text: "seen", Tags: []string{"a", "b"}}})
		case 3:
			f := l.failureOf()
			f.Group = "fp1:other"
			_, err = b.change(t.Context(), l, letterRecord{Transition: &LetterTransition{At: time.Now().UTC(), To: LetterDead, Replay: &LetterReplay{Outcome: "failed"}, Failure: f}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestIndexIsWhatAScanFinds compares what a clean close wrote with what the records
// say.
func TestIndexIsWhatAScanFinds(t *testing.T) {
	stores := MemoryStores()
	rt := openLetters(t, Options{Stores: stores})
	someLetters(t, rt, 40)
	if _, err := rt.DeadLetters().SetPattern(t.Context(), "fp1:other", PatternChange{State: PatternMuted, Owner: "ann", Note: "known", By: "bob"}); err != nil {
		t.Fatal(err)
	}
	running, want := summaries(t, rt.DeadLetters()), patternsOf(t, rt.DeadLetters())
	scanned := reopened(t, stores) // after a crash: no index
	if got := summaries(t, scanned); !reflect.DeepEqual(got, running) {
		t.Errorf("a scan finds\n%+v\nwant\n%+v", got, running)
	}
	for i, p := range patternsOf(t, scanned) { // replays that failed in another way are not counted again
		if w := want[i]; p.ID != w.ID || p.Open != w.Open || p.State != w.State || p.Owner != w.Owner || len(p.Notes) != len(w.Notes) {
			t.Errorf("a scan counts\n%+v\nwant\n%+v", p, w)
		}
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	indexed := reopened(t, stores)
	v, _ := indexed.rt.values()
	if _, _, err := indexed.readIndex(t.Context(), v); err != nil {
		t.Fatalf("no index after a clean close: %v", err)
	}
	if got := summaries(t, indexed); !reflect.DeepEqual(got, running) {
		t.Errorf("the index has\n%+v\nwant\n%+v", got, running)
	}
	if got := patternsOf(t, indexed); !reflect.DeepEqual(got, want) {
		t.Errorf("patterns of the index\n%+v\nwant\n%+v", got, want)
	}
	if _, _, err := indexed.readIndex(t.Context(), v); !errors.Is(err, errNoIndex) {
		t.Errorf("the index is still there while letters may change: %v", err)
	}
}

func patternsOf(t testing.TB, b *LetterBox) []LetterPattern {
	t.Helper()
	list, err := b.Patterns(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestIndexDamaged changes each byte of an index: it is believed or not, and never
// makes a letter of nothing.
func TestIndexDamaged(t *testing.T) {
	stores := MemoryStores()
	rt := openLetters(t, Options{Stores: stores})
	someLetters(t, rt, 5)
	body, _, err := rt.DeadLetters().encodeIndex()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(body); i += 1 + len(body)/500 {
		for _, flip := range []byte{1, 0x80, 0xff} {
			bad := slices.Clone(body)
			bad[i] ^= flip
			_, _, _ = decodeIndex(string(bad))
		}
		_, _, _ = decodeIndex(string(body[:i]))
	} // none panics
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	log := stores.Log.(*memoryLog)
	chunk := log.keys[chunkKey(0)]
	chunk[0].Body[len(chunk[0].Body)/2] ^= 1
	if got := summaries(t, reopened(t, stores)); len(got) != 5 {
		t.Errorf("%d letters behind a damaged index, want 5", len(got))
	}
}

func FuzzIndex(f *testing.F) {
	w := indexWriter{at: map[string]uint64{}}
	w.summary(&LetterSummary{ID: "a", Tags: []string{"x"}})
	f.Add(append([]byte{2, '[', ']', 1}, w.out...))
	f.Fuzz(func(_ *testing.T, body []byte) { _, _, _ = decodeIndex(string(body)) })
}

// TestBadRecords puts records under keys of letters that are none.
func TestBadRecords(t *testing.T) {
	const good = `{"kind":"letter","letter":{"v":1,"id":"ID","queue":"q","state":"dead","reason":"exhausted","call":{"interface":"i","method":"m","sig":"","args":[],"argsHash":""},"policy":{},"attemptCount":1,"first":"2026-01-01T00:00:00Z","last":"2026-01-01T00:00:00Z","deadAt":"2026-01-01T00:00:00Z","group":"g"}}`
	for name, body := range map[string]string{
		"empty":          ``,
		"not JSON":       `{"kind":`,
		"two values":     `{"kind":"note","note":{"at":"2026-01-01T00:00:00Z"}} {}`,
		"duplicate keys": strings.Replace(good, `"v":1`, `"v":1,"v":1`, 1),
		"deeply nested":  `{"kind":"letter","letter":{"v":1,"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`,
		"other version":  strings.Replace(good, `"v":1`, `"v":7`, 1),
		"unknown kind":   `{"kind":"spell"}`,
		"wrong kind":     strings.Replace(good, `"kind":"letter"`, `"kind":"note"`, 1),
		"another id":     good,
		"another queue":  strings.Replace(strings.Replace(good, "ID", "01m8etntyxfwwye8b6ndtf85ad", 1), `"queue":"q"`, `"queue":"other"`, 1),
		"no letter":      `{"kind":"note","note":{"at":"2026-01-01T00:00:00Z","text":"x"}}`,
		"wrong type":     strings.Replace(good, `"attemptCount":1`, `"attemptCount":"x"`, 1),
		"huge":           strings.Replace(good, `"group":"g"`, `"group":"`+strings.Repeat("x", 400<<10)+`"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			stores := MemoryStores()
			const id = "01m8etntyxfwwye8b6ndtf85ad"
			if _, err := stores.Log.Append(t.Context(), letterKey("q", id), 0, []byte(body)); err != nil {
				t.Fatal(err)
			}
			b := reopened(t, stores)
			list := summaries(t, b)
			if len(list) != 1 || list[0].State != LetterQuarantined || list[0].Reason != ReasonDecode || list[0].ID != id || !strings.Contains(list[0].Error, "cannot be read") {
				t.Fatalf("list %+v", list)
			}
			if _, err := b.Get(t.Context(), id); !errors.Is(err, errBadLetter) {
				t.Errorf("Get returned %v", err)
			}
			if n := len(stores.Log.(*memoryLog).keys[letterKey("q", id)]); n != 1 {
				t.Errorf("%d records, want the one: nothing is lost", n)
			}
			good := newNotifier(t, b.rt, Policy{}, DeadLetterPolicy{Queue: "q"}, LetterMethod[notifyArgs]{})
			keptLetter(t, good, good.call(t.Context(), notifyArgs{}))
		})
	}
}

func FuzzLetterRecord(f *testing.F) {
	f.Add([]byte(`{"kind":"letter","letter":{"v":1,"id":"a"}}`), []byte(`{"kind":"transition","transition":{"to":"dead"}}`))
	f.Fuzz(func(_ *testing.T, first, second []byte) {
		var l Letter
		for i, body := range [][]byte{first, second} {
			if r, err := decodeLetterRecord(body); err == nil {
				_ = l.fold(r, Version(i+1))
			}
		}
		_ = l.summary()
	})
}

// TestKeepAfterClose calls through a wrapper whose Runtime was closed.
func TestKeepAfterClose(t *testing.T) {
	stores := MemoryStores()
	rt := openLetters(t, Options{Stores: stores})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, LetterMethod[notifyArgs]{})
	keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.call(t.Context(), notifyArgs{}); !errors.Is(err, ErrClosed) || !errors.Is(err, errDown) || errors.Is(err, ErrDeadLettered) {
		t.Errorf("after Close: %v", err)
	}
	if list := summaries(t, reopened(t, stores)); len(list) != 1 {
		t.Errorf("%d letters, want the one", len(list))
	}
}

// TestLettersInFiles keeps letters in a directory, and finds them again, by its
// index and without.
func TestLettersInFiles(t *testing.T) {
	dir := t.TempDir()
	var want []LetterSummary
	for i := range 3 {
		rt, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if got := summaries(t, rt.DeadLetters()); !reflect.DeepEqual(got, want) {
			t.Errorf("opening %d found %+v, want %+v", i, got, want)
		}
		someLetters(t, rt, 5)
		want = summaries(t, rt.DeadLetters())
		if i == 0 { // as after a crash
			rt.closeLetters = nil
		}
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(want) != 15 {
		t.Errorf("%d letters, want 15", len(want))
	}
}

// TestNamesOfQueuesAreNoPaths keeps letters under names that a file must not have:
// they are found again, each in its queue, and no file has such a name.
func TestNamesOfQueuesAreNoPaths(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a", "store")
	queues := []string{"../../escaped", "/etc/escaped", "a/b", ".", "..", "\x00\n\x1b[2J", "a\u202eb", strings.Repeat("q", 10_000), strings.Repeat("q", 9_999) + "r"}
	rt, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	w := rt.Wrap("payments.Gateway", rt)
	w.Guard("Notify", Policy{})
	NewDeadLetters(w, "Notify", DeadLetterPolicy{Queue: "q\xff"}, LetterMethod[notifyArgs]{Fields: notifyFields})
	if err := w.Err(); err == nil || !strings.Contains(err.Error(), "not UTF-8") {
		t.Errorf("a queue whose name JSON would change: %v", err)
	}
	ids := map[string]string{}
	for _, queue := range queues {
		n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: queue}, LetterMethod[notifyArgs]{})
		ids[queue] = keptLetter(t, n, n.call(t.Context(), notifyArgs{})).ID
	}
	for _, clean := range []bool{false, true} {
		if !clean { // as after a crash
			rt.closeLetters = nil
		}
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
		if rt, err = Open(Options{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		if n := len(summaries(t, rt.DeadLetters())); n != len(queues) {
			t.Errorf("%d letters in %d queues", n, len(queues))
		}
		for _, queue := range queues {
			if l, err := rt.DeadLetters().Get(t.Context(), ids[queue]); err != nil || l.Queue != queue || l.Reason != ReasonPermanent && l.Reason != ReasonExhausted {
				t.Errorf("queue %.20q: %.20q, %s, %v", queue, l.Queue, l.Reason, err)
			}
		}
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if name := d.Name(); !d.IsDir() && (filepath.Dir(path) != dir || strings.Trim(name, "0123456789") != ".rj" && name != "LOCK" && name != "INDEX" && name != "RESERVE") {
			t.Errorf("there is a file %q", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestShownArgs compares with what a letter says that is read whole.
func TestShownArgs(t *testing.T) {
	rt := openLetters(t, Options{})
	someLetters(t, rt, 10)
	b, quick := rt.DeadLetters(), 0
	for _, s := range summaries(t, b) {
		l, err := b.Get(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		args, ok := b.shownArgs(t.Context(), &s, "")
		if !ok {
			continue
		}
		quick++
		for i, a := range l.Call.Args {
			if args[i].Name != a.Name || string(args[i].JSON) != string(a.JSON) || len(args) != len(l.Call.Args) {
				t.Errorf("%+v, want %+v", args[i], a)
			}
		}
	}
	if quick != 4 { // the others have several records
		t.Errorf("%d letters were read in part, want 4", quick)
	}
	page, err := b.List(t.Context(), LetterQuery{Filter: "args.customerID=c3"})
	if err != nil || len(page.Letters) != 1 {
		t.Errorf("by argument: %+v, %v", page, err)
	}
}

// TestLettersConcurrently has letters listed while others are kept.
func TestLettersConcurrently(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{MaxCount: 50}, LetterMethod[notifyArgs]{})
	done := make(chan error, 8)
	for w := range 8 {
		go func() {
			for range 50 {
				if err := n.call(context.Background(), notifyArgs{}); !errors.Is(err, ErrDeadLettered) {
					done <- err
					return
				}
				if w%2 == 0 {
					_, _ = rt.DeadLetters().List(context.Background(), LetterQuery{Limit: 5})
					_, _ = rt.DeadLetters().Patterns(context.Background(), "")
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	rt.DeadLetters().sweep(t.Context())
	s, err := rt.DeadLetters().Stats(t.Context())
	if err != nil || s.Queues[0].Letters > 50 || int64(s.Queues[0].Letters)+s.Queues[0].Dropped[dropCount] != 400 {
		t.Errorf("stats %+v, %v", s, err)
	}
	if got := len(reopened(t, rt.stores).rt.stores.Log.(*memoryLog).keys); got > 60 {
		t.Errorf("%d keys in the store", got)
	}
}

// BenchmarkLetters100k opens 100,000 letters after a clean close and after a crash,
// and asks for them.
func BenchmarkLetters100k(b *testing.B) {
	stores := MemoryStores()
	rt := openLetters(b, Options{Stores: stores})
	n := newNotifier(b, rt, Policy{}, DeadLetterPolicy{Queue: "pay", MaxCount: None, MaxBytes: None}, LetterMethod[notifyArgs]{})
	for i := range 100_000 {
		n.next = func(context.Context, notifyArgs) error {
			return fmt.Errorf("class %s of %d", strings.Repeat("x", i%100), i)
		}
		_ = n.call(b.Context(), notifyArgs{CustomerID: fmt.Sprint("c", i), Event: map[string]string{"kind": "paid"}})
	}
	ask := func(b *testing.B, box *LetterBox, filter string) {
		for range 10 {
			if _, err := box.List(b.Context(), LetterQuery{Filter: filter}); err != nil {
				b.Fatal(err)
			}
			if filter != "" {
				return
			}
		}
		if list, err := box.Patterns(b.Context(), ""); err != nil || len(list) < 100 {
			b.Fatal(len(list), err)
		}
	}
	b.Run("running", func(b *testing.B) {
		for b.Loop() {
			ask(b, rt.DeadLetters(), "")
		}
	})
	b.Run("by argument", func(b *testing.B) {
		for b.Loop() {
			ask(b, rt.DeadLetters(), "args.customerID=c77777")
		}
	})
	b.Run("after a crash", func(b *testing.B) {
		for b.Loop() {
			ask(b, reopened(b, stores), "")
		}
	})
	if err := rt.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("after a clean close", func(b *testing.B) {
		for b.Loop() {
			again, err := Open(Options{Stores: stores})
			if err != nil {
				b.Fatal(err)
			}
			ask(b, again.DeadLetters(), "")
			b.StopTimer()
			_ = again.Close()
			b.StartTimer()
		}
	})
}

// TestGetWhileLettersChange is for the race detector: what the index says of a letter
// is replaced while somebody reads it.
func TestGetWhileLettersChange(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, LetterMethod[notifyArgs]{Sig: "s"})
	box := rt.DeadLetters()
	var kept *KeptError
	if err := n.call(t.Context(), notifyArgs{CustomerID: "c"}); !errors.As(err, &kept) {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() {
		defer close(done)
		for range 40 {
			if _, err := box.Note(t.Context(), kept.ID, LetterNote{Text: "seen"}); err != nil {
				t.Error(err)
			}
		}
	})
	for range 8 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if l, err := box.Get(t.Context(), kept.ID); err != nil || l.ID != kept.ID {
					t.Errorf("%s, %v", l.ID, err)
				}
			}
		})
	}
	group.Wait()
}
