package letters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

var errDown = errors.New("down")

// peer is a Gateway whose methods all do the same. What succeeded is in its ledger.
type peer struct {
	do     func(ctx context.Context) error
	calls  atomic.Int32
	mu     sync.Mutex
	ledger []string
	quiet  bool // keeps no ledger
}

func (p *peer) run(ctx context.Context, what ...any) error {
	p.calls.Add(1)
	if err := p.do(ctx); err != nil || p.quiet {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ledger = append(p.ledger, strings.TrimSuffix(fmt.Sprintln(what...), "\n"))
	return nil
}

// done returns the ledger, sorted.
func (p *peer) done() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(slices.Values(p.ledger))
}

func (p *peer) Charge(ctx context.Context, req ChargeRequest, _ ...string) (Receipt, error) {
	return Receipt{req.ID}, p.run(ctx, "charge", req)
}

func (p *peer) Quote(ctx context.Context, id string) (int, error) {
	return 1, p.run(ctx, "quote", id)
}

func (p *peer) Cancel(ctx context.Context, id string) (bool, error) {
	return false, p.run(ctx, "cancel", id)
}

func (p *peer) Hedged(ctx context.Context, id string) (int, string, error) {
	return 1, "x", p.run(ctx, "hedged", id)
}
func (p *peer) Left(ctx context.Context, id string) error { return p.run(ctx, "left", id) }

func (p *peer) Plain(id string, amount int64) error {
	return p.run(context.Background(), "plain", id, amount)
}
func (p *peer) Stop(ctx context.Context, id string) error { return p.run(ctx, "stop", id) }

func (p *peer) Draw(ctx context.Context, shape Shape, size int) error {
	return p.run(ctx, "draw", shape, size)
}

func (p *peer) Upload(ctx context.Context, name string, _ io.Reader) error {
	return p.run(ctx, "upload", name)
}

func (p *peer) Large(ctx context.Context, name string, body []byte, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return p.run(ctx, "large", name, string(body), string(text))
}

func (p *peer) Keyed(ctx context.Context, id string) error { return p.run(ctx, "keyed", id) }

func (p *peer) Cached(ctx context.Context, id, note string) (int, error) {
	return len(id), p.run(ctx, "cached", id, note)
}

func (p *peer) Paid(ctx context.Context, id string, amount int) (Receipt, error) {
	return Receipt{id}, p.run(ctx, "paid", id, amount)
}

func fails(context.Context) error { return errDown }

func works(context.Context) error { return nil }

// wrapped returns a peer under the policies, and the Runtime of its letters, which
// seals what is secret.
func wrapped(t *testing.T, do func(context.Context) error) (*ResilientGateway, *resilience.Runtime, *peer) {
	t.Helper()
	sealer, err := resilience.NewSealer(resilience.SealKey{ID: "k1", Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return wrappedIn(t, do, resilience.Options{Stores: resilience.MemoryStores(), Letters: resilience.LetterOptions{Sealer: sealer}})
}

func wrappedIn(t *testing.T, do func(context.Context) error, o resilience.Options) (*ResilientGateway, *resilience.Runtime, *peer) {
	t.Helper()
	o.Seed = 1
	rt, err := resilience.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	p := &peer{do: do}
	g, err := NewResilientGateway(rt, p)
	if err != nil {
		t.Fatal(err)
	}
	return g, rt, p
}

// kept returns the letters there are.
func kept(t *testing.T, rt *resilience.Runtime) []resilience.LetterSummary {
	t.Helper()
	page, err := rt.DeadLetters().List(context.Background(), resilience.LetterQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return page.Letters
}

// one returns the only letter, which must be of the method and the reason.
func one(t *testing.T, rt *resilience.Runtime, method string, reason resilience.Reason) resilience.LetterSummary {
	t.Helper()
	list := kept(t, rt)
	if len(list) != 1 || list[0].Method != method || list[0].Reason != reason {
		t.Fatalf("letters %+v, want one of %s for %s", list, method, reason)
	}
	return list[0]
}

// deadLettered checks that err is what the call failed with, and was kept.
func deadLettered(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, errDown) || !errors.Is(err, resilience.ErrDeadLettered) {
		t.Fatalf("error %v, want one that is down and dead-lettered", err)
	}
}

func TestNoStore(t *testing.T) {
	_, err := NewResilientGateway(&resilience.Runtime{}, &peer{do: works})
	if !errors.Is(err, resilience.ErrNoStore) || !strings.Contains(err.Error(), "letters.Gateway.Charge") {
		t.Errorf("error %v, want one that says which method needs a store", err)
	}
}

// TestArgumentsComeBack: what a letter holds is what the method was called with.
func TestArgumentsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, rt, p := wrapped(t, fails)
		req := ChargeRequest{ID: "c1", Customer: "ada", Amount: 1<<60 + 1, Email: "a@b", Card: Card{"4711", "123"}, Note: "n"}
		_, err := g.Charge(t.Context(), req)
		deadLettered(t, err)
		if p.calls.Load() != 3 {
			t.Errorf("%d attempts, want 3", p.calls.Load())
		}
		s := one(t, rt, "Charge", resilience.ReasonExhausted)
		args, l, err := g.ChargeLetters().Get(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if want := (gatewayChargeArgs{req, nil}); !reflect.DeepEqual(args, want) {
			t.Errorf("arguments %+v, want %+v", args, want)
		}
		if l.Queue != "payments.charge" || l.Call.Interface != "github.com/resilgen/resilgen/testdata/letters.Gateway" || l.Call.OrderKey != "ada" || l.AttemptCount != 3 {
			t.Errorf("letter %+v", l)
		}
	})
}

