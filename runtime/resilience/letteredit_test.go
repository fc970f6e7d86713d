package resilience

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func onlyLetter(t *testing.T, rt *Runtime) Letter {
	t.Helper()
	page, err := rt.DeadLetters().List(t.Context(), LetterQuery{})
	if err != nil || len(page.Letters) != 1 {
		t.Fatalf("%d letters, %v", len(page.Letters), err)
	}
	l, err := rt.DeadLetters().Get(t.Context(), page.Letters[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEditLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, to := letters(t, Options{}, Policy{}, 1, idempotent)
		b := rt.DeadLetters()
		l := onlyLetter(t, rt)
		patch := `[{"op":"test","path":"/customerID","value":"c-0"}, {"op":"replace","path":"/customerID","value":"c-9"}]`
		edited, err := b.Edit(t.Context(), l.ID, LetterEditRequest{Rev: l.Rev, Patch: json.RawMessage(patch), By: "ann", Reason: "moved"})
		if err != nil {
			t.Fatal(err)
		}
		if edited.Call.ArgsHash == l.Call.ArgsHash || edited.Call.IdemKey == "key-0" || edited.Call.IdemKey == "" {
			t.Errorf("hash %s, key %s: want new ones", edited.Call.ArgsHash, edited.Call.IdemKey)
		}
		e := edited.Edits[0]
		if e.Rev != 1 || e.By != "ann" || e.Reason != "moved" || string(e.Patch) != strings.ReplaceAll(patch, ", {", ",{") {
			t.Errorf("edit %+v", e)
		}
		args, err := b.Original(t.Context(), l.ID)
		if err != nil || string(args[0].JSON) != `"c-0"` {
			t.Errorf("revision 0 is %s, %v", args[0].JSON, err)
		}
		if _, err := b.Edit(t.Context(), l.ID, LetterEditRequest{Rev: l.Rev, Patch: json.RawMessage(`[]`)}); !errors.Is(err, ErrLetterChanged) || !errors.Is(err, ErrConflict) {
			t.Errorf("an edit of an old revision: %v", err)
		}
		kept, err := b.Edit(t.Context(), l.ID, LetterEditRequest{Document: json.RawMessage(`{"customerID":"c-8","cents":4611686018427387905}`), KeepKey: true})
		if err != nil || kept.Call.IdemKey != edited.Call.IdemKey {
			t.Errorf("key %s, %v", kept.Call.IdemKey, err)
		}
		j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID)
		if got := to.asked(); j.Succeeded != 1 || len(got) != 1 || got[0] != "c-8" || to.keys[0] != edited.Call.IdemKey {
			t.Errorf("%s, called %v with %v", jobText(j), got, to.keys)
		}
		l, err = b.Get(t.Context(), l.ID)
		if err != nil || l.Replays[0].EditRev != 2 || string(l.Call.Args[2].JSON) != "4611686018427387905" {
			t.Errorf("%+v, %v", l.Replays, err)
		}
		if _, err := b.Edit(t.Context(), l.ID, LetterEditRequest{Patch: json.RawMessage(`[]`)}); !errors.Is(err, ErrConflict) {
			t.Errorf("a letter that was replayed was edited: %v", err)
		}
	})
}

func TestEditIsStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, _ := letters(t, Options{}, Policy{}, 1, idempotent)
		l := onlyLetter(t, rt)
		for doc, want := range map[string]string{
			`{"customerID":"c","cents":1,"more":1}`: "unknown field",
			`{"CustomerID":"c"}`:                    "/CustomerID is not taken as it is written",
			`{"customerID":"c","customerID":"d"}`:   "twice",
			`{"customerID":1}`:                      "cannot unmarshal",
			`{"customerID":"c"} {}`:                 "something follows",
			`{"cents":1.5}`:                         "cannot unmarshal",
			`{"cents":9223372036854775808}`:         "cannot unmarshal",
			`[]`:                                    "cannot unmarshal",
			`"`:                                     "without end",
		} {
			if _, err := rt.DeadLetters().Edit(t.Context(), l.ID, LetterEditRequest{Document: json.RawMessage(doc)}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", doc, err, want)
			}
		}
		for _, o := range []LetterEditRequest{{}, {Patch: json.RawMessage(`[]`), Document: json.RawMessage(`{}`)}, {Patch: json.RawMessage(`[{"op":"remove","path":"/none"}]`)}} {
			if _, err := rt.DeadLetters().Edit(t.Context(), l.ID, o); !errors.Is(err, ErrInvalid) {
				t.Errorf("%+v: %v", o, err)
			}
		}
		if now := onlyLetter(t, rt); now.Rev != l.Rev {
			t.Error("an edit that was refused changed the letter")
		}
	})
}

