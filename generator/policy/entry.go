package policy

import (
	"go/token"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// An entry is what one place says: a policy, an interface, a method. Values
// are in the order of the source, a group before the keys in it.
type entry struct {
	pos    Pos
	none   Pos  // of `none` instead of an entry
	base   Name // use or extends
	values []Value
	lint   []ignore
}

// ignore is a check left out, with the reason.
type ignore struct {
	id     string
	reason string
	pos    Pos
}

// edit is what a source says about a list of matchers.
type edit struct {
	names       []Name
	add, remove []Name
	replace     bool
}

// A reader reads the values of one source.
type reader struct {
	*source
}

// entry reads the keys of a policy, an interface or a method. Keys with a
// structure of their own are left to own, which reports whether it knew the key.
func (r *reader) entry(n *yaml.Node, place Place, own func(pair) bool) *entry {
	e := &entry{pos: r.at(n)}
	for _, p := range pairs(n) {
		r.entryKey(e, p, "", place, own)
	}
	return e
}

func (r *reader) entryKey(e *entry, p pair, parent string, place Place, own func(pair) bool) {
	path := joinPath(parent, p.name)
	k := Lookup(path)
	switch {
	case k == nil || k.Places&place == 0:
		r.unknown(p, parent, place)
	case !k.Built:
		r.errorf(p.key, path, "not available yet")
	case path == "lint":
		r.lint(e, p.value)
	case k.Type == structural:
		own(p)
	case isNull(p.value):
		r.errorf(p.key, path, "has no value%s", k.like())
	case k.group():
		r.group(e, k, p, place)
	case k.Type == Condition && p.value.Kind == yaml.MappingNode:
		r.groupKeys(e, k, p.value, place)
	default:
		r.value(e, k, p)
	}
}

func (r *reader) set(e *entry, k *Key, n *yaml.Node, v any) {
	p := r.at(n)
	if name, ok := v.(Name); ok {
		v = Name{Text: name.Text, Pos: p}
	}
	e.values = append(e.values, Value{Key: k, V: v, Pos: p, Origin: p.String()})
}

func (r *reader) unset(e *entry, k *Key, n *yaml.Node) {
	r.set(e, k, n, nil)
	e.values[len(e.values)-1].None = true
}

// group reads a part or a section: a mapping, none, or true.
func (r *reader) group(e *entry, k *Key, p pair, place Place) {
	n := p.value
	switch {
	case n.Kind == yaml.MappingNode:
		r.groupKeys(e, k, n, place)
	case plain(n, none) && k.noneKey != "":
		r.shorthand(e, k, n)
	case plain(n, none) && k.Unset == none:
		r.unset(e, k, n)
	case n.Tag == "!!bool" && strings.EqualFold(n.Value, "false"):
		r.errorf(n, k.Path, "write none, not false")
	case n.Tag == "!!bool" && k.plain():
		r.set(e, k, n, true)
	case n.Tag == "!!bool":
		r.errorf(n, k.Path, "true says nothing: write what it shall be, like %s", k.Example)
	default:
		r.errorf(n, k.Path, "wants a mapping, not %s, like %s%s", article(n), k.Example, scalarHint(k, n))
	}
}

// scalarHint answers timeout: 2s.
func scalarHint(k *Key, n *yaml.Node) string {
	if k.Path == "timeout" && n.Kind == yaml.ScalarNode {
		return " (total is the whole call, attempt one execution)"
	}
	return ""
}

func article(n *yaml.Node) string {
	kind := kindOf(n)
	switch {
	case n.Kind == yaml.ScalarNode:
		return kind
	case strings.HasPrefix(kind, "a"):
		return "an " + kind
	}
	return "a " + kind
}

func (r *reader) groupKeys(e *entry, k *Key, n *yaml.Node, place Place) {
	list := pairs(n)
	if len(list) == 0 && len(n.Content) == 0 && !k.plain() {
		r.errorf(n, k.Path, "is empty: write what it shall be, like %s", k.Example)
		return
	}
	if k.Type == Condition {
		r.set(e, k, n, "")
	} else {
		r.set(e, k, n, false) // as a mapping: true is only what is written true
	}
	for _, p := range list {
		r.entryKey(e, p, k.Path, place, nil)
	}
	switch k.Path {
	case "fallback":
		r.oneAnswer(list)
	case "hedge":
		r.oneDelay(list)
	}
}

// oneDelay refuses a hedge that is due at two times.
func (r *reader) oneDelay(list []pair) {
	for _, p := range list {
		for _, other := range list {
			if p.name == "delay" && byPercentile("hedge."+other.name) && !plain(p.value, none) {
				r.errorf(other.key, "hedge."+other.name, "a hedge begins after a delay or by percentile, and delay is given at %s", r.at(p.key))
				return
			}
		}
	}
}

// oneAnswer refuses a fallback of two kinds.
func (r *reader) oneAnswer(list []pair) {
	var given *yaml.Node
	var name string
	for _, p := range list {
		switch p.name {
		case "func", "to", "value":
			if given != nil {
				r.errorf(p.key, "fallback."+p.name, "a fallback has one answer, and %s is given at %s", name, r.at(given))
				return
			}
			given, name = p.key, p.name
		}
	}
}

// shorthand reads backoff: none as strategy none.
func (r *reader) shorthand(e *entry, k *Key, n *yaml.Node) {
	name, text, _ := strings.Cut(k.noneKey, "=")
	child := Lookup(k.Path + "." + name)
	if child.Unset == text {
		r.set(e, k, n, false)
		r.unset(e, child, n)
		return
	}
	v, _ := child.scalar(&yaml.Node{Kind: yaml.ScalarNode, Tag: tagOf(child), Value: text})
	r.set(e, k, n, false)
	r.set(e, child, n, v)
}

func tagOf(k *Key) string {
	if k.Type == Bool {
		return "!!bool"
	}
	return "!!str"
}

// value reads a key with a value of its own.
func (r *reader) value(e *entry, k *Key, p pair) {
	n := p.value
	switch {
	case k.Unset != "" && plain(n, k.Unset):
		r.unset(e, k, n)
	case plain(n, none) && k.Type != Enum:
		r.add(r.at(n), k.noneID, k.Path, "cannot be none%s", noneHint(k))
	case k.extends():
		if l, ok := r.matchers(k, n); ok {
			r.set(e, k, n, l)
		}
	case k.Type == Pairs:
		if l, ok := r.pairing(k, n); ok {
			r.set(e, k, n, l)
		}
	case k.Type == Layers:
		if l, ok := r.layerList(k, n); ok {
			r.set(e, k, n, l)
		}
	case k.Type == Durations:
		if l, ok := r.durations(k, n); ok {
			r.set(e, k, n, l)
		}
	default:
		v, c := k.scalar(n)
		if r.overrides && k.ZeroAtRunTime && n.Value == "0" {
			v, c = 0, complaint{}
		}
		if c.bad() {
			r.add(r.at(n), c.id, k.Path, "%s%s", c.msg, torn(k, p))
			return
		}
		r.set(e, k, n, v)
	}
}

func almostBool(text string) bool {
	switch strings.ToLower(text) {
	case "yes", "no", "on", "off", "y", "n", "true", "false":
		return true
	}
	return false
}

func noneHint(k *Key) string {
	switch {
	case k.Path == "bulkhead.maxQueue":
		return ": 0 lets nobody queue, unbounded everybody"
	case k.Unset != "":
		return ": " + k.Unset + " takes a list back, and none of the part switches it off"
	case k.Range == "≥ 0":
		return ": write 0"
	}
	return ""
}

// torn explains a Go expression that YAML's flow style has taken apart.
func torn(k *Key, p pair) string {
	expression := k.Type == Expression || k.Type == Condition && isString(p.value) && !almostBool(p.value.Value)
	if expression && p.flow && p.value.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
		return "; YAML's flow style tears expressions apart, quote it"
	}
	return ""
}

