package workflow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Target is the name of a node that takes an In. Generated code has a constant for
// each; that of a join, whose parameter depends on who sends, is a Target[any].
type Target[In any] string

func (t Target[In]) target() string { return string(t) }

// Targeted is a [Target] of any type.
type Targeted interface{ target() string }

// Route says where a node that picks its successors sends what. The zero Route is
// all of its next.
type Route struct {
	hops []hop
	ends bool
	more int // hops beyond those that one step may have, which are not kept
}

// hop is a message that a Route makes.
type hop struct {
	to    string
	value Value // of a Send
	own   bool  // value is to be sent, and not what the node returned
	after time.Duration
}

// To sends what the node returned to each of targets.
func To(targets ...Targeted) Route {
	r := Route{hops: make([]hop, len(targets)), ends: len(targets) == 0}
	for i, t := range targets {
		r.hops[i].to = t.target()
	}
	return r
}

// Send sends v to a node, in place of what the sending node returned.
func Send[In any](t Target[In], v In) Route {
	return Route{hops: []hop{{to: string(t), value: Of(v), own: true}}}
}

// End ends the branch. Where "end" is among the node's next, what it returned is an
// output of the run.
var End = Route{ends: true}

// And returns the route that sends what r and other send.
func (r Route) And(other Route) Route {
	sum := Route{ends: r.ends || other.ends, more: r.more + other.more}
	if n := len(r.hops) + len(other.hops); n > maxMessages {
		sum.hops, sum.more = r.hops, sum.more+len(other.hops) // it is refused anyhow
		return sum
	}
	sum.hops = slices.Concat(r.hops, other.hops)
	return sum
}

// After returns r with every message due d later. The time is in the records of the
// run: nothing waits for it, and a process that ends meanwhile loses nothing.
func (r Route) After(d time.Duration) Route {
	hops := slices.Clone(r.hops)
	for i := range hops {
		hops[i].after += max(d, 0)
	}
	return Route{hops: hops, ends: r.ends, more: r.more}
}

// zero reports whether r is the zero Route.
func (r Route) zero() bool { return r.hops == nil && !r.ends }

// routeError says that a node picked what its graph does not allow.
type routeError struct {
	node, to string
	why      string
}

func (e *routeError) Error() string {
	return fmt.Sprintf("%s must not send to %s: %s", e.node, e.to, e.why)
}

// notNext is why a target is refused that is not among the node's next.
func notNext(next []string) string {
	return "its next are " + strings.Join(next, ", ")
}
