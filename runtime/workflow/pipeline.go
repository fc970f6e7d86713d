package workflow

import (
	"context"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Pipeline is a fixed sequence of stages, each called under its own policy:
//
//	pass := pipeline.Begin(ctx)
//	defer pass.End()
//	if pass.Next() {
//		prompt, err := stages.Prepare(pass, request)
//		pass.Record(err)
//	}
//	if pass.Next() {
//		answer, err = stages.Execute(pass, prompt)
//		pass.Record(err)
//	}
//	return answer, pass.Report(), pass.Err()
//
// It is safe for concurrent use. Generated code makes one.
type Pipeline struct {
	rt     *resilience.Runtime
	name   string // pipeline/Invocation
	stages []Stage
}

// Stage is a stage of a [Pipeline].
type Stage struct {
	Name     string
	Guard    *resilience.Guard // nil: it has no policy
	Optional bool              // where it fails, the pipeline goes on with what the stage was given
}

// pipelinePath is what the names of pipelines begin with.
const pipelinePath = "pipeline/"

// NewPipeline returns the pipeline of that name. Its events go to those who listen
// to rt.
func NewPipeline(rt *resilience.Runtime, name string, stages []Stage) *Pipeline {
	return &Pipeline{rt: rt, name: pipelinePath + name, stages: stages}
}

// Breakers returns the breakers of the stages, in their order. A stage without one,
// or with one for each key, is left out.
func (p *Pipeline) Breakers() []resilience.BreakerSnapshot {
	var list []resilience.BreakerSnapshot
	for _, s := range p.stages {
		if s.Guard == nil {
			continue
		}
		if b := s.Guard.Breaker(); b != nil {
			list = append(list, b.Snapshot())
		}
	}
	return list
}

// Pass is one way through a [Pipeline]. It is the context of the stages, and used
// by one goroutine.
type Pass struct {
	context.Context
	pipeline *Pipeline
	taken    resilience.Taken // by the call of the present stage
	reports  []StageReport    // of the stages that began
	begun    time.Time
	stage    time.Time // when the present one began; zero between stages
	err      error     // of the stage that ended it
}

// Begin begins a way through the pipeline under the caller's ctx; nil means
// context.Background.
func (p *Pipeline) Begin(ctx context.Context) *Pass {
	if ctx == nil {
		ctx = context.Background()
	}
	return &Pass{Context: ctx, pipeline: p, reports: make([]StageReport, 0, len(p.stages)), begun: time.Now()}
}

// Value returns where the call of a stage tells what it took; anything else is the
// caller's.
func (p *Pass) Value(key any) any {
	if _, ok := key.(tellKey); ok {
		return &p.taken
	}
	return p.Context.Value(key)
}

// Next reports whether the next stage is to be called: all before it have
// succeeded, or were optional, and the caller is still there.
func (p *Pass) Next() bool {
	if p.err == nil {
		p.err = p.Context.Err()
	}
	if p.err != nil {
		return false
	}
	p.taken = resilience.Taken{Attempts: untold}
	if p.stage = time.Now(); len(p.reports) == 0 {
		p.stage = p.begun
	}
	return true
}

// untold are the attempts of a call that never told: one without a policy, or whose
// result was kept by an earlier one.
const untold = -1

// Record tells how the stage ended. It reports whether what the stage returned is
// the value from here on.
func (p *Pass) Record(err error) bool {
	stage := &p.pipeline.stages[len(p.reports)]
	if p.taken.Attempts == untold {
		p.taken.Attempts = 1
		if stage.Guard != nil { // its result was kept
			p.taken.Attempts = 0
		}
	}
	p.reports = append(p.reports, StageReport{
		Stage: stage.Name, Attempts: p.taken.Attempts, Duration: time.Since(p.stage), Breaker: p.taken.Breaker,
		FallbackUsed: p.taken.FallbackUsed, Optional: stage.Optional, Err: err,
	})
	if p.pipeline.rt.Listened() {
		p.tell(&p.reports[len(p.reports)-1])
	}
	if err != nil && !stage.Optional {
		p.err = err
	}
	return err == nil
}

// Err returns the error of the stage that ended the pipeline, or that of the
// caller's context, and nil after a success.
func (p *Pass) Err() error { return p.err }

// End tells those who listen that the way is over, also where a stage panicked.
func (p *Pass) End() {
	if !p.pipeline.rt.Listened() {
		return
	}
	e := resilience.Event{Kind: resilience.RunEnded, Name: p.pipeline.name, Elapsed: time.Since(p.begun), Reason: string(Completed), Err: p.err}
	if p.err != nil || len(p.reports) < len(p.pipeline.stages) {
		e.Reason = string(Failed)
	}
	p.pipeline.rt.Tell(p.Context, e)
}

// tell tells those who listen how a stage ended.
func (p *Pass) tell(r *StageReport) {
	e := resilience.Event{
		Kind: resilience.StepDone, Name: p.pipeline.name + "/" + r.Stage, Attempt: r.Attempts, Elapsed: r.Duration, Err: r.Err,
	}
	switch {
	case r.Err != nil && r.Optional:
		e.Kind, e.Reason = resilience.StepFailed, "optional"
	case r.Err != nil:
		e.Kind = resilience.StepFailed
	case r.FallbackUsed:
		e.Reason = "fallback"
	}
	p.pipeline.rt.Tell(p.Context, e)
}
