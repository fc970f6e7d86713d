package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// researcher runs a workflow in the test's service, as a generated one would.
type researcher struct {
	engine *workflow.Engine[string, string]
	orders *workflow.Engine[string, string] // wait for a signal, and are run by a worker
	ctx    context.Context
	stop   context.CancelFunc
	hold   chan struct{} // Write waits for it
	runs   sync.WaitGroup
	left   map[string]chan struct{} // by run: closed when Run has returned
}

// nastyArg is what of nasty can stand in an argument of a process.
var nastyArg = strings.ReplaceAll(nasty, "\x00", "")

var textCodec = workflow.JSON[string]("text")

func textNode(name string, f func(ctx context.Context, in string) (string, error), next ...string) workflow.Node {
	return workflow.Node{Name: name, In: []workflow.Codec{textCodec}, Out: textCodec, Next: next,
		Call: func(ctx context.Context, in workflow.Args) (workflow.Value, workflow.Route, error) {
			out, err := f(ctx, workflow.Arg[string](in, 0))
			return workflow.Of(out), workflow.Route{}, err
		}}
}

func newResearcher(rt *resilience.Runtime) (r *researcher, err error) {
	r = &researcher{hold: make(chan struct{}), left: map[string]chan struct{}{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	plain := func(_ context.Context, in string) (string, error) { return in + nasty, nil }
	review := textNode("Review", plain, "end")
	review.In, review.WaitFor = []workflow.Codec{textCodec, textCodec}, []string{"Analyse", "Write"}
	r.engine, err = workflow.New[string, string](rt, workflow.Graph{
		Name: "Research", Package: "example.com/app", Fingerprint: "0123456789abcdef", Entry: "Plan", Input: textCodec, Output: textCodec, Concurrency: 2,
		Nodes: []workflow.Node{textNode("Plan", plain, "Analyse", "Write"), textNode("Analyse", plain, "Review"), textNode("Write", r.write, "Review"), review},
	})
	if err != nil {
		return nil, err
	}
	echo := func(_ context.Context, in string) (string, error) { return in, nil }
	r.orders, err = workflow.New[string, string](rt, workflow.Graph{
		Name: "Order", Package: "example.com/app", Fingerprint: "0123456789abcdef", Entry: "Take", Input: textCodec, Output: textCodec,
		Nodes: []workflow.Node{textNode("Take", echo, "Approve"), {Name: "Approve", In: []workflow.Codec{textCodec}, Out: textCodec, Next: []string{"Ship"}, Signal: "approval"}, textNode("Ship", echo, "end")},
	})
	if err != nil {
		return nil, err
	}
	r.runs.Go(func() { _ = r.orders.Worker(workflow.WorkerOptions{Lease: 2 * time.Second}).Run(r.ctx) }) // its end is that of the test
	return r, nil
}

func (r *researcher) write(ctx context.Context, in string) (string, error) {
	if strings.HasPrefix(in, "fail") {
		return "", errors.New("model is overloaded" + nasty)
	}
	select {
	case <-r.hold:
		return "written", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// obey does what a line says, if it is about runs.
func (r *researcher) obey(verb, arg string) (answer string, ok bool) {
	switch verb {
	case "run": // id input
		id, in, _ := strings.Cut(arg, " ")
		left := make(chan struct{})
		r.left[id] = left
		r.runs.Go(func() {
			defer close(left)
			_, _ = r.engine.Run(r.ctx, in, workflow.Options{ID: id}) // the tests ask the store
		})
	case "rest": // id
		<-r.left[arg]
	case "order": // id input
		id, in, _ := strings.Cut(arg, " ")
		if _, err := r.orders.Start(r.ctx, in, workflow.Options{ID: id}); err != nil {
			return err.Error(), true
		}
	case "start": // id input; nobody takes it
		id, in, _ := strings.Cut(arg, " ")
		if _, err := r.engine.Start(r.ctx, in, workflow.Options{ID: id}); err != nil {
			return err.Error(), true
		}
	case "work": // on what was started
		r.runs.Go(func() { _ = r.engine.Worker(workflow.WorkerOptions{Lease: 2 * time.Second}).Run(r.ctx) })
	case "release":
		close(r.hold)
	default:
		return "", false
	}
	return "done", true
}

func (r *researcher) close() {
	r.stop()
	r.runs.Wait()
}

// runsOf runs resilgen runs against the service.
func (s *running) runsVerb(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	return tool(s.t, s.t.TempDir(), append([]string{"runs", args[0], "--addr", s.addr}, args[1:]...)...)
}

// runsIn runs resilgen runs against a directory.
func runsIn(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return tool(t, t.TempDir(), append([]string{"runs", args[0], "--dir", dir}, args[1:]...)...)
}

// until asks for a run until it has so many steps.
func (s *running) until(id string, steps int) workflow.RunDetail {
	s.t.Helper()
	for begun := time.Now(); time.Since(begun) < time.Minute; { // disks may rest
		code, out, errs := s.runsVerb("show", id, "--json")
		require.Contains(s.t, []int{0, exitNotFound}, code, errs)
		if code == exitNotFound {
			continue // it has not begun
		}
		if d := jsonLines[workflow.RunDetail](s.t, out)[0]; d.RunSummary.Steps >= steps {
			return d
		}
	}
	s.t.Fatalf("run %s has no %d steps", id, steps)
	return workflow.RunDetail{}
}

// A running service and the directory of its store answer the same, byte by byte,
// and the directory stays as it is.
func TestRunsBackEndsAgree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	s.tell("run held " + nasty)
	s.tell("run failed fail")
	s.until("held", 2)
	s.until("failed", 3)
	s.tell("rest failed") // its letter is written after its last step
	require.Equal(t, "done", s.tell("start queued "+nasty))
	before := fingerprint(t, dir)
	for _, args := range [][]string{
		{"ls"}, {"ls", "--oldest", "--limit", "1"}, {"ls", "--status", "running"}, {"ls", "--workflow", "Research"}, {"ls", "--workflow", "None"}, {"ls", "--cursor", "((" + nastyArg},
		{"ls", "--status", "pending"}, {"ls", "--status", "interrupted"}, {"ls", "--limit", "2"}, {"show", "queued"}, {"graph", "queued"}, {"export", "queued"},
		{"show", "held"}, {"show", "failed"}, {"show", "nothing"}, {"show", nastyArg}, {"show", "held", "--workflow", "example.com/app.Research"}, {"show", "held", "--workflow", nastyArg},
		{"graph", "held"}, {"graph", "failed", "--format", "mermaid"}, {"graph", "failed", "--format", "svg"}, {"export", "failed"}, {"export", "nothing"},
	} {
		for _, asJSON := range []bool{false, true} {
			if asJSON {
				args = append(args, "--json")
			}
			code, out, errs := s.runsVerb(args...)
			code2, out2, errs2 := runsIn(t, dir, args...)
			require.Equal(t, code, code2, "%q: %s%s", args, errs, errs2)
			require.Equal(t, out, out2, "%q", args)
			require.Equal(t, errs, errs2, "%q", args)
			printable(t, out+errs)
		}
	}
	require.Equal(t, before, fingerprint(t, dir), "reading writes nothing")
}

// What a run had done when its process was killed is there, and says where it stands.
func TestRunsOfAKilledService(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	s.tell("run r-1 in")
	s.until("r-1", 2)
	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()

	code, out, errs := s.runsVerb("ls")
	require.Equal(t, exitUnavailable, code, out+errs)
	code, out, errs = runsIn(t, dir, "ls", "--json")
	require.Equal(t, 0, code, errs)
	list := jsonLines[workflow.RunSummary](t, out)
	require.Len(t, list, 1)
	require.Equal(t, "r-1", list[0].ID)
	require.Equal(t, 2, list[0].Steps)
	require.Equal(t, workflow.Interrupted, list[0].Status, "no process lives that has it")
	require.Equal(t, "somebody to resume it", list[0].Waiting)
	code, out, errs = runsIn(t, dir, "show", "r-1")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "\n├─ Analyse")
	require.Contains(t, out, "\n└─ Write ")
	require.Contains(t, out, "waiting · for Write\n")
	code, _, errs = runsIn(t, dir, "resume", "r-1")
	require.Equal(t, 0, code, errs)
	require.Equal(t, "r-1: a worker takes it next\n", errs)

	again := startServiceIn(t, dir)
	for _, ls := range []func(...string) (int, string, string){again.runsVerb, func(args ...string) (int, string, string) { return runsIn(t, dir, args...) }} {
		code, out, errs := ls("ls", "--json")
		require.Equal(t, 0, code, errs)
		last := jsonLines[workflow.RunSummary](t, out)[0]
		require.Equal(t, workflow.Interrupted, last.Status, "a process lives, and has not taken it")
		require.Equal(t, "a worker", last.Waiting)
	}
	again.tell("run r-1 in") // goes on
	again.tell("release")
	code, out, errs = again.runsVerb("show", "r-1", "--watch")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "run        r-1  completed\n")
	require.Contains(t, out, "resumed 1 time")
	code, _, errs = again.runsVerb("resume", "r-1")
	require.Equal(t, exitConflict, code, errs)
	require.Contains(t, errs, "run r-1 is completed")
	code, _, errs = runsIn(t, dir, "resume", "r-1")
	require.Equal(t, exitConflict, code, errs)
	require.Contains(t, errs, "ask that process: --addr")
}

// TestRunsWatch draws a run again when something was done, until it ends.
func TestRunsWatch(t *testing.T) {
	s := startService(t)
	s.tell("run good in")
	s.until("good", 2)
	done := make(chan string, 1)
	go func() {
		_, out, errs := tool(t, t.TempDir(), "runs", "show", "good", "--addr", s.addr, "--watch", "--every", "10ms", "--json")
		done <- out + errs
	}()
	s.tell("release")
	list := jsonLines[workflow.RunDetail](t, <-done)
	last := list[len(list)-1]
	require.Equal(t, workflow.Completed, last.Status)
	for i := 1; i < len(list); i++ {
		require.Greater(t, list[i].Version, list[i-1].Version, "what did not change is not drawn")
	}
	s.tell("run bad fail")
	s.until("bad", 3)
	file := filepath.Join(t.TempDir(), "bad.mmd")
	code, out, errs := s.runsVerb("graph", "bad", "--watch", "--every", "10ms", "-o", file)
	require.Equal(t, exitFindings, code, errs)
	require.Equal(t, "resilgen: bad: parked\n", errs)
	require.Empty(t, out)
	drawn, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(drawn), "class n2 failed")
}