// watched is a log that remembers what was written to it.
type watched struct {
	resilience.Log
	written []byte
}

func (w *watched) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	w.written = append(append(w.written, key...), body...)
	return w.Log.Append(ctx, key, after, body)
}

// TestNoSecretIsWritten plants one in every place that a tag, a name or the policy
// calls secret, with a Sealer and without one.
func TestNoSecretIsWritten(t *testing.T) {
	for _, seals := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			stores := resilience.MemoryStores()
			log := &watched{Log: stores.Log}
			stores.Log = log
			o := resilience.Options{Stores: stores}
			if seals {
				o.Letters.Sealer, _ = resilience.NewSealer(resilience.SealKey{ID: "k1", Key: make([]byte, 32)})
			}
			g, rt, _ := wrappedIn(t, func(context.Context) error { return fmt.Errorf("%w: card canary-number declined", errDown) }, o)
			req := ChargeRequest{ID: "c1", Customer: "ada", Email: "canary-email", Card: Card{"canary-number", "canary-cvv"}, Note: "canary-note"}
			_, err := g.Charge(t.Context(), req, "canary-tag")
			deadLettered(t, err)
			if bytes.Contains(log.written, []byte("canary")) || !bytes.Contains(log.written, []byte("ada")) {
				t.Errorf("seals %v: written %s", seals, log.written)
			}
			args, l, err := g.ChargeLetters().Get(t.Context(), one(t, rt, "Charge", resilience.ReasonExhausted).ID)
			if !errors.Is(err, resilience.ErrNeedsEdit) || !l.NeedsEdit() || args.Req.ID != "c1" || (args.Req.Card == req.Card) != seals {
				t.Errorf("seals %v: %+v, %v", seals, args, err)
			}
		})
	}
}

// TestHappyPath: a call that succeeds leaves no letter, and costs what it does
// without any.
func TestHappyPath(t *testing.T) {
	g, rt, p := wrapped(t, works)
	p.quiet = true
	bare, err := NewResilientBare(rt, p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, body := context.Background(), strings.NewReader("")
	for name, run := range map[string]func(g Gateway) error{
		"Charge": func(g Gateway) error { _, err := g.Charge(ctx, ChargeRequest{ID: "1"}, "x"); return err },
		"Quote":  func(g Gateway) error { _, err := g.Quote(ctx, "1"); return err },
		"Plain":  func(g Gateway) error { return g.Plain("1", 2) },
		"Draw":   func(g Gateway) error { return g.Draw(ctx, Circle{}, 2) },
		"Upload": func(g Gateway) error { return g.Upload(ctx, "1", body) },
	} {
		var failed error
		with := testing.AllocsPerRun(100, func() { failed = errors.Join(failed, run(g)) })
		without := testing.AllocsPerRun(100, func() { failed = errors.Join(failed, run(bare)) })
		if failed != nil || with != without {
			t.Errorf("%s: %v allocations, %v without letters; error %v", name, with, without, failed)
		}
	}
	if list := kept(t, rt); len(list) > 0 {
		t.Errorf("letters %+v", list)
	}
}

func TestFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, rt, _ := wrapped(t, fails)
		if n, err := g.Quote(t.Context(), "eur"); n != 42 || err != nil || len(kept(t, rt)) > 0 {
			t.Errorf("answered: %d, %v, and %d letters", n, err, len(kept(t, rt)))
		}
		_, err := g.Quote(t.Context(), "unknown")
		deadLettered(t, err)
		if !strings.HasPrefix(err.Error(), "no last quote: ") {
			t.Errorf("error %v, want that of the fallback", err)
		}
		one(t, rt, "Quote", resilience.ReasonExhausted)
	})
}

func TestAfterFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, rt, _ := wrapped(t, fails)
		if ok, err := g.Cancel(t.Context(), "c1"); !ok || err != nil {
			t.Errorf("answered: %v, %v", ok, err)
		}
		one(t, rt, "Cancel", resilience.ReasonExhausted)
	})
}

// TestPanic: the panic goes on as it was, from where it was.
func TestPanic(t *testing.T) {
	type boom struct{ n int }
	g, rt, _ := wrapped(t, func(context.Context) error { panic(boom{7}) })
	func() {
		defer func() {
			value := recover()
			if value != (boom{7}) {
				t.Errorf("panic %v, want the original one", value)
			}
			stack := make([]byte, 1<<16)
			if stack = stack[:runtime.Stack(stack, false)]; !strings.Contains(string(stack), "letters.(*peer).run") {
				t.Errorf("the stack does not show the delegate\n%s", stack)
			}
		}()
		_ = g.Upload(context.Background(), "u1", strings.NewReader("x"))
	}()
	s := one(t, rt, "Upload", resilience.ReasonPanic)
	if args, _, err := g.UploadLetters().Get(context.Background(), s.ID); err != nil || args.Name != "u1" {
		t.Errorf("arguments %+v, %v", args, err)
	}
}

// TestPanicInAnotherGoroutine: of attempts that are hedged, or may be left behind.
func TestPanicInAnotherGoroutine(t *testing.T) {
	for name, call := range map[string]func(g *ResilientGateway) error{
		"Hedged": func(g *ResilientGateway) error { _, _, err := g.Hedged(context.Background(), "1"); return err },
		"Left":   func(g *ResilientGateway) error { return g.Left(context.Background(), "1") },
	} {
		synctest.Test(t, func(t *testing.T) {
			g, rt, _ := wrapped(t, func(context.Context) error { panic("boom") })
			func() {
				defer func() {
					value := recover()
					if p, ok := value.(*resilience.PanicError); ok { // of a goroutine of ours
						value = p.Value
					}
					if value != "boom" {
						t.Errorf("%s: panic %v", name, value)
					}
				}()
				t.Errorf("%s returned %v", name, call(g))
			}()
			one(t, rt, name, resilience.ReasonPanic)
		})
	}
}

// TestGoexit: a goroutine that ends is no failure of the call.
func TestGoexit(t *testing.T) {
	g, rt, _ := wrapped(t, func(context.Context) error { runtime.Goexit(); return nil })
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Upload(context.Background(), "u1", nil)
	}()
	<-done
	if list := kept(t, rt); len(list) > 0 {
		t.Errorf("letters %+v", list)
	}
}

func TestCallerLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		g, rt, _ := wrapped(t, hangs)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if _, err := g.Charge(ctx, ChargeRequest{}); !errors.Is(err, context.Canceled) || errors.Is(err, resilience.ErrDeadLettered) {
			t.Errorf("cancelled: %v", err)
		}
		if list := kept(t, rt); len(list) > 0 {
			t.Errorf("letters %+v", list)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := g.Charge(ctx, ChargeRequest{}); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, resilience.ErrDeadLettered) {
			t.Errorf("deadline: %v", err)
		}
		one(t, rt, "Charge", resilience.ReasonDeadline)
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, rt, _ := wrapped(t, func(context.Context) error { time.Sleep(time.Minute); return errDown })
		if err := g.Left(t.Context(), "1"); !errors.Is(err, resilience.ErrTimeout) || !errors.Is(err, resilience.ErrDeadLettered) {
			t.Errorf("error %v", err)
		}
		one(t, rt, "Left", resilience.ReasonDeadline)
		time.Sleep(time.Minute) // for what was left behind
	})
}

