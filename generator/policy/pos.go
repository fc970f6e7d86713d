package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a source file. Line and Col count from 1, Col in
// characters. The zero Pos is no place.
type Pos struct {
	File      string
	Line, Col int
}

// IsValid reports whether p is a place.
func (p Pos) IsValid() bool { return p.Line > 0 }

// String returns file:line:col.
func (p Pos) String() string {
	if !p.IsValid() {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Compare orders positions by file, line and column.
func (p Pos) Compare(q Pos) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Col, q.Col))
}

// Name is an identifier or a matcher as written: ErrBusy, net.OpError,
// Transient. The zero Name is none.
type Name struct {
	Text string
	Pos  Pos
}

// String returns the name as written.
func (n Name) String() string { return n.Text }

// Error is one complaint about a policy source.
type Error struct {
	Pos     Pos
	ID      string // of the check, RG095; "" for what no check has a number for
	Key     string // retry.maxAttempts; "" if the complaint is about no key
	Msg     string // what is wrong, and what to write instead
	Line    string // the source line, for a caret below Pos.Col; "" if it is too long to show
	Warning bool
	Info    bool // a note: a warning that fails nothing, whatever the flags
}

// Error returns file:line:col: key: message.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Pos.String())
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(e.Key)
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	if e.ID != "" {
		fmt.Fprintf(&b, " (%s)", e.ID)
	}
	return b.String()
}

// Errors are the complaints of a [Read], sorted by position.
type Errors []*Error

// Error returns all of them, one a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes each complaint visible to errors.As.
func (es Errors) Unwrap() []error {
	list := make([]error, len(es))
	for i, e := range es {
		list[i] = e
	}
	return list
}

// Sorted returns es ordered by position without repetitions: a policy that
// two methods use is complained about once.
func (es Errors) Sorted() Errors {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Msg, b.Msg))
	})
	return slices.CompactFunc(es, func(a, b *Error) bool {
		return a.Pos == b.Pos && a.Key == b.Key && a.Msg == b.Msg
	})
}
