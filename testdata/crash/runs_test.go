package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	manyRuns = flag.Int("n-runs", 50, "runs of a workflow of ten nodes that are killed together")
	runsLife = flag.Duration("runs-life", 200*time.Millisecond, "how long a process that does them lives, at most")
)

// startsUp is how long a process lives at least. One that dies before it records
// anything says nothing.
const startsUp = 40 * time.Millisecond

// spared is which process, of so many, lives until it has gone on with every run that
// was left. However slow the machine is, the runs get on, and none has five processes
// in a row that took it and recorded nothing: a node that kills its process looks the
// same.
const spared = 3

const (
	flowNodes       = 10
	flowNodesAtOnce = 3                   // of a run
	flowAtOnce      = 8 * flowNodesAtOnce // of a process
	flowResult      = "last(all(e(join(d(a(plan(in))) b(plan(in)))) f(join(d(a(plan(in))) b(plan(in)))) c(plan(in))))"
)

// TestRuns kills the process that executes many runs at once, over and over,
// until all are done. What each step did stands in a ledger that is a process of
// its own: no step is lost, none is done again after its record was durable.
func TestRuns(t *testing.T) {
	f := &flows{t: t, path: build(t, "flow"), ledger: startLedger(t), results: map[string]string{}, durable: map[string]int{}}
	dir, r := t.TempDir(), rand.New(rand.NewPCG(*seed, 4))
	begun := time.Now()
	for len(f.results) < *manyRuns {
		if f.live(dir, startsUp+time.Duration(r.Int64N(int64(*runsLife-startsUp)))); t.Failed() {
			return
		}
		if f.processes > 100*(*manyRuns+10) {
			t.Fatalf("no progress: %d of %d runs after %d processes", len(f.results), *manyRuns, f.processes)
		}
	}
	repeated := f.audit()
	t.Logf("%d runs, %d processes, %d killed in %v; %d of %d steps done more than once, none after its record",
		len(f.results), f.processes, f.killed, time.Since(begun).Round(time.Second), repeated, len(f.results)*flowNodes)
}

// flows is what is known of the runs from outside.
type flows struct {
	t            *testing.T
	path, ledger string
	results      map[string]string // by run
	durable      map[string]int    // steps that are recorded, and the process that said so
	processes    int
	killed       int
}

// live lets a process do what it can in so much time, since it began or, where it is
// spared, since it has gone on with what was left.
func (f *flows) live(dir string, life time.Duration) {
	first := 0
	for f.results[fmt.Sprint("r", first)] != "" {
		first++
	}
	cmd := exec.Command(f.path, "-ledger", f.ledger, "-many", strconv.Itoa(*manyRuns), "-first", strconv.Itoa(first), "-process", strconv.Itoa(f.processes), dir, "all")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	defer func() { f.processes++ }()
	doom := func() { // one that has ended by then is not signalled
		time.AfterFunc(life, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	}
	lives := f.processes%spared == spared-1
	if lives {
		life -= startsUp
	} else {
		doom()
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if f.hear(lines.Text()); lives && lines.Text() == "recovered" {
			doom()
		}
	}
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		f.killed++
	} else if err != nil {
		f.t.Errorf("process %d: %v\n%s", f.processes, err, complaint.String())
	}
}

// hear takes in what a process said: that a step is durable, or how a run ended.
func (f *flows) hear(line string) {
	kind, text, _ := strings.Cut(line, " ")
	switch kind {
	case "C":
		if by, again := f.durable[text]; again {
			f.t.Errorf("step %s was recorded by process %d and by %d", text, by, f.processes)
		}
		f.durable[text] = f.processes
	case "result":
		run, result, _ := strings.Cut(text, " ")
		if result != flowResult {
			f.t.Errorf("run %s: result %s", run, result)
		}
		f.results[run] = result
	}
}

// audit holds the ledger against what was said, and counts the steps that were done
// more than once.
func (f *flows) audit() (repeated int) {
	by, steps, nodes, keys := map[string]int{}, map[string]int{}, map[string]map[string]bool{}, map[string]string{}
	for _, line := range readLedger(f.t, f.ledger) {
		var step, node, key string
		var process int
		if _, err := fmt.Sscan(line, &step, &node, &key, &process); err != nil {
			f.t.Errorf("the ledger has the line %q", line)
			continue
		}
		if who, is := f.durable[step]; is && process > who {
			f.t.Errorf("step %s of %s was recorded by process %d and done again by %d", step, node, who, process)
		}
		if last, is := by[step]; is && last == process {
			f.t.Errorf("step %s of %s was done twice by process %d", step, node, process)
		}
		by[step] = process
		if other, used := keys[key]; used && other != step {
			f.t.Errorf("key %s belongs to %s and %s", key, step, other)
		}
		keys[key] = step
		if steps[step]++; steps[step] == 2 {
			repeated++
		}
		run, _, _ := strings.Cut(step, "/")
		if nodes[run] == nil {
			nodes[run] = map[string]bool{}
		}
		nodes[run][node] = true
	}
	if len(keys) != len(steps) || len(steps) != *manyRuns*flowNodes {
		f.t.Errorf("%d keys of %d steps, want %d", len(keys), len(steps), *manyRuns*flowNodes)
	}
	for run := range f.results {
		if len(nodes[run]) != flowNodes {
			f.t.Errorf("run %s: %d nodes did something, want %d", run, len(nodes[run]), flowNodes)
		}
	}
	if repeated > f.killed*flowAtOnce {
		f.t.Errorf("%d steps were repeated, %d kills", repeated, f.killed)
	}
	return repeated
}

// startLedger returns the address of a ledger that lives as long as the test.
func startLedger(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(build(t, "ledger"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

func readLedger(t *testing.T, address string) []string {
	t.Helper()
	answer, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(body)), "\n")
}
