package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type quote struct {
	ID     string   `json:"id"`
	Amount int64    `json:"amount"`
	Lines  []string `json:"lines,omitempty"`
}

type quoteArgs struct {
	Customer string `json:"customer"`
	Amount   int64  `json:"amount"`
}

var quoteShape = CheckpointPolicy{Type: "pay.Quote", Shape: "00000000000000aa"}

// quoting is a method with checkpoints: its delegate counts its calls.
type quoting struct {
	rt    *Runtime
	guard *Guard
	kept  *Checkpoints[quote, quoteArgs]
	calls atomic.Int64
	fail  error
}

func newQuoting(t testing.TB, o Options, p Policy, c CheckpointPolicy) *quoting {
	t.Helper()
	rt, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	q := &quoting{rt: rt}
	w := rt.Wrap("pay.Gateway", q)
	q.guard = w.Guard("Quote", p)
	q.kept = NewCheckpoints[quote](w, "Quote", c, func(a, b quoteArgs) bool { return a == b })
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	return q
}

// quote is a method as it is generated.
func (q *quoting) quote(ctx context.Context, key string, args quoteArgs) (quote, error) {
	kept, call := q.kept.Do(ctx, key, args, func(ctx context.Context) (quote, Outcome) { return q.behind(ctx, args) })
	if call.WantsFallback() {
		return quote{ID: "fallback"}, nil
	}
	return kept, call.Err()
}

func (q *quoting) behind(ctx context.Context, args quoteArgs) (v quote, _ Outcome) {
	call := q.guard.Begin(ctx)
	defer call.End()
	for call.Next() {
		n := q.calls.Add(1)
		v = quote{ID: fmt.Sprint("q", n), Amount: args.Amount, Lines: []string{args.Customer}}
		err := q.fail
		if err == nil {
			err = call.Context().Err()
		}
		call.Record(err)
	}
	return v, call.Outcome()
}

func (q *quoting) expect(t *testing.T, key string, args quoteArgs, id string, calls int64) {
	t.Helper()
	got, err := q.quote(t.Context(), key, args)
	if err != nil || got.ID != id || q.calls.Load() != calls {
		t.Errorf("key %q: %+v, %v after %d calls; want %s after %d", key, got, err, q.calls.Load(), id, calls)
	}
}

func TestCheckpointAnswers(t *testing.T) {
	stores := MemoryStores()
	a, b := quoteArgs{"ann", 5}, quoteArgs{"bob", 7}
	q := newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape)
	q.expect(t, "a", a, "q1", 1)
	q.expect(t, "a", a, "q1", 1)
	q.expect(t, "b", b, "q2", 2)
	got, _ := q.quote(t.Context(), "a", a)
	got.Lines[0] = "changed by who got it"
	if again, _ := q.quote(t.Context(), "a", a); again.Lines[0] != "ann" {
		t.Errorf("callers share what was kept: %+v", again)
	}
	next := newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape)
	next.expect(t, "a", a, "q1", 0) // by another process
	if s := next.rt.Checkpoints().Stats(); len(s) != 1 || s[0].Hits != 1 || s[0].Executions != 0 || s[0].Remembered != 1 {
		t.Errorf("%+v", s)
	}
}

func TestCheckpointIsNotMadeOfFailures(t *testing.T) {
	q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{Fallback: Fallback{On: true}}, quoteShape)
	q.fail = errPeer
	for want := int64(1); want < 3; want++ {
		q.expect(t, "a", quoteArgs{}, "fallback", want)
	}
	q.fail = nil
	q.expect(t, "a", quoteArgs{}, "q3", 3)
	q.expect(t, "a", quoteArgs{}, "q3", 3)
}

func TestCheckpointIsNotMadeOfPoorResults(t *testing.T) {
	q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
	poor := func(context.Context) (quote, Outcome) { q.calls.Add(1); return quote{ID: "poor"}, Outcome{poor: true} }
	for want := int64(1); want < 3; want++ {
		if v, o := q.kept.Do(t.Context(), "a", quoteArgs{}, poor); v.ID != "poor" || o.Err() != nil || q.calls.Load() != want {
			t.Errorf("%+v, %v, %d calls", v, o.Err(), q.calls.Load())
		}
	}
}

