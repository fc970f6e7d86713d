package histories

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// visit is a call that a script makes: a line of it.
type visit struct {
	at       time.Duration // since the beginning
	key      string
	cost     int
	deadline time.Duration // of the caller, after at; 0: none
	leave    time.Duration // when the caller cancels, after at; 0: never
	steps    []step        // what the delegate does, by execution; the last one repeats
}

// step is what one execution does.
type step struct {
	does string        // see perform
	took time.Duration // until then
	deaf bool          // whatever the context says
}

func (s step) String() string {
	if s.deaf {
		return s.does + "!" + s.took.String()
	}
	return s.does + "/" + s.took.String()
}

func (v visit) String() string {
	words := []string{v.at.String(), v.key, strconv.Itoa(v.cost)}
	if v.deadline > 0 {
		words = append(words, "deadline="+v.deadline.String())
	}
	if v.leave > 0 {
		words = append(words, "leave="+v.leave.String())
	}
	for _, s := range v.steps {
		words = append(words, s.String())
	}
	return strings.Join(words, " ")
}

// readScript reads what a script prints as.
func readScript(text string) (script []visit, err error) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		v, err := readVisit(words)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
		}
		script = append(script, v)
	}
	return script, nil
}

func readVisit(words []string) (v visit, err error) {
	if len(words) < 4 {
		return v, fmt.Errorf("wants a time, a key, a cost and what the delegate does")
	}
	if v.at, err = time.ParseDuration(words[0]); err != nil {
		return v, err
	}
	v.key = words[1]
	if v.cost, err = strconv.Atoi(words[2]); err != nil {
		return v, err
	}
	for _, word := range words[3:] {
		if name, d, ok := strings.Cut(word, "="); ok {
			into := map[string]*time.Duration{"deadline": &v.deadline, "leave": &v.leave}[name]
			if into == nil {
				return v, fmt.Errorf("there is no %s", name)
			}
			if *into, err = time.ParseDuration(d); err != nil {
				return v, err
			}
			continue
		}
		s := step{deaf: strings.Contains(word, "!")}
		does, d, _ := strings.Cut(strings.Replace(word, "!", "/", 1), "/")
		if s.does = does; !performs(does) {
			return v, fmt.Errorf("no delegate does %s", does)
		}
		if s.took, err = time.ParseDuration(d); err != nil {
			return v, err
		}
		v.steps = append(v.steps, s)
	}
	if len(v.steps) == 0 {
		return v, fmt.Errorf("the delegate does nothing")
	}
	return v, nil
}

func scriptText(script []visit) string {
	var b strings.Builder
	for _, v := range script {
		b.WriteString(v.String() + "\n")
	}
	return b.String()
}

// randomScript returns calls for a policy, at times of the order of those that it
// waits for and measures by. No two things of a script happen at the same
// instant, since who is first would be chance: its times have nanoseconds that
// are random, and those of policies have none.
func randomScript(r *rand.Rand, c conf) []visit {
	spans := c.spans()
	busy := 1 + r.IntN(10) // in tenths: how many calls begin while another one goes on
	trouble := r.IntN(11)
	left := r.IntN(3) * r.IntN(2)
	var script []visit
	at := time.Duration(0)
	for range 2 + r.IntN(22) {
		if gap := around(r, spans); r.IntN(10) < busy {
			at += gap / time.Duration(2+r.IntN(10))
		} else {
			at += gap
		}
		v := visit{at: odd(r, at), key: string(rune('a' + r.IntN(3))), cost: r.IntN(4)}
		if r.IntN(10) < left {
			v.deadline = odd(r, around(r, spans))
		}
		if r.IntN(10) < left {
			v.leave = odd(r, around(r, spans))
		}
		for range 1 + r.IntN(4) {
			v.steps = append(v.steps, randomStep(r, spans, trouble))
		}
		script = append(script, v)
	}
	return script
}

// around returns a span in the order of magnitude of one of those.
func around(r *rand.Rand, spans []time.Duration) time.Duration {
	d := 50 * time.Millisecond
	if len(spans) > 0 {
		d = spans[r.IntN(len(spans))]
	}
	return time.Duration(float64(d) * (0.1 + 1.4*r.Float64()))
}

// odd is about d, with nanoseconds of its own.
func odd(r *rand.Rand, d time.Duration) time.Duration {
	return max(d, 10*time.Microsecond).Truncate(time.Microsecond) + time.Duration(1+r.IntN(999))
}

func randomStep(r *rand.Rand, spans []time.Duration, trouble int) step {
	s := step{does: "S", took: odd(r, around(r, spans)), deaf: r.IntN(5) == 0}
	if r.IntN(3) > 0 {
		s.took = odd(r, s.took/20)
	}
	if r.IntN(10) >= trouble {
		return s
	}
	s.does = [...]string{"A", "A", "A", "A", "A", "B", "B", "T", "P", "bad", "poor", "C", "after", "after", "panic", "exit"}[r.IntN(16)]
	if s.does == "after" {
		s.does += ":" + around(r, spans).Truncate(time.Microsecond).String()
	}
	return s
}
