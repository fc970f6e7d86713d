package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// token is what goes from node to node; nil is what never came.
type token struct {
	Text string `json:"text"`
}

func (t *token) text() string {
	if t == nil {
		return ""
	}
	return t.Text
}

// call is what a node of these tests does.
type call = func(context.Context, workflow.Args) (workflow.Value, workflow.Route, error)

// works is a node's func from token to token.
func works(f func(ctx context.Context, in string) (string, error)) call {
	return func(ctx context.Context, in workflow.Args) (workflow.Value, workflow.Route, error) {
		out, err := f(ctx, workflow.Arg[*token](in, 0).text())
		return workflow.Of(&token{out}), workflow.Route{}, err
	}
}

// line is a workflow whose nodes A, B, … follow one another.
func line(calls ...call) workflow.Graph {
	codec := workflow.JSON[*token]("token")
	g := workflow.Graph{Name: "Line", Package: "test", Fingerprint: fmt.Sprintf("%016x", len(calls)), Entry: "A", Limits: workflow.Limits{Invocations: 1_000_000}, OutputAll: true, Input: codec, Output: codec}
	for i, c := range calls {
		next := string(rune('B' + i))
		if i == len(calls)-1 {
			next = "end"
		}
		g.Nodes = append(g.Nodes, workflow.Node{Name: string(rune('A' + i)), Params: []string{"in"}, In: []workflow.Codec{codec}, Out: codec, Next: []string{next}, Call: c})
	}
	return g
}

// engineOn makes an engine for g over stores, which outlive it.
func engineOn(t *testing.T, stores resilience.Stores, g workflow.Graph) *workflow.Engine[*token, *token] {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{Stores: stores})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	engine, err := workflow.New[*token, *token](rt, g)
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// says returns its input with a name around.
func says(name string) call {
	return works(func(_ context.Context, in string) (string, error) { return name + "(" + in + ")", nil })
}

// interrupted leaves a run of g whose node called last was interrupted.
func interrupted(t *testing.T, stores resilience.Stores, id string, before ...call) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stops := works(func(ctx context.Context, _ string) (string, error) {
		cancel()
		<-ctx.Done()
		return "", ctx.Err()
	})
	result, err := engineOn(t, stores, line(append(before, stops)...)).Run(ctx, &token{"in"}, workflow.Options{ID: id})
	if err == nil || result.Status.Ended() {
		t.Fatalf("a run whose context ended: status %q, %v", result.Status, err)
	}
}

func TestRunIDsOfAllKinds(t *testing.T) {
	stores := resilience.MemoryStores()
	engine := engineOn(t, stores, line(says("A")))
	ids := []string{
		"a/b", "a", "a//b", "/", "//", "..", "../../etc/passwd", ".", " ", "a b", "A", "\u00e4", "a\u0308",
		"a\x00b", "\x00", "\n", "a\r\nb", "\x1b[31m", "%2F", "a%2Fb", "~", "=", "run", strings.Repeat("x", 200), strings.Repeat("x", 201),
		strings.Repeat("y", 10_000), strings.Repeat("y", 10_001), strings.Repeat("/", 10_000), "\xff\xfe", "a\xffb",
	}
	for round := range 2 {
		for i, id := range ids {
			result, err := engine.Run(t.Context(), &token{fmt.Sprint(i)}, workflow.Options{ID: id})
			if errors.Is(err, workflow.ErrRunID) {
				continue // refused, and said so
			}
			want := fmt.Sprintf("A(%d)", i)
			if err != nil || result.Output.text() != want || result.ID != id {
				t.Errorf("round %d, id %.40q: output %q of run %.40q, error %v, want %q", round, id, result.Output.text(), result.ID, err, want)
			}
		}
	}
	first, err := engine.Run(t.Context(), &token{"in"}, workflow.Options{})
	second, err2 := engine.Run(t.Context(), &token{"in"}, workflow.Options{})
	if err != nil || err2 != nil || first.ID == "" || first.ID == second.ID {
		t.Errorf("two runs without an id: %q, %v and %q, %v", first.ID, err, second.ID, err2)
	}
}

