package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/workflow"
)

var began = time.Date(2026, 11, 27, 18, 0, 0, 0, time.UTC)

// parkedRun has planned, analysed, failed to write, and waits for a signal.
func parkedRun() *workflow.RunDetail {
	return &workflow.RunDetail{
		RunSummary: workflow.RunSummary{
			Workflow: "example.com/app/research.Research", ID: "run-42", Status: workflow.Parked, Started: began, Updated: began.Add(9 * time.Second),
			Steps: 4, Failures: 1, Cost: 0.42, Owner: "host/17/3", Waiting: "letters of Write",
		},
		Graph: workflow.RunGraph{Name: "Research", Fingerprint: "0123456789abcdef", Entry: "Plan", Nodes: []workflow.RunNode{
			{Name: "Review", WaitFor: []string{"Analyse", "Write", "Approve"}, Next: []string{"end"}},
			{Name: "Plan", Next: []string{"Analyse", "Write", "Approve"}},
			{Name: "Analyse", Routes: true, Next: []string{"Review", "Plan", "end"}},
			{Name: "Write", Next: []string{"Review"}},
			{Name: "Approve", Kind: "signal", Of: "approval", Next: []string{"Review"}},
		}},
		Input: json.RawMessage(`{"text":"why"}`),
		Err:   "parked: dead letters stand between the run and its output",
		Steps: []workflow.RunStep{
			{Node: "Plan", Message: "0", Attempts: 1, Started: began, Duration: time.Second, Outcome: "done", Version: 2,
				Sent: []workflow.SentMessage{{ID: "a", To: "Analyse"}, {ID: "w", To: "Write"}, {ID: "s", To: "Approve"}}},
			{Node: "Analyse", Message: "a", Attempts: 3, Started: began.Add(time.Second), Duration: 1500 * time.Millisecond, Outcome: "routed", Cost: 0.42, Version: 3,
				Sent: []workflow.SentMessage{{ID: "ar", To: "Review"}, {ID: "x", To: "end"}}},
			{Node: "Write", Message: "w", Attempts: 4, Started: began.Add(time.Second), Duration: 8 * time.Second, Outcome: "failed", Err: "model is overloaded", Letter: "01LETTER", Version: 4},
		},
		Pending: []workflow.PendingMessage{
			{ID: "s", From: "Plan", To: "Approve", Due: began.Add(72 * time.Hour), Waiting: "signal approval"},
			{ID: "ar", From: "Analyse", To: "Review"},
		},
		Joins:   []workflow.WaitingJoin{{Node: "Review", Arrived: map[string]int{"Analyse": 1}, Missing: []string{"Write", "Approve"}, Parked: true}},
		Letters: []string{"01LETTER"},
		Version: 4, Epoch: 1, Resumes: 2,
	}
}

func printed(t *testing.T, d *workflow.RunDetail) string {
	t.Helper()
	var b bytes.Buffer
	o := &output{env: &environment{stdout: &b}}
	require.NoError(t, o.run(d, began.Add(time.Minute)))
	return b.String()
}

func TestRunIsShownAsATree(t *testing.T) {
	require.Equal(t, `run        run-42  parked
workflow   example.com/app/research.Research  graph 0123456789abcdef
started    2026-11-27T18:00:00Z  updated 2026-11-27T18:00:09Z
done       4 steps  1 failed  cost 0.42
owner      host/17/3  resumed 2 times  version 4
input      {"text":"why"}
error      parked: dead letters stand between the run and its output
waits for  letters of Write
join       Review  for Write, Approve  parked by letters
pending    Approve  for signal approval  due 2026-11-30T18:00:00Z, in 71h59m0s
letters    01LETTER  resilgen dlq show says why
steps
Plan                     done · 1s · 2026-11-27T18:00:00Z
├─ Analyse               done · routed · 3 attempts · 1.5s · cost 0.42 · 2026-11-27T18:00:01Z
│  ├─ Review             waiting · for Write, Approve · parked by letters
│  └─ end
├─ Write                 failed · 4 attempts · 8s · 2026-11-27T18:00:01Z · letter 01LETTER · model is overloaded
└─ Approve               waiting · for signal approval · due 2026-11-30T18:00:00Z, in 71h59m0s
`, printed(t, parkedRun()))
}

