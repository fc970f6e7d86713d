package resilience

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// body is a result that is read under the context of its attempt, as that of an
// HTTP answer is.
type body struct {
	ctx    context.Context
	left   int // reads before the end
	closed atomic.Int32
	die    bool // at Close
}

func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.ctx.Err() != nil:
		return 0, b.ctx.Err()
	case b.left == 0:
		return 0, io.EOF
	}
	b.left--
	return copy(p, "x"), nil
}

func (b *body) Close() error {
	if b.closed.Add(1); b.die {
		panic(errPeer)
	}
	return nil
}

// opened is a call of a method that returns a body, as it is generated.
func opened(ctx context.Context, g *Guard, b *body) (io.ReadCloser, error) {
	var r io.ReadCloser
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		b.ctx = call.Context()
		r = b
		call.Record(nil)
	}
	return HeldReader(&call, r), call.Err()
}

func mustOpen(t *testing.T, ctx context.Context, g *Guard, b *body) io.ReadCloser {
	t.Helper()
	r, err := opened(ctx, g, b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// taken is how many slots of the bulkhead and shares of the limit are out.
func taken(g *Guard) (slots, shares int64) {
	p := g.plan.Load()
	if p.steering != nil {
		shares = int64(p.steering.inFlight.Load())
	}
	if p.bulkhead != nil {
		slots = p.bulkhead.taken.Load()
	}
	return slots, shares
}

func wantTaken(t *testing.T, g *Guard, want int64, when string) {
	t.Helper()
	synctest.Wait()
	if slots, shares := taken(g); slots != want || shares != want {
		t.Errorf("%s: %d slots and %d shares are taken, want %d", when, slots, shares, want)
	}
}

// heldPolicy holds everything that can be held.
var heldPolicy = Policy{
	Timeout:  Timeout{Attempt: time.Second},
	Bulkhead: Bulkhead{MaxConcurrent: 2},
	Adaptive: Adaptive{Mode: Concurrency},
	Result:   Held,
}

func readAll(t *testing.T, r io.Reader, want string) {
	t.Helper()
	if data, err := io.ReadAll(r); string(data) != want || err != nil {
		t.Errorf("read %q, %v", data, err)
	}
}

// TestBodyIsReadAfterTheCall: the end of what can be read gives slot and share
// back, closing ends the context.
func TestBodyIsReadAfterTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, heldPolicy)
		b := &body{left: 3}
		r := mustOpen(t, t.Context(), g, b)
		wantTaken(t, g, 1, "returned")
		readAll(t, r, "xxx")
		wantTaken(t, g, 0, "read to its end")
		if b.ctx.Err() != nil {
			t.Errorf("the context ended before Close: %v", b.ctx.Err())
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if b.ctx.Err() != context.Canceled || b.closed.Load() != 2 {
			t.Errorf("closed: %v, %d times", b.ctx.Err(), b.closed.Load())
		}
		wantTaken(t, g, 0, "closed twice")
	})
}

// TestClosedBeforeItsEnd gives back everything at once.
func TestClosedBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, heldPolicy)
		for _, look := range []bool{false, true} {
			b := &body{left: 3}
			r := mustOpen(t, t.Context(), g, b)
			if look {
				b.ctx.Done()
			}
			_, _ = r.Read(make([]byte, 1))
			_ = r.Close()
			wantTaken(t, g, 0, "closed")
			if <-b.ctx.Done(); b.ctx.Err() != context.Canceled {
				t.Errorf("looked %v: %v", look, b.ctx.Err())
			}
			time.Sleep(time.Minute)
			if _, err := r.Read(make([]byte, 1)); err != context.Canceled {
				t.Errorf("read after Close, and after what was the limit: %v", err)
			}
		}
	})
}

// TestNobodyCloses a body: the limit of the timeout, or the end of the caller's
// context, ends it.
func TestNobodyCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, heldPolicy)
		late := &body{left: 1 << 30}
		r := mustOpen(t, t.Context(), g, late)
		ctx, cancel := context.WithCancel(t.Context())
		left := &body{left: 1 << 30}
		mustOpen(t, ctx, g, left)
		wantTaken(t, g, 2, "returned")
		time.Sleep(time.Second - time.Nanosecond)
		if _, err := r.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		cancel()
		wantTaken(t, g, 1, "left")
		time.Sleep(time.Nanosecond)
		wantTaken(t, g, 0, "late")
		if late.ctx.Err() != context.DeadlineExceeded || left.ctx.Err() != context.Canceled {
			t.Errorf("%v, %v", late.ctx.Err(), left.ctx.Err())
		}
		_, err := r.Read(make([]byte, 1))
		if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "timeout.attempt of 1s passed: ") {
			t.Errorf("read late: %v", err)
		}
		_ = r.Close()
		wantTaken(t, g, 0, "closed late")
	})
}