func TestCheckpointRefuses(t *testing.T) {
	stores := MemoryStores()
	q := newQuoting(t, Options{Stores: stores}, Policy{Fallback: Fallback{On: true}}, quoteShape)
	q.expect(t, "a", quoteArgs{"ann", 5}, "q1", 1)
	other := quoteShape
	other.Type, other.Shape = "pay.QuoteV2", "00000000000000bb"
	for _, c := range []struct {
		name string
		q    *quoting
		args quoteArgs
		is   error
		text string
	}{
		{"other arguments, remembered", q, quoteArgs{"ann", 6}, ErrCheckpointArgs, `pay.Gateway.Quote: key "a": checkpoint of other arguments`},
		{"other arguments, stored", newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape), quoteArgs{"ann", 6}, ErrCheckpointArgs, `other arguments`},
		{"another type", newQuoting(t, Options{Stores: stores}, Policy{}, other), quoteArgs{"ann", 5}, ErrCheckpointType,
			`stored is a pay.Quote of shape 00000000000000aa, wanted is a pay.QuoteV2 of shape 00000000000000bb`},
	} {
		before := c.q.calls.Load()
		v, err := c.q.quote(t.Context(), "a", c.args)
		var typed *CheckpointError
		if !errors.Is(err, c.is) || !errors.As(err, &typed) || !strings.Contains(err.Error(), c.text) || v.ID != "" {
			t.Errorf("%s: %+v, %v; want %s", c.name, v, err, c.text)
		}
		if c.q.calls.Load() != before {
			t.Errorf("%s: the delegate was called", c.name)
		}
	}
}

func TestCheckpointRecomputes(t *testing.T) {
	stores := MemoryStores()
	newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape).expect(t, "a", quoteArgs{}, "q1", 1)
	other := quoteShape
	other.Shape, other.OnMismatch = "00000000000000bb", Recompute
	q := newQuoting(t, Options{Stores: stores}, Policy{}, other)
	q.calls.Store(10)
	q.expect(t, "a", quoteArgs{}, "q11", 11)
	again := newQuoting(t, Options{Stores: stores}, Policy{}, other)
	again.expect(t, "a", quoteArgs{}, "q11", 0)
	if _, err := again.quote(t.Context(), "a", quoteArgs{"eve", 1}); !errors.Is(err, ErrCheckpointArgs) {
		t.Errorf("%v: other arguments are never recomputed", err)
	}
}

func TestCheckpointUpcast(t *testing.T) {
	stores := MemoryStores()
	newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape).expect(t, "a", quoteArgs{Amount: 5}, "q1", 1)
	other := quoteShape
	other.Shape = "00000000000000bb"
	q := newQuoting(t, Options{Stores: stores}, Policy{}, other)
	up := func(old struct {
		ID     string   `json:"id"`
		Amount int64    `json:"amount"`
		Lines  []string `json:"lines"`
	}) (quote, error) {
		return quote{ID: old.ID + " of old", Amount: old.Amount * 100}, nil
	}
	if err := Upcast(q.rt, quoteShape.Shape, up); err != nil {
		t.Fatal(err)
	}
	if err := Upcast(q.rt, quoteShape.Shape, up); err == nil {
		t.Error("a second upcast of one shape")
	}
	q.expect(t, "a", quoteArgs{Amount: 5}, "q1 of old", 0)
}

func TestCheckpointEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			ttl   time.Duration
			sleep time.Duration
			calls int64
		}{
			{0, 24*time.Hour - 1, 1}, {0, 24 * time.Hour, 2}, {time.Minute, time.Minute - 1, 1}, {time.Minute, time.Minute, 2}, {None, 1e6 * time.Hour, 1},
		} {
			p := quoteShape
			p.TTL = c.ttl
			q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, p)
			q.expect(t, "a", quoteArgs{}, "q1", 1)
			time.Sleep(c.sleep)
			q.expect(t, "a", quoteArgs{}, fmt.Sprint("q", c.calls), c.calls)
			q.expect(t, "a", quoteArgs{}, fmt.Sprint("q", c.calls), c.calls)
			if n := len(q.rt.stores.Log.(*memoryLog).keys); n != 1 {
				t.Errorf("ttl %v: %d keys", c.ttl, n)
			}
		}
	})
}

