package resiliencetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/resiliencetest"
)

// heard is a Runtime with everybody who may listen to it.
type heard struct {
	t        *testing.T
	rt       *resilience.Runtime
	recorder resiliencetest.Recorder
	ring     *resilience.Ring
	log      bytes.Buffer
	observe  func(context.Context, resilience.Event)
}

func listenTo(t *testing.T) *heard {
	t.Helper()
	h := &heard{t: t, ring: resilience.NewRing(100)}
	log := resilience.LogHandler(slog.New(slog.NewJSONHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	h.observe = func(ctx context.Context, e resilience.Event) {
		h.recorder.Observe(ctx, e)
		h.ring.Observe(ctx, e)
		log(ctx, e)
	}
	rt, err := resilience.Open(resilience.Options{Seed: 1, Observe: h.observe})
	if err != nil {
		t.Fatal(err)
	}
	h.rt = rt
	return h
}

func (h *heard) guard(p resilience.Policy) *resilience.Guard {
	h.t.Helper()
	g, err := h.rt.Guard("pay.Charge", p)
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// agree holds the recorder, the ring and the log to each other, and returns the
// kinds they tell of.
func (h *heard) agree() []string {
	h.t.Helper()
	lines := h.recorder.Lines()
	events, dropped := h.ring.Events()
	logged := strings.Split(strings.TrimSuffix(h.log.String(), "\n"), "\n")
	if len(events) != len(lines) || len(logged) != len(lines) || dropped != 0 {
		h.t.Fatalf("%d recorded, %d in the ring, %d dropped, %d logged", len(lines), len(events), dropped, len(logged))
	}
	var kinds []string
	for i, e := range events {
		if _, line, _ := cut(lines[i]); line != e.String() {
			h.t.Errorf("recorded %q, in the ring %q", line, e)
		}
		var l struct{ Msg, Name, Error, Key, Reason string }
		if err := json.Unmarshal([]byte(logged[i]), &l); err != nil {
			h.t.Fatal(err)
		}
		if l.Msg != e.Kind.String() || l.Name != e.Name || (l.Error != "") != (e.Err != nil) || l.Key != e.Key || l.Reason != e.Reason {
			h.t.Errorf("logged %s of %v", logged[i], e)
		}
		kinds = append(kinds, e.Kind.String())
	}
	return kinds
}

var errDown = errors.New("down")

// scenes make events, each of other kinds.
var scenes = []func(t *testing.T, h *heard){
	func(t *testing.T, h *heard) { // a call that fails, is repeated, and is answered for; a breaker that opens and is reset
		g := h.guard(resilience.Policy{Retry: resilience.Retry{MaxAttempts: 2}, Breaker: resilience.Breaker{ConsecutiveFailures: 2}, Fallback: resilience.Fallback{On: true}})
		for range 2 {
			call := g.Begin(t.Context())
			for call.Next() {
				call.Record(errDown)
			}
			_ = call.WantsFallback()
			call.End()
		}
		h.rt.Breaker("pay.Charge").Reset()
	},
	func(t *testing.T, h *heard) { // a hedge that wins
		g := h.guard(resilience.Policy{Hedge: resilience.Hedge{Delay: time.Second}})
		call := g.Begin(t.Context())
		defer call.End()
		_, _ = resilience.Hedged(&call, func(ctx context.Context) (int, error) {
			if resilience.Attempt(ctx).Hedge {
				return 1, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
	},
	func(t *testing.T, h *heard) { // a delegate that is left behind
		g := h.guard(resilience.Policy{Timeout: resilience.Timeout{Attempt: time.Second, Mode: resilience.Abandon}})
		call := g.Begin(t.Context())
		for call.Next() {
			_, err := resilience.Abandonable(&call, func(context.Context) (int, error) { time.Sleep(time.Minute); return 0, nil })
			call.Record(err)
		}
		call.End()
		time.Sleep(time.Hour)
	},
	func(t *testing.T, h *heard) { // a limit that moves, overrides, and the health
		g := h.guard(resilience.Policy{Adaptive: resilience.Adaptive{Mode: resilience.Concurrency, InitialLimit: 10}, Breaker: resilience.Breaker{ConsecutiveFailures: 5}, Health: resilience.Health{Register: true}})
		h.rt.Health().Snapshot()
		for range 10 {
			_ = resilience.Try(t.Context(), g, func(context.Context) error { return nil })
		}
		for range 5 {
			_ = resilience.Try(t.Context(), g, func(context.Context) error { return errDown })
		}
		time.Sleep(time.Second)
		h.rt.Health().Snapshot()
		if err := h.rt.Update("pay.Charge", func(p *resilience.Policy) error { p.Adaptive.MaxLimit = 3; p.Adaptive.InitialLimit = 3; return nil }); err != nil {
			t.Error(err)
		}
		if err := h.rt.SetOverrides([]resilience.Override{{Key: "retry.retries", Value: "3", Origin: "o.yaml:1:1"}}); err == nil {
			t.Error("not refused")
		}
	},
	func(t *testing.T, h *heard) { // letters, one of which makes room for another, and one that finds none
		rt, err := resilience.Open(resilience.Options{Stores: resilience.MemoryStores(), Observe: h.observe})
		if err != nil {
			t.Fatal(err)
		}
		w := rt.Wrap("pay.Gateway", t)
		for method, overflow := range map[string]resilience.Overflow{"Charge": resilience.OverflowDropOldest, "Notify": resilience.OverflowReject} {
			g := w.Guard(method, resilience.Policy{})
			letters := resilience.NewDeadLetters(w, method, resilience.DeadLetterPolicy{MaxCount: 1, Overflow: overflow}, resilience.LetterMethod[struct{}]{})
			for range 2 {
				call := g.Begin(t.Context())
				_ = letters.Keep(&call, struct{}{}, errDown)
				call.End()
			}
		}
		if err := errors.Join(w.Err(), rt.Close()); err != nil {
			t.Fatal(err)
		}
	},
	func(t *testing.T, h *heard) { // a store that a crash left with half a record
		dir := t.TempDir()
		s, err := resilience.OpenStore(dir, resilience.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Stores().Log.Append(t.Context(), "k", 0, []byte("whole"))
		_, _ = s.Stores().Log.Append(t.Context(), "l", 0, []byte("half"))
		name := filepath.Join(dir, "000000000001.rj")
		b, err := os.ReadFile(name)
		if err = errors.Join(err, s.Close(), os.Remove(filepath.Join(dir, "INDEX"))); err != nil {
			t.Fatal(err)
		}
		b[bytes.Index(b, []byte("half"))] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		rt, err := resilience.Open(resilience.Options{Dir: dir, Observe: h.observe})
		if err != nil {
			t.Fatal(err)
		}
		_ = rt.Close()
	},
	func(t *testing.T, h *heard) { // a result that is kept and answers, other arguments under its key, a store that is full
		log := &filling{Log: resilience.MemoryStores().Log}
		rt, err := resilience.Open(resilience.Options{Stores: resilience.Stores{Log: log}, Observe: h.observe})
		if err != nil {
			t.Fatal(err)
		}
		w := rt.Wrap("pay.Gateway", t)
		g := w.Guard("Charge", resilience.Policy{})
		kept := resilience.NewCheckpoints[int, int](w, "Charge", resilience.CheckpointPolicy{}, nil)
		charge := func(ctx context.Context) (int, resilience.Outcome) {
			call := g.Begin(ctx)
			defer call.End()
			for call.Next() {
				call.Record(nil)
			}
			return 1, call.Outcome()
		}
		for _, amount := range []int{0, 0, 1} {
			_, _ = kept.Do(t.Context(), "order-7", amount, charge)
		}
		log.full = true
		_, _ = kept.Do(t.Context(), "order-8", 0, charge)
		_ = rt.Close()
	},
	func(t *testing.T, h *heard) { // a run as package workflow tells of it
		for kind := resilience.RunStarted; kind <= resilience.MessageNoted; kind++ {
			h.rt.Tell(t.Context(), resilience.Event{Kind: kind, Name: "workflow/Research", Key: "run-7", Value: "0", Reason: "scheduled", Delay: time.Hour})
		}
	},
}

// filling is a log that takes nothing once it is full.
type filling struct {
	resilience.Log
	full bool
}

// Append implements resilience.Log.
func (l *filling) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	if l.full {
		return 0, resilience.ErrStoreFull
	}
	return l.Log.Append(ctx, key, after, body)
}

// TestEveryKindIsHeard plays every kind of event to a Recorder, a Ring and a
// LogHandler at once.
func TestEveryKindIsHeard(t *testing.T) {
	told := map[string]bool{}
	for _, scene := range scenes {
		synctest.Test(t, func(t *testing.T) {
			h := listenTo(t)
			scene(t, h)
			synctest.Wait()
			for _, kind := range h.agree() {
				told[kind] = true
			}
		})
	}
	for k := resilience.EventKind(1); !strings.HasPrefix(k.String(), "EventKind("); k++ {
		if !told[k.String()] {
			t.Errorf("nobody told of %q", k)
		}
	}
}
