package policy

import (
	"slices"
	"time"
)

// Effective is the policy of one method.
type Effective struct {
	Method string
	// Pos is the entry that names the method, or else the interface's.
	Pos Pos
	// Exact says that an entry or an annotation names the method.
	Exact bool
	// Closer says that the method passes through because it frees a resource,
	// which an open breaker must not keep it from.
	Closer bool

	file    *File
	values  map[string]Value
	lint    []ignore
	dropped []Dropped
}

// Dropped is a part, or a key of it, that was left out.
type Dropped struct{ Part, Why string }

// Parts are the parts that are built, outermost first.
func Parts() []string {
	return []string{"deadLetter", "fallback", "checkpoint", "cache", "timeout", "retry", "hedge", "circuitBreaker", "rateLimit", "bulkhead", "adaptive", "chaos"}
}

// None reports whether no part is on: the method passes through.
func (e *Effective) None() bool { return !slices.ContainsFunc(Parts(), e.Has) }

// Has reports whether the part is on.
func (e *Effective) Has(part string) bool {
	v, ok := e.values[part]
	if !ok || v.None || e.isDropped(part) {
		return false
	}
	switch part {
	case "timeout":
		return e.bounded()
	case "retry":
		return !e.lendsBudget()
	case "retry.budget":
		return e.mayRepeat()
	}
	return true
}

// bounded reports whether there is a time to keep.
func (e *Effective) bounded() bool {
	for _, path := range []string{"timeout.total", "timeout.attempt", "timeout.open"} {
		if v, ok := e.values[path]; ok && !v.None && !e.isDropped(path) {
			return true
		}
	}
	v, ok := e.values["timeout.mode"]
	return ok && v.V == "abandon"
}

// Own reports whether something of the part was written for the method
// itself, in the entry or the annotation that names it.
func (e *Effective) Own(part string) bool {
	own, budget := false, false
	for path, v := range e.values {
		switch {
		case !v.own || v.None:
		case inBudget(path):
			budget = true
		case below(path, part):
			return true
		case path == part:
			own = true
		}
	}
	return own && (part != "retry" || !budget) // a budget alone repeats nothing
}

// Drop leaves a part, or one key of it, out of the policy.
func (e *Effective) Drop(part, why string) {
	e.dropped = append(e.dropped, Dropped{Part: part, Why: why})
}

// Dropped returns what was left out, in the order of the calls of Drop.
func (e *Effective) Dropped() []Dropped { return slices.Clone(e.dropped) }

func (e *Effective) isDropped(path string) bool {
	return slices.ContainsFunc(e.dropped, func(d Dropped) bool {
		return d.Part == path || below(path, d.Part) && !inBudget(path)
	})
}

// Idempotent reports whether the policy says that the method may be executed
// twice, at least in some calls.
func (e *Effective) Idempotent() bool {
	v, ok := e.Get("idempotent")
	return ok && v.V != false
}

// Ignores returns the reason for leaving the check out, if a lint key gives one.
// It is asked about what was found, so the keys that say yes are in use.
func (e *Effective) Ignores(id string) (reason string, ok bool) {
	for _, i := range e.lint {
		if i.id == id {
			reason, ok = i.reason, true
			e.file.inUse(i)
		}
	}
	return reason, ok
}

// Given returns what a source or a built-in policy says about the key. This is
// what a generated literal holds: the rest is for the preset in force and the
// defaults.
func (e *Effective) Given(path string) (Value, bool) {
	v, ok := e.values[path]
	if !ok || v.None && !v.Key.NoneIs || !e.inForce(v.Key) {
		return Value{}, false
	}
	if l, ok := v.V.(List); ok && v.Key.Type == Matchers {
		v.V = List{Any: l.Any, Names: e.file.expand(l.Names)}
	}
	return v, true
}

// GivenAll returns every value that Given knows, in the order of the table.
func (e *Effective) GivenAll() []Value { return e.all(e.Given) }

// Get returns the effective value of the key, that of the preset and the
// default included. It reports false for what is unset, or of a part that is
// off, or acts on nothing beside the other values.
func (e *Effective) Get(path string) (Value, bool) {
	k := Lookup(path)
	if k == nil || !k.Built || !e.inForce(k) {
		return Value{}, false
	}
	if v, ok := e.Given(path); ok {
		return v, true
	}
	if v, ok := e.computed(k); ok {
		return v, true
	}
	return Value{}, false
}

// All returns every effective value in the order of the table.
func (e *Effective) All() []Value { return e.all(e.Get) }

