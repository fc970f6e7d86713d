package workflow

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestUnreadEntries are put aside where somebody can see them, and what came after them
// is heard.
func TestUnreadEntries(t *testing.T) {
	bodies := []string{"\xff no JSON", `{"id":"a","kind":"teleport"}`, `null`, `{"kind":"signal"}`, `{"id":"b","kind":"signal","at":7}`, strings.Repeat("x", maxUnread+1)}
	for _, before := range []bool{true, false} { // the run
		synctest.Test(t, func(t *testing.T) {
			stores := resilience.MemoryStores()
			e := opened(t, &stores, approval(0))
			var events []resilience.Event
			get, o := func() string { return "" }, Options{ID: "r", Observer: func(_ context.Context, ev resilience.Event) {
				if ev.Kind == resilience.MessageNoted && ev.Err != nil {
					events = append(events, ev)
				}
			}}
			if !before {
				get = finish(e, o)
				time.Sleep(time.Minute)
			}
			log, last := resilience.Large(stores.Log), resilience.Version(0)
			for _, body := range bodies {
				var err error
				if last, err = log.Append(t.Context(), e.e.g.inboxKey("r"), last, []byte(body)); err != nil {
					t.Fatal(err)
				}
			}
			e.mustSignal(t, "r", "approval", "yes", "")
			if before {
				get = finish(e, o)
			}
			if got := get(); got != "completed Ship(yes)" {
				t.Fatal(got)
			}
			for r := range stores.Log.Heads(t.Context(), "inbox/", "") {
				t.Errorf("the inbox still has %.100s", r.Body)
			}
			d, err := RunsOf(e.e.rt).Show(t.Context(), "Research", "r")
			if n := len(bodies); err != nil || len(d.Unread) != n || len(events) != n || e.Stats().Unread != int64(n) {
				t.Fatalf("%d unread, %d events, %d counted, %v", len(d.Unread), len(events), e.Stats().Unread, err)
			}
			for i, u := range d.Unread {
				if want := []byte(bodies[i]); !bytes.Equal(u.Body, want[:min(len(want), maxUnread)]) || u.Size != len(want) || u.Why == "" || u.At.IsZero() {
					t.Errorf("%d: %.200v", i, u)
				}
				if events[i].Value != u.ID || events[i].Reason != "unread" {
					t.Errorf("%d: event %+v", i, events[i])
				}
			}
		})
	}
}

// TestUnreadIsBounded: a run keeps the last hundred entries that it could not read, and
// counts and tells of those that it has forgotten.
func TestUnreadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		e := opened(t, &stores, approval(0))
		log, last, n := resilience.Large(stores.Log), resilience.Version(0), 2*mostUnread+7
		for i := range n {
			var err error
			if last, err = log.Append(t.Context(), e.e.g.inboxKey("r"), last, fmt.Append(nil, "no JSON ", i)); err != nil {
				t.Fatal(err)
			}
		}
		e.mustSignal(t, "r", "approval", "yes", "")
		told := ""
		get := finish(e, Options{ID: "r", Observer: func(_ context.Context, ev resilience.Event) {
			if ev.Reason == "forgotten" {
				told += fmt.Sprintln(ev.Kind, ev.Value, ev.Err)
			}
		}})
		if got := get(); got != "completed Ship(yes)" {
			t.Fatal(got)
		}
		if want := fmt.Sprintln(resilience.MessageNoted, n-mostUnread, "107 entries of the inbox that could not be read are forgotten: more than 100 were put aside"); told != want {
			t.Errorf("told %q, want %q", told, want)
		}
		d, err := RunsOf(e.e.rt).Show(t.Context(), "Research", "r")
		if err != nil || len(d.Unread) != mostUnread || d.UnreadForgotten != n-mostUnread || e.Stats().Unread != int64(n) {
			t.Fatalf("%d unread, %d forgotten, %d counted, %v", len(d.Unread), d.UnreadForgotten, e.Stats().Unread, err)
		}
		for i, u := range d.Unread {
			if want := fmt.Sprint("no JSON ", n-mostUnread+i); string(u.Body) != want {
				t.Errorf("%d: %q, want %q", i, u.Body, want)
			}
		}
	})
}
