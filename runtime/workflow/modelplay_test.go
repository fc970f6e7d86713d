package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

const (
	runID   = "r"
	forEver = 5 * time.Hour // after which nothing comes from outside any more
)

// outcome is what the processes of a history make of a plan.
type outcome struct {
	ending
	order       []string // of the outputs
	appends     int      // of the first process
	invocations int
	wrong       []string // what must never be
}

// play has processes work on the run of a plan, each until it dies; the last one
// lives.
func play(t *testing.T, h history) (o outcome) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		w := newWorld(h)
		told := make(chan struct{})
		var processes []*process
		for i := 0; ; i++ {
			var d death
			if i < len(h.Deaths) {
				d = h.Deaths[i]
			}
			p := newProcess(d)
			processes = append(processes, p)
			go w.live(p, func() {
				if i == 0 {
					go func() {
						defer close(told)
						w.outside()
					}()
				}
			})
			if w.waitFor(p) || i > len(h.Deaths) {
				break
			}
		}
		close(w.over)
		<-told
		w.leave(nil)
		o = w.outcomeOf(processes)
		w.judge(&o)
	})
	return o
}

// waitFor waits until a process ends or stops, and reports whether nobody need go on
// after it.
func (w *world) waitFor(p *process) (over bool) {
	select {
	case <-p.done:
		if p.ended || len(p.out.wrong) > 0 {
			return true
		}
		w.deaths++
	case <-p.stopped:
		w.stops++
	}
	return false
}

// outcomeOf is what processes, which have ended, came to: the last of them has seen the
// end of the run, and nobody another one.
func (w *world) outcomeOf(processes []*process) (o outcome) {
	last := processes[len(processes)-1]
	o = last.out
	if !last.ended && len(o.wrong) == 0 {
		o.complain("The last process, which lives, does not end the run")
	}
	for _, p := range processes[:len(processes)-1] {
		o.wrong = append(o.wrong, p.out.wrong...)
		if p.ended && len(o.wrong) == 0 && (p.out.Status != o.Status || !slices.Equal(p.out.order, o.order)) {
			o.complain("Two ends: %s %v, and %s %v", p.out.Status, p.out.order, o.Status, o.order)
		}
	}
	o.wrong = append(o.wrong, w.wrong...)
	o.appends, o.invocations = processes[0].appends, processes[0].invocations
	return o
}

// live lets a process work on the run until that ends, or the process does.
func (w *world) live(p *process, begin func()) {
	defer close(p.done)
	o := &p.out
	stores := w.stores
	stores.Log = &mortalLog{stores.Log, w, p, w.fault == faultLostRecord}
	stores.Leases = resilience.MemoryStores().Leases // those of a dead process end with it
	rt, err := resilience.Open(resilience.Options{Stores: stores})
	if err != nil {
		o.complain("open: %v", err)
		begin()
		return
	}
	defer rt.Close()
	defer p.kill()
	graph, err := w.graph(rt, p, "Model", &w.plan)
	engine := &workflow.Engine[*token, *token]{}
	if err == nil {
		engine, err = workflow.New[*token, *token](rt, graph)
	}
	w.mu.Lock()
	p.engine = engine
	w.process = p
	w.all = append(w.all, p)
	w.mu.Unlock()
	begin()
	if err != nil {
		o.complain("new: %v", err)
		return
	}
	for range 100 {
		err := idle(p.ctx, rt.DeadLetters())
		var result workflow.Result[*token]
		if err == nil {
			result, err = engine.Run(p.ctx, &token{"in"}, workflow.Options{ID: runID, Resume: workflow.ResumeYes, Observer: w.observer(p)})
		}
		if result.Status.Ended() && !p.isDead() {
			p.ended = true
			w.end(o, result, err)
			return
		}
		if p.isGone() {
			return
		}
		if isBusy := errors.Is(err, workflow.ErrRunBusy) || errors.Is(err, resilience.ErrFenced); isBusy || errors.Is(err, workflow.ErrParked) {
			w.leave(p)
			if err = nil; !isBusy {
				err = w.release(p, rt.DeadLetters())
			}
		}
		switch {
		case p.isDead():
			return
		case err != nil && !errors.Is(err, resilience.ErrUnavailable): // that is tried again
			o.complain("A process that lives: status %q, %v", result.Status, err)
			return
		}
	}
	o.complain("Parks again and again")
}