func TestCheckpointsShareAnExecution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
		release := make(chan struct{})
		slow := func(context.Context) (quote, Outcome) { q.calls.Add(1); <-release; return quote{ID: "once"}, Outcome{} }
		var ok, gone atomic.Int64
		impatient, leave := context.WithCancel(t.Context())
		for i := range 10 {
			ctx := t.Context()
			if i%2 == 0 {
				ctx = impatient
			}
			go func() {
				v, o := q.kept.Do(ctx, "a", quoteArgs{}, slow)
				switch {
				case o.Err() == nil && v.ID == "once":
					ok.Add(1)
				case errors.Is(o.Err(), context.Canceled):
					gone.Add(1)
				}
			}()
		}
		synctest.Wait()
		if _, o := q.kept.Do(t.Context(), "a", quoteArgs{Amount: 1}, slow); !errors.Is(o.Err(), ErrCheckpointArgs) {
			t.Errorf("%v: want other arguments refused while the call is under way", o.Err())
		}
		leave()
		synctest.Wait()
		close(release)
		synctest.Wait()
		if q.calls.Load() != 1 || ok.Load() != 5 || gone.Load() != 5 {
			t.Errorf("%d calls, %d answered, %d left", q.calls.Load(), ok.Load(), gone.Load())
		}
	})
}

// TestCheckpointOfThoseWhoLeft holds that what was done is recorded, also where
// nobody waits for it any more.
func TestCheckpointOfThoseWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			_, _ = q.kept.Do(ctx, "a", quoteArgs{}, func(ctx context.Context) (quote, Outcome) {
				q.calls.Add(1)
				<-ctx.Done()
				return quote{ID: "late"}, Outcome{}
			})
		}()
		synctest.Wait()
		leave()
		synctest.Wait()
		q.expect(t, "a", quoteArgs{}, "late", 1)
	})
}

func TestCheckpointPanics(t *testing.T) {
	q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
	func() {
		defer func() {
			if p, ok := recover().(*PanicError); !ok || p.Value != "boom" {
				t.Errorf("recovered %v", p)
			}
		}()
		_, _ = q.kept.Do(t.Context(), "a", quoteArgs{}, func(context.Context) (quote, Outcome) { panic("boom") })
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = q.kept.Do(t.Context(), "a", quoteArgs{}, func(context.Context) (quote, Outcome) { runtime.Goexit(); return quote{}, Outcome{} })
		t.Error("Goexit was not repeated")
	}()
	<-done
	q.expect(t, "a", quoteArgs{}, "q1", 1)
}

func TestCheckpointWithinItself(t *testing.T) {
	q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
	v, o := q.kept.Do(t.Context(), "a", quoteArgs{}, func(ctx context.Context) (quote, Outcome) {
		inner, _ := q.kept.Do(ctx, "a", quoteArgs{}, func(context.Context) (quote, Outcome) { return quote{ID: "inner"}, Outcome{} })
		return quote{ID: "outer of " + inner.ID}, Outcome{}
	})
	if v.ID != "outer of inner" || o.Err() != nil {
		t.Errorf("%+v, %v", v, o.Err())
	}
	q.expect(t, "a", quoteArgs{}, "outer of inner", 0)
}