func TestOtherInputForAKnownRun(t *testing.T) {
	engine := engineOn(t, resilience.MemoryStores(), line(says("A")))
	if _, err := engine.Run(t.Context(), &token{"in"}, workflow.Options{ID: "r"}); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Run(t.Context(), &token{"other"}, workflow.Options{ID: "r"}); !errors.Is(err, workflow.ErrRunInput) {
		t.Errorf("another input for a known run: %v, want ErrRunInput", err)
	}
}

// alteredLog shows records other than those that were written.
type alteredLog struct {
	resilience.Log
	alter func(n int, r resilience.Record) (resilience.Record, bool) // false: it is not there
}

func (l *alteredLog) Scan(ctx context.Context, key string, after resilience.Version) iter.Seq2[resilience.Record, error] {
	return func(yield func(resilience.Record, error) bool) {
		n := 0
		for r, err := range l.Log.Scan(ctx, key, 0) {
			there := true
			if err == nil && strings.HasPrefix(key, "run/") {
				r, there = l.alter(n, r)
				n++
			}
			if there && (err != nil || r.Version > after) && !yield(r, err) {
				return
			}
		}
	}
}

// TestInputThatDoesNotDecode resumes a run whose messages are of another type,
// under a shape that says that they are not.
func TestInputThatDoesNotDecode(t *testing.T) {
	stores := resilience.MemoryStores()
	interrupted(t, stores, "r")
	rt, err := resilience.Open(resilience.Options{Stores: stores})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	type other struct {
		Number int `json:"number"`
	}
	codec := workflow.JSON[other]("token")
	g := line(func(context.Context, workflow.Args) (workflow.Value, workflow.Route, error) {
		t.Error("a node was called with a value that does not decode")
		return workflow.Value{}, workflow.Route{}, nil
	})
	g.Input, g.Output, g.Nodes[0].In, g.Nodes[0].Out = codec, codec, []workflow.Codec{codec}, codec
	engine, err := workflow.New[other, other](rt, g)
	if err != nil {
		t.Fatal(err)
	}
	result, err := engine.Resume(t.Context(), "r")
	if err == nil || result.Status.Ended() && result.Status != workflow.Failed {
		t.Errorf("status %q, %v", result.Status, err)
	}
}

func TestRecordsOfAnotherRunAreRefused(t *testing.T) {
	stores := resilience.MemoryStores()
	interrupted(t, stores, "other")
	interrupted(t, stores, "r")
	log := stores.Log
	stores.Log = &redirectedLog{log, resilience.StoreKey("run", "test.Line", "r"), resilience.StoreKey("run", "test.Line", "other")}
	if result, err := engineOn(t, stores, line(says("A"))).Resume(t.Context(), "r"); err == nil {
		t.Errorf("the records of another run were resumed: status %q", result.Status)
	}
}

func TestRecordsOfAnotherWorkflowAreRefused(t *testing.T) {
	stores := resilience.MemoryStores()
	interrupted(t, stores, "r")
	g := line(says("A"))
	g.Name = "Other"
	stores.Log = &redirectedLog{stores.Log, resilience.StoreKey("run", "test.Other", "r"), resilience.StoreKey("run", "test.Line", "r")}
	if result, err := engineOn(t, stores, g).Resume(t.Context(), "r"); err == nil {
		t.Errorf("the records of another workflow were resumed: status %q", result.Status)
	}
}

// redirectedLog has the records of one key under another.
type redirectedLog struct {
	resilience.Log
	key, instead string
}

func (l *redirectedLog) place(key string) string {
	if key == l.key {
		return l.instead
	}
	return key
}

func (l *redirectedLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	return l.Log.Append(ctx, l.place(key), after, body)
}

func (l *redirectedLog) Scan(ctx context.Context, key string, after resilience.Version) iter.Seq2[resilience.Record, error] {
	return l.Log.Scan(ctx, l.place(key), after)
}

func TestDeletedNodeIsNamed(t *testing.T) {
	stores := resilience.MemoryStores()
	interrupted(t, stores, "r", says("A"), says("B"))
	_, err := engineOn(t, stores, line(says("A"), says("B"))).Resume(t.Context(), "r")
	var changed *workflow.GraphError
	if !errors.Is(err, workflow.ErrGraphChanged) || !errors.As(err, &changed) || !strings.Contains(strings.Join(changed.Against, "\n"), "C") {
		t.Errorf("a pending message for a node that is gone: %v", err)
	}
	result, err := engineOn(t, stores, line(says("A"), says("B"), says("C"))).Resume(t.Context(), "r")
	if err != nil || result.Output.text() != "C(B(A(in)))" {
		t.Errorf("back in the old graph: %q, %v", result.Output.text(), err)
	}
}

