package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// column is one of a table.
type column struct {
	title string
	right bool // numbers
	last  bool // takes what is left of the line: nothing is padded, a terminal clips it
}

// maxCell is how many columns a cell takes that is not the last.
const maxCell = 60

// table prints rows in columns. What it is given may come from anywhere.
type table struct {
	out     *output
	columns []column
	rows    [][]string
}

func (o *output) table(columns []column) *table { return &table{out: o, columns: columns} }

// row adds a row to t, or prints v where JSON is wanted.
func (o *output) row(t *table, v any, cells []string) error {
	if o.json {
		return o.value(v)
	}
	for i, text := range cells {
		text = clean(text)
		if !t.columns[i].last {
			text = clip(text, maxCell)
		}
		cells[i] = text
	}
	t.rows = append(t.rows, cells)
	return nil
}

// print prints the rows under their titles.
func (t *table) print() error {
	if t.out.json || len(t.rows) == 0 {
		return nil
	}
	widths := t.widths()
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	var b strings.Builder
	b.WriteString(paint(t.out.env.colorOut, bold, t.line(titles, widths)) + "\n")
	for _, row := range t.rows {
		b.WriteString(t.line(row, widths) + "\n")
	}
	_, err := fmt.Fprint(t.out.env.stdout, b.String())
	return err
}

func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = len(c.title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], columns(row[i]))
		}
	}
	return widths
}

// line lays out a row, clipped where a terminal would wrap it.
func (t *table) line(cells []string, widths []int) string {
	var b strings.Builder
	for i, text := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		switch {
		case t.columns[i].right:
			b.WriteString(pad("", widths[i]-columns(text)) + text)
		case t.columns[i].last:
			b.WriteString(text)
		default:
			b.WriteString(pad(text, widths[i]))
		}
	}
	text := strings.TrimRight(b.String(), " ")
	if n := t.out.width(); n > 0 {
		text = clip(text, n)
	}
	return text
}

// width is that of the terminal, 0 where there is none.
func (o *output) width() int {
	f, ok := o.env.stdout.(*os.File)
	if !ok {
		return 0
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return n
}
