package resilience

import (
	"fmt"
	"strings"
)

// How much of a tree of errors a letter keeps.
const (
	maxErrNodes = 32
	maxErrDepth = 16
	maxErrText  = 2 << 10
)

// errorTree returns err and what it wraps in pre-order.
func errorTree(err error, _ *Errors) []ErrNode {
	var nodes []ErrNode
	var walk func(err error, depth int)
	walk = func(err error, depth int) {
		if err == nil || depth >= maxErrDepth || len(nodes) == maxErrNodes {
			return
		}
		nodes = append(nodes, ErrNode{Type: fmt.Sprintf("%T", err), Msg: cutText(err.Error(), maxErrText), Depth: depth})
		switch w := err.(type) {
		case interface{ Unwrap() error }:
			walk(w.Unwrap(), depth+1)
		case interface{ Unwrap() []error }:
			for _, e := range w.Unwrap() {
				walk(e, depth+1)
			}
		}
	}
	walk(err, 0)
	return nodes
}

// cutText returns the begin of text, at most so many bytes, as UTF-8.
func cutText(text string, most int) string {
	if len(text) > most {
		text = text[:most-3] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
