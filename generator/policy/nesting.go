package policy

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// layers are the parts that nest, in the default order.
func layers() []EnumValue { return Lookup("order").Values }

// rank is the place of a part in the default order.
func rank(part string) int {
	return slices.IndexFunc(layers(), func(v EnumValue) bool { return v.Name == part })
}

// Ordered returns the order that a source gives, nil if none does.
func (e *Effective) Ordered() Order {
	order, _ := e.values["order"].V.(Order)
	return order
}

// Nesting returns the parts that are in force, outermost first: as they are
// ordered, and what is not where it stands by default.
func (e *Effective) Nesting() []string {
	var list []string
	for _, n := range e.Ordered() {
		if e.HasLayer(n.Text) {
			list = append(list, n.Text)
		}
	}
	for _, l := range layers() {
		if e.HasLayer(l.Name) && !slices.Contains(list, l.Name) {
			list = slices.Insert(list, place(l.Name, list), l.Name)
		}
	}
	return list
}

// HasLayer reports whether the part, or the limit of a timeout, is in force.
func (e *Effective) HasLayer(name string) bool {
	if strings.HasPrefix(name, "timeout.") {
		return e.Dur(name) > 0
	}
	return e.Has(name)
}

// place returns where in the list a part stands that nobody gave a place.
func place(part string, list []string) int {
	if at := slices.Index(list, "timeout.attempt"); part == "timeout.open" && at >= 0 {
		return at + 1
	}
	if at := slices.IndexFunc(list, func(other string) bool { return rank(other) > rank(part) }); at >= 0 {
		return at
	}
	return len(list)
}

// Nests reports whether both parts are in force, and outer is around inner.
func (e *Effective) Nests(outer, inner string) bool {
	list := e.Nesting()
	at, in := slices.Index(list, outer), slices.Index(list, inner)
	return at >= 0 && at < in
}

// Loop returns the part in force that makes several attempts of a call, "" if
// there is none.
func (e *Effective) Loop() string {
	switch {
	case e.Has("retry"):
		return "retry"
	case e.Has("hedge"):
		return "hedge"
	}
	return ""
}

// layerList reads an order.
func (r *reader) layerList(k *Key, n *yaml.Node) (Order, bool) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		r.errorf(n, k.Path, "wants a list of parts, outermost first%s", k.like())
		return nil, false
	}
	var list Order
	ok := true
	for _, c := range n.Content {
		if bad := k.layer(c, list); bad.bad() {
			r.add(r.at(c), bad.id, k.Path, "%s", bad.msg)
			ok = false
			continue
		}
		list = append(list, Name{Text: c.Value, Pos: r.at(c)})
	}
	return list, ok
}

// layer says what is wrong with an entry of an order, behind those before it.
func (k *Key) layer(n *yaml.Node, before Order) complaint {
	switch other := Lookup(n.Value); {
	case !isString(n):
		return wrong("wants names of parts, not %s", article(n))
	case before.Has(n.Value):
		return complaint{"RG042", show(n.Value) + " stands in it twice"}
	case rank(n.Value) >= 0:
		return complaint{}
	case n.Value == "timeout":
		return wrong("a timeout is several limits: write timeout.total, timeout.attempt or timeout.open")
	case other != nil && !other.Built:
		return wrong("%s is not available yet", n.Value)
	case other != nil:
		return wrong("%s is nothing around a call, and has no place of its own", show(n.Value))
	}
	if ours := foreignNames[fold(n.Value)].path; rank(ours) >= 0 {
		return wrong("%q is not a name of this language: write %s", show(n.Value), ours)
	}
	_, bad := k.enum(n)
	return bad
}