func sealerOf(t *testing.T) Sealer {
	t.Helper()
	s, err := NewSealer(SealKey{ID: "k1", Key: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEditOfRedacted gives a value to what was redacted, and holds that it is not in
// the store as it is unless somebody allows that.
func TestEditOfRedacted(t *testing.T) {
	m := idempotent
	m.Redact = []Redaction{{"/customerID", Omit}, {"/event/token", Hash}}
	const secret = "4929-canary-1111"
	for _, c := range []struct {
		name   string
		sealer bool
		o      LetterEditRequest
		want   string
		plain  bool
	}{
		{"sealed", true, LetterEditRequest{Patch: json.RawMessage(`[{"op":"replace","path":"/customerID","value":"` + secret + `"},{"op":"add","path":"/event","value":{"token":"t"}}]`)}, "", false},
		{"not all of it", true, LetterEditRequest{Patch: json.RawMessage(`[{"op":"replace","path":"/customerID","value":"` + secret + `"}]`)}, "/event/token: arguments were redacted", false},
		{"no sealer", false, LetterEditRequest{Document: json.RawMessage(`{"customerID":"` + secret + `","event":{"token":"t"}}`)}, "give the Runtime a Sealer, or allow it: not permitted", false},
		{"allowed", false, LetterEditRequest{Document: json.RawMessage(`{"customerID":"` + secret + `","event":{"token":"t"}}`), Plain: true}, "", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := newMemoryLog()
			o := Options{Stores: Stores{Log: log}}
			if c.sealer {
				o.Letters.Sealer = sealerOf(t)
			}
			rt := openLetters(t, o)
			to := &peer{fail: down}
			nt := notifierTo(t, rt, Policy{}, DeadLetterPolicy{}, m, to.notify)
			_ = nt.call(t.Context(), notifyArgs{CustomerID: "first", Event: map[string]string{"token": "x"}})
			to.heal(nil)
			l := onlyLetter(t, rt)
			if !l.NeedsEdit() {
				t.Fatalf("%+v", l.Call.Args)
			}
			_, err := rt.DeadLetters().Edit(t.Context(), l.ID, c.o)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
			_, err = rt.DeadLetters().Plan(t.Context(), "", ReplayOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				if j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID); j.Succeeded != 1 || to.asked()[0] != secret {
					t.Errorf("%s: %s, called %v", c.name, jobText(j), to.asked())
				}
			}
			found := false
			for _, list := range log.keys {
				for _, r := range list {
					found = found || bytes.Contains(r.Body, []byte(secret))
				}
			}
			if found != c.plain {
				t.Errorf("%s: the secret is in the store: %v, want %v", c.name, found, c.plain)
			}
		})
	}
}

// TestEditOfSealed needs the key.
func TestEditOfSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := idempotent
		m.Redact = []Redaction{{"/customerID", Seal}}
		stores := MemoryStores()
		rt, _, _ := letters(t, Options{Stores: stores, Letters: LetterOptions{Sealer: sealerOf(t)}}, Policy{}, 1, m)
		l := onlyLetter(t, rt)
		blind := openLetters(t, Options{Stores: stores})
		newNotifier(t, blind, Policy{}, DeadLetterPolicy{}, m)
		patch := json.RawMessage(`[{"op":"replace","path":"/cents","value":7}]`)
		if _, err := blind.DeadLetters().Edit(t.Context(), l.ID, LetterEditRequest{Patch: patch}); !errors.Is(err, ErrNotPermitted) || !errors.Is(err, ErrNoSealKey) {
			t.Errorf("without the key: %v", err)
		}
		e, err := rt.DeadLetters().Edit(t.Context(), l.ID, LetterEditRequest{Patch: patch})
		if err != nil || string(e.Edits[0].Patch) != string(patch) || strings.Contains(fmt.Sprint(e.Call.Args), "c-0") {
			t.Errorf("%s, %v", e.Edits[0].Patch, err)
		}
	})
}

// TestEditWhileReplayed refuses an edit of a letter that is claimed, and of one in
// doubt.
func TestEditWhileReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := MemoryStores()
		rt, _, to := letters(t, Options{Stores: stores}, Policy{}, 1, idempotent)
		b := rt.DeadLetters()
		free := make(chan error)
		to.heal(func(notifyArgs) error { return <-free })
		l := onlyLetter(t, rt)
		j := apply(t, rt, "", ReplayOptions{}, ApplyOptions{})
		synctest.Wait()
		patch := LetterEditRequest{Patch: json.RawMessage(`[]`)}
		if _, err := b.Edit(t.Context(), l.ID, patch); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "is claimed") {
			t.Errorf("claimed: %v", err)
		}
		if _, err := b.Resolve(t.Context(), l.ID, 0, LetterReplayed, "", ""); !errors.Is(err, ErrConflict) {
			t.Errorf("a letter that is being replayed was resolved: %v", err)
		}
		if _, err := b.Discard(t.Context(), l.ID, 0, "", ""); !errors.Is(err, ErrConflict) {
			t.Errorf("a letter that is being replayed was discarded: %v", err)
		}
		second := openLetters(t, Options{Stores: stores}) // the process died, and this is the next one
		if got := onlyLetter(t, second); got.State != LetterInDoubt {
			t.Errorf("state %s, want in_doubt", got.State)
		}
		newNotifier(t, second, Policy{}, DeadLetterPolicy{}, idempotent)
		if _, err := second.DeadLetters().Edit(t.Context(), l.ID, patch); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "is in_doubt") {
			t.Errorf("in doubt: %v", err)
		}
		_ = second.Close()
		free <- nil
		awaitJob(t, rt, j.ID)
	})
}

func TestMend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, nt, to := letters(t, Options{}, Policy{}, 1, idempotent)
		l := onlyLetter(t, rt)
		e, err := nt.letters.Mend(t.Context(), l.ID, LetterEditRequest{By: "ann"}, func(a *notifyArgs) error {
			a.CustomerID = "c-7"
			return nil
		})
		if err != nil || string(e.Edits[0].Patch) != `[{"op":"replace","path":"/customerID","value":"c-7"}]` {
			t.Errorf("%+v, %v", e.Edits, err)
		}
		if _, err := nt.letters.Mend(t.Context(), l.ID, LetterEditRequest{}, func(*notifyArgs) error { return errDown }); !errors.Is(err, errDown) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID); j.Succeeded != 1 || to.asked()[0] != "c-7" {
			t.Error(jobText(j), to.asked())
		}
	})
}
