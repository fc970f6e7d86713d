package migration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// must is for examples, which have nobody to tell.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// stored is a directory for the things of an example that last.
func stored() (dir string, remove func()) {
	dir = must(os.MkdirTemp("", "migration"))
	return dir, func() { _ = os.RemoveAll(dir) }
}

// Quick start: queueRun becomes the generated Run.
func Example_quickStart() {
	ctx := context.Background()
	dir, remove := stored()
	defer remove()
	nodes := &Team{}

	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	defer rt.Close()
	research, err := NewResearchWorkflow(rt, nodes)
	if err != nil {
		panic(err)
	}
	result, err := research.Run(ctx, Question{Text: "why"}, workflow.Options{
		ID:     "invocation-1",     // workflowInvocationId
		Resume: workflow.ResumeYes, // resumeFromCheckpoint
		// NoCheckpoint: true        // enableCheckpointing: false
		// NoHealth:     true        // enableHealthMonitoring: false
	})
	fmt.Println(result.Output.Text, result.Status, err)
	// Output: why, 2 facts completed <nil>
}

// The result has a field for everything that the old one had.
func Example_result() {
	ctx := context.Background()
	research := must(NewResearchWorkflow(must(resilience.Open(resilience.Options{Stores: resilience.MemoryStores()})), &Team{}))

	result, err := research.Run(ctx, Question{Text: "why"}, workflow.Options{ID: "1"})
	fmt.Println("success:", err == nil)
	fmt.Println("data:", result.Output.Text)
	fmt.Println("node failures:", result.NodeFailures)
	fmt.Println("checkpoint used:", result.CheckpointUsed)
	fmt.Println("total cost:", result.Cost)
	fmt.Println("total time is known:", result.Elapsed > 0)
	fmt.Println("steps:", len(result.Steps))
	// Output:
	// success: true
	// data: why, 2 facts
	// node failures: map[]
	// checkpoint used: false
	// total cost: 0
	// total time is known: true
	// steps: 4
}

// Feature 1: a breaker opens after repeated failures, and calls are turned away.
func Example_circuitBreaker() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{}))
	assistant := must(NewResilientAssistant(rt, refusing{}))
	for range 2 {
		_, _ = assistant.Ask(ctx, "anybody there?")
	}
	_, err := assistant.Ask(ctx, "anybody there?")
	fmt.Println(strings.Contains(err.Error(), "circuit"), rt.Breakers()[0].Snapshot().State)
	// Output: true open
}

// Feature 2: retries with growing delays, which respect Retry-After.
func Example_retry() {
	ctx := context.Background()
	busy := &busyFor{failures: 2}
	assistant := must(NewResilientAssistant(must(resilience.Open(resilience.Options{})), busy))
	answer, err := assistant.Ask(ctx, "why?")
	fmt.Println(answer, err, busy.asked)
	// Output: because <nil> 3
}

// Feature 3, and best practice 4: what was done is not done again, whatever
// happened in between.
func Example_checkpointing() {
	ctx := context.Background()
	dir, remove := stored()
	defer remove()
	nodes := &Team{}

	rt := must(resilience.Open(resilience.Options{Dir: dir}))
	stopped, stop := context.WithCancel(ctx)
	research := must(NewResearchWorkflow(rt, &stopping{nodes, stop}))
	_, _ = research.Run(stopped, Question{Text: "why"}, workflow.Options{ID: "invocation-2"})
	if err := rt.Close(); err != nil {
		panic(err)
	}

	rt = must(resilience.Open(resilience.Options{Dir: dir}))
	defer rt.Close()
	research = must(NewResearchWorkflow(rt, nodes))
	result, err := research.Resume(ctx, "invocation-2")
	fmt.Println(result.Output.Text, err, "after plans:", nodes.Plans.Load())
	// Output: why, 2 facts <nil> after plans: 1
}

// stopping are nodes whose process is asked to end while they analyse.
type stopping struct {
	*Team
	stop func()
}

func (s *stopping) Analyse(ctx context.Context, _ Outline) (Analysis, error) {
	s.stop()
	<-ctx.Done()
	return Analysis{}, ctx.Err()
}

// Feature 4, and step 5: health of components, with checks of your own.
func Example_health() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{}))
	defer rt.Close()
	var db database

	err := rt.Health().Register(resilience.Component{
		Name: "database",
		Check: func(ctx context.Context) error {
			return db.PingContext(ctx)
		},
	})
	if err != nil {
		panic(err)
	}
	if err := errors.Join(rt.Health().Start(), rt.Health().Refresh(ctx, "database")); err != nil {
		panic(err)
	}
	for _, c := range rt.Health().Snapshot().Components {
		fmt.Printf("%s: %v\n", c.Name, c.State)
	}
	// Output: database: healthy
}

