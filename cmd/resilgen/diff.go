package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// around is how many equal lines a hunk shows before and after a change.
const around = 3

// edit is a line of a diff: ' ' for one that stays, '-' and '+'.
type edit struct {
	sign byte
	text string
}

// stretch is n equal lines, from line a of one text and line b of the other.
type stretch struct{ a, b, n int }

// diff returns what turns old into now, as a unified diff.
func (env *environment) diff(path, old, now string) string {
	edits := compare(lines(old), lines(now))
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s (generated)\n", path, path)
	for _, h := range hunks(edits) {
		fmt.Fprintf(&out, "@@ -%s +%s @@\n", span(edits, h, '+'), span(edits, h, '-'))
		for _, e := range edits[h[0]:h[1]] {
			line := string(e.sign) + e.text
			switch e.sign {
			case '-':
				line = paint(env.colorOut, red, line)
			case '+':
				line = paint(env.colorOut, green, line)
			}
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// lines splits a text. The end of a last line that has none is not compared.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// hunks returns the parts of edits that change something, with the lines
// around them.
func hunks(edits []edit) [][2]int {
	var list [][2]int
	for i, e := range edits {
		if e.sign == ' ' {
			continue
		}
		from, to := max(i-around, 0), min(i+1+around, len(edits))
		if n := len(list); n > 0 && from <= list[n-1][1] {
			list[n-1][1] = to
		} else {
			list = append(list, [2]int{from, to})
		}
	}
	return list
}

// span says which lines of one text a hunk covers; the sign is that of lines
// that only the other text has.
func span(edits []edit, hunk [2]int, other byte) string {
	first, count := 1, 0
	for i, e := range edits[:hunk[1]] {
		switch {
		case e.sign == other:
		case i < hunk[0]:
			first++
		default:
			count++
		}
	}
	if count == 0 {
		first-- // as diff says it: after this line
	}
	return fmt.Sprintf("%d,%d", first, count)
}

// compare returns the lines of both texts in order.
func compare(a, b []string) []edit {
	var edits []edit
	add := func(sign byte, lines []string) {
		for _, text := range lines {
			edits = append(edits, edit{sign, text})
		}
	}
	doneA, doneB := 0, 0
	for _, r := range common(a, b) {
		add('-', a[doneA:r.a])
		add('+', b[doneB:r.b])
		doneA, doneB = r.a+r.n, r.b+r.n
		add(' ', a[r.a:doneA])
	}
	return edits
}

// common returns the stretches that both texts have, in order: what is equal
// around lines that occur once in each, and at both ends. The last one is where
// the texts end, be it empty.
func common(a, b []string) []stretch {
	var list []stretch
	doneA, doneB := 0, 0
	for _, r := range slices.Concat([]stretch{{}}, anchors(a, b), []stretch{{len(a), len(b), 0}}) {
		if r.a < doneA || r.b < doneB {
			continue // in the last one
		}
		for r.a > doneA && r.b > doneB && a[r.a-1] == b[r.b-1] {
			r.a, r.b, r.n = r.a-1, r.b-1, r.n+1
		}
		for r.a+r.n < len(a) && r.b+r.n < len(b) && a[r.a+r.n] == b[r.b+r.n] {
			r.n++
		}
		doneA, doneB = r.a+r.n, r.b+r.n
		list = append(list, r)
	}
	return list
}

// anchors returns the lines that occur once in each text, as empty stretches:
// the most of them that stand in the same order.
func anchors(a, b []string) []stretch {
	inA, inB := once(a), once(b)
	var pairs []stretch
	for i, text := range a {
		if j := inB[text]; inA[text] > 0 && j > 0 {
			pairs = append(pairs, stretch{i, j - 1, 0})
		}
	}
	var last []int                    // of each length the chain that ends soonest: its last pair
	before := make([]int, len(pairs)) // the pair before in the chain, -1 for none
	for k, p := range pairs {
		n, _ := slices.BinarySearchFunc(last, p.b, func(k, b int) int { return cmp.Compare(pairs[k].b, b) })
		before[k] = -1
		if n > 0 {
			before[k] = last[n-1]
		}
		if n == len(last) {
			last = append(last, k)
		}
		last[n] = k
	}
	var chain []stretch
	if len(last) > 0 {
		for k := last[len(last)-1]; k >= 0; k = before[k] {
			chain = append(chain, pairs[k])
		}
	}
	slices.Reverse(chain)
	return chain
}

// once returns the number of each line that occurs once, counted from 1.
func once(lines []string) map[string]int {
	at := map[string]int{}
	for i, text := range lines {
		if _, seen := at[text]; seen {
			at[text] = -1
		} else {
			at[text] = i + 1
		}
	}
	return at
}
