package workflow

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestSignalOfAnotherType is refused where the type is known, and nothing of it is kept.
func TestSignalOfAnotherType(t *testing.T) {
	for _, durable := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var stores *resilience.Stores
			if durable {
				fresh := resilience.MemoryStores()
				stores = &fresh
			}
			e := opened(t, stores, approval(time.Hour))
			get := finish(e, Options{ID: "r"})
			time.Sleep(time.Minute)
			for _, wrong := range []Value{Of(7), Raw(json.RawMessage(`{"a":1}`))} {
				if err := e.e.signal(t.Context(), "r", "approval", wrong, SignalOptions{}); !errors.Is(err, resilience.ErrInvalid) {
					t.Errorf("%v, want ErrInvalid", err)
				}
			}
			if durable {
				if err := RunsOf(e.e.rt).Signal(t.Context(), "Research", "r", "approval", json.RawMessage(`7`), SignalOptions{}); !errors.Is(err, resilience.ErrInvalid) {
					t.Errorf("of a tool: %v, want ErrInvalid", err)
				}
			}
			if got := get(); got != "completed Ship()" {
				t.Error(got)
			}
		})
	}
}

// TestRefusedSignalIsShown: where nobody knew the type, the letter shows what came; it
// goes on with a value that somebody writes into it, or waits again.
func TestRefusedSignalIsShown(t *testing.T) {
	for sent, shows := range map[string]string{`{"a":1}`: `{"a":1}`, `{"a":1,"a":2}`: `"{\"a\":1,\"a\":2}"`} {
		edits := sent == shows
		synctest.Test(t, func(t *testing.T) {
			stores := resilience.MemoryStores()
			e := opened(t, &resilience.Stores{Log: &tappedLog{Log: stores.Log, at: -1}}, approval(0)) // which does not say that nobody else has it
			get := finish(e, Options{ID: "r"})
			time.Sleep(time.Minute)
			tool, err := resilience.Open(resilience.Options{Stores: stores})
			if err != nil {
				t.Fatal(err)
			}
			defer tool.Close()
			if err := RunsOf(tool).Signal(t.Context(), "Research", "r", "approval", json.RawMessage(sent), SignalOptions{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if got := get(); got != "parked !"+ErrParked.Error() {
				t.Fatal(got)
			}
			box := e.e.rt.DeadLetters()
			page, err := box.List(t.Context(), resilience.LetterQuery{})
			if err != nil || len(page.Letters) != 1 {
				t.Fatalf("%+v, %v", page, err)
			}
			l, err := box.Get(t.Context(), page.Letters[0].ID)
			if err != nil || len(l.Call.Args) != 2 || string(l.Call.Args[0].JSON) != `null` || string(l.Call.Args[1].JSON) != shows {
				t.Fatalf("%+v, %v", l.Call.Args, err)
			}
			want := "completed Ship(yes)"
			if edits {
				edit := func(document string) error {
					_, err := box.Edit(t.Context(), l.ID, resilience.LetterEditRequest{Document: json.RawMessage(document)})
					return err
				}
				if edit(`{"value":7}`) == nil {
					t.Error("a value of another type was written into the letter")
				}
				if err := edit(`{"value":"better"}`); err != nil {
					t.Fatal(err)
				}
				want = "completed Ship(better)"
			} else {
				e.mustSignal(t, "r", "approval", "yes", "")
			}
			replayAll(t, e)
			got, err := e.Resume(t.Context(), "r")
			if outcome(got, err) != want || lettersOf(t, e) != "Approval:replayed" {
				t.Errorf("%s, letters %s; want %s", outcome(got, err), lettersOf(t, e), want)
			}
		})
	}
}

// TestSignalMustExist: a signal to a run that is not there is kept for it, unless its
// sender says that it has to be there.
func TestSignalMustExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, approval(0))
		send := func(h Handle[string], value string) error {
			return h.Signal(t.Context(), "approval", Of(value), SignalOptions{MustExist: true})
		}
		if err := send(e.Get("r"), "nobody"); !errors.Is(err, ErrRunUnknown) {
			t.Errorf("%v, want ErrRunUnknown", err)
		}
		h, err := e.Start(t.Context(), "in", Options{ID: "started"})
		if err == nil {
			err = send(h, "queued")
		}
		if err != nil {
			t.Fatal(err)
		}
		get := finish(e, Options{ID: "r"})
		time.Sleep(time.Minute)
		if err := send(e.Get("r"), "yes"); err != nil {
			t.Error(err)
		}
		if got := get(); got != "completed Ship(yes)" {
			t.Error(got)
		}
	})
}