// TestOpeningAlone: timeout.open ends at the return, and Close ends the context
// all the same.
func TestOpeningAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Timeout: Timeout{Open: time.Second}, Bulkhead: Bulkhead{MaxConcurrent: 1}, Result: Held})
		for _, look := range []bool{false, true} {
			for _, before := range []bool{false, true} {
				b := &body{left: 3}
				call := g.Begin(t.Context())
				call.Next()
				b.ctx = call.Context()
				if look && before {
					b.ctx.Done()
				}
				call.Record(nil)
				r := HeldReader(&call, io.ReadCloser(b))
				call.End()
				time.Sleep(time.Hour)
				if look {
					b.ctx.Done()
				}
				if b.ctx.Err() != nil || context.Cause(b.ctx) != nil {
					t.Errorf("the limit of the opening ended it: %v, %v", b.ctx.Err(), context.Cause(b.ctx))
				}
				readAll(t, r, "xxx")
				_ = r.Close()
				if <-b.ctx.Done(); b.ctx.Err() != context.Canceled || context.Cause(b.ctx) != context.Canceled {
					t.Errorf("closed: %v, %v", b.ctx.Err(), context.Cause(b.ctx))
				}
			}
		}
		if n := g.plan.Load().bulkhead.taken.Load(); n != 0 {
			t.Errorf("%d slots are lost", n)
		}
	})
}

// TestNothingIsHeld: what needs nothing on is the delegate's own value.
func TestNothingIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, p := range map[string]Policy{
			"no part that holds": {Breaker: Breaker{On: true}, Result: Held},
			"complete":           {Timeout: Timeout{Attempt: time.Second}, Bulkhead: Bulkhead{On: true}},
			"read on":            {Timeout: Timeout{Attempt: time.Second}, Bulkhead: Bulkhead{On: true}, Result: ReadOn},
		} {
			b := &body{}
			g := mustGuard(t, p)
			if r := mustOpen(t, t.Context(), g, b); r != b {
				t.Errorf("%s: wrapped", name)
			}
			if slots, _ := taken(g); slots != 0 {
				t.Errorf("%s: %d slots are taken", name, slots)
			}
			if alive := b.ctx.Err() == nil; alive != (p.Result != 0) {
				t.Errorf("%s: %v", name, b.ctx.Err())
			}
		}
		g := mustGuard(t, heldPolicy)
		g.rt.SetEnabled(false)
		if b := new(body); mustOpen(t, t.Context(), g, b) != b {
			t.Error("switched off: wrapped")
		}
	})
}

// TestHoldingCostsWhatIsHeld: the context of a timeout, the hold, the reader.
func TestHoldingCostsWhatIsHeld(t *testing.T) {
	ctx, b := context.Background(), new(body)
	for want, p := range map[float64]Policy{
		0: {Breaker: Breaker{On: true}, Result: Held},
		1: {Timeout: Timeout{Attempt: time.Minute}, Result: ReadOn},
		2: {Bulkhead: Bulkhead{On: true}, Result: Held},
		3: {Timeout: Timeout{Attempt: time.Minute}, Result: Held},
	} {
		g := mustGuard(t, p)
		if n := testing.AllocsPerRun(100, func() { r, _ := opened(ctx, g, b); _ = r.Close() }); n != want {
			t.Errorf("%+v: %v allocations a call, want %v", p, n, want)
		}
	}
}