func TestCheckpointSwitches(t *testing.T) {
	q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
	q.expect(t, "a", quoteArgs{}, "q1", 1)
	q.rt.SetEnabled(false)
	q.expect(t, "a", quoteArgs{}, "q1", 1) // or a paid call would be paid twice
	q.expect(t, "b", quoteArgs{}, "q2", 2)
	q.expect(t, "b", quoteArgs{}, "q2", 2)
	q.rt.SetDurable(false, "pay.Gateway")
	q.expect(t, "a", quoteArgs{}, "q3", 3)
	q.rt.SetDurable(true, "pay.Gateway.Quote")
	q.expect(t, "a", quoteArgs{}, "q1", 3)
	testing := newQuoting(t, Options{Stores: MemoryStores(), Preset: Testing}, Policy{}, quoteShape)
	testing.expect(t, "a", quoteArgs{}, "q1", 1)
	testing.expect(t, "a", quoteArgs{}, "q2", 2)
	testing.rt.SetDurable(true)
	testing.expect(t, "a", quoteArgs{}, "q3", 3)
	testing.expect(t, "a", quoteArgs{}, "q3", 3)
}

func TestDurableByTheEnvironment(t *testing.T) {
	t.Setenv("RESILIENCE_DURABLE", "false")
	q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
	q.expect(t, "a", quoteArgs{}, "q1", 1)
	q.expect(t, "a", quoteArgs{}, "q2", 2)
}

func TestCheckpointAfterClose(t *testing.T) {
	q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
	if err := q.rt.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.quote(t.Context(), "a", quoteArgs{}); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrCheckpointStore) || q.calls.Load() != 0 {
		t.Errorf("%v after %d calls", err, q.calls.Load())
	}
}

func TestCheckpointComplaints(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		p    CheckpointPolicy
		want string
	}{
		{"no store", Options{}, CheckpointPolicy{}, "pay.Gateway.Quote: checkpoint: no store: open the Runtime with Options.Dir or Options.Stores"},
		{"secret key", Options{Stores: MemoryStores()}, CheckpointPolicy{SecretKey: true}, "pay.Gateway.Quote: checkpoint: the key is made from a secret, and its hash needs Options.Letters.HashKey"},
		{"secret value", Options{Stores: MemoryStores()}, CheckpointPolicy{SecretValue: true}, "pay.Gateway.Quote: checkpoint: the result holds a secret, and is sealed by Options.Letters.Sealer"},
	} {
		rt, err := Open(c.o)
		if err != nil {
			t.Fatal(err)
		}
		w := rt.Wrap("pay.Gateway", rt)
		w.Guard("Quote", Policy{})
		NewCheckpoints[quote, quoteArgs](w, "Quote", c.p, nil)
		if err := w.Err(); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// moodyLog is a log that refuses appends, or everything, for as long as it is told
// to.
type moodyLog struct {
	Log
	mu      sync.Mutex
	appends error
	reads   error
}

func (l *moodyLog) set(appends, reads error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appends, l.reads = appends, reads
}

func (l *moodyLog) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	l.mu.Lock()
	err := l.appends
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return l.Log.Append(ctx, key, after, body)
}

func (l *moodyLog) Scan(ctx context.Context, key string, after Version) iter.Seq2[Record, error] {
	l.mu.Lock()
	err := l.reads
	l.mu.Unlock()
	if err != nil {
		return func(yield func(Record, error) bool) { yield(Record{}, err) }
	}
	return l.Log.Scan(ctx, key, after)
}

func TestCheckpointWithoutAStore(t *testing.T) {
	log := &moodyLog{Log: newMemoryLog()}
	q := newQuoting(t, Options{Stores: Stores{Log: log}}, Policy{Fallback: Fallback{On: true, ApplyOn: Matcher{Kinds: KindTimeout}}}, quoteShape)
	log.set(nil, ErrUnavailable)
	if _, err := q.quote(t.Context(), "a", quoteArgs{}); !errors.Is(err, ErrCheckpointStore) || !errors.Is(err, ErrUnavailable) || q.calls.Load() != 0 {
		t.Errorf("%v after %d calls; want no call without a store that answers", err, q.calls.Load())
	}
	log.set(ErrStoreFull, nil)
	q.expect(t, "a", quoteArgs{}, "q1", 1) // obtained, and not recordable
	if s := q.rt.Checkpoints().Stats()[0]; s.NotKept != 1 || s.Kept != 0 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
	if _, err := q.quote(t.Context(), "a", quoteArgs{}); !errors.Is(err, ErrStoreFull) || q.calls.Load() != 1 {
		t.Errorf("%v after %d calls; want no call while the store is known to be full", err, q.calls.Load())
	}
	log.set(nil, nil)
	q.expect(t, "a", quoteArgs{}, "q2", 2)
	q.expect(t, "a", quoteArgs{}, "q2", 2)
	log.set(ErrStoreFull, ErrUnavailable)
	q.expect(t, "a", quoteArgs{}, "q2", 2) // remembered
}