func (r *reader) durations(k *Key, n *yaml.Node) ([]time.Duration, bool) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		r.errorf(n, k.Path, "wants a list of durations%s", k.like())
		return nil, false
	}
	one := &Key{Path: k.Path, Type: Duration, Range: "≥ 0"}
	var list []time.Duration
	for _, c := range n.Content {
		d, bad := one.scalar(c)
		if bad.bad() {
			r.add(r.at(c), bad.id, k.Path, "%s", bad.msg)
			continue
		}
		list = append(list, d.(time.Duration))
	}
	return list, len(list) == len(n.Content)
}

// matchers reads a list, or what to add to an inherited list and remove from it.
func (r *reader) matchers(k *Key, n *yaml.Node) (edit, bool) {
	switch n.Kind {
	case yaml.SequenceNode:
		names, ok := r.names(k, k.Path, n)
		if ok && len(names) == 0 && k.Type == Words {
			r.errorf(n, k.Path, "an empty list says that nothing is: %s is the default, and deadLetter: none switches it off", k.Default)
			return edit{}, false
		}
		if ok && len(names) == 0 && k.def == anyError {
			id := ""
			if k.Path == "retry.retryOn" {
				id = "RG017"
			}
			r.add(r.at(n), id, k.Path, "an empty list matches nothing; %s is the default", anyError)
			return edit{}, false
		}
		return edit{names: names, replace: true}, ok && r.panicky(k, names)
	case yaml.MappingNode:
		return r.edit(k, n)
	}
	r.errorf(n, k.Path, "wants a list%s, or {add: […], remove: […]}, not %s", k.like(), article(n))
	return edit{}, false
}

