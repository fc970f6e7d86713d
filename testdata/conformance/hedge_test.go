package conformance

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Attempts of a script's call do what its plan says in the order of their
// numbers, the first attempt first.
var hedgeCases = family{
	"R4J-48": play(NewResilientR4J48,
		"S/1s,0/10ms>0 took=110ms execs=2",
		"S/150ms,0/1s>ok took=150ms execs=2",
		"S/150ms,F/100ms>ok took=150ms execs=2",
		"S/50ms>ok took=50ms execs=1"),
	"R4J-51": play(NewResilientR4J48, "S/1s,F>ok took=1s execs=2"),
	"R4J-49": with(NewResilientR4J49, func(s *session, script string) {
		s.play(script)
		between(s, "hedge", s.last.offsets()[1], 10*ms, 11*ms) // the mean is 257ms
	}, "S/10ms*3>ok S/1s>ok execs=4 S/100ms,0>0 execs=6"),
	"POL-25": play(NewResilientPOL25, "a:S/1s execs=4 peak=4 a>ok took=1s starts=0s,0s,0s,0s"),
	"POL-26": play(NewResilientPOL26,
		"F/1s,F/1s,F/1s,S/1s>ok peak=1 starts=0s,1s,2s,3s",
		"F/1s>E peak=1 execs=4"),
	"POL-29": all(
		play(NewResilientPOL29Never, "F/5s,X/1s>E execs=3"),
		play(NewResilientPOL29Zero, "F/5s,X/1s>E execs=3 took=5s"),
		play(NewResilientPOL29, "F/5s,X/1s>E execs=3 took=5s")),
	"POL-30": play(NewResilientR4J48, "BadRequest>BadRequest execs=1 took=0s"),
	"POL-33": opened(NewResilientPOL33, func(t *testing.T, o *opener, w Opener) {
		for _, o.delays = range [][]time.Duration{{0}, {time.Hour, 0}} {
			s, err := w.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Read(nil); err != nil {
				t.Errorf("read after the call: %v", err)
			}
		}
	}),
	"POL-34": opened(NewResilientPOL33, func(t *testing.T, o *opener, w Opener) {
		o.delays = []time.Duration{time.Hour, 0}
		if _, err := w.Open(context.WithValue(t.Context(), witness{}, 1)); err != nil {
			t.Fatal(err)
		}
		if len(o.streams) != 2 || o.streams[0].Ctx == o.streams[1].Ctx {
			t.Fatalf("%d attempts with contexts of their own", len(o.streams))
		}
		for _, s := range o.streams {
			if s.Ctx.Value(witness{}) != 1 {
				t.Error("a value of the caller's is lost")
			}
		}
	}),
	"POL-40": all(
		opened(NewResilientPOL40, func(t *testing.T, o *opener, w Opener) {
			o.broken = 2
			s, err := w.Open(t.Context())
			if err != nil || s != o.streams[2] {
				t.Fatal(s, err)
			}
			o.closed(t, 1, 1, 0)
		}),
		opened(NewResilientPOL33, func(t *testing.T, o *opener, w Opener) {
			o.deaf, o.delays = true, []time.Duration{200 * ms, 50 * ms}
			s, err := w.Open(t.Context())
			if err != nil || s != o.streams[1] {
				t.Fatal(s, err)
			}
			o.closed(t, 1, 0)
		})),
	"FSG-09": all(
		play(NewResilientFSG09, "S>ok execs=1"),
		play(NewResilientFSG09Twice, "S/100ms>ok execs=3 starts=0s,10ms,20ms took=100ms"),
		play(NewResilientPOL25, "a:hold execs=4 a!S a>ok")),
	"FSG-10": play(NewResilientFSG10, strings.Repeat("S/10ms>ok ", 19)+"S/1s>ok execs=20 S/1s,0>0 execs=22"),
}

// opener is the delegate of cases with streams; attempt n opens streams[n-1].
type opener struct {
	delays []time.Duration // of the attempts; the last one repeats
	deaf   bool            // to their contexts
	broken int             // the first streams

	mu      sync.Mutex
	streams []*Stream
}

func (o *opener) Open(ctx context.Context) (*Stream, error) {
	o.mu.Lock()
	n := len(o.streams)
	s := &Stream{Ctx: ctx, Broken: n < o.broken}
	o.streams = append(o.streams, s)
	o.mu.Unlock()
	if len(o.delays) > 0 {
		wait, done := time.After(o.delays[min(resilience.Attempt(ctx).Number, len(o.delays))-1]), ctx.Done()
		if o.deaf {
			done = nil
		}
		select {
		case <-wait:
		case <-done:
			return nil, ctx.Err()
		}
	}
	return s, nil
}

// closed fails unless the streams were closed so often.
func (o *opener) closed(t *testing.T, times ...int32) {
	t.Helper()
	for i, s := range o.streams {
		if got := s.closed.Load(); got != times[i] {
			t.Errorf("stream %d closed %d times, want %d", i+1, got, times[i])
		}
	}
}

func opened[W Opener](make func(*resilience.Runtime, Opener) (W, error), f func(*testing.T, *opener, Opener)) func(*testing.T) {
	return func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := &opener{}
			w, err := make(&resilience.Runtime{}, o)
			if err != nil {
				t.Fatal(err)
			}
			f(t, o, w)
		})
	}
}
