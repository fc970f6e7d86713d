package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/runtime/simulation"
)

// tell prints what came of a simulation, and draws it.
func (env *environment) tell(s *scenario, sim *generator.Simulation, result *simulation.Result) error {
	if s.svg != "" {
		if err := os.WriteFile(s.svg, drawing(sim.Name, s.order.Config, result), 0o644); err != nil {
			return err
		}
	}
	if env.json {
		return json.NewEncoder(env.stdout).Encode(struct {
			Method string   `json:"method"`
			Seed   uint64   `json:"seed"`
			Notes  []string `json:"notes"`
			*simulation.Result
		}{sim.Name, s.order.Config.Seed, append([]string{}, sim.Notes...), result})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", sim.Name, s.words())
	phases(&b, result)
	b.WriteByte('\n')
	counts(&b, result)
	told, more := breakers(sim.Name, result)
	for _, breaker := range told {
		b.WriteByte('\n')
		timeline(&b, breaker, s.order.Config)
	}
	if more > 0 {
		fmt.Fprintf(&b, "\nand %d more, of which -json tells\n", more)
	}
	notes(&b, s, sim, result)
	if s.svg != "" {
		fmt.Fprintf(&b, "\nwrote %s\n", s.svg)
	}
	_, err := io.WriteString(env.stdout, b.String())
	return err
}

// words says what is simulated.
func (s *scenario) words() string {
	c := s.order.Config
	text := fmt.Sprintf("%s calls a second for %s", number(c.Rate), nice(c.Duration))
	if c.Uniform {
		text += ", evenly"
	}
	if c.Instances > 1 {
		text += fmt.Sprintf(", by %d instances", c.Instances)
	}
	switch {
	case c.P50 == 0:
		text += "; answers at once"
	case c.P50 == c.P99:
		text += fmt.Sprintf("; answers in %s", nice(c.P50))
	default:
		text += fmt.Sprintf("; answers in %s (p50) to %s (p99)", nice(c.P50), nice(c.P99))
	}
	if c.Capacity > 0 {
		text += fmt.Sprintf(", %d at a time", c.Capacity)
	}
	if c.Failures > 0 {
		text += fmt.Sprintf(", %s%% fail", number(c.Failures*100))
	}
	if c.Outage.Length > 0 {
		how := "fails at once"
		if c.Outage.Hang {
			how = "hangs"
		}
		text += fmt.Sprintf("; %s from %s to %s", how, nice(c.Outage.Start), nice(c.Outage.Start+c.Outage.Length))
	}
	if c.Deadline > 0 {
		text += fmt.Sprintf("; callers wait %s", nice(c.Deadline))
	}
	return text + fmt.Sprintf("; seed %d", c.Seed)
}

// phases prints a row for each phase.
func phases(out io.Writer, result *simulation.Result) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tcalls\tsuccess\tfallback\tfailed\tp50\tp99\tattempts\tload\tper call\t")
	for _, p := range result.Phases {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%.1f/s\t%.2f\t\n", p.Name, p.Calls,
			percent(p.Success, p.Calls), percent(p.Fallback, p.Calls), percent(p.Failed, p.Calls),
			latency(p.P50), latency(p.P99), p.Attempts, ratio(float64(p.Attempts), p.Seconds), ratio(float64(p.Attempts), float64(p.Calls)))
	}
	_ = w.Flush() // to memory
}

func counts(out io.Writer, result *simulation.Result) {
	fmt.Fprintf(out, "not admitted   %s\n", byPart(result.Rejected))
	fmt.Fprintf(out, "gave up        %s\n", byPart(result.GaveUp))
	fmt.Fprintf(out, "repeated       %d retries, %d hedges\n", result.Retries, result.Hedges)
	fmt.Fprintf(out, "in flight      %d at a time, at most\n", result.MostInFlight)
}

// byPart lists counts, the greatest first.
func byPart(counts map[string]int) string {
	if len(counts) == 0 {
		return "none"
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, counts[name])
	}
	return strings.Join(names, ", ")
}

// shownBreakers is how many are told of one by one.
const shownBreakers = 3

// breakers returns those that have something to tell, and how many are left out.
func breakers(name string, result *simulation.Result) (list []simulation.Breaker, more int) {
	for _, b := range result.Breakers {
		if len(b.Transitions) > 0 || b.Name == name {
			list = append(list, b)
		}
	}
	n := min(len(list), shownBreakers)
	return list[:n], len(list) - n
}

