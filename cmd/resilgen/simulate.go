package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/runtime/simulation"
)

// scenario is a command line of simulate.
type scenario struct {
	target generator.SimulationTarget
	order  simulation.Order
	outage outage
	svg    string // path
}

func (env *environment) simulateFlags() (*flag.FlagSet, *scenario) {
	s := &scenario{order: simulation.Order{Status: 503, Config: simulation.Config{Seed: 1, Rate: 100}}}
	c := &s.order.Config
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Func("arrivals", "`rate` of calls: 200/s, 90/m; 100/s by default, at random times", func(text string) (err error) {
		c.Rate, err = parseRate(text)
		return err
	})
	flags.BoolVar(&c.Uniform, "uniform", false, "calls come evenly, instead of at random times")
	flags.Func("duration", "`time` that calls come for; 2m by default, and more around a longer outage", positive(&c.Duration))
	flags.Func("outage", "how `long` the callee is out, in the middle, or from a time on: 30s, 30s@1m", func(text string) (err error) {
		s.outage, err = parseOutage(text)
		return err
	})
	flags.Func("outage-mode", "`what` an attempt does in an outage: fail at once (the default), or hang until its context or the outage ends", func(text string) error {
		c.Outage.Hang = text == "hang"
		return oneOf(text, "fail", "hang")
	})
	flags.Func("latency", "of answers, log-normal: p50=20ms,p99=400ms, or one `duration` for all; p50=20ms,p99=100ms by default", func(text string) (err error) {
		c.P50, c.P99, err = parseLatency(text)
		return err
	})
	flags.Func("failures", "`share` of the attempts that fail, besides an outage: 5%; none by default", func(text string) (err error) {
		c.Failures, err = parseShare(text)
		return err
	})
	flags.Func("error", "`what` attempts fail with: an HTTP status, or an error variable as policies name it, ErrBusy; by default 503, or what retryOn names if it names nothing else", func(text string) (err error) {
		s.order.Status, s.target.Failure, err = parseFailure(text)
		s.target.ByStatus = s.target.Failure == ""
		return err
	})
	flags.Func("capacity", "`number` of attempts that the callee works on at a time, while others queue; any number by default", func(text string) (err error) {
		c.Capacity, err = parseCount(text)
		return err
	})
	flags.Func("instances", "`number` of instances of the service that take turns with the calls, each with breakers of its own; 1 by default", func(text string) (err error) {
		c.Instances, err = parseCount(text)
		return err
	})
	flags.Func("deadline", "`time` that every caller has; none by default", positive(&c.Deadline))
	flags.Uint64Var(&c.Seed, "seed", c.Seed, "`number` that all that is random follows from")
	flags.BoolVar(&env.json, "json", false, "print the result as JSON")
	flags.StringVar(&s.svg, "svg", "", "write the time line to a `file`")
	return flags, s
}

// simulate runs the generated wrapper under a modelled load, in virtual time.
func simulate(ctx context.Context, env *environment, args []string) error {
	s, err := env.scenario(args)
	if err != nil {
		return err
	}
	env.status.say("generating the simulation of %s", s.target.Method)
	sim, err := generator.Simulate(ctx, generator.Config{Dir: "."}, s.target)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	dir, err := os.MkdirTemp("", "resilgen-simulate-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	env.status.say("compiling the simulation of %s", s.target.Method)
	if err := compileSimulation(ctx, dir, sim); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	env.status.say("simulating %v of %s", s.order.Config.Duration, s.target.Method)
	result, err := runSimulation(ctx, dir, sim, s.order)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	return env.tell(s, sim, result)
}

// scenario reads the command line. The target may stand before or after flags.
func (env *environment) scenario(args []string) (*scenario, error) {
	flags, s := env.simulateFlags()
	for rest := args; ; {
		if err := env.parseAll(flags, rest); err != nil {
			return nil, err
		}
		if rest = flags.Args(); len(rest) == 0 {
			break
		}
		if s.target.Method != "" {
			return nil, usageError{fmt.Sprintf("simulate wants one Interface.Method, and was given %s and %s", s.target.Method, rest[0])}
		}
		s.target.Method, rest = rest[0], rest[1:]
	}
	if s.target.Method == "" {
		return nil, usageError{"simulate wants an Interface.Method, like Gateway.Charge"}
	}
	return s, s.complete(flags)
}

// parseAll parses flags up to the first argument that is none.
func (env *environment) parseAll(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		env.help(flags.Name())
		return err
	case err != nil:
		return usageError{fmt.Sprintf("%v; resilgen help %s lists the flags", err, flags.Name())}
	}
	return nil
}