// TestWhen: only what the policy lists is kept.
func TestWhen(t *testing.T) {
	g, rt, _ := wrapped(t, fails)
	if err := g.Stop(t.Context(), "1"); errors.Is(err, resilience.ErrDeadLettered) || !errors.Is(err, errDown) || len(kept(t, rt)) > 0 {
		t.Errorf("failure: %v, and %d letters", err, len(kept(t, rt)))
	}
	if err := g.Stop(t.Context(), "1"); !errors.Is(err, resilience.ErrDeadLettered) || !errors.Is(err, resilience.ErrCircuitOpen) {
		t.Errorf("open: %v", err)
	}
	one(t, rt, "Stop", resilience.ReasonBreakerOpen)
}

func TestCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, rt, _ := wrapped(t, fails)
		deadLettered(t, g.Draw(t.Context(), Circle{2}, 5))
		args, _, err := g.DrawLetters().Get(t.Context(), one(t, rt, "Draw", resilience.ReasonExhausted).ID)
		if err != nil || args.Shape.Value != (Circle{2}) || args.Size != 5 {
			t.Errorf("arguments %+v, %v", args, err)
		}
	})
}

// TestSwitches: guarding that is off loses no letter, only the switch for what is
// durable does.
func TestSwitches(t *testing.T) {
	g, rt, p := wrapped(t, fails)
	rt.SetEnabled(false)
	deadLettered(t, g.Upload(t.Context(), "1", nil))
	rt.SetDurable(false)
	if err := g.Upload(t.Context(), "2", nil); err != errDown || len(kept(t, rt)) != 1 || p.calls.Load() != 2 {
		t.Errorf("switched off: %v, %d letters, %d calls", err, len(kept(t, rt)), p.calls.Load())
	}
}

// TestKey: a letter has the idempotency key that its call had.
func TestKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		g, rt, _ := wrapped(t, func(ctx context.Context) error {
			key, _ := resilience.IdempotencyKey(ctx)
			keys = append(keys, key)
			return errDown
		})
		deadLettered(t, g.Keyed(t.Context(), "1"))
		l, err := rt.DeadLetters().Get(t.Context(), one(t, rt, "Keyed", resilience.ReasonExhausted).ID)
		if err != nil || len(keys) != 3 || keys[0] == "" || l.Call.IdemKey != keys[0] || keys[0] != keys[2] {
			t.Errorf("key %q of the letter, %q of the attempts; %v", l.Call.IdemKey, keys, err)
		}
	})
}

// TestBehindCheckpoints: callers that share an execution are each told that their
// call was kept, and a replay records the result for who calls again.
func TestBehindCheckpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		down := true
		g, rt, p := wrapped(t, func(ctx context.Context) error {
			key, _ := resilience.IdempotencyKey(ctx)
			keys = append(keys, key)
			if time.Sleep(time.Millisecond); down {
				return errDown
			}
			return nil
		})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				_, err := g.Paid(t.Context(), "p1", 5)
				deadLettered(t, err)
			})
		}
		wg.Wait()
		if p.calls.Load() != 3 || len(kept(t, rt)) != 2 {
			t.Errorf("%d attempts, %d letters", p.calls.Load(), len(kept(t, rt)))
		}
		for _, s := range kept(t, rt) {
			args, l, err := g.PaidLetters().Get(t.Context(), s.ID)
			if err != nil || args != (gatewayPaidArgs{"p1", 5}) || l.AttemptCount != 3 || len(l.Attempts) != 3 || l.Call.IdemKey != keys[0] || l.Reason != resilience.ReasonExhausted {
				t.Errorf("%+v, %v", l, err)
			}
		}
		down = false
		if job := replay(t, rt, resilience.ReplayOptions{}); job.Succeeded != 2 {
			t.Errorf("job %+v", job)
		}
		if r, err := g.Paid(t.Context(), "p1", 5); err != nil || r != (Receipt{"p1"}) || !slices.Equal(p.done(), []string{"paid p1 5"}) {
			t.Errorf("called again: %v, %v; done %v", r, err, p.done())
		}
	})
}

func TestPanicBehindCheckpoints(t *testing.T) {
	g, rt, _ := wrapped(t, func(context.Context) error { panic("boom") })
	func() {
		defer func() {
			if p, ok := recover().(*resilience.PanicError); !ok || p.Value != "boom" {
				t.Errorf("panic %v", p)
			}
		}()
		_, err := g.Paid(context.Background(), "p1", 5)
		t.Errorf("returned %v", err)
	}()
	one(t, rt, "Paid", resilience.ReasonPanic)
}
