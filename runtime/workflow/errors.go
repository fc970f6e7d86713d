package workflow

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of runs, matched with errors.Is.
var (
	// ErrRunBusy says that somebody runs the run now.
	ErrRunBusy = errors.New("somebody runs it")
	// ErrRunExists says that the id is known, the run has not ended, and it is not to
	// be resumed.
	ErrRunExists = errors.New("the run exists and has not ended")
	// ErrRunInput says that the id is known with another input.
	ErrRunInput = errors.New("the run has another input")
	// ErrRunUnknown says that there is no run with the id.
	ErrRunUnknown = errors.New("no such run")
	// ErrRunID says that a text cannot be the id of a run.
	ErrRunID = errors.New("not an id of a run")
	// ErrRunOver says that the run has ended, and takes nothing any more.
	ErrRunOver = errors.New("the run has ended")
	// ErrDisabled says that what is durable is switched off.
	ErrDisabled = errors.New("what is durable is switched off")
	// ErrGraphChanged says that the run was begun in a graph that does not fit; see
	// [GraphError].
	ErrGraphChanged = errors.New("the graph has changed")
	// ErrCancelled says that somebody ended the run.
	ErrCancelled = errors.New("cancelled")
	// ErrLimit says that the run passed one of its limits.
	ErrLimit = errors.New("limit exceeded")
	// ErrParked says that letters stand between the run and its output.
	ErrParked = errors.New("parked: dead letters stand between the run and its output")
	// ErrWaiting says that the run waits for a time, a signal or a child.
	ErrWaiting = errors.New("it waits")
	// ErrFailed says that no way to an output is left.
	ErrFailed = errors.New("no way to an output is left")
	// ErrLogWentBack says that the log of a run is shorter than it was, or that
	// something of it is missing.
	ErrLogWentBack = errors.New("the log of the run went back")
)

// RunError says how a run ended that has no output, or why it did not go on.
type RunError struct {
	ID       string
	Workflow string // Research
	Status   Status
	Err      error
}

func (e *RunError) Error() string {
	return fmt.Sprintf("%s, run %s: %v", e.Workflow, e.ID, e.Err)
}

// Unwrap returns what is behind it.
func (e *RunError) Unwrap() error { return e.Err }

// GraphError lists what stands against going on with a run in a graph that has
// changed. It matches [ErrGraphChanged].
type GraphError struct {
	Workflow string
	Run      string
	Against  []string
	Changes  []string // all that is different
}

func (e *GraphError) Error() string {
	return fmt.Sprintf("the graph of %s has changed, and run %s cannot go on in it: %s", e.Workflow, e.Run, strings.Join(e.Against, "; "))
}

// Is matches [ErrGraphChanged].
func (e *GraphError) Is(target error) bool { return target == ErrGraphChanged }