// TestReadOn: the context lives until the limit of the timeout, and no longer than
// the caller's; the slot does not.
func TestReadOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := heldPolicy
		p.Result = ReadOn
		g := mustGuard(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var bodies []*body
		for range 2 {
			b := &body{}
			mustOpen(t, ctx, g, b)
			wantTaken(t, g, 0, "returned")
			bodies = append(bodies, b)
		}
		bodies[1].ctx.Done()
		time.Sleep(time.Second - time.Nanosecond)
		for _, b := range bodies {
			if b.ctx.Err() != nil {
				t.Errorf("ended early: %v", b.ctx.Err())
			}
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for _, b := range bodies {
			if b.ctx.Err() != context.DeadlineExceeded {
				t.Errorf("late: %v", b.ctx.Err())
			}
		}
		b := &body{}
		mustOpen(t, ctx, g, b)
		if cancel(); b.ctx.Err() != context.Canceled {
			t.Errorf("outlives its caller: %v", b.ctx.Err())
		}
	})
}

// TestUnclaimedResult: a call that returned nothing to hold gives all back at its
// end.
func TestUnclaimedResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, heldPolicy)
		var ctx context.Context
		v, err := Do(t.Context(), g, func(c context.Context) (int, error) { ctx = c; return 7, nil })
		if v != 7 || err != nil || ctx.Err() != context.Canceled {
			t.Errorf("%v, %v, %v", v, err, ctx.Err())
		}
		wantTaken(t, g, 0, "returned")
		call := g.Begin(t.Context())
		call.Next()
		call.Record(nil)
		if r := HeldReader(&call, nil); r != nil {
			t.Errorf("no reader came out as %v", r)
		}
		call.End()
		call = g.Begin(t.Context())
		call.Next()
		call.Record(errPeer)
		if b := new(body); HeldReader(&call, b) != io.ReadCloser(b) {
			t.Error("held for a failed call")
		}
		wantTaken(t, g, 0, "failed")
		call.End()
		func() {
			defer func() { _ = recover() }()
			_, _ = Do(t.Context(), g, func(c context.Context) (int, error) { ctx = c; panic(errPeer) })
		}()
		if ctx.Err() != context.Canceled {
			t.Error("the context outlives a panic")
		}
		wantTaken(t, g, 0, "ended by a panic")
	})
}

// TestClosePanics and gives everything back nevertheless.
func TestClosePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, heldPolicy)
		b := &body{die: true}
		r := mustOpen(t, t.Context(), g, b)
		func() {
			defer func() {
				if v := recover(); v != errPeer {
					t.Errorf("recovered %v", v)
				}
			}()
			_ = r.Close()
		}()
		if wantTaken(t, g, 0, "closed"); b.ctx.Err() != context.Canceled {
			t.Error(b.ctx.Err())
		}
	})
}

// TestCloseBesideRead is for the race detector: readers, closers, a limit and a
// caller that leaves end one hold at the same time.
func TestCloseBesideRead(t *testing.T) {
	p := heldPolicy
	p.Timeout.Attempt = time.Millisecond
	p.Bulkhead.MaxConcurrent = 1000
	p.Adaptive.InitialLimit, p.Adaptive.MaxLimit = 1000, 1000
	g := mustGuard(t, p)
	run(8, func(int) {
		for range 100 {
			ctx, cancel := context.WithCancel(context.Background())
			r, err := opened(ctx, g, &body{})
			if err != nil {
				t.Error(err)
			}
			run(4, func(n int) {
				switch n {
				case 0:
					cancel()
				case 1:
					_, _ = r.Read(nil)
				default:
					_ = r.Close()
				}
			})
		}
	})
	back := comesTrue(func() bool { // watches run in goroutines of package context
		slots, shares := taken(g)
		return slots == 0 && shares == 0
	})
	if slots, shares := taken(g); !back {
		t.Errorf("%d slots, %d shares are lost", slots, shares)
	}
}

// TestUnwantedBody is held no longer than it is known that another attempt
// follows, and is the caller's if none does.
func TestUnwantedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, open := range []bool{false, true} {
			p := heldPolicy
			if open {
				p.Timeout = Timeout{Open: time.Second}
			}
			p.Retry = Retry{MaxAttempts: 2, Backoff: Backoff{InitialDelay: 100 * ms, Jitter: NoJitter}}
			g := mustGuard(t, p)
			var contexts []context.Context
			call := g.Begin(t.Context())
			for call.Next() {
				if n := len(contexts); n > 0 && contexts[n-1].Err() != context.Canceled {
					t.Error("the context of an attempt that nobody wanted goes on")
				}
				contexts = append(contexts, call.Context())
				wantTaken(t, g, 1, "running")
				call.RecordResult(nil, true, false)
				if len(contexts) == 1 {
					wantTaken(t, g, 0, "before the pause")
				}
			}
			b := &body{ctx: contexts[1], left: 2}
			r := HeldReader(&call, io.ReadCloser(b))
			call.End()
			wantTaken(t, g, 1, "the last result")
			readAll(t, r, "xx")
			_ = r.Close()
			if b.ctx.Err() != context.Canceled {
				t.Error(b.ctx.Err())
			}
			wantTaken(t, g, 0, "closed")
		}
	})
}

