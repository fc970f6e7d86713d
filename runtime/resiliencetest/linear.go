package resiliencetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// call is one call of a history of concurrent ones. apply says what a state becomes
// by it, or that it could not have returned what it did in that state.
type call[S comparable] struct {
	begin, end int64 // by the ticks of a history
	text       string
	apply      func(S) (S, bool)
}

// history takes down calls that run at the same time. The zero value is empty.
type history[S comparable] struct {
	ticks atomic.Int64
	mu    sync.Mutex
	calls []call[S]
}

// do takes down one call.
func (h *history[S]) do(f func() (text string, apply func(S) (S, bool))) {
	c := call[S]{begin: h.ticks.Add(1)}
	c.text, c.apply = f()
	c.end = h.ticks.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
}

// check looks for an order of the calls that is possible one by one, with each
// before those that began after its end (Herlihy and Wing 1990; the search is that
// of Wing and Gong 1993 with the memory of Lowe 2017). It returns why there is none.
func (h *history[S]) check(initial S) string {
	slices.SortFunc(h.calls, func(a, b call[S]) int { return cmp.Compare(a.begin, b.begin) })
	l := linearization[S]{calls: h.calls, done: make([]bool, len(h.calls)), failed: map[string]bool{}}
	if l.search(initial, 0) {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "no order of the %d calls is possible, each with the ticks of its beginning and end; the longest one that is ends with\n", len(h.calls))
	for _, i := range l.best[max(len(l.best)-20, 0):] {
		fmt.Fprintf(&b, "[%d, %d] %s\n", h.calls[i].begin, h.calls[i].end, h.calls[i].text)
	}
	b.WriteString("and one of these must be next:\n")
	for i, c := range h.calls {
		if !slices.Contains(l.best, i) && b.Len() < 4000 {
			fmt.Fprintf(&b, "[%d, %d] %s\n", c.begin, c.end, c.text)
		}
	}
	return b.String()
}

// linearization is the search for an order.
type linearization[S comparable] struct {
	calls  []call[S]
	done   []bool
	order  []int
	best   []int           // the longest order that was possible
	failed map[string]bool // the rest cannot be ordered from there
}

// search orders the calls that are not done. Those before first are.
func (l *linearization[S]) search(state S, first int) bool {
	for first < len(l.calls) && l.done[first] {
		first++
	}
	if first == len(l.calls) {
		return true
	}
	here := l.place(state, first)
	if l.failed[here] {
		return false
	}
	end := int64(1<<63 - 1) // no call that began later can be next
	for i := first; i < len(l.calls) && l.calls[i].begin <= end; i++ {
		if l.done[i] {
			continue
		}
		end = min(end, l.calls[i].end)
		if l.try(state, first, i) {
			return true
		}
	}
	l.failed[here] = true
	return false
}

func (l *linearization[S]) try(state S, first, i int) bool {
	next, ok := l.calls[i].apply(state)
	if !ok {
		return false
	}
	l.done[i] = true
	l.order = append(l.order, i)
	if len(l.order) > len(l.best) {
		l.best = slices.Clone(l.order)
	}
	if l.search(next, first) {
		return true
	}
	l.done[i] = false
	l.order = l.order[:len(l.order)-1]
	return false
}

// place names a state and what is done. Calls far behind first cannot be done: they
// began after the end of first.
func (l *linearization[S]) place(state S, first int) string {
	done := []byte(nil)
	for i := first; i < len(l.calls) && l.calls[i].begin <= l.calls[first].end; i++ {
		if l.done[i] {
			done = append(done, '1')
		} else {
			done = append(done, '0')
		}
	}
	return fmt.Sprint(state, first, string(done))
}
