package generator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
)

// Refused is the kind of a change for which runs under way do not go on. It says
// of which runs.
const Refused = "refused"

// judge says which runs that began in the old graph would be refused in the present
// one, and how they are mapped. It goes by the rules of the runtime, for every
// message that a run may have.
func (d *graphDiff) judge() {
	now := d.g.out.Fingerprint
	if d.made.fingerprint == now {
		return
	}
	bare, mended := *d, *d
	bare.list, mended.list, mended.moved = nil, nil, true
	bare.runs()
	mended.runs()
	d.list = append(d.list, bare.list...)
	why := "runs under way go on"
	switch {
	case len(bare.list) > 0:
		why = "runs under way: " + d.migrate(len(mended.list), len(bare.list))
	case !d.known:
		return // and nothing that is known stands against them
	}
	d.word("", "fingerprint", cmp.Or(d.made.fingerprint, "unknown"), now, d.g.in.Pos)
	d.list[len(d.list)-1].Why = why
}

// runs says which of them would be refused.
func (d *graphDiff) runs() {
	for _, old := range d.old {
		if !d.dropped(old.Name.Text) {
			d.message(old)
		}
	}
	d.joins()
	d.outputs()
}

// target is the present name of an old node, as far as the runtime is told.
func (d *graphDiff) target(name string) string {
	if to := d.renamed[name]; d.moved && to != "" {
		return to
	}
	return name
}

// targets is target of each.
func (d *graphDiff) targets(names []string) []string {
	list := slices.Clone(names)
	for i, name := range list {
		list[i] = d.target(name)
	}
	return list
}

// dropped reports whether the runtime is told to drop the messages of an old node.
func (d *graphDiff) dropped(name string) bool {
	return d.moved && find(d.old, name) != nil && find(d.now, d.target(name)) == nil
}

func (d *graphDiff) refuse(node string, pos policy.Pos, format string, args ...any) {
	d.add(Change{Change: lint.Change{Kind: Refused, Key: "runs", Pos: pos}, Method: node, Why: fmt.Sprintf(format, args...)})
}

// message judges runs with a message that waits for an old node.
func (d *graphDiff) message(old *wired) {
	name := old.Name.Text
	now := find(d.now, d.target(name))
	switch {
	case now == nil:
		d.refuse(name, d.g.in.Pos, "a run with a message that waits for node %s, which is gone", name)
		return
	case !slices.Equal(d.targets(old.waits), now.waits) || old.WaitAny != now.WaitAny:
		d.refuse(name, now.Name.Pos, "a run with a message that has come to node %s, which waited for %q and now waits for %q", name, old.waits, now.waits)
		return
	}
	if _, ok := d.made.nodes[name]; !ok {
		return
	}
	for i, takes := range now.in {
		var carries shaped
		if i < len(old.in) {
			carries = old.in[i]
		}
		if carries.shape != takes.shape {
			d.refuse(name, now.Name.Pos, "a run with a message that carries %s for node %s, which now takes %s: resilience.Upcast makes one of the other", carries, name, takes)
		}
	}
}

// joins judges the joins that are new: some of what they wait for may be done.
func (d *graphDiff) joins() {
	for _, n := range d.now {
		waited := slices.ContainsFunc(d.old, func(old *wired) bool {
			return d.target(old.Name.Text) == n.Name.Text && slices.Equal(d.targets(old.waits), n.waits)
		})
		if n.waits == nil || n.MayMiss() || waited {
			continue
		}
		var missing []string
		for _, left := range d.old {
			if d.dropped(left.Name.Text) {
				continue
			}
			reached := d.reached(d.target(left.Name.Text))
			without := slices.DeleteFunc(slices.Clone(n.waits), func(from string) bool { return reached[from] })
			if len(without) < len(n.waits) {
				missing = append(missing, without...)
			}
		}
		slices.Sort(missing)
		if missing = slices.Compact(missing); len(missing) > 0 {
			d.refuse(n.Name.Text, n.Name.Pos, "a run that is past %s, for which node %s now waits", strings.Join(missing, " or "), n.Name.Text)
		}
	}
}

// reached returns the nodes that may run after one, and that.
func (d *graphDiff) reached(name string) map[string]bool {
	seen, todo := map[string]bool{name: true}, []string{name}
	for len(todo) > 0 {
		n := find(d.now, todo[0])
		todo = todo[1:]
		if n == nil {
			continue
		}
		for _, next := range n.next {
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return seen
}

// outputs judges runs that have come to the end on one branch.
func (d *graphDiff) outputs() {
	now := d.g.out.Output
	if d.known && d.made.output.shape != now.Shape {
		d.refuse("", d.g.in.Pos, "a run that has an output already, %s, where the workflow now comes to %s", d.made.output, shaped{d.g.r.text(now.Type), now.Shape})
	}
}

// migrate is the call by which runs under way are mapped, and what it mends.
func (d *graphDiff) migrate(left, refusals int) string {
	var rename, drop, moves []string
	for _, name := range slices.Sorted(maps.Keys(d.renamed)) {
		rename = append(rename, fmt.Sprintf("%q: %q", name, d.renamed[name]))
	}
	for _, old := range d.old {
		if d.after(old) == nil {
			drop = append(drop, strconv.Quote(old.Name.Text))
		}
	}
	if rename != nil {
		moves = append(moves, "Rename: map[string]string{"+strings.Join(rename, ", ")+"}")
	}
	if drop != nil {
		moves = append(moves, "Drop: []string{"+strings.Join(drop, ", ")+"}")
	}
	last := "…"
	if moves != nil {
		last = "workflow.Moves{" + strings.Join(moves, ", ") + "}"
	}
	text := fmt.Sprintf("workflow.Migrate(rt, %q, %q, %s)", d.g.r.pkg.Path+"."+d.g.in.Name, cmp.Or(d.made.fingerprint, "<resilgen runs show --json>"), last)
	if moves != nil && left > 0 {
		text += fmt.Sprintf(", which leaves %d of %d refusals", left, refusals)
	}
	return text + ", or the graph as it was"
}