// TestUnwantedBodyWithoutTime: the pause would pass the caller's deadline, so that
// the result is the call's, and lives.
func TestUnwantedBodyWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, result := range []Result{Held, ReadOn} {
			for _, timeout := range []Timeout{{Attempt: time.Second}, {Open: time.Second}} {
				p := Policy{Timeout: timeout, Result: result, Bulkhead: Bulkhead{On: true},
					Retry: Retry{MaxAttempts: 2, Backoff: Backoff{InitialDelay: 10 * time.Second, Jitter: NoJitter}}}
				g := mustGuard(t, p)
				ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
				call := g.Begin(ctx)
				b := &body{left: 1}
				for call.Next() {
					b.ctx = call.Context()
					call.RecordResult(nil, true, false)
				}
				r := HeldReader(&call, io.ReadCloser(b))
				call.End()
				if call.Err() != nil {
					t.Error(call.Err())
				}
				readAll(t, r, "x")
				_ = r.Close()
				if (b.ctx.Err() != nil) != (result == Held) {
					t.Errorf("result %d, %+v: closed: %v", result, timeout, b.ctx.Err())
				}
				if cancel(); b.ctx.Err() == nil {
					t.Error("outlives its caller")
				}
				if n := g.plan.Load().bulkhead.taken.Load(); n != 0 {
					t.Errorf("%d slots are lost", n)
				}
			}
		}
	})
}

// hedgedBody is a hedged call of a method that returns a body, as it is generated.
func hedgedBody(ctx context.Context, g *Guard, bodies ...*body) (r io.ReadCloser, err error) {
	var n atomic.Int32
	call := g.Begin(ctx)
	defer call.End()
	r, err = Hedged(&call, func(ctx context.Context) (io.ReadCloser, error) {
		b := bodies[n.Add(1)-1]
		b.ctx = ctx
		select {
		case <-time.After(time.Duration(b.left) * ms):
		case <-ctx.Done():
			if b.left > 100 {
				return nil, ctx.Err()
			}
		}
		b.left = 2
		return b, nil
	})
	return HeldReader(&call, r), err
}

// TestBodyOfTheWinner lives until it is closed; those of the others are closed at
// once.
func TestBodyOfTheWinner(t *testing.T) {
	for name, timeout := range map[string]Timeout{"no limit": {}, "attempt": {Attempt: time.Second}, "open": {Open: time.Second}, "abandon": {Attempt: time.Second, Mode: Abandon}} {
		for winner, bodies := range [][]*body{{{left: 20}, {left: 1000}}, {{left: 1000}, {left: 5}}, {{left: 99}, {left: 5}}} {
			winner = min(winner, 1)
			t.Run(fmt.Sprint(name, " ", bodies[0].left), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := heldPolicy
					p.Timeout, p.Hedge = timeout, Hedge{Delay: 10 * ms}
					g := mustGuard(t, p)
					r, err := hedgedBody(t.Context(), g, bodies...)
					if err != nil {
						t.Fatal(err)
					}
					won, lost := bodies[winner], bodies[1-winner]
					wantTaken(t, g, 1, "returned")
					if lost.ctx.Err() == nil || won.ctx.Err() != nil {
						t.Errorf("lost: %v, won: %v", lost.ctx.Err(), won.ctx.Err())
					}
					if timeout.Open > 0 {
						time.Sleep(time.Hour)
					}
					readAll(t, r, "xx")
					wantTaken(t, g, 0, "read")
					_ = r.Close()
					if won.ctx.Err() != context.Canceled || won.closed.Load() != 1 {
						t.Errorf("closed: %v, %d times", won.ctx.Err(), won.closed.Load())
					}
					if own, ok := won.ctx.(*lazyContext); ok && own.later {
						if hedge, ok := own.parent.(*lazyContext); ok && hedge.Err() != context.Canceled {
							t.Error("the hedge's own context goes on")
						}
					}
					time.Sleep(time.Second)
					if synctest.Wait(); bodies[0].left == 2 && bodies[1].left == 2 && lost.closed.Load() != 1 {
						t.Errorf("the loser was closed %d times", lost.closed.Load())
					}
					wantTaken(t, g, 0, "closed")
				})
			})
		}
	}
}

