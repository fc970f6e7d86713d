package histories

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/resilgen/resilgen/runtime/resilience"
)

var (
	pairs  = flag.Uint64("pairs", 2000, "random histories to play")
	first  = flag.Uint64("first", 0, "the number of the first one")
	replay = flag.String("replay", "", "a `file` with a history to play, as a failure prints it")
)

// history is a policy and what is played against it.
type history struct {
	conf
	entry  string
	script []visit
}

// String is the history as -replay reads it.
func (h history) String() string {
	return string(txtar.Format(&txtar.Archive{Files: []txtar.File{
		{Name: "resilience.yaml", Data: []byte(h.file(h.entry))}, {Name: "script", Data: []byte(scriptText(h.script))},
	}}))
}

func readHistory(text []byte) (h history, err error) {
	for _, f := range txtar.Parse(text).Files {
		if f.Name == "script" {
			h.script, err = readScript(string(f.Data))
		} else {
			h.conf, h.entry, err = readConf(string(f.Data))
		}
		if err != nil {
			return h, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return h, nil
}

// stage is where histories are played.
type stage struct {
	*workshop
	shapes
}

func newStage(t *testing.T) *stage { return &stage{newWorkshop(t), newShapes(t)} }

// batch is how many policies are generated at a time, in one file.
const batch = 100

// batch makes histories, without those whose policy the generator refuses, or
// gives a form that is not compiled.
func (s *stage) batch(t *testing.T, number uint64) (list []history, g *generated) {
	r := rand.New(rand.NewPCG(number, 1))
	preset := [...]string{"", "", "", "production", "development"}[r.IntN(5)]
	for i := range batch {
		h := history{conf: randomPolicy(r), entry: fmt.Sprintf("P%02d", i)}
		if preset != "" {
			h.conf = append(conf{{"preset", preset}}, h.conf...)
		}
		h.script = randomScript(r, h.conf)
		list = append(list, h)
	}
	for {
		text, _, _ := strings.Cut(list[0].file(""), "interfaces:\n")
		text += "interfaces:\n"
		above := strings.Count(text, "\n")
		for _, h := range list {
			text += "  " + h.entry + ": " + h.conf.String() + "\n"
		}
		g, err := s.generate(t, text)
		if err == nil {
			return slices.DeleteFunc(list, func(h history) bool { return s.shapes[g.body(h.entry)] == nil }), g
		}
		lines := refused(err)
		if len(lines) == 0 {
			t.Fatal(err)
		}
		var left []history
		for i, h := range list {
			if !slices.Contains(lines, above+i+1) {
				left = append(left, h)
			}
		}
		list = left
	}
}

// real plays a history against the wrapper that is generated for it.
func (s *stage) real(t *testing.T, h history, g *generated) []string {
	return play(t, h.script, func(next Service) (doer, error) {
		rt, err := resilience.Open(resilience.Options{Seed: seed})
		if err != nil {
			return doer{}, err
		}
		p := g.policy(h.entry)
		if p.Bulkhead != (resilience.Bulkhead{}) {
			p.Bulkhead.Name = "slots"
		}
		w, err := s.wrap(rt, next, g, h.entry, p)
		if err != nil {
			return doer{}, err
		}
		return doer{w.Do, func() []string { return seen(rt, h.entry, p) }, rt.Close}, nil
	})
}

// seen is what can be seen of a Runtime in the end, in the words of the model.
func seen(rt *resilience.Runtime, entry string, p resilience.Policy) (lines []string) {
	n := rt.Stats().Methods[0].Total
	lines = append(lines, fmt.Sprintf("counted: %d succeeded, %d failed, %d rejected, %d left, %d attempts, %d rejections, %d timeouts, %d fallbacks",
		n.Success, n.Failure, n.Rejected, n.Canceled, n.Attempts, n.Rejections, n.Timeouts, n.Fallbacks))
	for _, b := range rt.Breakers() {
		key := strings.Trim(strings.TrimPrefix(b.Name(), "histories."+entry+".Do"), "[]")
		lines = append(lines, strings.TrimSpace("breaker "+key)+": "+snapshot(b.Snapshot(), p))
	}
	for _, l := range rt.Limiters() {
		lines = append(lines, fmt.Sprintf("limiter: %d waiting, next permit in %v", l.Waiting, l.RetryAfter))
	}
	if p.Bulkhead != (resilience.Bulkhead{}) {
		lines = append(lines, fmt.Sprint("slots taken: ", taken(rt, p.Bulkhead)))
	}
	for _, c := range rt.Caches() {
		lines = append(lines, fmt.Sprintf("cache: %d entries, %d hits, %d misses, %d shared, %d stale", c.Entries, c.Hits, c.Misses, c.Shared, c.Stale))
	}
	for _, b := range rt.Budgets() {
		lines = append(lines, fmt.Sprintf("budget: %d in flight, %d repeated, %d refused, %d calls, %d attempts", b.InFlight, b.Repeated, b.Refused, b.Calls, b.Attempts))
	}
	if n := rt.Abandoned(); n != 0 {
		lines = append(lines, fmt.Sprint("abandoned: ", n))
	}
	if n := rt.Stats().Methods[0].InFlight; n != 0 {
		lines = append(lines, fmt.Sprint("in flight: ", n))
	}
	return lines
}

func snapshot(b resilience.BreakerSnapshot, p resilience.Policy) string {
	text := fmt.Sprintf("rejected %d", b.Rejected)
	if b.Mode == resilience.ForcedOpen || b.Mode == resilience.Disabled {
		return text
	}
	text += fmt.Sprintf(", openings %d, %s", b.Openings, map[resilience.State]string{resilience.StateClosed: "closed", resilience.StateOpen: "open", resilience.StateHalfOpen: "half-open"}[b.State])
	if b.State != resilience.StateClosed {
		return text
	}
	text += fmt.Sprintf(", %d failures in a row", b.Consecutive)
	c := &p.Breaker
	if c.ConsecutiveFailures > 0 && c.FailureRateThreshold == 0 && c.MinimumCalls == 0 && c.Window == (resilience.Window{}) && c.SlowCallDuration == 0 {
		return text
	}
	return text + fmt.Sprintf(", %d calls, %d failures, %d slow", b.Calls, b.Failures, b.Slow)
}

// taken is how many slots are missing: a second guard shares them by name.
func taken(rt *resilience.Runtime, b resilience.Bulkhead) int {
	g, err := rt.Guard("slots", resilience.Policy{Bulkhead: b})
	if err != nil {
		panic(err)
	}
	free := 0
	var enter func(context.Context) error
	enter = func(ctx context.Context) error {
		if free++; free == b.MaxConcurrent {
			return nil
		}
		return resilience.Try(ctx, g, enter)
	}
	if err := resilience.Try(context.Background(), g, enter); err != nil && !errors.Is(err, resilience.ErrBulkheadFull) {
		panic(err)
	}
	return b.MaxConcurrent - free
}

// modelled plays a history against the model, with a fault in it if wrong is not
// "". It reports whether policy.md leaves the outcome open.
func modelled(t *testing.T, h history, wrong string) (transcript []string, doubtful bool) {
	var m *model
	transcript = play(t, h.script, func(next Service) (doer, error) {
		m = newModel(h.conf, next, wrong)
		return doer{m.Do, m.state, func() error { return nil }}, nil
	})
	return transcript, m.doubtful
}

// difference is the first line in which two transcripts differ, "" if none does.
func difference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		line := func(list []string) string {
			if i < len(list) {
				return list[i]
			}
			return "nothing more"
		}
		if line(got) != line(want) {
			return "got  " + line(got) + "\nwant " + line(want)
		}
	}
	return ""
}

