// Command steps does ten steps of a run by a wrapper that keeps checkpoints. The
// runs of a directory share its store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/testdata/crash/speak"
)

//go:generate go run github.com/resilgen/resilgen/cmd/resilgen generate

// Step is a part of a run.
type Step struct {
	ID string `json:"id"`
	N  int    `json:"n"`
}

// Worker does steps.
type Worker interface {
	// Square returns N times N.
	Square(ctx context.Context, step Step) (int, error)
	// Finish returns N.
	Finish(ctx context.Context, step Step) (int, error)
}

// worker is a Worker who says what he does.
type worker struct{}

func (worker) Square(_ context.Context, step Step) (int, error) {
	speak.Executed(step.ID)
	return step.N * step.N, nil
}

func (worker) Finish(_ context.Context, step Step) (int, error) {
	speak.Executed(step.ID)
	return step.N, nil
}

func main() {
	rival := flag.Bool("rival", false, "start a second process that does the same at the same time")
	flag.Parse()
	log.SetFlags(0)
	if err := start(*rival, flag.Arg(0), flag.Arg(1)); err != nil {
		log.Fatal(err)
	}
}

// start does a run, with a rival or without.
func start(rival bool, dir, run string) error {
	ctx := context.Background()
	if !rival {
		return do(ctx, dir, run)
	}
	runtime.LockOSThread() // whose end kills the child
	cmd := exec.CommandContext(ctx, os.Args[0], dir, run)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// Who waits takes over from the one who was killed, or is killed with him.
	if rand.N(2) == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err := do(ctx, dir, run)
	return errors.Join(err, cmd.Wait())
}

// do does what is left of a run.
func do(ctx context.Context, dir, run string) (err error) {
	var kept speak.Checkpoints
	rt, err := speak.Open(ctx, resilience.Options{Dir: dir, Observe: kept.Observe})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	w, err := NewResilientWorker(rt, worker{})
	if err != nil {
		return err
	}
	sum := 0
	for n := range 10 {
		step, square := Step{ID: fmt.Sprintf("%s-%d", run, n), N: n}, 0
		err := kept.Keep(ctx, step.ID, func() (err error) {
			square, err = w.Square(ctx, step)
			return err
		})
		if err != nil {
			return err
		}
		sum += square
	}
	last := Step{ID: run + "-sum", N: sum}
	err = kept.Keep(ctx, last.ID, func() (err error) {
		sum, err = w.Finish(ctx, last)
		return err
	})
	if err == nil {
		speak.Result(sum)
	}
	return err
}