func (r *reader) edit(k *Key, n *yaml.Node) (edit, bool) {
	var l edit
	ok := true
	for _, p := range pairs(n) {
		path := k.Path + "." + p.name
		switch p.name {
		case "add", "remove":
			names, fine := r.names(k, path, p.value)
			if fine && len(names) == 0 {
				r.errorf(p.value, path, "names nothing")
				fine = false
			}
			if p.name == "add" {
				l.add = names
			} else {
				l.remove = names
			}
			ok = ok && fine
		default:
			r.unknownAmong(p, path, []string{"add", "remove"})
			ok = false
		}
	}
	if ok && len(l.add)+len(l.remove) == 0 {
		r.errorf(n, k.Path, "wants add: […], remove: […] or both")
		ok = false
	}
	return l, ok && r.panicky(k, l.add)
}

// panicky refuses Panic where it means nothing.
func (r *reader) panicky(k *Key, names []Name) bool {
	for _, name := range names {
		if name.Text == "Panic" && k.Path != "circuitBreaker.ignoreOn" {
			r.add(name.Pos, "", k.Path, "Panic may be named in circuitBreaker.ignoreOn only: nothing can be retried while a panic unwinds")
			return false
		}
	}
	return true
}

// names reads the entries of a list.
func (r *reader) names(k *Key, path string, n *yaml.Node) ([]Name, bool) {
	if n.Kind != yaml.SequenceNode {
		r.errorf(n, path, "wants a list, like %s, not %s", listLike(k), article(n))
		return nil, false
	}
	list := make([]Name, 0, len(n.Content))
	seen := make(map[string]bool, len(n.Content))
	ok := true
	for _, c := range n.Content {
		if msg := k.badEntry(c); msg != "" {
			r.errorf(c, path, "%s", msg)
			ok = false
			continue
		}
		if seen[c.Value] {
			r.errorf(c, path, "%s is named twice", c.Value)
			ok = false
			continue
		}
		seen[c.Value] = true
		list = append(list, Name{Text: c.Value, Pos: r.at(c)})
	}
	return list, ok
}

func badName(n *yaml.Node) string {
	switch {
	case n.Kind != yaml.ScalarNode || isNull(n):
		return "a matcher is the name of a Go error, error type or func, not " + article(n)
	case n.Tag == "!!int":
		return "a matcher is the name of a Go error, error type or func, not a number: for HTTP there are HTTP429, HTTP5xx and the classes, or a func of yours"
	case n.Value == anyError:
		return "any is no matcher: where any error may be meant, it stands instead of the list"
	case !isString(n):
		return "a matcher is the name of a Go error, error type or func; quote " + show(n.Value)
	case strings.HasPrefix(n.Value, "*"):
		return "write the type without the star: pointers are found too"
	case !token.IsIdentifier(n.Value) && !isQualified(n.Value):
		return "\"" + show(n.Value) + "\" is not a Go name: a matcher is an error variable, an error type or a func, like ErrBusy or net.OpError; the text of a message cannot be matched"
	}
	return ""
}

var checkID = regexp.MustCompile(`^RG[0-9A-F]{3}$`)

// lint reads lint: {ignore: {RG02B: reason}}.
func (r *reader) lint(e *entry, n *yaml.Node) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		r.errorf(n, "lint", "wants a mapping, like %s", Lookup("lint").Example)
		return
	}
	for _, p := range pairs(n) {
		if p.name != "ignore" {
			r.unknownAmong(p, "lint."+p.name, []string{"ignore"})
			continue
		}
		if p.value.Kind != yaml.MappingNode || len(p.value.Content) == 0 {
			r.errorf(p.value, "lint.ignore", "wants the checks, each with a reason, like %s", Lookup("lint").Example)
			continue
		}
		for _, c := range pairs(p.value) {
			r.ignore(e, c)
		}
	}
}

func (r *reader) ignore(e *entry, p pair) {
	switch {
	case !checkID.MatchString(p.name):
		r.errorf(p.key, "lint.ignore", "%q is not the number of a check, like RG02B", show(p.name))
	case !isString(p.value) || strings.TrimSpace(p.value.Value) == "":
		r.errorf(p.value, "lint.ignore."+p.name, "wants the reason, in quotes")
	default:
		e.lint = append(e.lint, ignore{id: p.name, reason: p.value.Value, pos: r.at(p.key)})
	}
}
