package workflow_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

var (
	plans     = flag.Int("plans", 1000, "random plans that TestRandomRuns plays")
	firstPlan = flag.Int("first-plan", 0, "seed of the first one")
	families  = flag.Bool("families", false, "nodes of all plans may be children, not only of every fourth")
	replay    = flag.String("replay", "", "file with a history that TestReplay plays")
)

// TestRandomRuns plays random graphs, whose nodes fail, to which signals come, and
// whose processes die anywhere, and compares each run with what the model says. Each
// is played twice: undisturbed, and with processes that die.
func TestRandomRuns(t *testing.T) {
	n := *plans
	if testing.Short() {
		n = min(n, 100)
	}
	statuses := map[string]int{}
	died, withChildren := 0, 0
	for seed := *firstPlan; seed < *firstPlan+n; seed++ {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		h := history{Plan: randomPlan(r)}
		if *families || seed%4 == 1 {
			h.Plan = h.Plan.withChildren(r)
		}
		calm := play(t, h)
		why := difference(h.Plan, calm)
		if len(why) == 0 {
			ways := slices.Concat(dies, stops)
			if h.Plan.hasChildren() {
				ways = dies // who has the child of a run that was lost decides when it answers
			}
			h.Deaths = randomDeaths(r, calm, ways)
			died += len(h.Deaths)
			why = fails(t, h)
		}
		if len(why) > 0 {
			h, why = shrink(t, h, why)
			t.Fatalf("plan %d, shrunk:\n%s\n%s", seed, h, strings.Join(why, "\n"))
		}
		statuses[calm.Status]++
		if h.Plan.hasChildren() {
			withChildren++
		}
	}
	t.Logf("%d plans, %d with children, %d processes died or lost a run: %v", n, withChildren, died, statuses)
}

// TestReplay plays a history that TestRandomRuns printed.
func TestReplay(t *testing.T) {
	if *replay == "" {
		t.Skip("-replay names no history")
	}
	text, err := os.ReadFile(*replay)
	if err != nil {
		t.Fatal(err)
	}
	var h history
	if err := json.Unmarshal(text, &h); err != nil {
		t.Fatal(err)
	}
	for _, why := range fails(t, h) {
		t.Error(why)
	}
}

// Ways in which the processes of a run end, or lose it.
var (
	dies  = []string{beforeAppend, afterAppend, appendLost, answerLost, beforeEffect, afterEffect}
	stops = []string{stopsBeforeAppend, stopsAfterAppend, stopsBeforeEffect, stopsAfterEffect, thoughtDead}
)

// randomDeaths draws where the processes of a run die that knows no deaths, or stand
// still while others go on.
func randomDeaths(r *rand.Rand, calm outcome, ways []string) (deaths []death) {
	for range 1 + r.IntN(3) {
		d := death{How: ways[r.IntN(len(ways))]}
		at := max(calm.appends, 1)
		if strings.HasSuffix(d.How, "effect") {
			at = max(calm.invocations, 1)
		}
		d.At = 1 + r.IntN(at)
		if slices.Contains(stops, d.How) {
			d.Until = r.IntN(8)
		}
		deaths = append(deaths, d)
	}
	return deaths
}

// fails plays a history and says what is wrong.
func fails(t *testing.T, h history) []string {
	t.Helper()
	calm := play(t, h.calm())
	if why := difference(h.Plan, calm); len(why) > 0 || len(h.Deaths) == 0 {
		return why
	}
	o := play(t, h)
	why := difference(h.Plan, o)
	if len(why) == 0 && !slices.Equal(o.order, calm.order) {
		why = append(why, fmt.Sprintf("Order: outputs came in the order %v, undisturbed %v", o.order, calm.order))
	}
	for i := range why {
		why[i] = "after deaths, " + why[i]
	}
	return why
}

// difference says in what a run differs from what the model says of its plan.
func difference(p plan, got outcome) (why []string) {
	want := interpret(p)
	why = got.wrong
	if got.Status != want.Status {
		return append(why, fmt.Sprintf("Status: %s, want %s", got.Status, want.Status))
	}
	if !strings.HasPrefix(want.Status, "completed") {
		want.Outputs, got.Outputs = nil, nil // a run without a good end has none
	}
	lists := []struct {
		name      string
		got, want []string
	}{{"Outputs", got.Outputs, want.Outputs}, {"Effects", got.Effects, want.Effects}, {"Steps", got.Steps, want.Steps}}
	for _, l := range lists {
		slices.Sort(l.want)
		if !slices.Equal(l.got, l.want) {
			why = append(why, fmt.Sprintf("%s: %q\n   want %q", l.name, l.got, l.want))
		}
	}
	if !maps.Equal(got.Failures, want.Failures) {
		why = append(why, fmt.Sprintf("Failures: %v, want %v", got.Failures, want.Failures))
	}
	return why
}

// way is in what a history fails: the first words.
func way(why []string) string {
	words := ""
	for _, line := range why {
		first, _, _ := strings.Cut(line, ":")
		words += first + ";"
	}
	return words
}