// TestHistories plays random histories, on every core.
func TestHistories(t *testing.T) {
	var next, played, doubtful atomic.Uint64
	next.Store(*first / batch)
	t.Run("all", func(t *testing.T) {
		for core := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(core), func(t *testing.T) {
				t.Parallel()
				for s := newStage(t); played.Load() < *pairs; {
					all, open := s.play(t, next.Add(1)-1)
					played.Add(all)
					doubtful.Add(open)
				}
			})
		}
	})
	t.Logf("%d histories, %d of them given up, since policy.md leaves them open", played.Load(), doubtful.Load())
	if all := played.Load(); doubtful.Load() > all/5 {
		t.Errorf("%d of %d histories tell nothing", doubtful.Load(), all)
	}
}

// play plays a batch and returns how many histories were played, and how many of
// them policy.md leaves open.
func (s *stage) play(t *testing.T, number uint64) (played, doubtful uint64) {
	list, g := s.batch(t, number)
	for _, h := range list {
		want, doubt := modelled(t, h, "")
		if doubt {
			doubtful++
			continue
		}
		if why := difference(s.real(t, h, g), want); why != "" {
			h, why = s.shrink(t, h, why)
			t.Fatalf("a history of batch %d\n%s\nwith\n%s", number, why, h)
		}
	}
	if len(list) < batch/2 {
		t.Errorf("batch %d has only %d histories", number, len(list))
	}
	return uint64(len(list)), doubtful
}

// TestReplay plays the history in the file that -replay names.
func TestReplay(t *testing.T) {
	if *replay == "" {
		t.Skip("no -replay")
	}
	text, err := os.ReadFile(*replay)
	if err != nil {
		t.Fatal(err)
	}
	h, err := readHistory(text)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	g, err := s.generate(t, h.file(h.entry))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := modelled(t, h, "")
	got := s.real(t, h, g)
	t.Log("model:\n" + strings.Join(want, "\n"))
	if why := difference(got, want); why != "" {
		t.Error(why)
	}
}