// A letter that was replayed stands under the step that failed, a join under the
// last that it took from, and what came too late for one says so.
func TestRunTreeOfReplaysAndJoins(t *testing.T) {
	d := parkedRun()
	d.Status, d.Waiting, d.Err, d.Joins, d.Letters, d.Resumes = workflow.Completed, "", "", nil, nil, 0
	d.Ended = began.Add(time.Hour)
	d.Output = json.RawMessage(`{"pages":3}`)
	d.Pending = nil
	at := began.Add(time.Hour)
	d.Steps = append(d.Steps,
		workflow.RunStep{Node: "Write", Message: "w", Attempts: 1, Started: at, Duration: time.Second, Outcome: "done", Version: 5, Sent: []workflow.SentMessage{{ID: "wr", To: "Review"}, {ID: "late", To: "Review"}}},
		workflow.RunStep{Node: "Approve", Message: "s", Started: at, Outcome: "skipped", Version: 6, Sent: []workflow.SentMessage{{ID: "sr", To: "Review"}}},
		workflow.RunStep{Node: "Review", Message: "r", Consumed: []string{"ar", "wr", "sr"}, Attempts: 1, Started: at, Duration: time.Second, Outcome: "done", Version: 7, Sent: []workflow.SentMessage{{ID: "o", To: "end"}}},
	)
	_, tree, _ := strings.Cut(printed(t, d), "steps\nPlan")
	require.Equal(t, `                     done · 1s · 2026-11-27T18:00:00Z
├─ Analyse               done · routed · 3 attempts · 1.5s · cost 0.42 · 2026-11-27T18:00:01Z
│  ├─ Review, below
│  └─ end
├─ Write                 failed · 4 attempts · 8s · 2026-11-27T18:00:01Z · letter 01LETTER · model is overloaded
│  ↓ Write               done · 1s · 2026-11-27T19:00:00Z
│  ├─ Review, below
│  └─ Review             dropped: it came too late
└─ Approve               done · skipped · 2026-11-27T19:00:00Z
   ↓ Review              joins 3 · done · 1s · 2026-11-27T19:00:00Z
   ↓ end
`, tree)
}

func TestRunGraphSaysWhatRanWhen(t *testing.T) {
	c := runGraph(parkedRun(), began.Add(time.Minute))
	require.Equal(t, `research.Research run-42: parked
letters of Write
parked: dead letters stand between the run and its output

Plan                     done · 1 time · 1s · 18:00:00 – 18:00:01
├─ Analyse               done · 1 time, 3 attempts · 1.5s · 18:00:01 – 18:00:02 · picks what follows
│  ├┄ Review, below
│  ├┄ Plan, again (a cycle)
│  └┄ end
├─ Write                 failed · 1 time, 4 attempts, 1 failed · 8s · 18:00:01 – 18:00:09 · letters
│  ↓ Review, below
└─ Approve               waiting · signal approval · for signal approval · due 2026-11-30T18:00:00Z, in 71h59m0s
   ↓ Review              joins all · waiting · for Write, Approve · parked by letters
   ↓ end
`, string(text(c, false)))
	matches(t, "testdata/run.svg", drawn(t, c))
	require.Contains(t, string(mermaid(c)), "  classDef waiting fill:#fff0c9,stroke:#aa7700,color:#222222\n  class n1,n4 waiting\n")
}

// A run that is refused says why, what has changed, and what helps.
func TestRefusedRunIsShown(t *testing.T) {
	d := parkedRun()
	d.Status, d.Waiting, d.Err, d.Joins, d.Letters, d.Pending = workflow.Refused, "its graph has changed: …", "", nil, nil, nil
	d.Refused = &workflow.RunRefusal{At: began, Fingerprint: "fedcba9876543210", Against: []string{"message s from Plan waits for node Approve, which is gone"},
		Changes: []string{"node Approve is gone", "node Check is new"}}
	facts, _, _ := strings.Cut(printed(t, d), "steps\n")
	_, facts, _ = strings.Cut(facts, "input ")
	require.Equal(t, `     {"text":"why"}
refused    in graph fedcba9876543210  tried 2026-11-27T18:00:00Z
against it message s from Plan waits for node Approve, which is gone
changed    node Approve is gone
changed    node Check is new
what helps workflow.Migrate(rt, "example.com/app/research.Research", "0123456789abcdef", …), or the graph as it was
`, facts)
}

