package histories

import (
	"slices"
	"strings"
	"testing"
)

// shrink takes away what a history fails without, as long as it fails in the
// same way.
func (s *stage) shrink(t *testing.T, h history, why string) (history, string) {
	for progress := true; progress; {
		progress = false
		for _, smaller := range h.smaller() {
			if now := s.fails(t, smaller); now != "" && way(now) == way(why) {
				h, why, progress = smaller, now, true
				break
			}
		}
	}
	return h, why
}

// fails plays a history, and says what is wrong; "" if nothing is, or the
// generator refuses the policy.
func (s *stage) fails(t *testing.T, h history) string {
	g, err := s.generate(t, h.file(h.entry))
	if err != nil || s.shapes[g.body(h.entry)] == nil {
		return ""
	}
	want, doubtful := modelled(t, h, "")
	if doubtful {
		return ""
	}
	return difference(s.real(t, h, g), want)
}

// way is in what a history fails: the first words of the lines that differ.
func way(why string) (words string) {
	for line := range strings.Lines(why) {
		list := strings.Fields(line[len("got  "):])
		if len(list) > 2 && list[0] == "call" {
			list = list[2:]
		}
		words += list[0] + " "
	}
	return words
}

// smaller are histories with a little less in them, those with much less first.
func (h history) smaller() (list []history) {
	with := func(script []visit) { list = append(list, history{h.conf, h.entry, script}) }
	for n := len(h.script) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(h.script); i += n {
			with(slices.Delete(slices.Clone(h.script), i, i+n))
		}
	}
	for _, path := range h.paths() {
		if path != "of" && path != "idempotent" { // without which a retry is left out
			list = append(list, history{h.without(path), h.entry, h.script})
		}
	}
	for i, v := range h.script {
		for _, simpler := range v.simpler() {
			script := slices.Clone(h.script)
			script[i] = simpler
			with(script)
		}
	}
	return slices.DeleteFunc(list, func(h history) bool { return len(h.script) == 0 })
}

// simpler are calls with a little less in them.
func (v visit) simpler() (list []visit) {
	add := func(is bool, simplify func(*visit)) {
		if !is {
			u := v
			u.steps = slices.Clone(v.steps)
			simplify(&u)
			list = append(list, u)
		}
	}
	add(v.deadline == 0, func(u *visit) { u.deadline = 0 })
	add(v.leave == 0, func(u *visit) { u.leave = 0 })
	add(v.key == "a", func(u *visit) { u.key = "a" })
	add(v.cost == 1, func(u *visit) { u.cost = 1 })
	add(len(v.steps) == 1, func(u *visit) { u.steps = u.steps[:len(u.steps)-1] })
	for i, s := range v.steps {
		add(s.does == "S", func(u *visit) { u.steps[i].does = "S" })
		add(s.does == "S" || s.does == "A", func(u *visit) { u.steps[i].does = "A" })
		add(!s.deaf, func(u *visit) { u.steps[i].deaf = false })
	}
	return list
}
