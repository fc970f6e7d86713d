package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// planned returns the token of a plan of everything that is dead.
func (s *running) planned(flags ...string) resilience.Plan {
	s.t.Helper()
	code, out, errs := s.dlq(append([]string{"plan", "--json", "state:dead"}, flags...)...)
	require.Equal(s.t, 0, code, errs)
	return jsonLines[resilience.Plan](s.t, out)[0]
}

func TestDLQPlanAndApply(t *testing.T) {
	s := startService(t)
	for i := range 3 {
		s.tell(fmt.Sprintf("keep c-%d", i))
	}
	s.tell("odd o-1")
	code, out, errs := s.dlq("plan", "queue:notices", "--rate", "600/m")
	require.Equal(t, 0, code, errs)
	printable(t, out)
	require.Contains(t, out, "3 letters")
	require.Contains(t, out, "10 a second, 1 at a time")
	command := regexp.MustCompile(`resilgen dlq apply .*`).FindString(out)
	require.Contains(t, command, "--addr "+s.addr)
	s.tell("keep c-late")
	s.tell("heal")
	code, out, errs = tool(t, t.TempDir(), strings.Fields(command)[1:]...)
	require.Equal(t, 0, code, errs)
	require.Equal(t, 3, strings.Count(out, "succeeded"), out)
	require.Contains(t, errs, "3 succeeded")
	var ledger []notice
	require.NoError(t, json.Unmarshal([]byte(s.tell("ledger")), &ledger))
	require.Len(t, ledger, 3, "what came after the plan is not replayed")
	require.EqualValues(t, 1<<62+1, ledger[0].Cents)
	require.Equal(t, canary, ledger[0].Card, "what is sealed is replayed")

	code, out, errs = tool(t, t.TempDir(), strings.Fields(command)[1:]...)
	require.Equal(t, exitConflict, code, errs)
	require.Empty(t, out)
	require.Contains(t, errs, "was applied")
	code, _, errs = s.dlq("apply", strings.Repeat("0", 32))
	require.Equal(t, exitConflict, code, errs)
	require.Contains(t, errs, "plan again")

	code, out, errs = s.dlq("jobs")
	require.Equal(t, 0, code, errs)
	printable(t, out)
	require.Equal(t, 2, strings.Count(out, "\n"), out)
	id := strings.Fields(strings.Split(out, "\n")[1])[0]
	code, out, errs = s.dlq("jobs", id)
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "done")
	require.Equal(t, 3, strings.Count(out, "Z  01"), out)
	code, _, errs = s.dlq("jobs", "cancel", id)
	require.Equal(t, exitConflict, code, errs)
	code, _, errs = s.dlq("jobs", "01j00000000000000000000000")
	require.Equal(t, exitNotFound, code, errs)
}

// TestDLQApplyThatFails: the gateway is still down.
func TestDLQApplyThatFails(t *testing.T) {
	s := startService(t)
	id := s.tell("keep c-1")
	p := s.planned("--rate", "1000")
	code, out, errs := s.dlq("apply", "--json", p.Token)
	require.Equal(t, exitFindings, code, errs)
	lines := jsonLines[applyLine](t, out)
	require.Len(t, lines, 2)
	require.Equal(t, id, lines[0].Result.Letter)
	require.Equal(t, 1, lines[1].Job.Total)
	printable(t, out+errs)
	require.Contains(t, errs, "none of 1 letters was replayed")
}

// TestDLQDuplicates: what is not idempotent wants the name of its queue.
func TestDLQDuplicates(t *testing.T) {
	s := startService(t)
	s.tell("odd o-1")
	s.tell("heal")
	code, out, errs := s.dlq("plan", "method:Notify")
	require.Equal(t, 0, code, errs)
	printable(t, out)
	require.Contains(t, out, `--allow-duplicates 'q\u{1b}[31mred`)
	p := s.planned()
	code, _, errs = s.dlq("apply", p.Token)
	require.Equal(t, exitRefused, code, errs)
	require.Contains(t, errs, "not idempotent")
	code, _, errs = s.dlq("apply", p.Token, "--allow-duplicates", "notices")
	require.Equal(t, exitRefused, code, errs)
	printable(t, errs)
	code, _, errs = s.dlq("apply", p.Token, "--allow-duplicates", "qx")
	require.Equal(t, exitRefused, code, errs)
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{
		"payments.notify": "payments.notify", "": "''", "a b": "'a b'", "$(reboot)": "'$(reboot)'", "a'b": `'a'\''b'`, "unix:/run/x.sock": "unix:/run/x.sock", "~": "'~'",
	} {
		require.Equal(t, want, shellWord(in))
	}
}

