package main

import (
	"bytes"
	"fmt"
	"strings"
)

// text draws a chart as a tree for a terminal. A vertex is drawn where the last
// arrow ends that leads to it, but for those of cycles; other arrows to it say
// where it is.
func text(c *chart, color bool) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, paint(color, bold, clean(c.title)))
	for _, note := range c.notes {
		fmt.Fprintln(&b, clean(note))
	}
	fmt.Fprintln(&b)
	b.Write(branches(c))
	return b.Bytes()
}

// branches is the tree of a chart alone.
func branches(c *chart) []byte {
	var b bytes.Buffer
	t := &tree{chart: c, out: &b, back: c.back(), leaving: make([][]int, len(c.vertices)), left: make([]int, len(c.vertices)), drawn: make([]bool, len(c.vertices)), wide: treeWidth(c)}
	for i, a := range c.arrows {
		t.leaving[a.from] = append(t.leaving[a.from], i)
		if !t.back[i] {
			t.left[a.to]++
		}
	}
	roots := make([]bool, len(c.vertices)) // before any is drawn
	for v, n := range t.left {
		roots[v] = n == 0
	}
	for v := range c.vertices {
		if roots[v] {
			t.vertex(v, "", "")
		}
	}
	return b.Bytes()
}

// tree is a drawing that is being made.
type tree struct {
	*chart
	out     *bytes.Buffer
	back    []bool
	leaving [][]int // arrows that leave a vertex
	left    []int   // arrows that lead to a vertex and are not drawn yet
	drawn   []bool
	wide    int // columns before the notes
}

// maxIndent is how far to the right branches go, in columns; those below stand
// there as well.
const maxIndent = 60

// treeWidth is how wide names and branches are, about: beyond that a line breaks
// the column of notes.
func treeWidth(c *chart) int {
	wide := 0
	for _, v := range c.vertices {
		wide = max(wide, columns(graphText(v.name)))
	}
	return min(wide+16, 48)
}

// vertex draws v and what follows it. branch is what stands before it in its
// line, under before those below. Where one arrow leaves, what follows stands
// below, not to the right: a chain does not leave the screen.
func (t *tree) vertex(v int, branch, under string) {
	t.drawn[v] = true
	line := branch + t.named(v)
	if notes := t.notesOf(v); notes != "" {
		line = pad(line, t.wide) + "  " + notes
	}
	fmt.Fprintln(t.out, strings.TrimRight(line, " "))
	for n, i := range t.leaving[v] {
		switch last := n == len(t.leaving[v])-1; {
		case last && n == 0:
			t.arrow(i, under+t.sign(i, "↓ ", "⇣ "), under)
		case columns(under) > maxIndent:
			t.arrow(i, under+t.sign(i, "├─ ", "├┄ "), under)
		case last:
			t.arrow(i, under+t.sign(i, "└─ ", "└┄ "), under+"   ")
		default:
			t.arrow(i, under+t.sign(i, "├─ ", "├┄ "), under+"│  ")
		}
	}
}

// sign is what leads to the end of arrow i.
func (t *tree) sign(i int, always, choice string) string {
	if t.arrows[i].choice {
		return choice
	}
	return always
}

// arrow draws the end of arrow i: what it leads to if it is the last that does,
// else where that is.
func (t *tree) arrow(i int, branch, under string) {
	to := t.arrows[i].to
	if t.back[i] {
		fmt.Fprintf(t.out, "%s%s, again (a cycle)\n", branch, t.named(to))
		return
	}
	switch t.left[to]--; {
	case t.drawn[to]:
		fmt.Fprintf(t.out, "%s%s, above\n", branch, t.named(to))
	case t.left[to] > 0:
		fmt.Fprintf(t.out, "%s%s, below\n", branch, t.named(to))
	default:
		t.vertex(to, branch, under)
	}
}

func (t *tree) named(v int) string { return graphText(t.vertices[v].name) }

// notesOf is what is to say of v, in a line.
func (t *tree) notesOf(at int) string {
	v := t.vertices[at]
	list := vertexNotes(v)
	if v.join != "" {
		list = append([]string{"joins " + v.join}, list...)
	}
	if v.choice {
		list = append(list, "picks what follows")
	}
	if v.fallback {
		list = append(list, "fallback")
	}
	if v.letter {
		list = append(list, "letters")
	}
	for i, note := range list {
		list[i] = clean(note)
	}
	return strings.Join(list, " · ")
}