// end takes in how the run ended.
func (w *world) end(o *outcome, result workflow.Result[*token], err error) {
	o.Status = string(result.Status)
	if completed := strings.HasPrefix(o.Status, "completed"); completed != (err == nil) {
		o.complain("status %s, error %v", o.Status, err)
	} else if completed && !w.All {
		o.order = []string{result.Output.text()}
	}
	for _, out := range result.Outputs {
		o.order = append(o.order, out.text())
	}
	for _, s := range result.Steps {
		if w.waits(s.Node) {
			s.Attempts = 0 // it was not called
		}
		o.Steps = append(o.Steps, stepText(s.Node, s.Outcome, s.Attempts))
	}
	o.Failures = result.NodeFailures
}

// observer notes which steps are done.
func (w *world) observer(p *process) func(context.Context, workflow.Event) {
	return func(_ context.Context, e workflow.Event) {
		if e.Kind == resilience.StepDone && !p.isDead() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.durable[e.Key+"/"+e.Value] = true
		}
	}
}

// judge compares what the nodes did with what they may do.
func (w *world) judge(o *outcome) {
	type done struct {
		key     string
		process *process
	}
	keys, by := map[string]effect{}, map[done]bool{}
	for _, e := range w.did {
		switch last, used := keys[e.key]; {
		case !used:
			o.Effects = append(o.Effects, e.text)
		case last.text != e.text:
			o.complain("Key %s belongs to: %s and %s", e.key, last.text, e.text)
		}
		keys[e.key] = e
		by[done{e.key, e.process}] = true
	}
	// Who loses the run has what it had begun repeated, and begins as much before it is
	// refused.
	lost, most := max(w.stops, w.taken-w.deaths), w.Concurrency+max(len(w.owners)-1, 0)*childConcurrency
	if repeats := len(by) - len(keys); len(o.Failures) == 0 && repeats > (w.deaths+2*lost)*most {
		o.complain("Repeated: %d invocations, %d deaths, lost %d times, %d at a time", repeats, w.deaths, lost, most)
	}
	for _, id := range w.again {
		o.complain("Ran after its record: %s", id)
	}
	o.Outputs = slices.Sorted(slices.Values(o.order))
	slices.Sort(o.Effects)
	slices.Sort(o.Steps)
}

func (o *outcome) complain(format string, args ...any) {
	o.wrong = append(o.wrong, fmt.Sprintf(format, args...))
}

// outside sends what the plan has come from outside, to whichever process lives,
// and cancels the run where nothing more will come.
func (w *world) outside() {
	for i := 0; ; i++ {
		at := forEver
		w.mu.Lock()
		if i < len(w.Signals) {
			at = w.Signals[i].At
		}
		w.mu.Unlock()
		select {
		case <-w.over:
			return
		case <-time.After(time.Until(w.begun.Add(at))):
		}
		if i < len(w.Signals) {
			w.insist(func(h workflow.Handle[*token]) error { return w.signal(h, w.Signals[i]) })
			continue
		}
		w.insist(func(h workflow.Handle[*token]) error { return h.Cancel(context.Background()) })
		return
	}
}