// complete fills in what depends on several flags.
func (s *scenario) complete(flags *flag.FlagSet) error {
	c := &s.order.Config
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["latency"] {
		c.P50, c.P99 = 20*time.Millisecond, 100*time.Millisecond
	}
	if given["outage-mode"] && !given["outage"] {
		return usageError{"-outage-mode says what happens in an outage: give -outage, too"}
	}
	if c.Duration == 0 {
		c.Duration = max(2*time.Minute, 3*s.outage.length, s.outage.start+2*s.outage.length)
	}
	c.Outage.Start, c.Outage.Length = s.outage.start, s.outage.length
	if !s.outage.placed {
		c.Outage.Start = (c.Duration - c.Outage.Length) / 2
	}
	if c.Outage.Length == 0 {
		c.Outage.Start = 0
	}
	if end := c.Outage.Start + c.Outage.Length; c.Outage.Start < 0 || end > c.Duration {
		return usageError{fmt.Sprintf("an outage of %v that ends %v after the beginning is longer than -duration %v", c.Outage.Length, end, c.Duration)}
	}
	if n := c.Rate * c.Duration.Seconds(); n > simulation.MaxCalls {
		return usageError{fmt.Sprintf("%.0f calls in %v are more than %d: give a lower -arrivals or a shorter -duration", n, c.Duration, simulation.MaxCalls)}
	}
	return nil
}

// binary is the name of the test binary in the temporary directory, as every
// system runs it.
const binary = "simulation.test.exe"

// compileSimulation builds the test binary in dir. The package on disk stays as it is:
// the go command is told what to read instead.
func compileSimulation(ctx context.Context, dir string, sim *generator.Simulation) error {
	replace := map[string]string{}
	for _, path := range sim.Hidden {
		replace[path] = "" // as if it were not there
	}
	for i, f := range sim.Files {
		at := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(at, f.Content, 0o600); err != nil {
			return err
		}
		replace[f.Path] = at
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", path, "-o", filepath.Join(dir, binary), ".").CombinedOutput()
	if err != nil {
		return uncompiled(dir, out, err)
	}
	return nil
}

// uncompiled says why the go command failed on files in dir and those of the
// package.
func uncompiled(dir string, out []byte, err error) error {
	text := strings.TrimSpace(string(out))
	switch {
	case strings.Contains(text, "no required module provides package "+runtimeModule), strings.Contains(text, "cannot find module providing package "+runtimeModule):
		return fmt.Errorf("the module here does not require %s, whose runtime is simulated: go get %s", runtimeModule, runtimeModule+"@"+moduleVersion())
	case strings.Contains(text, dir):
		return fmt.Errorf("what is generated does not compile in this package. Is %s, which the module here requires, of another version than this command (%s)? go tool resilgen is of the same\n%s", runtimeModule, toolVersion(), text)
	case text == "":
		return fmt.Errorf("the simulation could not be compiled: %w", err)
	}
	return fmt.Errorf("the package does not compile together with the simulation:\n%s", text)
}

const runtimeModule = "github.com/resilgen/resilgen"

// moduleVersion is what to ask the go command for.
func moduleVersion() string {
	if v := toolVersion(); strings.HasPrefix(v, "v") && !strings.Contains(v, "+dirty") {
		return v
	}
	return "latest"
}

// runSimulation runs the test binary. One processor and no preemption keep what happens at
// one virtual instant in one order.
func runSimulation(ctx context.Context, dir string, sim *generator.Simulation, order simulation.Order) (*simulation.Result, error) {
	path := filepath.Join(dir, "order.json")
	data, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, binary), "-test.run=^"+sim.Test+"$", "-test.timeout=0", "-test.count=1")
	cmd.Env = append(os.Environ(), simulation.Variable+"="+path, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the simulation failed (%w):\n%s", err, strings.TrimSpace(out.String()))
	}
	var report simulation.Report
	if data, err = os.ReadFile(path); err == nil {
		err = json.Unmarshal(data, &report)
	}
	if err != nil {
		return nil, err
	}
	if report.Err != "" {
		return nil, errors.New(report.Err)
	}
	return report.Result, nil
}