func TestCheckpointThatCannotBeRead(t *testing.T) {
	whole := func(change func(map[string]any)) string {
		stores := MemoryStores()
		newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape).expect(t, "a", quoteArgs{}, "q1", 1)
		for _, list := range stores.Log.(*memoryLog).keys {
			var m map[string]any
			if err := json.Unmarshal(list[0].Body, &m); err != nil {
				t.Fatal(err)
			}
			change(m)
			text, _ := json.Marshal(m)
			return string(text)
		}
		return ""
	}
	set := func(name string, value any) string { return whole(func(m map[string]any) { m[name] = value }) }
	good := whole(func(map[string]any) {})
	for name, body := range map[string]string{
		"no JSON": "{", "empty": "", "null": "null", "deep": strings.Repeat("[", 100_000), "a list": "[]",
		"cut off":         good[:len(good)/2],
		"trailing":        good + "x",
		"a name twice":    strings.Replace(good, `"v":1`, `"v":1,"v":1`, 1),
		"a newer format":  set("v", 2),
		"a field more":    set("extra", 1),
		"another method":  set("method", "Other"),
		"another key":     set("key", "b"),
		"no value":        whole(func(m map[string]any) { delete(m, "value") }),
		"value of a list": set("value", []int{1}),
		"value with more": set("value", map[string]any{"id": "q", "amount": 1, "rest": 2}),
		"a wrong number":  set("value", map[string]any{"id": "q", "amount": 1.5}),
		"sealed too":      set("sealed", "AAAA"),
		"negative ttl":    set("ttl", -1),
		"no time":         set("at", "0001-01-01T00:00:00Z"),
		"not UTF-8":       strings.Replace(good, "q1", "q\xff", 1),
	} {
		stores := MemoryStores()
		if _, err := stores.Log.Append(t.Context(), StoreKey("ckpt", pkgPath+".Gateway", "Quote", "a"), 0, []byte(body)); err != nil {
			t.Fatal(err)
		}
		q := newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape)
		if _, err := q.quote(t.Context(), "a", quoteArgs{}); !errors.Is(err, ErrCheckpointDamaged) || q.calls.Load() != 0 {
			t.Errorf("%s: %v after %d calls; want it refused", name, err, q.calls.Load())
		}
		again := quoteShape
		again.OnMismatch = Recompute
		r := newQuoting(t, Options{Stores: stores}, Policy{}, again)
		r.expect(t, "a", quoteArgs{}, "q1", 1)
		newQuoting(t, Options{Stores: stores}, Policy{}, again).expect(t, "a", quoteArgs{}, "q1", 0)
	}
}

const pkgPath = "github.com/resilgen/resilgen/runtime/resilience"

func TestCheckpointOfArgumentsThatCannotBeEncoded(t *testing.T) {
	rt, _ := Open(Options{Stores: MemoryStores()})
	w := rt.Wrap("pay.Gateway", rt)
	w.Guard("Rate", Policy{})
	kept := NewCheckpoints[float64, float64](w, "Rate", CheckpointPolicy{}, nil)
	called := false
	_, o := kept.Do(t.Context(), "a", math.NaN(), func(context.Context) (float64, Outcome) { called = true; return 1, Outcome{} })
	if !errors.Is(o.Err(), ErrCheckpointArgs) || called {
		t.Errorf("%v, called: %v", o.Err(), called)
	}
	v, o := kept.Do(t.Context(), "a", 1, func(context.Context) (float64, Outcome) { return math.Inf(1), Outcome{} })
	if !math.IsInf(v, 1) || o.Err() != nil || rt.Checkpoints().Stats()[0].NotKept != 1 {
		t.Errorf("%v, %v: want a result that JSON does not carry returned and counted", v, o.Err())
	}
}