// TestBodyOfAWinnerNobodyGets: the first attempt panics after a hedge has won.
func TestBodyOfAWinnerNobodyGets(t *testing.T) {
	for _, second := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := heldPolicy
			p.Hedge = Hedge{Delay: 10 * ms, MaxHedges: 2}
			p.Bulkhead.MaxConcurrent = 3
			g := mustGuard(t, p)
			b := &body{}
			var n atomic.Int32
			func() {
				defer func() {
					if v := recover(); v == nil {
						t.Error("no panic")
					}
				}()
				call := g.Begin(t.Context())
				defer call.End()
				_, _ = Hedged(&call, func(ctx context.Context) (io.ReadCloser, error) {
					n := n.Add(1)
					if n == 3 {
						b.ctx = ctx
						return b, nil
					}
					<-ctx.Done()
					if (n == 2) == second {
						panic(errPeer)
					}
					return nil, ctx.Err()
				})
			}()
			if b.closed.Load() != 1 || b.ctx.Err() != context.Canceled {
				t.Errorf("closed %d times, %v", b.closed.Load(), b.ctx.Err())
			}
			wantTaken(t, g, 0, "after the panic")
		})
	}
}

// abandonedBody is a call under timeout.mode abandon, as it is generated.
func abandonedBody(ctx context.Context, g *Guard, f func(context.Context) (io.ReadCloser, error)) (r io.ReadCloser, err error) {
	call := g.Begin(ctx)
	defer call.End()
	for call.Next() {
		r, err = Abandonable(&call, f)
		call.Record(err)
	}
	return HeldReader(&call, r), call.Err()
}

// TestBodyUnderAbandon: the slot goes from the delegate to the result; a late one
// is closed, and gives it back.
func TestBodyUnderAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := heldPolicy
		p.Timeout.Mode = Abandon
		g := mustGuard(t, p)
		for _, after := range []time.Duration{0, time.Minute} {
			b := &body{left: 1}
			r, err := abandonedBody(t.Context(), g, func(ctx context.Context) (io.ReadCloser, error) {
				b.ctx = ctx
				time.Sleep(after)
				return b, nil
			})
			wantTaken(t, g, 1, "returned")
			if after == 0 {
				readAll(t, r, "x")
				_ = r.Close()
			} else if time.Sleep(after); !errors.Is(err, ErrTimeout) || r != nil {
				t.Errorf("%v, %v", r, err)
			}
			wantTaken(t, g, 0, "done")
			if b.closed.Load() != 1 || b.ctx.Err() == nil {
				t.Errorf("closed %d times, %v", b.closed.Load(), b.ctx.Err())
			}
		}
		if _, err := abandonedBody(t.Context(), g, func(context.Context) (io.ReadCloser, error) { return nil, errPeer }); err != errPeer {
			t.Error(err)
		}
		wantTaken(t, g, 0, "failed")
		func() {
			defer func() { _ = recover() }()
			_, _ = abandonedBody(t.Context(), g, func(context.Context) (io.ReadCloser, error) { panic(errPeer) })
		}()
		wantTaken(t, g, 0, "panicked")
	})
}