// Feature 5: what finally failed is kept, others go on, and a replay continues the
// run.
func Example_deadLetters() {
	ctx := context.Background()
	dir, remove := stored()
	defer remove()
	rt := must(resilience.Open(resilience.Options{Dir: dir}))
	defer rt.Close()
	nodes := &Team{}
	nodes.FailAnalyses.Store(3)
	research := must(NewResearchWorkflow(rt, nodes))

	result, _ := research.Run(ctx, Question{Text: "why"}, workflow.Options{ID: "invocation-3"})
	for node, count := range result.NodeFailures {
		fmt.Printf("node %s failed %d times\n", node, count)
	}
	letters := must(rt.DeadLetters().List(ctx, resilience.LetterQuery{})).Letters
	fmt.Println(result.Status, len(letters))

	plan := must(rt.DeadLetters().Plan(ctx, "", resilience.ReplayOptions{}))
	job := must(rt.DeadLetters().Apply(ctx, plan.Token, resilience.ApplyOptions{}))
	for job.State == resilience.JobRunning {
		time.Sleep(time.Millisecond)
		job = must(rt.DeadLetters().Job(ctx, job.ID))
	}
	result, err := research.Get("invocation-3").Result(ctx)
	fmt.Println(result.Output.Text, err)
	// Output:
	// node Analyse failed 1 times
	// parked 1
	// why, 2 facts <nil>
}

// Step 1, and the rollback plan: everything off, and on again, while calls run.
func Example_switchOff() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{}))
	busy := &busyFor{failures: 1}
	assistant := must(NewResilientAssistant(rt, busy))

	rt.SetEnabled(false) // or RESILIENCE_ENABLED=false
	_, err := assistant.Ask(ctx, "why?")
	fmt.Println(err, busy.asked)

	rt.SetEnabled(true)
	rt.SetDurable(false) // useResilientQueueRun: false: new runs are plain, in memory
	answer, err := assistant.Ask(ctx, "why?")
	fmt.Println(answer, err)
	// Output:
	// connect: ECONNREFUSED 1
	// because <nil>
}

// Step 3: the invocation pipeline, guarded stage by stage, with one report.
func Example_pipeline() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{}))
	pipeline, err := NewInvocationPipeline(rt, &Stages{Down: true, NoSummary: true}, Cached{})
	if err != nil {
		panic(err)
	}
	answer, report, err := pipeline.Run(ctx, Prompt{Text: "help"})
	fmt.Println(answer.Text, err)
	for _, stage := range report.Stages {
		fmt.Println(stage.Stage, stage.Attempts, "fallback:", stage.FallbackUsed, "failed:", stage.Err != nil)
	}
	// Output:
	// cached: please help <nil>
	// Prepare 1 fallback: false failed: false
	// Execute 3 fallback: true failed: false
	// Summarize 3 fallback: false failed: true
}

// Step 4: a guard for any critical operation.
func Example_execute() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{}))
	myRiskyOperation := func(context.Context) (string, error) { return "done", nil }

	executor := rt.API("my-service") // or Database, FileSystem, WorkflowNode
	result := resilience.Execute(ctx, executor, func(ctx context.Context) (string, error) {
		return myRiskyOperation(ctx)
	}, nil)
	if result.Err == nil {
		fmt.Println("Success:", result.Value)
	} else {
		fmt.Println("Failed after", result.Attempts, "attempts:", result.Err)
	}
	// Output: Success: done
}

// Presets for environments, also by RESILIENCE_PRESET=production.
func Example_presets() {
	rt := must(resilience.Open(resilience.Options{}))
	rt.Apply(resilience.Production)
	rt.Apply(resilience.Development)
	rt.Apply(resilience.Testing) // every wrapper passes straight through
}

// Custom configuration of what runs: numbers change while calls run.
func Example_updateConfiguration() {
	rt := must(resilience.Open(resilience.Options{}))
	must(NewResilientAssistant(rt, refusing{}))
	err := rt.Update("migration.Assistant", func(p *resilience.Policy) error {
		p.Retry.MaxAttempts = 5
		p.Retry.Backoff.InitialDelay = 2 * time.Second
		p.Retry.Backoff.MaxDelay = 10 * time.Second
		p.Breaker.ConsecutiveFailures = 3
		p.Breaker.OpenDuration = time.Minute
		return nil
	})
	fmt.Println(err)
	fmt.Println(strings.Contains(rt.Explain("migration.Assistant.Ask"), "5"))
	// Output:
	// <nil>
	// true
}