// TestCheckpointsInMemory holds that what is forgotten is read again, and that no
// more is remembered than there is room for.
func TestCheckpointsInMemory(t *testing.T) {
	log := &moodyLog{Log: newMemoryLog()}
	q := newQuoting(t, Options{Stores: Stores{Log: log}}, Policy{}, quoteShape)
	const n = 3 * maxRemembered
	for i := range n {
		q.expect(t, fmt.Sprint(i), quoteArgs{}, fmt.Sprint("q", i+1), int64(i+1))
		q.expect(t, "0", quoteArgs{}, "q1", int64(i+1)) // used all the time
	}
	if s := q.rt.Checkpoints().Stats()[0]; s.Remembered > maxRemembered || s.Remembered < maxRemembered/2 {
		t.Errorf("%d results in memory", s.Remembered)
	}
	log.set(nil, ErrUnavailable)
	q.expect(t, "0", quoteArgs{}, "q1", n)
	q.expect(t, fmt.Sprint(n-1), quoteArgs{}, fmt.Sprint("q", n), n)
	log.set(nil, nil)
	for i := range n {
		q.expect(t, fmt.Sprint(i), quoteArgs{}, fmt.Sprint("q", i+1), n)
	}
	big := quoteArgs{strings.Repeat("x", maxPayload), 1}
	if _, err := q.quote(t.Context(), "too large", big); err != nil || q.rt.Checkpoints().Stats()[0].NotKept != 1 {
		t.Errorf("%v: want what is too large returned and counted", err)
	}
	q.expect(t, "large", quoteArgs{strings.Repeat("x", maxPayload/2), 1}, fmt.Sprint("q", n+2), n+2)
	q.expect(t, "large", quoteArgs{strings.Repeat("x", maxPayload/2), 1}, fmt.Sprint("q", n+2), n+2)
}

// TestCheckpointsOfBytes holds that a key may have any bytes, and that a result which
// JSON would change is not kept.
func TestCheckpointsOfBytes(t *testing.T) {
	stores := MemoryStores()
	q := newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape)
	for i, key := range []string{"a\xff", "a\xfe", "a\ufffd", "", "a/b", strings.Repeat("k", 10_000), "\x00\n"} {
		q.expect(t, key, quoteArgs{}, fmt.Sprint("q", i+1), int64(i+1))
		newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape).expect(t, key, quoteArgs{}, fmt.Sprint("q", i+1), 0)
	}
	for name, c := range map[string]struct {
		text string
		kept int64
	}{"changed": {"x\xff", 0}, "escaped": {`x\ufffd`, 1}, "replaced before": {"x\ufffd", 1}} {
		one := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
		v, _ := one.kept.Do(t.Context(), name, quoteArgs{}, func(context.Context) (quote, Outcome) { return quote{ID: c.text}, Outcome{} })
		if s := one.rt.Checkpoints().Stats()[0]; v.ID != c.text || s.Kept != c.kept || s.NotKept != 1-c.kept {
			t.Errorf("%s: %q, %+v", name, v.ID, s)
		}
	}
}

// TestCheckpointsAreSwept holds that a store does not keep what is too old for ever.
func TestCheckpointsAreSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quoteShape
		p.TTL = time.Hour
		q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, p)
		log := q.rt.stores.Log.(*memoryLog)
		for i := range 5000 {
			q.expect(t, fmt.Sprint(i), quoteArgs{}, fmt.Sprint("q", i+1), int64(i+1))
			time.Sleep(time.Minute) // 60 answer at a time
			if len(log.keys) > 60+2*sweepEvery {
				t.Fatalf("%d records after %d calls", len(log.keys), i)
			}
		}
	})
}

