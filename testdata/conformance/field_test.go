package conformance

import (
	"bufio"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// fieldFamilies play the lines of field.txt.
var fieldFamilies = []family{failureCases, issueCases, checklistCases, ownCases, retryScenarios, breakerScenarios, timeoutScenarios, hedgeScenarios, bulkheadScenarios, limiterScenarios, otherScenarios, webCases}

// notApplicable are the lines that have nothing to be played against.
var notApplicable = map[string]string{
	"I04": "the state of a breaker is in one process: no store, no lost update",
	"C13": "every instant is a monotonic reading, which no test can turn back: TestClockThatSteps of runtime/resilience has limiters look at earlier ones",
	"H10": "calls have no priority",
}

// notPlayedYet are the lines that wait for something that is being built.
var notPlayedYet = map[string]string{}

// fieldLine is a line of field.txt.
type fieldLine struct{ id, text string }

func readField(t *testing.T) []fieldLine {
	f, err := os.Open("field.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []fieldLine
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if id, text, ok := strings.Cut(lines.Text(), " "); ok && len(id) == 3 && id[0] >= 'A' {
			list = append(list, fieldLine{id, text})
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// kindsOfLines says how many lines there are of each kind, so that none is
// lost.
var kindsOfLines = []struct {
	letter byte
	what   string
	lines  int
}{
	{'F', "failure modes", 25}, {'I', "from issues", 9}, {'C', "checklist of fix commits", 19},
	{'O', "cases of our own", 15}, {'S', "scenarios", 82}, {'H', "integrations", 10},
}

// TestField plays every line, each of which is accounted for exactly once.
func TestField(t *testing.T) {
	left := map[string]func(*testing.T){}
	for _, f := range fieldFamilies {
		for id, run := range f {
			if left[id] != nil {
				t.Errorf("%s: played twice", id)
			}
			left[id] = run
		}
	}
	reasons, later := maps.Clone(notApplicable), maps.Clone(notPlayedYet)
	counts := map[byte]*fieldTally{}
	for _, line := range readField(t) {
		count := counts[line.id[0]]
		if count == nil {
			count = &fieldTally{}
			counts[line.id[0]] = count
		}
		run, reason, waits := left[line.id], reasons[line.id], later[line.id]
		delete(left, line.id)
		delete(reasons, line.id)
		delete(later, line.id)
		switch {
		case run != nil && reason == "" && waits == "":
			count.add(t.Run(line.id+" "+line.text, run))
		case run == nil && reason != "" && waits == "":
			count.without++
		case run == nil && reason == "" && waits != "":
			count.waiting++
		default:
			t.Errorf("%s: not in exactly one list", line.id)
		}
	}
	for _, ids := range []iter.Seq[string]{maps.Keys(left), maps.Keys(reasons), maps.Keys(later)} {
		for id := range ids {
			t.Errorf("%s: no such line", id)
		}
	}
	for _, k := range kindsOfLines {
		count := counts[k.letter]
		if count == nil || count.lines() != k.lines {
			t.Errorf("%s: %+v, want %d lines", k.what, count, k.lines)
			continue
		}
		fmt.Printf("field: %-24s  %2d passed, %d not applicable, %d not yet played, %d failed\n", k.what, count.passed, count.without, count.waiting, count.failed)
	}
	tellReasons("does not apply", notApplicable)
	tellReasons("not yet", notPlayedYet)
}

// fieldTally counts what became of the lines of one kind.
type fieldTally struct{ passed, failed, without, waiting int }

func (c *fieldTally) add(ok bool) {
	if ok {
		c.passed++
	} else {
		c.failed++
	}
}

func (c *fieldTally) lines() int { return c.passed + c.failed + c.without + c.waiting }

func tellReasons(title string, reasons map[string]string) {
	for _, id := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Printf("%-14s  %s  %s\n", title, id, reasons[id])
	}
}
