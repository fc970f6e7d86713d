package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest returns the name that text was probably meant to be, "" for none.
func Nearest(text string, names []string) string {
	if len(text) > 60 {
		return ""
	}
	best, least := "", 1+len(text)/3
	folded := fold(text)
	for _, name := range names {
		other := fold(name)
		if folded == other {
			return name
		}
		if max(len(folded), len(other))-min(len(folded), len(other)) > 3*least {
			continue // more edits than count, even of wide characters
		}
		if d := distance(folded, other); d < least || d == least && best == "" {
			best, least = name, d
		}
	}
	return best
}

// maxHints bounds how many names a source has compared with what it may have
// meant: a hostile one has thousands of each.
const maxHints = 50_000

// hinter says what was meant instead of names that are not there.
type hinter struct {
	names []string
	left  int // comparisons
}

func (h *hinter) hint(text string) string {
	const shown = 12
	if h.left -= len(h.names); h.left >= 0 {
		if near := Nearest(text, h.names); near != "" {
			return " (did you mean " + near + "?)"
		}
	}
	if len(h.names) > shown {
		return fmt.Sprintf(" (there are %s and %d more)", strings.Join(h.names[:shown], ", "), len(h.names)-shown)
	}
	return " (there are " + strings.Join(h.names, ", ") + ")"
}

// fold removes what people spell differently: case, dashes, underscores.
func fold(name string) string { return strings.ToLower(separators.Replace(name)) }

var separators = strings.NewReplacer("-", "", "_", "", " ", "")

// distance is the number of edits between a and b, where a swap of neighbours
// is one.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	var before []int
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := range s {
		next := make([]int, len(t)+1)
		next[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			next[j+1] = min(next[j]+1, row[j+1]+1, row[j]+cost)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(t)]
}

// unknown answers a key that may not be written in parent.
func (r *reader) unknown(p pair, parent string, place Place) {
	if r.full() {
		return
	}
	path := joinPath(parent, show(p.name))
	allowed := slices.Concat(ownKeys(parent, place), children(parent, place))
	names := make([]string, len(allowed))
	for i, k := range allowed {
		names[i] = k.name()
	}
	if msg := foreign(p, parent); msg != "" {
		r.add(r.at(p.key), "RG090", path, "%s", msg)
		return
	}
	if p.flow && isNull(p.value) && parent != "" && slices.Contains(names, "perKey") {
		r.add(r.at(p.key), "RG090", path, "unknown key; if it is the rest of an expression that YAML's flow style has torn apart, quote the expression")
		return
	}
	if place == InFile && builtinPart(p.name) {
		r.add(r.at(p.key), "RG090", path, "belongs to a policy or a method: policies: {name: {%s: …}}", p.name)
		return
	}
	if k := Lookup(p.name); place&(InWorkflow|InPipeline) != 0 && parent != "" && k != nil && k.Places&InMethod != 0 {
		r.add(r.at(p.key), "RG090", path, "belongs to one of the %s, or to the policy that use: names for all of them", graphParts[place])
		return
	}
	if near := Nearest(p.name, names); near != "" {
		r.add(r.at(p.key), "RG090", path, "unknown key (did you mean %s?)", near)
		return
	}
	if home := r.elsewhere(p.name, parent, place); home != "" {
		r.add(r.at(p.key), "RG090", path, "unknown key here; write it as %s", home)
		return
	}
	r.add(r.at(p.key), "RG090", path, "unknown key; there are %s", strings.Join(names, ", "))
}

// graphParts are what has policies in a workflow and in a pipeline.
var graphParts = map[Place]string{InWorkflow: "nodes", InPipeline: "stages"}

// ownKeys are the keys that a node or a stage has beside those of a method.
func ownKeys(parent string, place Place) []*Key {
	switch {
	case parent != "":
	case place&InNode != 0:
		return children("workflows.nodes", InNode)
	case place&InStage != 0:
		return children("pipelines.stages", InStage)
	}
	return nil
}

func builtinPart(name string) bool {
	k := Lookup(name)
	return k != nil && k.Type == Part
}

// elsewhere returns the path of a key of that name which may be written in
// place: below parent if there is one, else if there is only one.
func (r *reader) elsewhere(name, parent string, place Place) string {
	var found []string
	for _, k := range Keys() {
		if k.name() != name || k.Places&place == 0 || !k.Built {
			continue
		}
		if parent != "" && below(k.Path, parent) {
			return k.Path
		}
		found = append(found, k.Path)
	}
	switch len(found) {
	case 0:
		return ""
	case 1:
		return found[0]
	}
	return strings.Join(found[:len(found)-1], ", ") + " or " + found[len(found)-1]
}

func (r *reader) unknownAmong(p pair, path string, names []string) {
	if near := Nearest(p.name, names); near != "" {
		r.add(r.at(p.key), "RG090", path, "unknown key (did you mean %s?)", near)
		return
	}
	r.add(r.at(p.key), "RG090", path, "unknown key; there is %s", strings.Join(names, ", "))
}