// TestCheckpointsThatAreSharedAreNobodyElses holds that each of the callers of an
// execution may change what it gets, also where it is too large to be remembered.
func TestCheckpointsThatAreSharedAreNobodyElses(t *testing.T) {
	for _, size := range []int{1, 2 * longestKept} {
		q := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				v, o := q.kept.Do(t.Context(), "a", quoteArgs{}, func(context.Context) (quote, Outcome) {
					time.Sleep(time.Millisecond)
					return quote{Lines: []string{strings.Repeat("x", size)}}, Outcome{}
				})
				if o.Err() != nil || len(v.Lines[0]) != size {
					t.Error(o.Err(), len(v.Lines[0]))
				}
				v.Lines[0] = "mine"
			})
		}
		wg.Wait()
	}
}

// testSealer encrypts by turning bits over, and checks the place.
type testSealer struct{}

func (testSealer) Seal(_ context.Context, aad, plain []byte) (string, []byte, error) {
	out := append([]byte(string(aad)+"\n"), plain...)
	for i := range out {
		out[i] ^= 0xff
	}
	return "k1", out, nil
}

func (testSealer) Open(_ context.Context, id string, aad, sealed []byte) ([]byte, error) {
	out := append([]byte{}, sealed...)
	for i := range out {
		out[i] ^= 0xff
	}
	plain, ok := strings.CutPrefix(string(out), string(aad)+"\n")
	if !ok || id != "k1" {
		return nil, errors.New("sealed for another place")
	}
	return []byte(plain), nil
}

// TestCheckpointKeepsSecrets plants secrets in key, arguments and result, and looks
// for them in every byte of the store.
func TestCheckpointKeepsSecrets(t *testing.T) {
	stores := MemoryStores()
	secret := quoteShape
	secret.SecretKey, secret.SecretArgs, secret.SecretValue = true, true, true
	o := Options{Stores: stores, Letters: LetterOptions{Sealer: testSealer{}, HashKey: []byte("sixteen bytes ok")}}
	q := newQuoting(t, o, Policy{}, secret)
	q.expect(t, "canary-key", quoteArgs{"canary-args", 5}, "q1", 1)
	for key, list := range stores.Log.(*memoryLog).keys {
		for _, r := range list {
			if strings.Contains(key+string(r.Body), "canary") || strings.Contains(string(r.Body), `"value"`) {
				t.Errorf("%s: %s", key, r.Body)
			}
		}
	}
	next := newQuoting(t, o, Policy{}, secret)
	next.expect(t, "canary-key", quoteArgs{"canary-args", 5}, "q1", 0)
	if _, err := next.quote(t.Context(), "canary-key", quoteArgs{"other", 5}); !errors.Is(err, ErrCheckpointArgs) || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
	without := secret
	without.SecretKey, without.SecretValue = false, false
	plain := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, without)
	plain.expect(t, "k", quoteArgs{"canary", 1}, "q1", 1)
	for _, list := range plain.rt.stores.Log.(*memoryLog).keys {
		if strings.Contains(string(list[0].Body), `"args"`) {
			t.Errorf("%s: a hash of secrets without a key", list[0].Body)
		}
	}
}

