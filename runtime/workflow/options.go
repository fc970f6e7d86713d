package workflow

import (
	"context"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Event is something that happened in a run; see the kinds of
// [resilience.EventKind] from RunStarted on.
type Event = resilience.Event

// Options are what a call of Run or Start may say. The zero value is the default.
type Options struct {
	// ID is that of the run; "" gets a new one. What is known under an id is not done
	// again.
	ID     string
	Resume Resume // whether a known run that has not ended goes on
	// NoCheckpoint runs in memory: nothing is recorded, and what was is not asked.
	NoCheckpoint bool
	NoHealth     bool   // the run does not count for the health of the workflow
	Priority     string // of the queue that Start puts it into
	// Observer is told of the run's events, besides that of the Runtime: of one at a
	// time, by whichever goroutine drives the run then, which waits for it.
	Observer func(context.Context, Event)

	parent string // who waits for the run: a parentRef
}

// Resume says whether a known run that has not ended goes on.
type Resume uint8

// Whether runs go on.
const (
	ResumeDefault Resume = iota // as the graph says
	ResumeYes
	ResumeNo
)
