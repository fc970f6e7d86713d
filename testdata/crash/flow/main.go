// Command flow does runs of a workflow of ten nodes with joins, a wait and a step
// that fails at first. Each step is told to a ledger, if there is one. Without
// -many it does the one run that the harness names; else runs 0 to many-1 of the
// directory, those first that a process before it left; then it says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
	"github.com/resilgen/resilgen/testdata/crash/speak"
)

// Text is what goes from node to node.
type Text struct {
	Text string `json:"text"`
}

func main() {
	ledger := flag.String("ledger", "", "URL that is told of each step")
	many := flag.Int("many", 0, "how many runs the directory has")
	process := flag.Int("process", 0, "a number that the ledger is told")
	first := flag.Int("first", 0, "the first run that is not known to be done")
	flag.Parse()
	log.SetFlags(0)
	f := &flow{ledger: *ledger, process: *process}
	if err := f.do(context.Background(), flag.Arg(0), flag.Arg(1), *first, *many); err != nil {
		log.Fatal(err)
	}
}

// flow does the work of the nodes.
type flow struct {
	ledger  string
	process int
	engine  *workflow.Engine[Text, Text]
	failed  sync.Map // messages that failed once in this process
}

const (
	atOnce = 8                      // runs
	pause  = 500 * time.Microsecond // before node E
)

// do does the run of that name, or many.
func (f *flow) do(ctx context.Context, dir, run string, first, many int) (err error) {
	rt, err := speak.Open(ctx, resilience.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	if f.engine, err = workflow.New[Text, Text](rt, f.graph(rt)); err != nil {
		return err
	}
	if many == 0 {
		return f.one(ctx, run)
	}
	for id, err := range f.engine.Recover(ctx, atOnce) {
		if err != nil && !errors.Is(err, workflow.ErrWaiting) { // for its time: all does it
			return fmt.Errorf("recover %s: %w", id, err)
		}
	}
	fmt.Println("recovered")
	return f.all(ctx, first, many)
}

func (f *flow) all(ctx context.Context, first, many int) error {
	var next atomic.Int64
	next.Store(int64(first))
	errs := make([]error, atOnce)
	var group sync.WaitGroup
	for w := range errs {
		group.Go(func() {
			for errs[w] == nil {
				n := int(next.Add(1)) - 1
				if n >= many {
					return
				}
				errs[w] = f.one(ctx, fmt.Sprint("r", n))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// one does a run, or what is left of it, and says what came out.
func (f *flow) one(ctx context.Context, run string) error {
	var result workflow.Result[Text]
	err := speak.Until(ctx, speak.Mends, func(err error) bool { return errors.Is(err, resilience.ErrUnavailable) }, func() (err error) {
		result, err = f.engine.Run(ctx, Text{run}, workflow.Options{ID: run, Resume: workflow.ResumeYes, Observer: f.observe})
		return err
	})
	if err != nil {
		return err
	}
	if want := strings.ReplaceAll(result.Output.Text, run, "in"); f.ledger != "" {
		fmt.Println("result", run, want)
	} else {
		speak.Result(want)
	}
	return nil
}

// observe says which steps are durable.
func (f *flow) observe(_ context.Context, e resilience.Event) {
	if e.Kind == resilience.StepDone {
		speak.Durable(e.Key + "/" + e.Value)
	}
}

// graph is
//
//	plan ─┬─ a ── d ──┐
//	      ├─ b ───────┴ join ─┬─ e ──┐
//	      └─ c ───────────────│──────┤
//	                          └─ f ──┴ all ── last
func (f *flow) graph(rt *resilience.Runtime) workflow.Graph {
	text := workflow.JSON[Text]("text")
	g := workflow.Graph{Name: "Flow", Package: "crash/flow", Fingerprint: "00000000000000f1", Entry: "plan", Concurrency: 3,
		Limits: workflow.Limits{Invocations: 100}, Input: text, Output: text}
	add := func(name string, next, waitFor []string, delay time.Duration) {
		n := workflow.Node{Name: name, Out: text, Next: next, WaitFor: waitFor, Delay: delay}
		for range max(1, len(waitFor)) {
			n.In = append(n.In, text)
		}
		guard, err := rt.Guard("workflow/Flow/"+name, resilience.Policy{Retry: resilience.Retry{MaxAttempts: 3, Backoff: resilience.Backoff{InitialDelay: time.Millisecond}}})
		if err != nil {
			panic(err)
		}
		n.Guard = guard
		n.Call = func(ctx context.Context, in workflow.Args) (workflow.Value, workflow.Route, error) {
			out, err := f.call(ctx, guard, name, in)
			return workflow.Of(out), workflow.Route{}, err
		}
		g.Nodes = append(g.Nodes, n)
	}
	add("plan", []string{"a", "b", "c"}, nil, 0)
	add("a", []string{"d"}, nil, 0)
	add("b", []string{"join"}, nil, 0)
	add("c", []string{"all"}, nil, 0)
	add("d", []string{"join"}, nil, 0)
	add("join", []string{"e", "f"}, []string{"d", "b"}, 0)
	add("e", []string{"all"}, nil, pause)
	add("f", []string{"all"}, nil, 0)
	add("all", []string{"last"}, []string{"e", "f", "c"}, 0)
	add("last", []string{"end"}, nil, 0)
	return g
}

// call does a step under the policy of its node.
func (f *flow) call(ctx context.Context, guard *resilience.Guard, name string, in workflow.Args) (out Text, err error) {
	call := guard.Begin(ctx)
	defer workflow.Tell(ctx, &call)
	defer call.End()
	for call.Next() {
		out, err = f.step(call.Context(), name, in)
		call.Record(err)
	}
	return out, call.Err()
}

var errFirst = errors.New("the first attempt fails")

// step fails once where name is b.
func (f *flow) step(ctx context.Context, name string, in workflow.Args) (Text, error) {
	info := workflow.Info(ctx)
	key := info.Run + "/" + info.Message
	if _, again := f.failed.LoadOrStore(key, true); name == "b" && !again {
		return Text{}, errFirst
	}
	if f.ledger == "" {
		speak.Executed(key)
	} else if err := f.tell(ctx, key, name); err != nil {
		return Text{}, err
	}
	texts := make([]string, len(in))
	for i := range in {
		texts[i] = workflow.Arg[Text](in, i).Text
	}
	return Text{name + "(" + strings.Join(texts, " ") + ")"}, nil
}

// tell adds a line to the ledger: the step, its node, its idempotency key and the
// process.
func (f *flow) tell(ctx context.Context, key, name string) error {
	idempotency, _ := resilience.IdempotencyKey(ctx)
	line := fmt.Sprint(key, " ", name, " ", idempotency, " ", f.process)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.ledger, strings.NewReader(line))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}