// A run that no worker has taken is there: it is listed, shown, and ended before it
// begins, in a directory too.
func TestQueuedRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	require.Equal(t, "done", s.tell("start q-1 why"))
	code, out, errs := s.runsVerb("ls")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "pending")
	require.Contains(t, out, "a worker")
	code, out, errs = s.runsVerb("show", "q-1")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "run        q-1  pending\n")
	require.Contains(t, out, "input      \"why\"\n")
	require.Contains(t, out, "waits for  a worker\n")
	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	code, out, errs = runsIn(t, dir, "ls", "--status", "pending", "--json")
	require.Equal(t, 0, code, errs)
	require.Equal(t, "q-1", jsonLines[workflow.RunSummary](t, out)[0].ID)
	code, _, errs = runsIn(t, dir, "cancel", "q-1", "--yes")
	require.Equal(t, 0, code, errs)

	again := startServiceIn(t, dir)
	require.Equal(t, "done", again.tell("work"))
	code, out, errs = again.runsVerb("show", "q-1", "--watch", "--every", "10ms")
	require.Equal(t, exitFindings, code, errs)
	require.Contains(t, out, "run        q-1  cancelled\n")
	require.Contains(t, out, "done       0 steps\n")
}

func TestRunsUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		errs string
	}{
		{[]string{"show"}, exitUsage, "runs show wants the id of a run"},
		{[]string{"show", "a", "b"}, exitUsage, "runs show wants the id of a run"},
		{[]string{"show", "a"}, exitUsage, "give --addr of a running service or --dir of its store"},
		{[]string{"ls", "a"}, exitUsage, "takes no arguments"},
		{[]string{"ls", "--status", "complete", "--dir", "."}, exitUsage, "did you mean completed?"},
		{[]string{"ls", "--dir", "/nowhere/at/all"}, exitNotFound, "no such file"},
		{[]string{"show", "a", "--watch", "--every", "1ns", "--dir", "."}, exitUsage, "--every wants at least 10ms"},
		{[]string{"graph", "a", "--format", "png", "--dir", "."}, exitUsage, "no format png"},
		{[]string{"list"}, exitUsage, "no verb runs list"},
	} {
		code, out, errs := tool(t, t.TempDir(), append([]string{"runs"}, c.args...)...)
		require.Equal(t, c.code, code, "%q: %s", c.args, errs)
		require.Empty(t, out)
		require.Contains(t, errs, c.errs)
	}
}

