package workflow

import (
	"strings"
	"time"
)

// RunStage is what a stage of a pipeline took that was a node of a run: what
// [StageReport] says, as its record keeps it.
type RunStage struct {
	Stage        string        `json:"stage"`
	Attempts     int           `json:"attempts"`
	Duration     time.Duration `json:"duration"`          // nanoseconds
	Breaker      string        `json:"breaker,omitempty"` // its state after the stage
	FallbackUsed bool          `json:"fallbackUsed,omitempty"`
	Optional     bool          `json:"optional,omitempty"`
	Skipped      bool          `json:"skipped,omitempty"` // it was not called
	Err          string        `json:"error,omitempty"`   // at most 256 bytes of it
}

// What a record keeps of a pipeline.
const (
	maxStages     = 64  // the first ones
	maxStageError = 256 // bytes
)

// stages are those of a report as a record keeps them.
func (r *Report) stages() []RunStage {
	list := make([]RunStage, min(len(r.Stages), maxStages))
	for i := range list {
		list[i] = r.Stages[i].kept()
	}
	return list
}

func (s *StageReport) kept() RunStage {
	v := RunStage{
		Stage: s.Stage, Attempts: s.Attempts, Duration: s.Duration, FallbackUsed: s.FallbackUsed, Optional: s.Optional, Skipped: s.Skipped,
	}
	if s.Breaker != 0 {
		v.Breaker = s.Breaker.String()
	}
	if s.Err != nil {
		v.Err = errText(s.Err)
	}
	if len(v.Err) > maxStageError {
		v.Err = strings.ToValidUTF8(v.Err[:maxStageError], "")
	}
	return v
}
