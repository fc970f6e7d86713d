package resilience

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killedLetters is how many letters a process replays that is killed again and
// again.
const killedLetters = 150

// TestReplayOfAKilledProcess sends SIGKILL to a process that replays letters, at
// random moments, until the job is over. Of the calls that its peer has seen, each
// kill explains one that was made twice; of a method that is not idempotent none is.
func TestReplayOfAKilledProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds")
	}
	for _, idem := range []bool{true, false} {
		t.Run(fmt.Sprintf("idempotent %v", idem), func(t *testing.T) {
			dir := t.TempDir()
			kills := 0
			for seed := uint64(1); ; seed++ {
				// Lives become longer: on a slow disk the first ones are too short for one letter.
				life := time.Duration(20+rand.N(150)) * time.Millisecond * time.Duration(8+kills) / 8
				out, killed := replayChild(t, dir, idem, life)
				if killed {
					kills++
				}
				if strings.Contains(out, "over\n") {
					break
				}
				if !killed || seed > 200 {
					t.Fatalf("the process ended by itself: %s", out)
				}
			}
			checkKilled(t, dir, idem, kills)
		})
	}
}

// replayChild has a process replay letters for some time.
func replayChild(t *testing.T, dir string, idem bool, life time.Duration) (out string, killed bool) {
	t.Helper()
	var text bytes.Buffer
	cmd := exec.Command(os.Args[0], "-test.run=^TestReplayChild$", "-test.v")
	cmd.Env = append(os.Environ(), "REPLAY_CHILD="+dir, "REPLAY_IDEMPOTENT="+strconv.FormatBool(idem))
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(dir, "ready")
	for range 2000 { // the life begins when the letters are there
		if _, err := os.Stat(ready); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	kill := time.AfterFunc(life, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	defer kill.Stop()
	err := cmd.Wait()
	_ = os.Remove(ready)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, ok := exit.Sys().(syscall.WaitStatus)
		killed = ok && status.Signaled()
	}
	return text.String(), killed
}

// TestReplayChild is the process that is killed.
func TestReplayChild(t *testing.T) {
	dir := os.Getenv("REPLAY_CHILD")
	if dir == "" {
		t.Skip("runs as a child of TestReplayOfAKilledProcess")
	}
	peer, err := os.OpenFile(filepath.Join(dir, "peer"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	rt, err := Open(Options{Dir: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	m := LetterMethod[notifyArgs]{Sig: "0123456789abcdef", Idempotent: os.Getenv("REPLAY_IDEMPOTENT") == "true"}
	down := true
	n := notifierTo(t, rt, Policy{}, DeadLetterPolicy{Queue: "q", MaxReplays: None}, m, func(_ context.Context, a notifyArgs) error {
		if down {
			return errDown
		}
		_, err := fmt.Fprintln(peer, a.CustomerID) // one write: there, or not
		return err
	})
	b := rt.DeadLetters()
	jobs, err := b.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	page, err := b.List(t.Context(), LetterQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for i := len(page.Letters); i < killedLetters; i++ {
		if err := n.call(t.Context(), notifyArgs{CustomerID: fmt.Sprintf("c-%d", i)}); !errors.Is(err, ErrDeadLettered) {
			t.Fatal(err)
		}
	}
	down = false
	if err := os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if len(jobs) == 0 {
		p, err := b.Plan(t.Context(), "", ReplayOptions{Rate: 1e6, NoCanary: true, StopErrors: None})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Apply(t.Context(), p.Token, ApplyOptions{AllowDuplicates: true, Queue: "q"}); err != nil {
			t.Fatal(err)
		}
	} else {
		b.resumeJobs() // and not a second from now
	}
	for {
		jobs, err := b.Jobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if jobs[0].State == JobDone {
			fmt.Println("over")
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// checkKilled compares what the peer has seen with the letters and the job.
func checkKilled(t *testing.T, dir string, idem bool, kills int) {
	t.Helper()
	seen, err := os.ReadFile(filepath.Join(dir, "peer"))
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, customer := range strings.Fields(string(seen)) {
		times[customer]++
	}
	rt, err := Open(Options{Dir: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rt.Close() }()
	jobs, err := rt.DeadLetters().Jobs(t.Context())
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	j := jobs[0]
	repeated := strings.Count(string(seen), "\n") - len(times)
	t.Logf("%d kills, %d calls were repeated, %s", kills, repeated, jobText(j))
	if j.Succeeded+j.InDoubt != killedLetters || j.InDoubt > kills || idem && j.InDoubt > 0 {
		t.Errorf("after %d kills: %s", kills, jobText(j))
	}
	if repeated > kills || !idem && repeated > 0 {
		t.Errorf("%d calls were repeated after %d kills", repeated, kills)
	}
	if missing := killedLetters - len(times); missing > j.InDoubt {
		t.Errorf("%d calls never came, and %d letters are in doubt", missing, j.InDoubt)
	}
	for s, err := range rt.DeadLetters().matching(t.Context(), Filter{}, "", true) {
		if err != nil || s.State != LetterReplayed && s.State != LetterInDoubt {
			t.Errorf("letter %s is %s, %v", s.ID, s.State, err)
		}
	}
}