// A run that waits for a signal gets it from a tool, through the socket or, when its
// process was killed, in the directory.
func TestRunsAreMoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	for _, id := range []string{"o-1", "o-2", "o-3"} {
		require.Equal(t, "done", s.tell("order "+id+" in"))
		s.until(id, 1)
	}
	code, out, errs := s.runsVerb("show", "o-1")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "run        o-1  waiting\n")
	require.Contains(t, out, "waits for  signal approval\n")
	for range 2 {
		code, _, errs = s.runsVerb("signal", "o-1", "approval", `"yes"`, "--id", "once")
		require.Equal(t, 0, code, errs)
	}
	code, out, errs = s.runsVerb("show", "o-1", "--watch", "--every", "10ms")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "output     \"yes\"\n")
	code, _, errs = s.runsVerb("cancel", "o-2", "--yes")
	require.Equal(t, 0, code, errs)
	code, out, errs = s.runsVerb("show", "o-2", "--watch", "--every", "10ms")
	require.Equal(t, exitFindings, code, errs)
	require.Contains(t, out, "run        o-2  cancelled\n")
	code, out, errs = s.runsVerb("fork", "o-2", "--as", "o-2b")
	require.Equal(t, 0, code, errs)
	require.Equal(t, "o-2b\n", out)

	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	code, _, errs = runsIn(t, dir, "signal", "o-3", "approval", `"of a tool"`)
	require.Equal(t, 0, code, errs)
	again := startServiceIn(t, dir)
	code, out, errs = again.runsVerb("show", "o-3", "--watch", "--every", "10ms")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "output     \"of a tool\"\n")
	code, out, errs = again.runsVerb("show", "o-2b", "--json")
	require.Equal(t, 0, code, errs)
	require.Equal(t, workflow.Waiting, jsonLines[workflow.RunDetail](t, out)[0].Status)
}