// fansOut sends so many messages to B.
func fansOut(n int) workflow.Graph {
	g := line(func(context.Context, workflow.Args) (workflow.Value, workflow.Route, error) {
		return workflow.Of(&token{}), workflow.To(slices.Repeat([]workflow.Targeted{workflow.Target[*token]("B")}, n)...), nil
	}, says("B"))
	g.Nodes[0].Routes = true
	return g
}

func TestTenThousandPendingMessages(t *testing.T) {
	g := fansOut(1000)
	codec := g.Input
	g.Nodes = append([]workflow.Node{{Name: "Ten", Params: []string{"in"}, In: []workflow.Codec{codec}, Out: codec, Next: []string{"A"}, Routes: true,
		Call: func(context.Context, workflow.Args) (workflow.Value, workflow.Route, error) {
			r := workflow.Route{}
			for range 10 {
				r = r.And(workflow.To(workflow.Target[*token]("A")))
			}
			return workflow.Of(&token{}), r, nil
		}}}, g.Nodes...)
	g.Entry, g.Concurrency = "Ten", 8
	stores := resilience.MemoryStores()
	begun := time.Now()
	result, err := engineOn(t, stores, g).Run(t.Context(), &token{}, workflow.Options{ID: "r"})
	if err != nil || len(result.Outputs) != 10_000 {
		t.Errorf("%d outputs, %v", len(result.Outputs), err)
	}
	t.Logf("10,011 invocations in %v", time.Since(begun).Round(time.Millisecond))
}

func TestNodeThatSendsTooMany(t *testing.T) {
	for _, stores := range []resilience.Stores{resilience.MemoryStores(), {}} {
		result, err := engineOn(t, stores, fansOut(100_000)).Run(t.Context(), &token{}, workflow.Options{ID: "r"})
		if err == nil || result.NodeFailures["A"] != 1 {
			t.Errorf("a node that sends 100,000 messages: status %q, failures %v, %v", result.Status, result.NodeFailures, err)
		}
	}
}

func TestPayloadOverTheLimit(t *testing.T) {
	large := strings.Repeat("x", 9<<20)
	engine := engineOn(t, resilience.MemoryStores(), line(works(func(context.Context, string) (string, error) { return large, nil })))
	result, err := engine.Run(t.Context(), &token{}, workflow.Options{ID: "r"})
	if err == nil || !strings.Contains(fmt.Sprint(result.Steps), "too large") {
		t.Errorf("a result of 9 MiB: status %q, %v, steps %v", result.Status, err, result.Steps)
	}
	if _, err := engine.Run(t.Context(), &token{large}, workflow.Options{ID: "s"}); !errors.Is(err, resilience.ErrTooLarge) {
		t.Errorf("an input of 9 MiB: %v, want ErrTooLarge", err)
	}
}

func TestNodesThatMisbehave(t *testing.T) {
	for name, misbehaves := range map[string]func(){
		"panics":                   func() { panic("no") },
		"panics with an error":     func() { panic(errors.New("no")) },
		"panics with nil":          func() { panic(nil) },
		"ends its goroutine":       runtime.Goexit,
		"dereferences what is nil": func() { var p *token; p.Text = "" },
	} {
		for _, durable := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", durable ", durable), func(t *testing.T) {
				var stores resilience.Stores
				if durable {
					stores = resilience.MemoryStores()
				}
				engine := engineOn(t, stores, line(works(func(context.Context, string) (string, error) {
					misbehaves()
					return "", nil
				})))
				done := make(chan struct{})
				go func() {
					defer close(done)
					result, err := engine.Run(t.Context(), &token{}, workflow.Options{ID: "r"})
					if err == nil || result.NodeFailures["A"] != 1 {
						t.Errorf("status %q, failures %v, %v", result.Status, result.NodeFailures, err)
					}
				}()
				<-done
			})
		}
	}
}

func TestNodeThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		engine := engineOn(t, resilience.MemoryStores(), line(works(func(context.Context, string) (string, error) {
			<-release
			return "", nil
		})))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		result, err := engine.Run(ctx, &token{}, workflow.Options{ID: "r"})
		if took := time.Since(begun); err == nil || result.Status.Ended() || took < time.Minute || took > 2*time.Minute {
			t.Errorf("a node that never returns: after %v status %q, %v", took, result.Status, err)
		}
		close(release)
		synctest.Wait()
	})
}

