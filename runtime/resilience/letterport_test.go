package resilience

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func exportOf(t testing.TB, b *LetterBox, filter string) (lines []json.RawMessage) {
	t.Helper()
	for line, err := range b.Export(t.Context(), filter) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// each yields lines as they were read.
func each(lines ...json.RawMessage) func(func(json.RawMessage, error) bool) {
	return func(yield func(json.RawMessage, error) bool) {
		for _, line := range lines {
			if !yield(line, nil) {
				return
			}
		}
	}
}

func TestExportAndImport(t *testing.T) {
	rt := openLetters(t, Options{})
	someLetters(t, rt, 20)
	lines := exportOf(t, rt.DeadLetters(), "")
	if len(lines) != 20 || bytes.ContainsRune(slices.Concat(lines...), '\n') {
		t.Fatalf("%d lines", len(lines))
	}
	there := reopened(t, MemoryStores())
	report, err := there.Import(t.Context(), each(lines...), ImportOptions{Trust: true, By: "ann"})
	if err != nil || report.Imported != 20 || report.Skipped != 0 || report.Refused != nil {
		t.Fatalf("imported %+v, %v", report, err)
	}
	for i, want := range summaries(t, rt.DeadLetters()) {
		got := summaries(t, there)[i]
		want.Rev, want.Size, got.Rev, got.Size = 0, 0, 0, 0
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got\n%+v\nwant\n%+v", got, want)
		}
	}
	if report, err = there.Import(t.Context(), each(lines...), ImportOptions{}); err != nil || report.Imported != 0 || report.Skipped != 20 {
		t.Errorf("again: %+v, %v", report, err)
	}
}

// TestImportForeign has letters come that nobody vouches for, and lines that are
// none.
func TestImportForeign(t *testing.T) {
	rt := openLetters(t, Options{})
	someLetters(t, rt, 1)
	good := exportOf(t, rt.DeadLetters(), "")[0]
	swap := func(old, with string) json.RawMessage {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("no %s in %s", old, good)
		}
		return json.RawMessage(strings.Replace(string(good), old, with, 1))
	}
	bad := []json.RawMessage{
		json.RawMessage(`{`), json.RawMessage(`[]`), json.RawMessage(`{"format":1}`), swap(`"format":1`, `"format":2`), swap(`"v":1`, `"v":2`),
		swap(`"v":1`, `"v":1,"v":1`), swap(`"queue":"pay"`, `"queue":""`), swap(`"id":"0`, `"id":"../0`), swap(`"format":1`, `"format":1,"extra":1`),
		json.RawMessage(strings.Repeat("[", 100_000)), slices.Concat(good, good), json.RawMessage(strings.Repeat(" ", maxPayload+1) + string(good)),
	}
	there := reopened(t, MemoryStores())
	report, err := there.Import(t.Context(), each(append(bad, json.RawMessage(" "), good)...), ImportOptions{By: "eve"})
	if err != nil || report.Imported != 1 || len(report.Refused) != len(bad) {
		t.Fatalf("%d refused, %+v, %v", len(report.Refused), report, err)
	}
	got := summaries(t, there)
	if len(got) != 1 || got[0].State != LetterQuarantined || !slices.Contains(got[0].Tags, foreignTag) {
		t.Errorf("letters %+v", got)
	}
}

