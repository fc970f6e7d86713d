//go:build unix

package journal_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// killable is what the child of TestKilled opens.
var killable = journal.Options{SegmentSize: 64 << 10}

// TestKilled kills a process that appends, again and again, and looks for every
// record that it said was durable.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("JOURNAL_OF_CHILD"); dir != "" {
		appendUntilKilled(dir)
	}
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 5))
	acked := map[string]int{}
	for range rounds {
		killOnce(t, dir, time.Duration(5+rng.IntN(60))*time.Millisecond, acked)
		j := must(journal.Open(must(journal.OS(dir)), killable))
		for key, last := range acked {
			list := scan(t, j, key)
			for i, r := range list {
				if text, _, _ := strings.Cut(string(r.Payload), " "); text != fmt.Sprint(i) {
					t.Fatalf("record %d of %s is %s", i, key, text)
				}
			}
			if len(list) <= last {
				t.Fatalf("%s has %d records, %d was acknowledged", key, len(list), last)
			}
			acked[key] = len(list) - 1
		}
		ok(t, j.Close())
		if rng.IntN(2) == 0 {
			_ = os.Remove(dir + "/INDEX")
		}
	}
	if len(acked) == 0 {
		t.Error("nothing was acknowledged")
	}
}

// killOnce starts a child and kills it after a while. acked is the last record of
// each key that it told of.
func killOnce(t *testing.T, dir string, after time.Duration, acked map[string]int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "JOURNAL_OF_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	lines := bufio.NewScanner(out)
	var kill *time.Timer
	for lines.Scan() {
		var key string
		var n int
		if _, err := fmt.Sscan(lines.Text(), &key, &n); err != nil {
			t.Fatalf("the child says %q", lines.Text())
		}
		if kill == nil {
			kill = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		acked[key] = max(acked[key], n)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

// appendUntilKilled appends to eight keys and tells of each record that is
// durable.
func appendUntilKilled(dir string) {
	j := must(journal.Open(must(journal.OS(dir)), killable))
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			key, n, last := fmt.Sprintf("k/%d", w), 0, uint64(0)
			for r, err := range j.Scan(background, key, 0) {
				if err != nil {
					panic(err)
				}
				n, last = n+1, r.Version
			}
			for ; ; n++ {
				last = must(j.Append(background, key, last, fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", n*37%900))))
				if _, err := fmt.Fprintf(os.Stdout, "%s %d\n", key, n); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}