// The stages of a pipeline that is a node stand under it, before what it sent.
func TestStagesAreShown(t *testing.T) {
	d := parkedRun()
	d.Steps[1].Stages = []workflow.RunStage{
		{Stage: "Prepare", Attempts: 1, Duration: time.Millisecond, Breaker: "closed"},
		{Stage: "Execute", Attempts: 3, Duration: time.Second, FallbackUsed: true, Breaker: "open"},
		{Stage: "Summarize", Optional: true, Duration: time.Millisecond, Err: "no" + nasty},
		{Stage: "Send", Skipped: true},
	}
	out := printed(t, d)
	printable(t, out)
	_, tree, _ := strings.Cut(out, "├─ Analyse ")
	tree, _, _ = strings.Cut(tree, "├─ Write")
	require.Equal(t, `                done · routed · 3 attempts · 1.5s · cost 0.42 · 2026-11-27T18:00:01Z
│  ├─ Prepare              done · stage · 1ms
│  ├─ Execute              done · stage · fallback · 3 attempts · 1s · breaker open
│  ├─ Summarize            failed · stage · optional · 0 attempts · 1ms · no`+clean(nasty)+`
│  ├─ Send                 stage · skipped
│  ├─ Review               waiting · for Write, Approve · parked by letters
│  └─ end
`, tree)
}

// What a run that was cancelled had not done yet is not waiting.
func TestEndedRunHasNothingThatWaits(t *testing.T) {
	d := parkedRun()
	d.Status, d.Waiting, d.Joins, d.Pending, d.Ended = workflow.Cancelled, "", nil, nil, began.Add(time.Hour)
	out := printed(t, d) + string(text(runGraph(d, began.Add(time.Hour)), false))
	require.NotContains(t, out, "waiting")
	require.NotContains(t, out, "waits for")
	require.Contains(t, out, "└─ Approve               not done: the run ended\n")
}

// What a store says may be anything: it is shown and not obeyed.
func TestRunIsShownAndNotObeyed(t *testing.T) {
	d := &workflow.RunDetail{
		RunSummary: workflow.RunSummary{Workflow: nasty, ID: nasty, Status: nasty, Owner: nasty, Waiting: nasty},
		Graph:      workflow.RunGraph{Name: nasty, Fingerprint: nasty, Entry: nasty, Nodes: []workflow.RunNode{{Name: nasty, Kind: nasty, Of: nasty, Next: []string{nasty, "nowhere"}, WaitFor: []string{nasty}}}},
		Input:      json.RawMessage(`"` + nasty + `"`), Output: json.RawMessage("no JSON \x1b"), Err: nasty,
		Steps: []workflow.RunStep{
			{Node: nasty, Message: "1", Consumed: []string{"1"}, Outcome: nasty, Err: nasty, Letter: nasty, Sent: []workflow.SentMessage{{ID: "1", To: nasty}, {ID: "2", To: nasty}}},
			{Node: nasty, Message: "2", Sent: []workflow.SentMessage{{ID: "1", To: nasty}}}, // of each other
		},
		Pending: []workflow.PendingMessage{{ID: nasty, From: nasty, To: nasty, Waiting: nasty}},
		Joins:   []workflow.WaitingJoin{{Node: nasty, Missing: []string{nasty}}},
		Letters: []string{nasty},
		Unread:  []workflow.UnreadEntry{{ID: nasty, Why: nasty, Body: []byte("no entry " + nasty)}},
		Refused: &workflow.RunRefusal{Fingerprint: nasty, Against: []string{nasty}, Changes: []string{nasty}},
	}
	require.Contains(t, printed(t, d), "no entry ")
	c := runGraph(d, began)
	picture := drawn(t, c)
	wellFormed(t, string(picture))
	for _, out := range []string{printed(t, d), string(picture), string(mermaid(c)), string(text(c, false))} {
		for _, bad := range []string{"\x1b", "\a", "\u009b", "\u202e", "\x00", "\x7f"} {
			require.NotContains(t, out, bad)
		}
	}
}

// A run of many steps is shown whole, and does not leave the screen to the right.
func TestLongRunIsShown(t *testing.T) {
	d := &workflow.RunDetail{RunSummary: workflow.RunSummary{ID: "long", Status: workflow.Completed}}
	for i := range 20_000 {
		d.Steps = append(d.Steps, workflow.RunStep{Node: "Loop", Message: fmt.Sprint(i), Outcome: "done", Sent: []workflow.SentMessage{{ID: fmt.Sprint(i + 1), To: "Loop"}, {ID: fmt.Sprint("x", i), To: "end"}}})
	}
	out := printed(t, d)
	require.Greater(t, strings.Count(out, "Loop"), 20_000)
	for line := range strings.Lines(out) {
		require.Less(t, columns(strings.TrimSuffix(line, "\n")), 140)
	}
}