// TestHeldReaderIsWhatItsReaderIs: an io.Writer, an io.WriterTo, both or neither.
func TestHeldReaderIsWhatItsReaderIs(t *testing.T) {
	type (
		writer struct {
			*body
			io.Writer
		}
		writerTo struct {
			*body
			io.WriterTo
		}
		both struct {
			*body
			io.Writer
			io.WriterTo
		}
	)
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			writes, copies bool
			of             func(*body, *bytes.Buffer) io.ReadCloser
		}{
			{false, false, func(b *body, _ *bytes.Buffer) io.ReadCloser { return b }},
			{true, false, func(b *body, buf *bytes.Buffer) io.ReadCloser { return writer{b, buf} }},
			{false, true, func(b *body, buf *bytes.Buffer) io.ReadCloser { return writerTo{b, buf} }},
			{true, true, func(b *body, buf *bytes.Buffer) io.ReadCloser { return both{b, buf, buf} }},
		} {
			g := mustGuard(t, heldPolicy)
			b, buf := &body{}, &bytes.Buffer{}
			call := g.Begin(t.Context())
			call.Next()
			b.ctx = call.Context()
			call.Record(nil)
			r := HeldReader(&call, c.of(b, buf))
			call.End()
			w, writes := r.(io.Writer)
			from, copies := r.(io.WriterTo)
			if writes != c.writes || copies != c.copies {
				t.Fatalf("writes %v, copies %v; want %+v", writes, copies, c)
			}
			if writes {
				if _, err := w.Write([]byte("to the peer")); err != nil || buf.String() != "to the peer" {
					t.Errorf("wrote %q, %v", buf, err)
				}
			}
			if copies {
				var got strings.Builder
				if _, err := from.WriteTo(&got); err != nil || got.String() != map[bool]string{true: "to the peer"}[writes] {
					t.Errorf("copied %q, %v", got.String(), err)
				}
			} else {
				readAll(t, r, "")
			}
			want := int64(0)
			if writes { // the end of what can be read is not the end of what can be written
				want = 1
			}
			wantTaken(t, g, want, "read to its end")
			_ = r.Close()
			wantTaken(t, g, 0, "closed")
		}
	})
}

// count yields under the context of its attempt.
func count(ctx context.Context) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; ctx.Err() == nil && i < 3 && yield(i); i++ {
			continue
		}
	}
}

// iterated is a call of a method that returns an iterator, as it is generated.
func iterated(ctx context.Context, g *Guard) (seq iter.Seq[int], under context.Context) {
	call := g.Begin(ctx)
	defer call.End()
	if call.Next() {
		under = call.Context()
		seq = count(under)
		call.Record(nil)
	}
	return HeldSeq(&call, seq), under
}

// TestIterator holds slot and context until it has been ranged over, whatever
// ends the range.
func TestIterator(t *testing.T) {
	for name, use := range map[string]func(*testing.T, iter.Seq[int]){
		"to its end": func(t *testing.T, seq iter.Seq[int]) {
			if got := slices.Collect(seq); len(got) != 3 {
				t.Errorf("got %v", got)
			}
		},
		"break": func(_ *testing.T, seq iter.Seq[int]) {
			for range seq {
				break
			}
		},
		"panic": func(t *testing.T, seq iter.Seq[int]) {
			defer func() {
				if v := recover(); v != errPeer {
					t.Errorf("recovered %v", v)
				}
			}()
			for range seq {
				panic(errPeer)
			}
		},
		"Goexit": func(_ *testing.T, seq iter.Seq[int]) {
			var group sync.WaitGroup
			group.Go(func() {
				for range seq {
					runtime.Goexit()
				}
			})
			group.Wait()
		},
		"pull": func(t *testing.T, seq iter.Seq[int]) {
			next, stop := iter.Pull(seq)
			if v, ok := next(); v != 0 || !ok {
				t.Errorf("%v, %v", v, ok)
			}
			stop()
		},
		"never": func(*testing.T, iter.Seq[int]) { time.Sleep(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := mustGuard(t, heldPolicy)
				seq, under := iterated(t.Context(), g)
				if wantTaken(t, g, 1, "returned"); under.Err() != nil {
					t.Error(under.Err())
				}
				use(t, seq)
				wantTaken(t, g, 0, "done")
				if under.Err() == nil {
					t.Error("the context goes on")
				}
				if got := slices.Collect(seq); len(got) != 0 {
					t.Errorf("a second range, under a context that has ended: %v", got)
				}
				wantTaken(t, g, 0, "ranged over twice")
			})
		})
	}
}

// TestIteratorOfPairs is TestIterator for two values.
func TestIteratorOfPairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, heldPolicy)
		call := g.Begin(t.Context())
		call.Next()
		ctx := call.Context()
		call.Record(nil)
		seq := HeldSeq2(&call, slices.All([]string{"a", "b"}))
		call.End()
		wantTaken(t, g, 1, "returned")
		for i, s := range seq {
			if i == 1 && s != "b" || ctx.Err() != nil {
				t.Errorf("%d: %q, %v", i, s, ctx.Err())
			}
		}
		if wantTaken(t, g, 0, "done"); ctx.Err() != context.Canceled {
			t.Error(ctx.Err())
		}
		var none iter.Seq2[int, string]
		if HeldSeq2(&call, none) != nil {
			t.Error("no iterator came out as one")
		}
	})
}