// TestImportNeedsLittleMemory has lines come that would be large once they are read.
// What a letter of ours lists comes in all the same.
func TestImportNeedsLittleMemory(t *testing.T) {
	rt := openLetters(t, Options{})
	someLetters(t, rt, 1)
	good := exportOf(t, rt.DeadLetters(), "")[0]
	with := func(members string) json.RawMessage {
		return json.RawMessage(strings.Replace(string(good), `"letter":{`, `"letter":{`+members+`,`, 1))
	}
	var names strings.Builder
	for i := range 500_000 {
		fmt.Fprintf(&names, `,"%x":""`, i)
	}
	for what, line := range map[string]json.RawMessage{
		"notes":          with(`"notes":[{}` + strings.Repeat(",{}", 2<<20) + "]"),
		"edits":          with(`"edits":[{}` + strings.Repeat(",{}", 2<<20) + "]"),
		"tags":           with(`"tags":["a"` + strings.Repeat(`,"a"`, 1<<20) + "]"),
		"tags of a note": with(`"notes":[{"tags":["a"` + strings.Repeat(`,"a"`, 1<<20) + "]}]"),
		"context":        with(`"ctx":{` + names.String()[1:] + "}"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readExported(line)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err == nil || !strings.Contains(err.Error(), "longer than those of a letter") || used > 2*uint64(len(line))+1<<20 {
			t.Errorf("%s, %d bytes, took %d bytes, %.200v", what, len(line), used, err)
		}
		if _, err := decodeLetterRecord([]byte(strings.Replace(string(line), `"format":1`, `"kind":"letter"`, 1))); !errors.Is(err, errBadLetter) {
			t.Errorf("%s in a record: %.200v", what, err)
		}
	}
	note := `{"at":"2026-01-01T00:00:00Z","by":"ann","text":"seen"}`
	for what, line := range map[string]json.RawMessage{
		"notes":        with(`"notes":[` + note + strings.Repeat(","+note, 50_000) + "]"),
		"an argument":  json.RawMessage(strings.Replace(string(good), `"json":"c0"`, `"json":[0`+strings.Repeat(",0", 1<<20)+"]", 1)),
		"few and tiny": with(`"tags":["a"` + strings.Repeat(`,"a"`, 1000) + "]"),
	} {
		if _, err := readExported(line); err != nil {
			t.Errorf("%s: %.200v", what, err)
		}
	}
}

func TestVerify(t *testing.T) {
	stores := MemoryStores()
	rt := openLetters(t, Options{Stores: stores})
	someLetters(t, rt, 5)
	b := rt.DeadLetters()
	faults := func() (list []string) {
		for f, err := range b.Verify(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, f.Key)
		}
		return list
	}
	if got := faults(); got != nil {
		t.Fatalf("faults of a store that is well: %v", got)
	}
	for _, key := range []string{letterKey("q", "01m8etntyxfwwye8b6ndtf85ad"), patternKey("fp1:x"), StoreKey("tombstone", "q")} {
		if _, err := stores.Log.Append(t.Context(), key, 0, []byte(`{"id":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	if got := faults(); len(got) != 3 {
		t.Errorf("faults %v, want 3", got)
	}
}

func TestRekey(t *testing.T) {
	first, err := NewSealer(testKey("k1", 'x'))
	if err != nil {
		t.Fatal(err)
	}
	both, err := NewSealer(testKey("k2", 'y'), testKey("k1", 'x'))
	if err != nil {
		t.Fatal(err)
	}
	second, err := NewSealer(testKey("k2", 'y'))
	if err != nil {
		t.Fatal(err)
	}
	stores := MemoryStores()
	m := LetterMethod[notifyArgs]{Redact: []Redaction{{"/event/card", Seal}}}
	rt := openLetters(t, Options{Stores: stores, Letters: LetterOptions{Sealer: first}})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, m)
	args := notifyArgs{"c", map[string]string{"card": "4111111111111111"}, 1}
	l := keptLetter(t, n, n.call(t.Context(), args))
	if _, err := rt.DeadLetters().Note(t.Context(), l.ID, LetterNote{Text: "seen", Tags: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	_ = rt.Close()

	rt = openLetters(t, Options{Stores: stores, Letters: LetterOptions{Sealer: both}})
	n = newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, m)
	keptLetter(t, n, n.call(t.Context(), args)) // under k2
	report, err := rt.DeadLetters().Rekey(t.Context(), "")
	if err != nil || report.Rekeyed != 1 || report.Kept != 1 || report.Failed != nil {
		t.Fatalf("rekey %+v, %v", report, err)
	}
	_ = rt.Close()

	rt = openLetters(t, Options{Stores: stores, Letters: LetterOptions{Sealer: second}})
	n = newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, m)
	got, again, err := n.letters.Get(t.Context(), l.ID)
	if err != nil || got.Event["card"] != "4111111111111111" || len(again.Notes) != 1 || !slices.Equal(again.Tags, []string{"x"}) || again.Call.Args[1].KeyID != "k2" {
		t.Errorf("after a rekey %+v, %+v, %v", got, again, err)
	}
	if records := stores.Log.(*memoryLog).keys[letterKey("q", l.ID)]; len(records) != 1 || bytes.Contains(records[0].Body, []byte(`"k1"`)) {
		t.Errorf("%d records, what was sealed with the old key is still there", len(records))
	}
}

// TestErase greps the files of a store for what was erased.
func TestErase(t *testing.T) {
	dir := t.TempDir()
	rt, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, LetterMethod[notifyArgs]{})
	for _, id := range []string{"customer-of-erasure", "customer-who-stays"} {
		keptLetter(t, n, n.call(t.Context(), notifyArgs{CustomerID: id}))
	}
	if grep(t, dir, "customer-of-erasure") == 0 {
		t.Fatal("the letter is not on the disk")
	}
	erased, err := rt.DeadLetters().Erase(t.Context(), "args.customerID=customer-of-erasure")
	if err != nil || erased != 1 {
		t.Fatalf("erased %d, %v", erased, err)
	}
	if n := grep(t, dir, "customer-of-erasure"); n != 0 {
		t.Errorf("%d files still have it", n)
	}
	if list := summaries(t, rt.DeadLetters()); len(list) != 1 || grep(t, dir, "customer-who-stays") == 0 {
		t.Errorf("letters %+v", list)
	}
	if _, err := rt.DeadLetters().Erase(t.Context(), ""); err == nil {
		t.Error("an empty filter erases everything")
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	if n := grep(t, dir, "customer-of-erasure"); n != 0 {
		t.Errorf("%d files have it after the close", n)
	}
}

// grep returns how many files below dir hold a text. Files may come and go
// meanwhile, since a journal makes its segments ahead.
func grep(t testing.TB, dir, text string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if bytes.Contains(body, []byte(text)) {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type canaryArgs struct {
	Token   string            `json:"token"`
	Card    canaryCard        `json:"card"`
	Headers map[string]string `json:"headers"`
	List    []canaryCard      `json:"list"`
	Pin     int64             `json:"pin"`
}

type canaryCard struct {
	Number string `json:"number"`
	Holder string `json:"holder"`
	Note   string `json:"note"`
}

// TestNoCanaryEscapes plants secrets in every field, in the errors, in the context
// and in a panic, and looks for them in every byte that is written: the store, the
// log, the events of letters, stderr, exports and listings.
func TestNoCanaryEscapes(t *testing.T) {
	canaries := map[string]string{}
	canary := func(where string) string {
		canaries[where] = "canary-" + strings.ReplaceAll(where, " ", "-") + "-7f3a"
		return canaries[where]
	}
	args := canaryArgs{
		Token: canary("token"), Card: canaryCard{canary("number"), canary("holder"), canary("note")},
		Headers: map[string]string{"Authorization": canary("header"), "x": "plain"}, List: []canaryCard{{canary("element"), "", ""}}, Pin: 918273645546372,
	}
	canaries["pin"] = "918273645546372"
	jwt := "eyJhbGciOiJIUzI1NiJ9." + canary("jwt") + ".abcdefgh"
	failure := fmt.Errorf("POST https://bob:%s@example.com/pay?token=%s: card %s of %s declined, pin %d, password=%q, Bearer %s, %s: %w",
		canary("userinfo"), canary("query"), args.Card.Number, args.Card.Holder, args.Pin, canary("password"), canary("bearer"), jwt,
		errors.New("-----BEGIN PRIVATE KEY-----\n"+canary("pem")+"\n-----END PRIVATE KEY-----"))

	dir := t.TempDir()
	stderr := capture(t)
	var log bytes.Buffer
	handle, ring := LogHandler(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))), NewRing(1000)
	sealer, err := NewSealer(testKey("k", 'x'))
	if err != nil {
		t.Fatal(err)
	}
	rt, err := Open(Options{
		Dir: dir,
		Observe: func(ctx context.Context, e Event) {
			if e.Kind >= LetterKept && e.Kind <= PatternChanged { // others tell the error as it is
				handle(ctx, e)
				ring.Observe(ctx, e)
			}
		},
		Letters: LetterOptions{Sealer: sealer, HashKey: []byte("0123456789abcdef"), Context: func(context.Context) map[string]string {
			return map[string]string{"auth": "Bearer " + canary("context")}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := rt.Wrap("pay.Gateway", t)
	g := w.Guard("Charge", Policy{Retry: Retry{MaxAttempts: 2, Backoff: Backoff{Strategy: NoBackoff}}})
	letters := NewDeadLetters(w, "Charge", DeadLetterPolicy{Queue: "q", MaxCount: 4}, LetterMethod[canaryArgs]{
		Fields: []LetterField{{"token", "string"}, {"card", "Card"}, {"headers", "map"}, {"list", "[]Card"}, {"pin", "int64"}},
		Redact: []Redaction{
			{"/token", Hash}, {"/card/number", Seal}, {"/card/holder", Mask}, {"/card/note", Omit}, {"/headers/Authorization", Omit}, {"/list/*/number", Omit}, {"/pin", Omit},
		},
		OrderKey: func(a *canaryArgs) string { return "order of " + a.Card.Number },
	})
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	fail := func(value any) (err error) {
		call := g.Begin(t.Context())
		defer call.End()
		defer func() {
			if v := recover(); v != nil {
				letters.Panicked(&call, args, v)
			}
		}()
		for call.Next() {
			if err = failure; value != nil {
				panic(value)
			}
			call.Record(err)
		}
		return letters.Keep(&call, args, call.Err())
	}
	for range 3 {
		if err := fail(nil); !errors.Is(err, ErrDeadLettered) {
			t.Fatal(err)
		}
	}
	_ = fail("panic with " + args.Token + " and password=" + canaries["password"])
	_ = fail(failure)
	b := rt.DeadLetters()
	box := fmt.Sprint(summaries(t, b), patternsOf(t, b)) + string(slices.Concat(exportOf(t, b, "")...))
	for l, err := range b.chosen(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		box += fmt.Sprintf("%+v", l)
		if opened, err := b.arguments(t.Context(), &l); err != nil || !strings.Contains(string(opened), args.Card.Number) {
			t.Errorf("what was sealed came back as %s, %v", opened, err)
		}
	}
	rt.stores.Log = &brokenLog{rt.stores.Log, ErrStoreFull}
	_ = fail(nil) // lost: stderr
	events, _ := ring.Events()
	for _, e := range events {
		box += e.String()
	}
	_ = rt.Close()
	box += log.String() + stderr()
	for _, seen := range []string{"letter lost", "letter kept", "letter dropped", "plain", "declined", "panic with"} {
		if !strings.Contains(box, seen) {
			t.Errorf("no %q in what was looked at", seen)
		}
	}
	for where, text := range canaries {
		if strings.Contains(box, text) {
			at := strings.Index(box, text)
			t.Errorf("canary of %s is told: …%s…", where, box[max(at-80, 0):min(at+80, len(box))])
		}
		if n := grep(t, dir, text); n != 0 {
			t.Errorf("canary of %s is in %d files", where, n)
		}
	}
}

// capture takes what is written to stderr until the func that it returns is called.
func capture(t testing.TB) func() string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = file
	restore := func() { os.Stderr = before }
	t.Cleanup(restore)
	return func() string {
		restore()
		body, err := os.ReadFile(file.Name())
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
}

func TestNote(t *testing.T) {
	rt := openLetters(t, Options{})
	someLetters(t, rt, 1)
	b := rt.DeadLetters()
	id := summaries(t, b)[0].ID
	for _, n := range []LetterNote{{Text: "a", Tags: []string{"x", "y"}}, {Tags: []string{"-x", "z"}}} {
		if _, err := b.Note(t.Context(), id, n); err != nil {
			t.Fatal(err)
		}
	}
	l, err := b.Get(t.Context(), id)
	if err != nil || len(l.Notes) != 1 || l.Notes[0].At.IsZero() || !slices.Equal(l.Tags, []string{"y", "z"}) {
		t.Errorf("letter %+v, %v", l, err)
	}
	if _, err := b.Note(t.Context(), id, LetterNote{}); err == nil {
		t.Error("a note without anything")
	}
	if _, err := b.Note(t.Context(), "x", LetterNote{Text: "a"}); !errors.Is(err, ErrNoLetter) {
		t.Error(err)
	}
}
