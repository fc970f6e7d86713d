package resilience

import (
	"cmp"
	"time"
)

// underPreset fills in what a preset says where p says nothing: the one that is in
// force when the wrapper is made.
func (p DeadLetterPolicy) underPreset(w *Wrapper, method string) DeadLetterPolicy {
	switch w.presetOf(method) {
	case Production:
		fill(&p.MaxReplays, 5)
		fill(&p.MaxAge, 7*24*time.Hour)
	case Development:
		fill(&p.MaxReplays, 3)
		fill(&p.MaxAge, 24*time.Hour)
	case Testing:
		fill(&p.MaxReplays, 1)
		fill(&p.MaxAge, time.Hour)
	}
	return p
}

// presetOf is the preset in force for a method of w.
func (w *Wrapper) presetOf(method string) Preset {
	g := w.rt.guardNamed(below(w.name, method) + w.instance)
	w.rt.mu.Lock()
	defer w.rt.mu.Unlock()
	if g == nil {
		return w.rt.preset
	}
	return cmp.Or(w.rt.preset, g.policy.Preset)
}