// Best practice 1: a fallback that returns cached or default data.
func Example_fallback() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{}))
	guard := must(rt.Guard("service", resilience.Policy{Retry: resilience.Retry{MaxAttempts: 2, Backoff: resilience.Backoff{Strategy: resilience.NoBackoff}}}))
	result := resilience.Execute(ctx, guard, func(context.Context) (string, error) {
		return "", ErrRefused
	}, func(context.Context, error) (string, error) {
		return "cached data", nil
	})
	fmt.Println(result.Value, result.Err, result.FallbackUsed, result.Attempts)
	// Output: cached data <nil> true 2
}

// Best practice 2: say which errors are worth another attempt. In YAML, retryOn and
// abortOn do that by the names of errors, checked by the compiler's types.
func Example_retryableErrors() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{}))
	guard := must(rt.Guard("my-operation", resilience.Policy{
		Retry: resilience.Retry{
			MaxAttempts: 3,
			Backoff:     resilience.Backoff{Strategy: resilience.NoBackoff},
			RetryOn: resilience.Matcher{Match: func(err error) bool {
				return strings.Contains(err.Error(), "ECONNREFUSED") // only network errors
			}},
		},
	}))
	result := resilience.Execute(ctx, guard, func(context.Context) (string, error) { return "", ErrRefused }, nil)
	fmt.Println(result.Attempts)
	result = resilience.Execute(ctx, guard, func(context.Context) (string, error) { return "", os.ErrInvalid }, nil)
	fmt.Println(result.Attempts)
	// Output:
	// 3
	// 1
}

// Best practice 3, and monitoring: the states of all breakers, of one, and a reset.
func Example_breakers() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{}))
	assistant := must(NewResilientAssistant(rt, refusing{}))
	for range 2 {
		_, _ = assistant.Ask(ctx, "anybody there?")
	}
	for _, b := range rt.Breakers() {
		if s := b.Snapshot(); s.State == resilience.StateOpen {
			fmt.Printf("Circuit breaker %s is open: %d openings\n", s.Name, s.Openings)
		}
	}
	fmt.Println(rt.Breaker("migration.Assistant.Ask").Snapshot().Consecutive)
	rt.ResetBreakers()
	fmt.Println(rt.Breakers()[0].Snapshot().State)
	// Output:
	// Circuit breaker migration.Assistant.Ask is open: 1 openings
	// 5
	// closed
}

// Monitoring: whether a run has a checkpoint, and what it says.
func Example_checkpointStatus() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{Stores: resilience.MemoryStores()}))
	research := must(NewResearchWorkflow(rt, &Team{}))
	must(research.Run(ctx, Question{Text: "why"}, workflow.Options{ID: "invocation-4"}))

	checkpoint := research.Checkpoint("invocation-4")
	exists := must(checkpoint.Exists(ctx))
	data := must(checkpoint.Load(ctx, 0)) // 0: as it stands
	list := must(checkpoint.List(ctx))
	fmt.Println(exists, data.Status, len(list) > 0)
	fmt.Println(must(research.Checkpoint("unknown").Exists(ctx)))
	// Output:
	// true completed true
	// false
}

// Monitoring: which nodes failed, from the letters that are kept.
func Example_deadLetterAnalysis() {
	ctx := context.Background()
	rt := must(resilience.Open(resilience.Options{Stores: resilience.MemoryStores()}))
	nodes := &Team{}
	nodes.FailAnalyses.Store(3)
	research := must(NewResearchWorkflow(rt, nodes))
	_, _ = research.Run(ctx, Question{Text: "why"}, workflow.Options{ID: "1"})
	for _, p := range must(rt.DeadLetters().Patterns(ctx, "")) {
		fmt.Println(p.Total, p.Interface, p.Method, p.Reason)
	}
	// Output: 1 github.com/resilgen/resilgen/examples/migration.Research Analyse exhausted
}

// database stands for a *sql.DB.
type database struct{}

func (database) PingContext(ctx context.Context) error { return ctx.Err() }

// refusing is a service that is down, and busyFor one that is for a while.
type refusing struct{}

func (refusing) Ask(context.Context, string) (string, error) { return "", ErrRefused }

type busyFor struct{ failures, asked int }

func (b *busyFor) Ask(context.Context, string) (string, error) {
	if b.asked++; b.asked <= b.failures {
		return "", ErrRefused
	}
	return "because", nil
}
