// Demo kills a research three times by SIGKILL, starts it again each time, and
// shows that it went on where it was, and that no answer of the model was paid for
// twice.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/resilgen/resilgen/examples/agents"
	"github.com/resilgen/resilgen/examples/agents/llm"
)

// After so many nodes have begun in one process, it is killed.
var kills = []int{2, 2, 3}

const id = "research-1"

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: demo PROVIDER RESEARCH RESILGEN, the paths of the programs")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Stdout, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, provider, research, resilgen string) error {
	dir, err := os.MkdirTemp("", "research")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	model, err := begin(ctx, provider)
	if err != nil {
		return err
	}
	defer model.end()
	address, err := model.lines.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the model did not start: %w", err)
	}
	store := filepath.Join(dir, "store")
	command := []string{research, "-dir", store, "-id", id, "-model", "http://" + strings.TrimSpace(address)}
	fmt.Fprintln(out, "A research by agents that ask a model, over HTTP; SIGKILL three times on the way.")
	for n, entered := range kills {
		if err := runAndKill(ctx, out, n+1, entered, command); err != nil {
			return err
		}
	}
	result, err := runToTheEnd(ctx, out, command)
	if err != nil {
		return err
	}
	if err := show(ctx, out, resilgen, store); err != nil {
		return err
	}
	var bill llm.Bill
	if err := model.last(&bill); err != nil {
		return err
	}
	return audit(out, result, bill)
}

// runAndKill starts the research and kills it once so many nodes have begun. It goes
// on step by step, so that none gets further than that, however late it is killed.
func runAndKill(ctx context.Context, out io.Writer, n, entered int, command []string) error {
	p, err := begin(ctx, append(command, "-step")...)
	if err != nil {
		return err
	}
	var nodes []string
	for len(nodes) < entered {
		line, err := p.lines.ReadString('\n')
		if err != nil {
			p.end()
			return fmt.Errorf("process %d ended before it was killed: %w", n, err)
		}
		if node, ok := strings.CutPrefix(strings.TrimSpace(line), "enters "); ok {
			nodes = append(nodes, node)
			_, _ = fmt.Fprintln(p.stdin) // if it has ended, so have its lines
		}
	}
	time.Sleep(3 * time.Millisecond) // in the middle of an answer
	p.end()
	fmt.Fprintf(out, "process %d: %s, SIGKILL\n", n, strings.Join(nodes, ", "))
	return nil
}

func runToTheEnd(ctx context.Context, out io.Writer, command []string) (agents.ResearchResult, error) {
	var result agents.ResearchResult
	p, err := begin(ctx, command...)
	if err != nil {
		return result, err
	}
	defer p.end()
	var nodes []string
	for {
		line, err := p.lines.ReadString('\n')
		if err != nil {
			return result, fmt.Errorf("the last process did not end well: %w", err)
		}
		if node, ok := strings.CutPrefix(strings.TrimSpace(line), "enters "); ok {
			nodes = append(nodes, node)
		}
		if text, ok := strings.CutPrefix(line, "ends "); ok {
			fmt.Fprintf(out, "process %d: %s, and ends\n\n", len(kills)+1, strings.Join(nodes, ", "))
			return result, json.Unmarshal([]byte(text), &result)
		}
	}
}

// show prints the graph of the run with what ran when.
func show(ctx context.Context, out io.Writer, resilgen, dir string) error {
	cmd := exec.CommandContext(ctx, resilgen, "runs", "graph", "--dir", dir, id)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd.Run()
}

// audit holds the bill of the model against the steps of the run.
func audit(out io.Writer, r agents.ResearchResult, bill llm.Bill) error {
	fmt.Fprintf(out, "\n%s: %q after %d revisions, %d steps, $%.2f\n", r.Status, r.Output.Text, r.Output.Revisions, len(r.Steps), r.Cost)
	fmt.Fprintf(out, "the model was asked %d times: %d × slow down, %d × overloaded, %d × cut off, %d × silent; %d answers on the bill, %d given again for nothing\n",
		bill.Requests, bill.Limited, bill.Busy, bill.Truncated, bill.Stalled, bill.Sold, bill.Repeated)
	if bill.Sold != len(r.Steps) {
		return fmt.Errorf("%d steps, and %d answers on the bill", len(r.Steps), bill.Sold)
	}
	fmt.Fprintln(out, "every step is on the bill once")
	return nil
}

// process is a program that is read line by line.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
}

func begin(ctx context.Context, command ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &process{cmd, stdin, bufio.NewReader(stdout)}, cmd.Start()
}

// last ends a process by closing its standard input, and reads what it prints then.
func (p *process) last(v any) error {
	return errors.Join(p.stdin.Close(), json.NewDecoder(p.lines).Decode(v))
}

// end kills the process, which may be over.
func (p *process) end() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
