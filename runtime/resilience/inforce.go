package resilience

import "cmp"

// overrides are what was said at run time.
type overrides struct {
	listed  []Override // by SetOverrides
	updated []Override // by Update and Disable
}

// inForce is the policy of a guard under the overrides.
type inForce struct {
	whole    Policy            // with the preset in force
	origins  map[string]string // of the keys that were overridden
	disabled string            // parts that are taken out
	Policy                     // without them
}

// inForce returns the policy of g: what was generated, then the environment,
// SetOverrides and Update, each from the least specific name to the most. rt.mu
// is held.
func (rt *Runtime) inForce(g *Guard, over overrides) *inForce {
	r := &inForce{whole: g.policy, origins: map[string]string{}}
	if rt.preset != NoPreset {
		r.whole.Preset = rt.preset
	}
	layers := [][]Override{rt.environment, over.listed, over.updated}
	if g.misfit != nil {
		layers = layers[:1]
	}
	for _, layer := range layers {
		for _, o := range rt.about(g, layer) {
			r.apply(g, o)
		}
	}
	if rt.pinned {
		r.whole.Preset = rt.preset
		delete(r.origins, "preset")
	}
	r.Policy = r.whole
	takeOut(&r.Policy, r.disabled)
	return r
}

// of returns the policy in force, which is that of g where nothing was
// overridden: a guard need not have it twice. The preset beside it may differ.
func (r *inForce) of(g *Guard) *Policy {
	if len(r.origins) == 0 && r.disabled == "" {
		return &g.policy
	}
	p := r.Policy
	return &p
}

// about returns the overrides that act on g, the most specific last. What is
// said of other guards reaches g before what is said as specifically of g.
func (rt *Runtime) about(g *Guard, layer []Override) []Override {
	var list []Override
	var ranks []int // of list
	for _, o := range layer {
		rank := 2*g.rank(o.Name) + 1
		if rank <= 0 {
			rank = 2 * rt.shared(g, o)
		}
		if rank < 0 {
			continue
		}
		list, ranks = append(list, o), append(ranks, rank)
		for i := len(list) - 1; i > 0 && ranks[i-1] > rank; i-- { // behind those that are no more specific
			list[i], list[i-1] = list[i-1], list[i]
			ranks[i], ranks[i-1] = ranks[i-1], ranks[i]
		}
	}
	return list
}

// shared is the rank of an override that acts on g because another guard, which
// it names, shares the part with it; negative if none does.
func (rt *Runtime) shared(g *Guard, o Override) int {
	s := lookupSetting(o.Key)
	if s == nil {
		return -1
	}
	part := lookupPart(s.part())
	if part == nil {
		return -1
	}
	name, rank := part.shared(g), -1
	if name == "" {
		return -1
	}
	for _, other := range rt.guards {
		if part.shared(other) == name {
			rank = max(rank, other.rank(o.Name))
		}
	}
	return rank
}

// apply puts an override over the policy, where it acts. What cannot be read
// was refused before.
func (r *inForce) apply(g *Guard, o Override) {
	s, part := lookupSetting(o.Key), lookupPart(o.Key)
	switch {
	case o.Key == disable:
		r.disabled = o.Value
	case o.Key == "preset":
		_ = s.set(&r.whole, o.Value)
	case part != nil && o.Value == none:
		part.from(&r.whole, &Policy{})
	case part != nil:
		if !part.on(&r.whole) {
			part.from(&r.whole, &g.policy)
		}
		return
	case s == nil:
		return
	default:
		part = lookupPart(s.part())
		if !g.has(part, s) || !part.on(&r.whole) {
			return
		}
		_ = s.set(&r.whole, o.Value)
		part.turnOn(&r.whole)
	}
	r.origins[o.Key] = cmp.Or(o.Origin, "override")
}