// TestCheckpointsOfInstances holds that instances share what is kept and what is
// under way, but for those that were given names.
func TestCheckpointsOfInstances(t *testing.T) {
	rt, _ := Open(Options{Stores: MemoryStores()})
	instance := func(rt *Runtime) *Checkpoints[quote, quoteArgs] {
		w := rt.Wrap("pay.Gateway", t)
		w.Guard("Quote", Policy{})
		c := NewCheckpoints[quote, quoteArgs](w, "Quote", quoteShape, nil)
		if err := w.Err(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second, eu := instance(rt), instance(rt), instance(rt.Named("eu"))
	of := func(c *Checkpoints[quote, quoteArgs], id string) string {
		v, o := c.Do(t.Context(), "a", quoteArgs{}, func(context.Context) (quote, Outcome) { return quote{ID: id}, Outcome{} })
		if o.Err() != nil {
			t.Error(o.Err())
		}
		return v.ID
	}
	if got := of(first, "1") + of(second, "2") + of(eu, "3") + of(eu, "4"); got != "1133" {
		t.Error(got)
	}
}

func TestWallTime(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	w := &wallTime{}
	for i, c := range []struct{ wall, at, want time.Duration }{
		{0, 0, 0},
		{time.Minute, time.Minute, time.Minute},
		{-5 * time.Hour, 2 * time.Minute, time.Minute},                     // set back: it stands still
		{3 * time.Minute, 4 * time.Minute, 3 * time.Minute},                // and goes on
		{50 * time.Minute, 5 * time.Minute, 50 * time.Minute},              // set forward a little
		{100 * time.Hour, 6 * time.Minute, 51 * time.Minute},               // by more: not believed
		{100*time.Hour + time.Minute, 66 * time.Minute, 111 * time.Minute}, // nor later
		{112 * time.Minute, 67 * time.Minute, 112 * time.Minute},           // until it is right again
		{113*time.Minute + time.Second, 68 * time.Minute, 113*time.Minute + time.Second},
	} {
		if got := w.see(start.Add(c.wall), c.at); !got.Equal(start.Add(c.want)) {
			t.Errorf("%d: at %v after the wall said %v: %v, want %v", i, c.at, c.wall, got.Sub(start), c.want)
		}
	}
}

// TestCheckpointModel makes random calls, restarts and failures, and holds every
// answer against a map.
func TestCheckpointModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(200) {
			checkpointModel(t, rand.New(rand.NewPCG(seed, 1)))
		}
	})
}

func checkpointModel(t *testing.T, rnd *rand.Rand) {
	log := &moodyLog{Log: newMemoryLog()}
	p := quoteShape
	p.TTL = time.Minute
	open := func() *quoting { return newQuoting(t, Options{Stores: Stores{Log: log}}, Policy{}, p) }
	type entry struct {
		id     string
		amount int64
		until  time.Time
	}
	model, q, full := map[string]entry{}, open(), false
	for step := range 60 {
		key, amount := string(rune('a'+rnd.IntN(3))), int64(rnd.IntN(8)/7)
		switch rnd.IntN(12) {
		case 0:
			calls := q.calls.Load()
			q = open()
			q.calls.Store(calls)
		case 1:
			if full = !full; full {
				log.set(ErrStoreFull, nil)
			} else {
				log.set(nil, nil)
			}
		case 2:
			time.Sleep(time.Duration(rnd.IntN(40)) * time.Second)
		case 3:
			q.fail = errPeer
		case 4:
			q.fail = nil
		}
		calls := q.calls.Load()
		v, err := q.quote(t.Context(), key, quoteArgs{"c", amount})
		e, known := model[key]
		known = known && time.Now().Before(e.until)
		switch called := q.calls.Load() > calls; {
		case known && e.amount != amount:
			if !errors.Is(err, ErrCheckpointArgs) || called {
				t.Fatalf("step %d: %v, called %v; want other arguments refused", step, err, called)
			}
		case known:
			if err != nil || v.ID != e.id || called {
				t.Fatalf("step %d: %+v, %v, called %v; want %s", step, v, err, called, e.id)
			}
		case errors.Is(err, ErrCheckpointStore):
			if !full || called {
				t.Fatalf("step %d: refused for a store that works", step)
			}
		case q.fail != nil:
			if !errors.Is(err, errPeer) || !called {
				t.Fatalf("step %d: %v, called %v", step, err, called)
			}
		case err != nil || !called:
			t.Fatalf("step %d: %v, called %v", step, err, called)
		case !full:
			model[key] = entry{v.ID, amount, time.Now().Add(time.Minute)}
		}
	}
}

func BenchmarkCheckpointHit(b *testing.B) {
	q := newQuoting(b, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
	args := quoteArgs{"ann", 5}
	ctx := context.Background()
	if _, err := q.quote(ctx, "a", args); err != nil {
		b.Fatal(err)
	}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = q.quote(ctx, "a", args)
		}
	})
	b.Run("decoding", func(b *testing.B) {
		h := q.kept.kept.recall("a")
		b.ReportAllocs()
		for b.Loop() {
			var v quote
			_ = json.Unmarshal(h.value, &v)
		}
	})
}
