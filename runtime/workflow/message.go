package workflow

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// message is one on its way to a node. Messages are not changed once they are in a
// state.
type message struct {
	ID   string `json:"id"`
	From string `json:"from,omitempty"` // "" for the input of the run
	To   string `json:"to"`             // a node, or end for an output
	// Line is where it stands among messages that were sent together: numbers with
	// dots between, one for each step that sent more than one. Depth is how many steps
	// are before it. Outputs are in their order.
	Line  string    `json:"line,omitempty"`
	Depth int       `json:"depth,omitempty"`
	Due   time.Time `json:"due,omitzero"` // not before; zero: at once
	Value Value     `json:"value,omitzero"`

	At  time.Time `json:"at,omitzero"`   // of the record that sent it
	Seq uint64    `json:"seq,omitempty"` // in the queue of its run
}

// firstMessage is the id of the one that carries the input of a run.
const firstMessage = "0"

// arrives is when m is there to be taken.
func (m *message) arrives() time.Time {
	if m.Due.After(m.At) {
		return m.Due
	}
	return m.At
}

// byArrival orders messages by when they are there.
func byArrival(a, b *message) int {
	return cmp.Or(a.arrives().Compare(b.arrives()), cmp.Compare(a.Seq, b.Seq))
}

// byLine orders messages by where they stand among those sent together, then by
// depth.
func byLine(a, b *message) int {
	return cmp.Or(compareLines(a.Line, b.Line), cmp.Compare(a.Depth, b.Depth), strings.Compare(a.ID, b.ID))
}

// compareLines compares number by number; a line comes before those that go on
// from it.
func compareLines(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// childLine is the line of message n of those that a step on line sent.
func childLine(line string, n, sent int) string {
	switch {
	case sent <= 1:
		return line
	case line == "":
		return strconv.Itoa(n)
	}
	return line + "." + strconv.Itoa(n)
}

// messageID is that of message n that the invocation parent sends, to a target. It
// does not depend on the order in which nodes run.
func messageID(parent string, n int, to string) string {
	var buf [96]byte
	b := appendPart(buf[:0], parent)
	b = binary.AppendUvarint(b, uint64(n))
	b = appendPart(b, to)
	return shortHash(b)
}

// joinID is that of the invocation of a join with the messages that it consumes.
func joinID(node string, consumed []*message) string {
	ids := make([]string, len(consumed))
	for i, m := range consumed {
		ids[i] = m.ID
	}
	slices.Sort(ids)
	b := appendPart(nil, node)
	for _, id := range ids {
		b = appendPart(b, id)
	}
	return shortHash(b)
}

// messageKey is the idempotency key of an invocation: every attempt and every
// resume of it has the same one, and no other invocation.
func messageKey(workflow, run, invocation string) string {
	var buf [160]byte
	b := appendPart(buf[:0], workflow)
	b = appendPart(b, run)
	b = appendPart(b, invocation)
	sum := sha256.Sum256(b)
	var text [32]byte
	hex.Encode(text[:], sum[:16])
	return string(text[:])
}

func appendPart(b []byte, part string) []byte {
	b = binary.AppendUvarint(b, uint64(len(part)))
	return append(b, part...)
}

func shortHash(b []byte) string {
	sum := sha256.Sum256(b)
	var text [16]byte
	hex.Encode(text[:], sum[:8])
	return string(text[:])
}