// TestDamagedRecords resumes a run of which somebody changed a record: it is
// refused, or nothing that matters was changed. The sum of a record stands in the next
// one, so that of the last a store alone can tell; nothing panics.
func TestDamagedRecords(t *testing.T) {
	stores := resilience.MemoryStores()
	interrupted(t, stores, "r", says("A"), says("B"))
	var records []resilience.Record
	for r, err := range stores.Log.Scan(t.Context(), resilience.StoreKey("run", "test.Line", "r"), 0) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	if len(records) < 3 {
		t.Fatalf("%d records of a run with two steps", len(records))
	}
	resume := func(alter func(n int, r resilience.Record) (resilience.Record, bool)) (string, error) {
		altered := holding(records)
		altered.Log = &alteredLog{altered.Log, alter}
		result, err := engineOn(t, altered, line(says("A"), says("B"), says("C"))).Resume(t.Context(), "r")
		return result.Output.text(), err
	}
	const whole = "C(B(A(in)))"
	if got, err := resume(func(_ int, r resilience.Record) (resilience.Record, bool) { return r, true }); err != nil || got != whole {
		t.Fatalf("nothing changed: %q, %v", got, err)
	}
	change := func(what string, n int, must bool, f func(string) string) {
		got, err := resume(func(i int, r resilience.Record) (resilience.Record, bool) {
			if i == n {
				r.Body = []byte(f(string(r.Body)))
			}
			return r, true
		})
		if err == nil && (must || got != whole && n < len(records)-1) {
			t.Errorf("record %d of %d %s: resumed, output %q", n, len(records), what, got)
		}
	}
	for n, r := range records {
		last := n == len(records)-1
		change("is empty", n, true, func(string) string { return "" })
		change("is null", n, true, func(string) string { return "null" })
		change("is not JSON", n, true, func(string) string { return "\x00\xff{" })
		change("is of another kind", n, true, func(s string) string { return strings.Replace(s, `"k":"`, `"k":"un`, 1) })
		change("is of another version", n, true, func(s string) string { return strings.Replace(s, `"v":1`, `"v":999`, 1) })
		for at := 0; at < len(r.Body); at += 7 {
			change(fmt.Sprintf("is cut at %d", at), n, true, func(s string) string { return s[:at] })
			for _, bit := range []byte{1, 2, 4, 16, 128} {
				change(fmt.Sprintf("has bit %d of byte %d (%.20q…) flipped", bit, at, r.Body[at:]), n, false, func(s string) string { return s[:at] + string(s[at]^bit) + s[at+1:] })
			}
		}
		if last {
			continue
		}
		if got, err := resume(func(i int, r resilience.Record) (resilience.Record, bool) { return r, i != n }); err == nil {
			t.Errorf("record %d of %d is gone: resumed, output %q", n, len(records), got)
		}
		if n > 0 {
			change("is the one before", n, true, func(string) string { return string(records[n-1].Body) })
		}
	}
}

// layeredLog has records of one key under the versions that they had elsewhere.
type layeredLog struct {
	resilience.Log
	mu   sync.Mutex
	list []resilience.Record
}

// holding returns new stores that have records of one key.
func holding(records []resilience.Record) resilience.Stores {
	stores := resilience.MemoryStores()
	stores.Log = &layeredLog{Log: stores.Log, list: slices.Clone(records)}
	return stores
}

func (l *layeredLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.list[len(l.list)-1]
	if key != last.Key {
		return l.Log.Append(ctx, key, after, body)
	}
	if after != last.Version {
		return 0, resilience.ErrConflict
	}
	l.list = append(l.list, resilience.Record{Key: key, Version: after + 1, At: time.Now(), Body: slices.Clone(body)})
	return after + 1, nil
}

func (l *layeredLog) Scan(ctx context.Context, key string, after resilience.Version) iter.Seq2[resilience.Record, error] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if key != l.list[0].Key {
		return l.Log.Scan(ctx, key, after)
	}
	list := slices.DeleteFunc(slices.Clone(l.list), func(r resilience.Record) bool { return r.Version <= after })
	return func(yield func(resilience.Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}
