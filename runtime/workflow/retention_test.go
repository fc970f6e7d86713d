package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestRetention keeps runs of each status for as long as it says, counted from their
// end, and drops them whole, with their inboxes.
func TestRetention(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		status Status
		keeps  Retention
		want   time.Duration // to be kept for so long, and no longer; 0: for ever
	}{
		{Completed, Retention{}, 7 * day},
		{CompletedWithDeadLetters, Retention{}, 7 * day},
		{Failed, Retention{}, 30 * day},
		{Cancelled, Retention{}, 30 * day},
		{LimitExceeded, Retention{}, 30 * day},
		{Parked, Retention{}, 0},
		{"", Retention{Completed: time.Hour, Failed: time.Hour, Parked: time.Hour}, 0}, // it has not ended
		{Completed, Retention{Completed: Forever}, 0},
		{Completed, Retention{Completed: time.Hour}, time.Hour},
		{Failed, Retention{Failed: 2 * time.Hour}, 2 * time.Hour},
		{Parked, Retention{Parked: 3 * time.Hour}, 3 * time.Hour},
	} {
		t.Run(fmt.Sprint(c.status, c.keeps), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sweeper{
					graph:  &Graph{Name: "R", Package: "test", Retention: c.keeps},
					stores: resilience.MemoryStores(), owner: "o", lease: time.Minute, now: time.Now,
				}
				writeRun(t, s, s.graph, "run", c.status)
				writeRun(t, s, &Graph{Name: "Other", Package: "test"}, "run", c.status)
				before := keysOf(t, s.stores)
				if c.want == 0 {
					time.Sleep(1000 * day)
					wantSwept(t, s, 0)
					return
				}
				time.Sleep(c.want - time.Second)
				wantSwept(t, s, 0)
				time.Sleep(time.Second)
				busy, err := holdRun(t.Context(), s.stores.Leases, s.graph.storeName(), "run", "other", time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				wantSwept(t, s, 0) // somebody goes on with it just now
				busy.release()
				wantSwept(t, s, 1)
				after := keysOf(t, s.stores)
				gone := slices.DeleteFunc(before, func(key string) bool { return slices.Contains(after, key) })
				want := []string{s.graph.inboxKey("run"), s.graph.runKey("run")}
				if !slices.Equal(gone, want) {
					t.Errorf("%v were dropped, want %v", gone, want)
				}
			})
		})
	}
}

// writeRun writes a run of a few records, and its inbox.
func writeRun(t *testing.T, s *sweeper, g *Graph, id string, status Status) {
	t.Helper()
	log := resilience.Large(s.stores.Log)
	var last, mail resilience.Version
	for i := range 3 {
		r := record{V: recordFormat, Kind: kindNote, At: time.Now()}
		if i == 2 && status != "" {
			r.End = &endRecord{Status: status, Workflow: g.storeName(), ID: id}
		}
		body, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if last, err = log.Append(t.Context(), g.runKey(id), last, body); err != nil {
			t.Fatal(err)
		}
		if mail, err = log.Append(t.Context(), g.inboxKey(id), mail, body); err != nil {
			t.Fatal(err)
		}
	}
}

func keysOf(t *testing.T, stores resilience.Stores) (keys []string) {
	t.Helper()
	for _, prefix := range []string{"inbox/", "run/"} {
		for r, err := range stores.Log.Heads(t.Context(), prefix, "") {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, r.Key)
		}
	}
	return keys
}

func wantSwept(t *testing.T, s *sweeper, want int) {
	t.Helper()
	if got, err := s.sweep(t.Context()); got != want || err != nil {
		t.Fatalf("after %v: dropped %d, %v; want %d", time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), got, err, want)
	}
}

// TestRetentionByWorkers has two workers sweep every hour, one of them at a time.
func TestRetentionByWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, all := resilience.MemoryStores(), newSeen()
		p := newPlayed(t, "W", stores, all)
		p.graph.Retention.Completed = 30 * time.Minute
		s := &sweeper{graph: p.graph, stores: stores}
		writeRun(t, s, p.graph, "a", Completed)
		stopA, stopB := start(t, newWorker(p, WorkerOptions{})), start(t, newWorker(p, WorkerOptions{}))
		time.Sleep(time.Hour - time.Second)
		if len(keysOf(t, stores)) != 2 {
			t.Error("it was swept before an hour passed")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if keys := keysOf(t, stores); len(keys) != 0 {
			t.Errorf("%v are there after an hour", keys)
		}
		mustStop(t, stopA)
		mustStop(t, stopB)
	})
}

// TestRetentionOfLetters discards the letters of a run that is dropped, and keeps a run
// one of whose letters is to run again.
func TestRetentionOfLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, broken := resilience.MemoryStores(), &atomic.Bool{}
		broken.Store(true)
		g := graph(sometimes("A", broken, end))
		g.Retention.Parked = time.Hour
		e := opened(t, &stores, g)
		for _, id := range []string{"asked", "old"} {
			if _, err := e.Run(t.Context(), "in", Options{ID: id}); !errors.Is(err, ErrParked) {
				t.Fatal(err)
			}
		}
		if err := e.e.post(t.Context(), "asked", inboxEntry{ID: "x", Kind: inboxReplay, Message: firstMessage}); err != nil {
			t.Fatal(err)
		}
		s := &sweeper{graph: e.e.g, stores: stores, owner: "o", lease: time.Minute, now: time.Now, letters: dropLetters(e.e.rt)}
		time.Sleep(2 * time.Hour)
		wantSwept(t, s, 1)
		if got := lettersOf(t, e); got != "A:dead A:discarded" && got != "A:discarded A:dead" {
			t.Errorf("letters %s", got)
		}
		if keys := keysOf(t, stores); len(keys) != 2 { // the other run and its inbox
			t.Errorf("there are %v", keys)
		}
	})
}