// TestDLQApplyInterrupted sends a real SIGINT while a job runs: it is paused, and
// another command has it go on.
func TestDLQApplyInterrupted(t *testing.T) {
	s := startService(t)
	for i := range 40 {
		s.tell(fmt.Sprintf("keep c-%d", i))
	}
	s.tell("heal")
	s.tell("hold") // the job does not end before it is interrupted, however late that is
	p := s.planned("--rate", "20")
	cmd := exec.Command(os.Args[0], "dlq", "apply", "--addr", s.addr, p.Token)
	cmd.Env = append(os.Environ(), asTool+"=1")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1)) // the first result
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	go func() { _, _ = out.Read(make([]byte, 1<<16)) }()
	_ = cmd.Wait()
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), errs.String())
	resume := regexp.MustCompile(`dlq jobs resume \S+`).FindString(errs.String())
	require.NotEmpty(t, resume, errs.String())
	id := strings.Fields(resume)[3]
	code, text, all := s.dlq("jobs", "--json", id)
	require.Equal(t, 0, code, all)
	require.Equal(t, resilience.JobPaused, jsonLines[resilience.Job](t, text)[0].State)
	code, _, all = s.dlq("jobs", "resume", "--why", "go on", id)
	require.Equal(t, 0, code, all)
	s.tell("letgo")
	require.Eventually(t, func() bool {
		_, text, _ := s.dlq("jobs", "--json", id)
		return jsonLines[resilience.Job](t, text)[0].State == resilience.JobDone
	}, time.Minute, 100*time.Millisecond)
	var ledger []notice
	require.NoError(t, json.Unmarshal([]byte(s.tell("ledger")), &ledger))
	require.Len(t, ledger, 40)
}

func TestDLQReplayUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"apply", "--addr", "unix:x.sock"}, "dlq apply wants the token of a plan"},
		{[]string{"apply", "--dir", ".", "token"}, "dlq apply needs the running service, since only that has the methods"},
		{[]string{"plan", "--dir", "."}, "dlq plan needs the running service"},
		{[]string{"jobs", "--dir", ".", "resume", "x"}, "dlq jobs resume needs the running service"},
		{[]string{"jobs", "--addr", "unix:x.sock", "a", "b"}, "dlq jobs wants nothing, the id of a job"},
		{[]string{"plan", "--rate", "0"}, "want a number, or one a time"},
		{[]string{"plan", "--rate", "5/y"}, "want a number, or one a time"},
		{[]string{"plan", "--rate", "NaN"}, "want a number, or one a time"},
		{[]string{"plan", "--stop-errors", "101%"}, "want more than 0% and at most 100%"},
		{[]string{"plan", "--through", "tunnel"}, "want policy or direct"},
		{[]string{"discard", "--addr", "unix:x.sock"}, "dlq discard wants the ids of letters, or --filter"},
		{[]string{"discard", "--addr", "unix:x.sock", "--filter", "queue:x", "id"}, "dlq discard wants the ids of letters, or --filter"},
		{[]string{"resolve", "--addr", "unix:x.sock", "id"}, "dlq resolve wants --as done or --as dead"},
	} {
		code, out, errs := tool(t, t.TempDir(), append([]string{"dlq"}, c.args...)...)
		require.Equal(t, exitUsage, code, "%q: %s", c.args, errs)
		require.Empty(t, out)
		require.Contains(t, errs, c.want)
	}
}

func TestDLQDiscardAndResolve(t *testing.T) {
	s := startService(t)
	a, b := s.tell("keep c-1"), s.tell("keep c-2")
	code, out, errs := s.dlq("discard", a, "--why", nasty[1:20])
	require.Equal(t, 0, code, errs)
	require.Equal(t, a+"  discarded\n", out)
	code, out, errs = s.dlq("discard", a)
	require.Equal(t, exitConflict, code, errs)
	require.Empty(t, out)
	code, out, errs = s.dlq("resolve", "--as", "dead", "--json", a, "01j00000000000000000000000")
	require.Equal(t, exitPartly, code, errs)
	lines := jsonLines[letterOutcome](t, out)
	require.Equal(t, letterOutcome{ID: a, State: resilience.LetterDead}, lines[0])
	require.Contains(t, lines[1].Problem, "no such letter")

	code, out, errs = s.dlq("discard", "--filter", "queue:notices")
	require.Equal(t, exitRefused, code, errs)
	require.Empty(t, out)
	require.Contains(t, errs, "--yes does")
	code, out, errs = s.dlq("discard", "--filter", "queue:notices args.customer=c-2", "--yes")
	require.Equal(t, 0, code, errs)
	require.Equal(t, b+"  discarded\n", out)
	code, _, errs = s.dlq("resolve", "--as", "done", a)
	require.Equal(t, 0, code, errs)
	code, out, errs = s.dlq("ls", "--json", "state:replayed")
	require.Equal(t, 0, code, errs)
	require.Equal(t, a, jsonLines[resilience.LetterSummary](t, out)[0].ID)
	code, out, errs = s.dlq("discard", "--filter", "queue:nobody")
	require.Equal(t, 0, code)
	require.Empty(t, out)
	require.Contains(t, errs, "no letter is chosen")
}

// What a job waits for is said once.
func TestJobThatWaits(t *testing.T) {
	var out strings.Builder
	l := &letters{out: &output{env: &environment{stdout: &out}}}
	require.NoError(t, l.printJob(resilience.Job{ID: "01job", State: resilience.JobRunning, Waits: "for breaker Gateway.Charge, which is open"}))
	require.Contains(t, out.String(), "waits for breaker Gateway.Charge")
}
