package resilience

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// Explain returns the running policies of an interface, an instance or a method,
// named as in [Override], "" for all: each effective value of a key that may
// change at run time, and where it comes from. The sources are, from the weakest
// to the strongest, the default, the preset, the generated policy, the
// environment, an overrides file (with the place in it), and [Runtime.Update].
// Last comes how the parts in force nest, outermost first. A name that there is
// not is answered in the text.
func (rt *Runtime) Explain(name string) string {
	root, err := rt.root()
	if err != nil {
		return err.Error() + "\n"
	}
	root.mu.Lock()
	defer root.mu.Unlock()
	matched, err := root.matched(name)
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, g := range matched {
		root.explain(&b, g)
	}
	return b.String()
}

func (rt *Runtime) explain(b *strings.Builder, g *Guard) {
	r, info := rt.inForce(g, rt.overrides), rt.info(g)
	fmt.Fprintf(b, "%s: policy %s", g.name, info.Running)
	if info.Running != info.Generated {
		fmt.Fprintf(b, ", generated %s", info.Generated)
	}
	b.WriteByte('\n')
	if g.plan.Load() == nil {
		b.WriteString("  switched off: calls pass straight through\n")
	}
	if g.misfit != nil {
		fmt.Fprintf(b, "  overrides are left out, since they do not fit: %v\n", g.misfit)
	}
	for _, part := range policyParts {
		switch origin, said := r.origins[part.key]; {
		case !part.on(&g.policy):
		case !part.on(&r.whole) && said:
			row(b, part.key, none, origin)
		case slices.Contains(partList(r.disabled), part.key):
			row(b, part.key, none, r.origins[disable])
		case part.key == "fallback":
			row(b, part.key, "on", "generated")
		}
	}
	full := r.effective()
	for i := range settings {
		s := &settings[i]
		if value, origin := s.explain(r, &full); value != "" {
			row(b, s.key, value, origin)
		}
	}
	if text := r.nestingText(); text != "" {
		fmt.Fprintf(b, "  %-40s %s\n", "nesting", text)
	}
}

func row(b *strings.Builder, key, value, origin string) {
	fmt.Fprintf(b, "  %-40s %-16s %s\n", key, value, origin)
}

// explain returns the effective value and its origin, "" if nothing is in force.
func (s *setting) explain(r *inForce, full *Policy) (value, origin string) {
	if part := lookupPart(s.part()); part != nil && !part.on(&r.Policy) {
		return "", ""
	}
	value = s.get(full)
	if s.acts != nil && !s.acts(full) && s.get(&r.Policy) == "" || !full.decides(s.key) {
		return "", ""
	}
	preset := Policy{Retry: presets[r.Preset].retry, Breaker: presets[r.Preset].breaker, Budget: presets[r.Preset].budget}
	switch origin, said := r.origins[s.key]; {
	case said:
		return cmp.Or(value, s.def), origin
	case s.key == "preset" && value != "":
		return value, "in force"
	case s.get(&r.Policy) != "":
		return value, "generated"
	case value != "" && s.get(&preset) != "":
		return value, "preset " + presetWords[r.Preset]
	}
	return cmp.Or(value, s.def), "default"
}

// decides reports whether a key of a breaker's rate decides: a count of
// consecutive failures may stand alone.
func (p *Policy) decides(key string) bool {
	b := &p.Breaker
	lone := b.ConsecutiveFailures > 0 && !b.byRate() && b.SlowCallDuration <= 0
	return !lone || key != "circuitBreaker.failureRateThreshold" && key != "circuitBreaker.minimumCalls" &&
		!strings.HasPrefix(key, "circuitBreaker.window.")
}

// effective returns the policy in force with preset and defaults filled in as
// far as they depend on other values.
func (r *inForce) effective() Policy {
	p, preset := r.Policy, presets[r.Preset]
	if p.Retry.set() {
		p.Retry = p.Retry.under(preset.retry)
	}
	if p.budgeted() {
		fill(&p.Budget.Ratio, preset.budget.Ratio)
		fill(&p.Budget.MinConcurrency, preset.budget.MinConcurrency)
	}
	if p.Adaptive.Mode == Concurrency {
		fill(&p.Adaptive.InitialLimit, p.Adaptive.withDefaults().InitialLimit)
	}
	if p.Breaker.set() {
		b := p.Breaker.under(preset.breaker)
		full := b.withDefaults()
		fill(&b.MinimumCalls, full.MinimumCalls)
		fill(&b.HalfOpen.PermittedCalls, full.HalfOpen.PermittedCalls)
		fill(&b.HalfOpen.MaxWait, full.HalfOpen.MaxWait)
		if !p.Breaker.byRate() {
			b.MinimumCalls = p.Breaker.MinimumCalls
		}
		p.Breaker = b
	}
	return p
}

// PolicyInfo tells the policy of a method from the generated one.
type PolicyInfo struct {
	Name      string // "payments.Gateway.Charge@eu"
	Interface string // "payments.Gateway@eu"
	// Generated and Running are hashes of the effective policy as it was generated,
	// under its own preset, and as it runs. They are the same in every process in
	// which the policy is, 16 hex digits. Funcs are not in them.
	Generated, Running string
}

// Drifted reports whether the running policy is not the generated one.
func (i *PolicyInfo) Drifted() bool { return i.Generated != i.Running }

// Policies returns what guards there are, in the order in which they were made,
// and whether their policies are the generated ones.
func (rt *Runtime) Policies() []PolicyInfo {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	list := make([]PolicyInfo, len(root.guards))
	for i, g := range root.guards {
		list[i] = root.info(g)
	}
	return list
}

func (rt *Runtime) info(g *Guard) PolicyInfo {
	generated, r := &inForce{Policy: g.policy}, rt.inForce(g, rt.overrides)
	if g.plan.Load() == nil {
		r.Policy = Policy{Preset: r.Preset}
	}
	return PolicyInfo{Name: g.name, Interface: g.wrapper, Generated: generated.hash(), Running: r.hash()}
}

// hash is FNV-1a (Fowler, Noll and Vo) over the effective values, in 16 hex digits.
func (r *inForce) hash() string {
	h, p := fnv.New64a(), r.effective()
	p.Preset = NoPreset // its numbers are in
	for i := range settings {
		if text := settings[i].get(&p); text != "" {
			fmt.Fprintf(h, "%s=%s\n", settings[i].key, text)
		}
	}
	for _, part := range policyParts {
		fmt.Fprintf(h, "%s %t\n", part.key, part.on(&p))
	}
	for _, m := range p.matchers() {
		fmt.Fprintf(h, "%t %x %t\n", m.Any, uint32(m.Kinds), m.Match != nil)
	}
	b := &p.Breaker
	fmt.Fprintf(h, "%d %t %q %d %d %t %d %q %q %t", p.Timeout.Mode, p.Retry.FailOnExhaustedResult, b.Name, b.Scope, b.InitialState, b.PerKey, b.MaxKeys, p.Bulkhead.Name, p.Budget.Name, p.Result != 0)
	l := &p.RateLimit
	fmt.Fprintf(h, " %q %d %d %t %d", l.Name, l.Mode, l.Scope, l.PerKey, l.MaxKeys)
	fmt.Fprintf(h, " %d %d", p.Adaptive.Mode, p.Adaptive.Algorithm)
	fmt.Fprintf(h, " %v", p.Order)
	return fmt.Sprintf("%016x", h.Sum64())
}