// titled is the name of a breaker, and of its instance if there are several.
func titled(b simulation.Breaker, c simulation.Config) string {
	if c.Instances > 1 {
		return fmt.Sprintf("%s of instance %d", b.Name, b.Instance+1)
	}
	return b.Name
}

// timeline prints the transitions of a breaker. Probes that failed one after the
// other are one line.
func timeline(out io.Writer, b simulation.Breaker, c simulation.Config) {
	whole := c.Duration
	fmt.Fprintf(out, "breaker %s\n", titled(b, c))
	if len(b.Transitions) == 0 {
		fmt.Fprintf(out, "  %s throughout\n", b.Initial)
		return
	}
	list := b.Transitions
	for i := 0; i < len(list); {
		if n := reopened(list[i:]); n > 2 {
			last := list[i+2*n-1]
			fmt.Fprintf(out, "  %8s  … %s  probed and opened again %d times\n", seconds(list[i].At), seconds(last.At), n)
			i += 2 * n
			continue
		}
		t := list[i]
		fmt.Fprintf(out, "  %8s  %s → %s, %s%s\n", seconds(t.At), t.From, t.To, t.Reason, counted(t))
		i++
	}
	in := map[string]float64{}
	for _, s := range spans(b, whole) {
		in[s.state] += s.to - s.from
	}
	var states []string
	for _, state := range slices.Sorted(maps.Keys(in)) {
		states = append(states, fmt.Sprintf("%s %.0f%%", state, 100*in[state]/whole.Seconds()))
	}
	fmt.Fprintf(out, "  %s of the time\n", strings.Join(states, ", "))
}

// reopened is how often a list begins with a half-open breaker that opens again.
func reopened(list []simulation.Transition) int {
	n := 0
	for 2*n+1 < len(list) && list[2*n].To == "half_open" && list[2*n+1].To == "open" {
		n++
	}
	return n
}

// counted says what made a breaker open.
func counted(t simulation.Transition) string {
	switch t.Reason {
	case "failure rate":
		return fmt.Sprintf(": %d of %d calls failed", t.Failures, t.Calls)
	case "slow calls":
		return fmt.Sprintf(": %d of %d calls were slow", t.Slow, t.Calls)
	case "consecutive failures":
		return fmt.Sprintf(": %d", t.Consecutive)
	}
	return ""
}

// stay is a time that a breaker spent in a state.
type stay struct {
	state    string
	from, to float64
}

// spans are those of a breaker until the load ends.
func spans(b simulation.Breaker, whole time.Duration) []stay {
	list := []stay{{state: b.Initial}}
	for _, t := range b.Transitions {
		if t.At >= whole.Seconds() {
			break
		}
		list[len(list)-1].to = t.At
		list = append(list, stay{state: t.To, from: t.At})
	}
	list[len(list)-1].to = whole.Seconds()
	return list
}

// notes prints what a reader has to know.
func notes(out io.Writer, s *scenario, sim *generator.Simulation, result *simulation.Result) {
	list := slices.Clone(sim.Notes)
	all := result.Phases[len(result.Phases)-1]
	if failures := s.order.Config.Failures > 0 || s.order.Config.Outage.Length > 0; failures && sim.Retries && result.Retries == 0 {
		list = append(list, "no attempt was retried: does retryOn match what attempts fail with? -error says what")
	}
	if all.Calls == 0 {
		list = append(list, "no call came: give a higher -arrivals or a longer -duration")
	}
	for i, note := range list {
		if i == 0 {
			fmt.Fprint(out, "\n")
		}
		fmt.Fprintf(out, "note: %s\n", note)
	}
}

func percent(n, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f%%", 100*float64(n)/float64(of))
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// latency rounds to what a person reads.
func latency(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

func seconds(s float64) string { return fmt.Sprintf("%.2fs", s) }

func number(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// nice is a duration without zeros that say nothing.
func nice(d time.Duration) string {
	text := d.String()
	if cut, ok := strings.CutSuffix(text, "m0s"); ok {
		text = cut + "m"
	}
	if cut, ok := strings.CutSuffix(text, "h0m"); ok {
		text = cut + "h"
	}
	return text
}