func (e *Effective) all(get func(string) (Value, bool)) []Value {
	var list []Value
	for _, k := range Keys() {
		if v, ok := get(k.Path); ok {
			list = append(list, v)
		}
	}
	return list
}

// inForce reports whether the key's part is on and neither was left out.
func (e *Effective) inForce(k *Key) bool {
	if k.Places&inEntry == 0 {
		return false
	}
	if inBudget(k.Path) {
		return e.mayRepeat()
	}
	if e.isDropped(k.Path) {
		return false
	}
	part := k.part()
	return part == "" || e.Has(part)
}

// computed returns what holds where no source says anything.
func (e *Effective) computed(k *Key) (Value, bool) {
	for _, n := range k.needs {
		if !e.meets(n) {
			return Value{}, false
		}
	}
	if delay, ok := e.values["hedge.delay"]; ok && !delay.None && byPercentile(k.Path) {
		return Value{}, false
	}
	if e.lone() && rateKey(k.Path) || inBudget(k.Path) && !e.Budgeted() {
		return Value{}, false
	}
	v, ok := presets()[e.file.Preset][k.Path]
	if ok {
		v.Pos = e.file.presetPos
	} else if def, has := defaults()[k.Path]; has {
		v, ok = Value{Key: k, V: def, Origin: "default"}, true
	}
	switch k.Path {
	case "circuitBreaker.minimumCalls":
		if size := e.Int("circuitBreaker.window.size"); size > 0 && size < v.V.(int) {
			v.V = size
		}
	case "adaptive.initialLimit":
		v.V = min(max(v.V.(int), e.Int("adaptive.minLimit")), e.Int("adaptive.maxLimit"))
	case "rateLimit.scope":
		if e.Nests("rateLimit", e.Loop()) {
			v.V = "call"
		}
	case "circuitBreaker.halfOpen.permittedCalls":
		if e.Str("circuitBreaker.halfOpen.mode") == "rate" {
			v.V = 10
		}
	case "circuitBreaker.halfOpen.maxWait":
		v, ok = Value{Key: k, V: e.Dur("circuitBreaker.openDuration"), Origin: "default"}, true
	case "circuitBreaker.halfOpen.onMaxWait":
		if wait, ok := e.Given("circuitBreaker.halfOpen.maxWait"); ok && wait.None {
			return Value{}, false
		}
	}
	return v, ok
}

// rateKey reports whether the key belongs to the rates of a breaker.
func rateKey(path string) bool {
	return path == "circuitBreaker.failureRateThreshold" || path == "circuitBreaker.minimumCalls" ||
		below(path, "circuitBreaker.window")
}

// lone reports whether consecutiveFailures replaces the failure rate.
func (e *Effective) lone() bool {
	if v, ok := e.values["circuitBreaker.consecutiveFailures"]; !ok || v.None {
		return false
	}
	for path, v := range e.values {
		if rateKey(path) && !v.None {
			return false
		}
	}
	return true
}

// meets reports whether the key that n is about has one of its values.
func (e *Effective) meets(n need) bool {
	v, ok := e.Get(n.path)
	if !ok || v.None {
		return false
	}
	return len(n.values) == 0 || slices.Contains(n.values, v.word())
}

// word returns an enum's or a bool's value as written.
func (v Value) word() string {
	switch x := v.V.(type) {
	case string:
		return x
	case bool:
		if x {
			return "true"
		}
		return "false"
	}
	return ""
}

// Dur returns the effective duration, zero if it is unset.
func (e *Effective) Dur(path string) time.Duration { return get[time.Duration](e, path) }

// Int returns the effective number, zero if it is unset.
func (e *Effective) Int(path string) int { return get[int](e, path) }

// Float returns the effective number, zero if it is unset.
func (e *Effective) Float(path string) float64 { return get[float64](e, path) }

// Bool returns the effective value, false if it is unset.
func (e *Effective) Bool(path string) bool { return get[bool](e, path) }

// Str returns the effective enum, name, func or expression, "" if it is unset.
func (e *Effective) Str(path string) string {
	v, _ := e.Get(path)
	if name, ok := v.V.(Name); ok {
		return name.Text
	}
	text, _ := v.V.(string)
	return text
}

// Preset returns the preset of the policy file, "" if it has none.
func (e *Effective) Preset() string { return e.file.Preset }

// List returns the effective list, empty if it is unset.
func (e *Effective) List(path string) List { return get[List](e, path) }

// Durs returns the effective durations, nil if they are unset.
func (e *Effective) Durs(path string) []time.Duration { return get[[]time.Duration](e, path) }

func get[T any](e *Effective, path string) T {
	v, _ := e.Get(path)
	x, _ := v.V.(T)
	return x
}
