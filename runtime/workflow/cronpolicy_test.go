package workflow

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/generator/policy"
)

// TestCronIsThatOfThePolicies compares what generation accepts with what runs: an
// expression that one takes, the other must take, too.
func TestCronIsThatOfThePolicies(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	taken := 0
	for _, text := range append(fixedCrons(), randomCrons(r, 2000)...) {
		yaml := fmt.Sprintf("version: 1\nworkflows: {R: {handlers: N, entry: A, nodes: {A: {next: [end]}}, schedules: {s: {input: f, cron: %q}}}}\n", text)
		set, refused := policy.Read([]policy.Input{{Path: "r.yaml", Data: []byte(yaml)}})
		want, err := parseCron(text)
		if (refused == nil) != (err == nil) {
			t.Errorf("%q: generation says %v, the runtime %v", text, refused, err)
			continue
		}
		if err != nil {
			continue
		}
		taken++
		kept := set.Files[0].Workflows[0].Schedules[0].Str("workflows.schedules.cron")
		if got, err := parseCron(kept); err != nil || got != want {
			t.Errorf("%q is generated as %q, which is another time: %v", text, kept, err)
		}
	}
	if taken < 200 {
		t.Errorf("only %d were expressions at all", taken)
	}
}

func fixedCrons() []string {
	return []string{
		"@daily", "@hourly", "@weekly", "@monthly", "@yearly", "@dayly", "@", "0 3 * * *", " 0  3 * *  mon-fri ", "0 0 30 feb *", "0 0 29 2 *", "0 0 31 4,6 *",
		"0 0 30 2 mon", "0 0 30 2 0-6", "0 0 30 2 1-7", "*/15 * * * *", "5/15 * * * *", "0-59/59 * * * *", "0-59/60 * * * *", "* * * * 7", "* * * * 8", "* * 0 * *",
		"* * * jan-DEC *", "* * * janu *", "+1 * * * *", "01 * * * *", "0001 * * * *", "-1 * * * *", "1- * * * *", "1,,2 * * * *", "*,* * * * *", "*-5 * * * *", "* * *", "", "* * * * * *",
	}
}

// randomCrons are made of what expressions are made of, and now and then of what
// they are not.
func randomCrons(r *rand.Rand, n int) []string {
	values := [][]string{
		{"0", "5", "30", "59", "60"}, {"0", "12", "23", "24"}, {"1", "5", "30", "31", "0"}, {"1", "2", "feb", "12", "Dec", "13"}, {"0", "1", "mon", "sun", "7", "fri", "8"},
	}
	list := make([]string, n)
	for i := range list {
		var fields []string
		for _, known := range values {
			value := func() string { return known[r.IntN(len(known))] }
			text := "*"
			switch r.IntN(8) {
			case 0:
				text = value()
			case 1:
				text = value() + "-" + value()
			case 2:
				text = "*/" + value()
			case 3:
				text = value() + "-" + value() + "/2," + value()
			}
			fields = append(fields, text)
		}
		list[i] = strings.Join(fields, " ")
	}
	return list
}
