package resilience

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// asCheckpointer is the variable of the environment in which the test binary finds
// the directory to keep checkpoints in, until it is killed.
const asCheckpointer = "RESILIENCE_TEST_CHECKPOINTER"

// TestCheckpointer is no test but the process that the next one kills. It makes calls
// by eight goroutines, and writes a line after each that returned.
func TestCheckpointer(t *testing.T) {
	dir := os.Getenv(asCheckpointer)
	if dir == "" {
		t.Skip("it is a part of TestCheckpointsOutliveAKill")
	}
	first, _ := strconv.Atoi(os.Getenv(asCheckpointer + "_FIRST"))
	q := newQuoting(t, Options{Dir: dir}, Policy{}, quoteShape)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := first + worker; ; i += 8 {
				key := fmt.Sprint("k", i)
				v, o := q.kept.Do(t.Context(), key, quoteArgs{"c", int64(i)}, func(context.Context) (quote, Outcome) { return quote{ID: "of " + key}, Outcome{} })
				if o.Err() != nil {
					fmt.Println("failed", o.Err())
					return
				}
				fmt.Println("kept", key, v.ID)
			}
		})
	}
	wg.Wait()
}

// TestCheckpointsOutliveAKill kills a process with SIGKILL while it keeps
// checkpoints, again and again: each call that returned is answered afterwards, with
// what it returned.
func TestCheckpointsOutliveAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts processes")
	}
	dir, known, rnd := t.TempDir(), map[string]string{}, rand.New(rand.NewPCG(1, 2))
	for round := range 8 {
		killed(t, dir, len(known)+1000*round, 20+rnd.IntN(300), known)
		q := newQuoting(t, Options{Dir: dir}, Policy{}, quoteShape)
		for key, id := range known {
			i, _ := strconv.Atoi(key[1:])
			q.expect(t, key, quoteArgs{"c", int64(i)}, id, 0)
		}
		for _, err := range q.rt.Checkpoints().All(t.Context(), CheckpointQuery{}) {
			if err != nil {
				t.Error(err)
			}
		}
		if err := q.rt.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(known) < 100 {
		t.Errorf("only %d calls returned before the kills", len(known))
	}
}

// killed has a process keep checkpoints from a first one on, kills it after so many
// lines, and notes what it said.
func killed(t *testing.T, dir string, first, lines int, known map[string]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCheckpointer$", "-test.v")
	cmd.Env = append(os.Environ(), asCheckpointer+"="+dir, asCheckpointer+"_FIRST="+strconv.Itoa(first))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	in := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := in.ReadString('\n')
		if fields := strings.Fields(line); err == nil && len(fields) > 2 && fields[0] == "kept" {
			known[fields[1]] = strings.Join(fields[2:], " ")
		} else if strings.HasPrefix(line, "failed") {
			t.Error(line)
		}
		if n == lines {
			_ = cmd.Process.Kill()
		}
		if err != nil {
			break
		}
	}
	_, _ = io.Copy(io.Discard, in)
	_ = cmd.Wait() // it was killed
}

// TestCheckpointsOnFiles holds a store on files against everything that is asked of
// one in memory and matters there.
func TestCheckpointsOnFiles(t *testing.T) {
	dir := t.TempDir()
	q := newQuoting(t, Options{Dir: dir}, Policy{}, quoteShape)
	large := quoteArgs{strings.Repeat("x", 3<<20), 1}
	q.expect(t, "a", quoteArgs{}, "q1", 1)
	q.expect(t, "large", large, "q2", 2)
	if _, err := Open(Options{Dir: dir}); err == nil {
		t.Error("a second owner")
	}
	if err := q.rt.Close(); err != nil {
		t.Fatal(err)
	}
	again := newQuoting(t, Options{Dir: dir}, Policy{}, quoteShape)
	again.expect(t, "a", quoteArgs{}, "q1", 0)
	again.expect(t, "large", large, "q2", 0)
	if n, err := again.rt.Checkpoints().Prune(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := again.rt.Close(); err != nil {
		t.Fatal(err)
	}
}