func TestRunsAreNotMoved(t *testing.T) {
	s := startService(t)
	s.tell("order o in")
	s.until("o", 1)
	for _, c := range []struct {
		args []string
		code int
		errs string
	}{
		{[]string{"cancel", "o"}, exitRefused, "nobody is at the terminal to confirm it; --yes does"},
		{[]string{"cancel", "p", "--yes"}, exitNotFound, "no such run"},
		{[]string{"signal", "o"}, exitUsage, "runs signal wants the id of a run, the name of a signal"},
		{[]string{"signal", "o", "approval", "yes"}, exitUsage, "the value is no JSON"},
		{[]string{"signal", "o", nastyArg, "1"}, exitUsage, "no node of example.com/app.Order waits for a signal"},
		{[]string{"signal", "o", "approval", `"` + strings.Repeat("x", 100<<10) + `"`, "--id", "large"}, 0, "o: has the signal approval"},
		{[]string{"fork", "o", "--at", "99"}, exitNotFound, "version 99 of run o"},
		{[]string{"fork", "o", "--as", "o"}, exitConflict, "the run exists"},
		{[]string{"fork", "o", "--as", nastyArg}, exitUsage, "not an id of a run"},
	} {
		code, out, errs := s.runsVerb(c.args...)
		require.Equal(t, c.code, code, "%q: %s", c.args, errs)
		require.Empty(t, out)
		require.Contains(t, errs, c.errs)
		printable(t, errs)
	}
}