// TestStreamHistories plays random histories of many streams against a count: a
// stream has its slot until it is read to its end, closed, late or left.
func TestStreamHistories(t *testing.T) {
	type state struct {
		r      io.ReadCloser
		b      *body
		cancel func()
		due    time.Duration
		holds  bool
	}
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(7, 7))
		p := heldPolicy
		p.Bulkhead.MaxConcurrent = 10000
		p.Adaptive.InitialLimit, p.Adaptive.MaxLimit = 10000, 10000
		g := mustGuard(t, p)
		begun := time.Now()
		var all []*state
		for step := range 5000 {
			switch n := random.IntN(10); {
			case n < 3 || len(all) == 0:
				ctx, cancel := context.WithCancel(t.Context())
				s := &state{b: &body{left: random.IntN(3)}, cancel: cancel, due: time.Since(begun) + time.Second, holds: true}
				s.r = mustOpen(t, ctx, g, s.b)
				all = append(all, s)
			case n < 4:
				time.Sleep(time.Duration(random.IntN(200)) * ms)
			default:
				s := all[random.IntN(len(all))]
				switch {
				case n < 8:
					_, err := s.r.Read(make([]byte, 1))
					s.holds = s.holds && err != io.EOF
				case n < 9:
					_ = s.r.Close()
					s.holds = false
				default:
					s.cancel()
					s.holds = false
				}
			}
			want := int64(0)
			for _, s := range all {
				if s.holds && time.Since(begun) < s.due {
					want++
				}
			}
			if wantTaken(t, g, want, fmt.Sprint("step ", step)); t.Failed() {
				return
			}
		}
		for _, s := range all {
			_ = s.r.Close()
			s.cancel()
		}
		wantTaken(t, g, 0, "at the end")
	})
}

// TestBodyUnderAnotherOrder: a slot that is the call's is held through the pause,
// and then by the result.
func TestBodyUnderAnotherOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := func(g *Guard, want int64, when string) {
			t.Helper()
			if slots, _ := taken(g); slots != want {
				t.Errorf("%s: %d slots", when, slots)
			}
		}
		for _, order := range [][]Layer{
			{LayerBulkhead, LayerRetry, LayerBreaker},
			{LayerRetry, LayerBulkhead, LayerBreaker}, // which hears of the attempt before the slot is free
		} {
			outer := order[0] == LayerBulkhead
			g := mustGuard(t, Policy{
				Timeout: Timeout{Attempt: time.Minute}, Bulkhead: Bulkhead{MaxConcurrent: 1}, Breaker: Breaker{On: true}, Result: Held, Order: order,
				Retry: Retry{MaxAttempts: 2, Backoff: Backoff{InitialDelay: time.Second, Jitter: NoJitter}},
			})
			call := g.Begin(t.Context())
			b := &body{left: 1}
			for n := 0; call.Next(); n++ {
				slot(g, 1, "running")
				b.ctx = call.Context()
				call.RecordResult(nil, n == 0, false)
				want := int64(0)
				if outer || n == 1 {
					want = 1
				}
				slot(g, want, fmt.Sprint("after attempt ", n))
			}
			r := HeldReader(&call, io.ReadCloser(b))
			call.End()
			slot(g, 1, "returned")
			readAll(t, r, "x")
			slot(g, 0, "read")
			_ = r.Close()
			if b.ctx.Err() != context.Canceled {
				t.Error(b.ctx.Err())
			}
			if err := Try(t.Context(), g, func(context.Context) error { return Permanent(errPeer) }); err == nil {
				t.Error("no error")
			}
			slot(g, 0, "failed")
		}
		g := mustGuard(t, Policy{Hedge: Hedge{Delay: 10 * ms}, Bulkhead: Bulkhead{MaxConcurrent: 1}, Result: Held, Order: []Layer{LayerBulkhead, LayerHedge}})
		r, err := hedgedBody(t.Context(), g, &body{left: 99}, &body{left: 5})
		if err != nil {
			t.Fatal(err)
		}
		slot(g, 1, "hedged")
		readAll(t, r, "xx")
		_ = r.Close()
		slot(g, 0, "closed")
	})
}