// insist does something from outside until a process that lives says that it is
// done.
func (w *world) insist(do func(workflow.Handle[*token]) error) {
	for {
		w.mu.Lock()
		p := w.process
		w.mu.Unlock()
		if !p.isGone() {
			told := make(chan error, 1)
			go func() { told <- do(p.engine.Get(runID)) }()
			select {
			case err := <-told:
				if err == nil || !p.isGone() && !errors.Is(err, resilience.ErrUnavailable) {
					return // or refused: the run has ended
				}
			case <-p.stopped: // it may yet say it: who says it twice says it once
			}
		}
		select {
		case <-w.over:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (w *world) signal(h workflow.Handle[*token], s signal) error {
	if w.fault == faultSignalTwice {
		s.ID = fmt.Sprint(s.ID, s.At)
	}
	return h.Signal(context.Background(), s.Name, workflow.Of(&token{s.Value}), workflow.SignalOptions{ID: s.ID})
}

// release sends the signals that are left, mends the nodes and has the next letter
// go on.
func (w *world) release(p *process, box *resilience.LetterBox) error {
	for _, s := range w.Signals {
		if err := w.signal(p.engine.Get(runID), s); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.mended = true
	w.mu.Unlock()
	return w.actOnLetter(p.ctx, box)
}

// graph is the plan as generated code would hold it, with the behaviour of its
// nodes.
func (w *world) graph(rt *resilience.Runtime, p *process, name string, of *plan) (workflow.Graph, error) {
	codec := workflow.JSON[*token]("token")
	g := workflow.Graph{
		Name: name, Package: "model", Fingerprint: "0123456789abcdef", Entry: of.Nodes[0].Name,
		Limits: workflow.Limits{Invocations: of.Invocations}, Concurrency: of.Concurrency, OutputAll: of.All, Input: codec, Output: codec,
	}
	for i := range of.Nodes {
		n := &of.Nodes[i]
		made := workflow.Node{Name: n.Name, Out: codec, Next: n.Next, Routes: n.Routes != nil, WaitFor: n.WaitFor, Any: n.Any, WaitTimeout: n.Timeout, Delay: n.Delay}
		for range max(1, len(n.WaitFor)) {
			made.In = append(made.In, codec)
			made.Params = append(made.Params, fmt.Sprint("in", len(made.In)))
		}
		switch {
		case n.Child != nil:
			child, err := w.child(rt, p, n)
			if err != nil {
				return g, err
			}
			made.Child = workflow.Child(child)
		case n.Signal:
			made.Signal, made.SignalTimeout = n.Name, n.Expires
		default:
			made.Guard, _ = rt.Guard("workflow/"+name+"/"+n.Name, resilience.Policy{Retry: resilience.Retry{MaxAttempts: attempts, Backoff: resilience.Backoff{Strategy: resilience.NoBackoff}}, Fallback: resilience.Fallback{On: n.Falls}})
			made.Call = w.caller(n, made.Guard, p)
		}
		g.Nodes = append(g.Nodes, made)
	}
	return g, nil
}

// caller is a node under its policy, as the generator writes it.
func (w *world) caller(n *node, guard *resilience.Guard, p *process) func(context.Context, workflow.Args) (workflow.Value, workflow.Route, error) {
	return func(ctx context.Context, in workflow.Args) (workflow.Value, workflow.Route, error) {
		g := message{to: n.Name}
		for i := range in {
			g.in = append(g.in, workflow.Arg[*token](in, i).text())
		}
		var value string
		var err error
		call := guard.Begin(ctx)
		defer workflow.Tell(ctx, &call)
		defer call.End()
		for tries := 0; call.Next(); tries++ {
			value, err = w.try(call.Context(), n, g, p, tries)
			call.Record(err)
		}
		if n.Falls && call.WantsFallback() && w.fault != faultNoFallback {
			return workflow.Of(&token{n.fallback(g)}), n.routed(g, n.fallback(g)), nil
		}
		if w.fault == faultDeafToRoutes {
			return workflow.Of(&token{value}), workflow.Route{}, call.Err()
		}
		return workflow.Of(&token{value}), n.routed(g, value), call.Err()
	}
}

var errPlanned = errors.New("planned")

// try is one attempt of a node.
func (w *world) try(ctx context.Context, n *node, g message, p *process, tries int) (string, error) {
	key, _ := resilience.IdempotencyKey(ctx)
	dead := p.isDead()
	w.mu.Lock()
	if info := workflow.Info(ctx); !dead && w.durable[info.Run+"/"+info.Message] && w.owners[info.Run].process == p {
		w.again = append(w.again, info.Run+"/"+info.Message)
	}
	w.mu.Unlock()
	if w.fault == faultNewKeys {
		key += fmt.Sprint(tries)
	}
	if err := w.act(ctx, p, key, g.text()); err != nil {
		return "", err
	}
	if w.fault == faultTwice {
		_ = w.act(ctx, p, key+"again", g.text())
	}
	w.mu.Lock()
	mended := w.mended
	w.mu.Unlock()
	if tries < n.fails(g, mended) {
		return "", errPlanned
	}
	if !n.Counts {
		return n.value(g, 0), nil
	}
	known, _ := workflow.Memory(ctx).Get("steps")
	if w.fault == faultMemory {
		known = p.memory[n.Name]
		p.memory[n.Name] += "x"
	}
	known += "x"
	workflow.Memory(ctx).Set("steps", known)
	return n.value(g, len(known)), nil
}

// routed is where n sends, as a Route.
func (n *node) routed(g message, made string) (r workflow.Route) {
	if n.Routes == nil {
		return r
	}
	for _, h := range n.hops(g) {
		to := workflow.To(workflow.Target[*token](h.To))
		switch {
		case h.To == "end" && h.Send == "":
			to = workflow.End
		case h.Send != "":
			to = workflow.Send(workflow.Target[*token](h.To), &token{h.value(made)})
		}
		if h.After > 0 {
			to = to.After(h.After)
		}
		r = r.And(to)
	}
	return r
}
