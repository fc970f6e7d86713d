package resilience

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Override gives a key of running policies another value.
type Override struct {
	// Name is the interface ("payments.Gateway"), the instance of one
	// ("payments.Gateway@eu"), or the method ("payments.Gateway.Charge",
	// "payments.Gateway.Charge@eu"), which may be a glob ("payments.Gateway.Get*").
	// "" is everything. Where two packages share a name the import path stands
	// instead of the package: "example.com/eu/payments.Gateway".
	Name string
	// Key is a key of the policy language that may change at run time, such as
	// "retry.maxAttempts"; a part, to take it out with "none" and put it back with
	// "true"; or "disable", whose value is a list of parts to take out.
	Key string
	// Value is what YAML would say: "4", "250ms", "none"; a list has commas between.
	Value string
	// Origin says where the override comes from, for messages and [Runtime.Explain].
	Origin string
}

// disable is the key of an Override that takes parts out.
const disable = "disable"

// SetOverrides replaces the overrides of the call before by list, at once: the
// values that are no longer in it are as they were. An override acts on methods
// that have its part in the generated policy, and is refused if there is none;
// whatever is refused, everything stays as it was. The most specific name wins,
// then the later entry. What is said of a breaker or a bulkhead that is shared
// holds for all that share it.
//
// Guards that are made later get them too, except where they do not fit.
func (rt *Runtime) SetOverrides(list []Override) error {
	root, err := rt.root()
	if err != nil {
		return err
	}
	defer root.tellNews()
	root.mu.Lock()
	defer root.mu.Unlock()
	if slices.Equal(root.overrides.listed, list) {
		root.standing(nil)
		return nil
	}
	next := root.overrides
	next.listed = slices.Clone(list)
	if err := root.change(next, list, true); err != nil {
		root.refuseList(err)
		return err
	}
	root.standing(nil)
	return nil
}

// UnknownNames returns what [Runtime.SetOverrides] says of names in list that
// mean nothing here, and puts nothing in force. It is for a list of which a part
// could not be read, where more would be guesses.
func (rt *Runtime) UnknownNames(list []Override) error {
	root, err := rt.root()
	if err != nil {
		return err
	}
	root.mu.Lock()
	defer root.mu.Unlock()
	var errs []error
	told := map[string]bool{}
	for _, o := range list {
		if _, err := root.matched(o.Name); err != nil && !told[o.Name] {
			told[o.Name] = true
			errs = append(errs, o.error(err))
		}
	}
	return errors.Join(errs...)
}

// Disable takes parts out of running policies, such as "retry" and "fallback":
// everywhere without names, else as [Runtime.SetEnabled] takes them. The list
// replaces the one before for the same name; an empty one puts all back, also
// those that the environment or an overrides file took out. The parts that stay
// are in force. A call that waits for another attempt makes none once retry is
// taken out.
func (rt *Runtime) Disable(parts []string, names ...string) error {
	root, err := rt.root()
	if err != nil {
		return err
	}
	defer root.tellNews()
	root.mu.Lock()
	defer root.mu.Unlock()
	if len(names) == 0 {
		names = []string{""}
	}
	next := root.overrides
	var changes []Override
	for _, name := range names {
		changes = append(changes, Override{Name: name, Key: disable, Value: strings.Join(parts, ","), Origin: "Runtime.Disable"})
	}
	for _, o := range changes {
		next.updated = with(next.updated, o)
	}
	if err := root.change(next, changes, false); err != nil {
		root.refuse("", "", err) // which says who
		return err
	}
	return nil
}

// with returns list with o at its end, and without what o replaces.
func with(list []Override, o Override) []Override {
	list = slices.DeleteFunc(slices.Clone(list), func(old Override) bool {
		return old.Name == o.Name && (old.Key == o.Key || strings.HasPrefix(old.Key, o.Key+"."))
	})
	return append(list, o)
}

// Update changes the running policies of an interface, an instance or a method,
// named as in [Override]: f is called with a copy of each, in the order in which
// the guards were made, and what it changes is in force for the calls that begin
// from then on. It wins over the environment and [Runtime.SetOverrides]. f is
// called with no lock held, and once more if somebody else changed something
// meanwhile.
//
// Numbers and words may change, and a part be taken out by its zero value. What
// is compiled in may not: matchers, the fallback, Errors, names, scopes, perKey,
// a part that the generated policy lacks. Funcs are nil in the copy. Breakers
// keep their state, and their window too unless it gets another shape; bulkheads
// keep the slots that are taken, limiters the permits. An error changes nothing.
func (rt *Runtime) Update(name string, f func(*Policy) error) error {
	root, err := rt.root()
	if err != nil {
		return err
	}
	if err := root.updateAll(name, f); err != nil {
		root.refuse(name, "Runtime.Update", err)
		root.tellNews()
		return err
	}
	return nil
}

// updateAll tries until nobody else changed something meanwhile.
func (rt *Runtime) updateAll(name string, f func(*Policy) error) error {
	for {
		version, targets, err := rt.targets(name)
		if err != nil {
			return err
		}
		changes, err := changed(targets, f)
		if err != nil {
			return err
		}
		if done, err := rt.update(version, changes); done {
			return err
		}
	}
}

// changed returns what f changes of each target.
func changed(targets []target, f func(*Policy) error) ([]Override, error) {
	var changes []Override
	for _, t := range targets {
		after := t.policy.clone()
		if err := f(&after); err != nil {
			return nil, fmt.Errorf("%s: %w", t.guard.name, err)
		}
		list, err := difference(t.guard, &t.policy, &after)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.guard.name, err)
		}
		changes = append(changes, list...)
	}
	return changes, nil
}

// target is a guard and the policy that an update finds.
type target struct {
	guard  *Guard
	policy Policy
}

func (rt *Runtime) targets(name string) (version int, list []target, err error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	matched, err := rt.matched(name)
	if err != nil {
		return 0, nil, err
	}
	for _, g := range matched {
		list = append(list, target{g, rt.inForce(g, rt.overrides).whole.exposed()})
	}
	return rt.version, list, nil
}

// update puts changes in force unless the version is another one meanwhile.
func (rt *Runtime) update(version int, changes []Override) (done bool, err error) {
	defer rt.tellNews()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.version != version {
		return false, nil
	}
	next := rt.overrides
	for _, o := range changes {
		next.updated = with(next.updated, o)
	}
	return true, rt.change(next, changes, false)
}

// clone returns a copy that shares nothing that can be changed.
func (p Policy) clone() Policy {
	p.Retry.Backoff.Delays = slices.Clone(p.Retry.Backoff.Delays)
	p.Order = slices.Clone(p.Order)
	return p
}

// exposed returns p as an update sees it: without funcs, which cannot be
// compared, and with parts that are on whatever becomes of their values.
func (p Policy) exposed() Policy {
	for _, part := range policyParts {
		if part.on(&p) {
			part.turnOn(&p)
		}
	}
	for _, m := range p.matchers() {
		m.Match = nil
	}
	p.Errors = Errors{}
	return p
}

func (p *Policy) matchers() []*Matcher {
	return []*Matcher{&p.Retry.RetryOn, &p.Retry.AbortOn, &p.Breaker.RecordOn, &p.Breaker.IgnoreOn, &p.Fallback.ApplyOn, &p.Fallback.SkipOn}
}

// difference returns what an update changed.
func difference(g *Guard, before, after *Policy) ([]Override, error) {
	if before.Preset != after.Preset {
		return nil, errors.New("preset: is compiled in, or for everything: see Runtime.Apply")
	}
	var list []Override
	say := func(key, value string) {
		list = append(list, Override{Name: g.name, Key: key, Value: value, Origin: "Runtime.Update"})
	}
	base := *before
	for _, part := range policyParts {
		switch was, is := part.on(before), part.on(after); {
		case was && !is:
			say(part.key, none)
			part.from(&base, after)
		case !was && is && !part.on(&g.policy):
			return nil, fmt.Errorf("%s: %w", part.key, errNotGenerated)
		case !was && is:
			say(part.key, "true") // with the generated values, and what is given now
		}
	}
	for i := range settings {
		s := &settings[i]
		part := lookupPart(s.part())
		text := s.get(after)
		if text == s.get(&base) || part != nil && !part.on(after) {
			continue
		}
		if err := s.set(&Policy{}, text); err != nil {
			return nil, fmt.Errorf("%s: %w", s.key, err)
		}
		say(s.key, text)
	}
	return list, compiledChange(&base, after)
}

// Why an override is refused.
var (
	errNotGenerated = errors.New("the generated policy has none, and what is not compiled in cannot be switched on")
	errPinned       = errors.New("RESILIENCE_PRESET is in force")
	errCompiled     = errors.New("compiled in: change the policy file and generate again")
)

// compiled are the keys whose values are in the generated code or decide where
// state lives, and compiledSame compares their values. They are apart because
// every service needs the first, and only one that calls Update the second.
var compiled = [...]string{
	"timeout.mode",
	"retry.retryOn",
	"retry.abortOn",
	"retry.failOnExhaustedResult",
	"retry.budget.name",
	"circuitBreaker.name",
	"circuitBreaker.scope",
	"circuitBreaker.recordOn",
	"circuitBreaker.ignoreOn",
	"circuitBreaker.initialState",
	"circuitBreaker.perKey",
	"circuitBreaker.maxKeys",
	"rateLimit.name",
	"rateLimit.mode",
	"rateLimit.scope",
	"rateLimit.perKey",
	"rateLimit.maxKeys",
	"adaptive.mode",
	"adaptive.algorithm",
	"bulkhead.name",
	"fallback",
	"fallback.applyOn",
	"fallback.skipOn",
	"chaos.fault",
	"chaos.panic",
	"chaos.result",
	"order",
	"health.register",
	"health.failOn",
	"what a result is",
	"permanent, statusOf, retryAfterOf",
}

// inCode are the keys that no Policy holds: the generated code does what they
// say, or they say it to the generator.
var inCode = [...]string{
	"retry.retryOnResult", "circuitBreaker.recordOnResult", "rateLimit.cost", "cache.key",
	"checkpoint, checkpoint.key, checkpoint.ttl, checkpoint.onMismatch",
	"fallback.func", "fallback.to", "fallback.value", "idempotent", "idempotent.key", "idempotent.into",
	"deadLetter, deadLetter.queue, deadLetter.when, deadLetter.afterFallback, deadLetter.exclude, deadLetter.codec, deadLetter.ref, deadLetter.orderKey, deadLetter.fingerprint",
	"deadLetter.fingerprint.extra, deadLetter.redact, deadLetter.allow, deadLetter.maxReplays, deadLetter.maxAge, deadLetter.keepReplayed",
	"deadLetter.maxCount, deadLetter.maxBytes, deadLetter.overflow, deadLetter.maxWait",
	"health", "extends", "use", "leaveOut", "expectedRate", "p99", "upstream", "lease",
}

// compiledKeys yields every key that may not change at run time.
func compiledKeys(yield func(string) bool) {
	for _, list := range [][]string{compiled[:], inCode[:]} {
		for _, keys := range list {
			for _, key := range partList(keys) {
				if !yield(key) {
					return
				}
			}
		}
	}
}

var compiledSame = [len(compiled)]func(a, b *Policy) bool{
	func(a, b *Policy) bool { return a.Timeout.Mode == b.Timeout.Mode },
	func(a, b *Policy) bool { return a.Retry.RetryOn.same(&b.Retry.RetryOn) },
	func(a, b *Policy) bool { return a.Retry.AbortOn.same(&b.Retry.AbortOn) },
	func(a, b *Policy) bool { return a.Retry.FailOnExhaustedResult == b.Retry.FailOnExhaustedResult },
	func(a, b *Policy) bool { return a.Budget.Name == b.Budget.Name },
	func(a, b *Policy) bool { return a.Breaker.Name == b.Breaker.Name },
	func(a, b *Policy) bool { return a.Breaker.Scope == b.Breaker.Scope },
	func(a, b *Policy) bool { return a.Breaker.RecordOn.same(&b.Breaker.RecordOn) },
	func(a, b *Policy) bool { return a.Breaker.IgnoreOn.same(&b.Breaker.IgnoreOn) },
	func(a, b *Policy) bool { return a.Breaker.InitialState == b.Breaker.InitialState },
	func(a, b *Policy) bool { return a.Breaker.PerKey == b.Breaker.PerKey },
	func(a, b *Policy) bool { return a.Breaker.MaxKeys == b.Breaker.MaxKeys },
	func(a, b *Policy) bool { return a.RateLimit.Name == b.RateLimit.Name },
	func(a, b *Policy) bool { return a.RateLimit.Mode == b.RateLimit.Mode },
	func(a, b *Policy) bool { return a.RateLimit.Scope == b.RateLimit.Scope },
	func(a, b *Policy) bool { return a.RateLimit.PerKey == b.RateLimit.PerKey },
	func(a, b *Policy) bool { return a.RateLimit.MaxKeys == b.RateLimit.MaxKeys },
	func(a, b *Policy) bool { return a.Adaptive.Mode == b.Adaptive.Mode },
	func(a, b *Policy) bool { return a.Adaptive.Algorithm == b.Adaptive.Algorithm },
	func(a, b *Policy) bool { return a.Bulkhead.Name == b.Bulkhead.Name },
	func(a, b *Policy) bool { return a.Fallback.On == b.Fallback.On },
	func(a, b *Policy) bool { return a.Fallback.ApplyOn.same(&b.Fallback.ApplyOn) },
	func(a, b *Policy) bool { return a.Fallback.SkipOn.same(&b.Fallback.SkipOn) },
	func(a, b *Policy) bool { return (a.Chaos.Fault == nil) == (b.Chaos.Fault == nil) },
	func(a, b *Policy) bool { return a.Chaos.Panic == b.Chaos.Panic },
	func(a, b *Policy) bool { return a.Chaos.Result == b.Chaos.Result },
	func(a, b *Policy) bool { return slices.Equal(a.Order, b.Order) },
	func(a, b *Policy) bool { return a.Health.Register == b.Health.Register },
	func(a, b *Policy) bool { return a.Health.FailOn == b.Health.FailOn },
	func(a, b *Policy) bool { return a.Result == b.Result },
	func(_, b *Policy) bool { return !b.Errors.given() && b.Errors.RetryAfterOf == nil },
}

// same compares matchers whose funcs are not there.
func (m *Matcher) same(other *Matcher) bool {
	return m.Any == other.Any && m.Kinds == other.Kinds && m.Match == nil && other.Match == nil
}

func compiledChange(before, after *Policy) error {
	for i, same := range compiledSame {
		if !same(before, after) {
			return fmt.Errorf("%s: %w", compiled[i], errCompiled)
		}
	}
	return nil
}

// matched returns the guards that a name means. rt.mu is held.
func (rt *Runtime) matched(name string) ([]*Guard, error) {
	var list []*Guard
	for _, g := range rt.guards {
		if g.rank(name) >= 0 {
			list = append(list, g)
		}
	}
	home := map[string]string{} // package of each interface
	for _, g := range list {
		switch pkg := home[g.iface]; {
		case name == "" || g.pkg == "":
		case pkg == "":
			home[g.iface] = g.pkg
		case pkg != g.pkg && !strings.Contains(name, "/"):
			return nil, fmt.Errorf("%q is in package %s and in %s: write the path of one of them", name, pkg, g.pkg)
		}
	}
	if len(list) == 0 && name != "" {
		return nil, fmt.Errorf("there is no interface and no method %q with a policy%s", name, rt.near(name))
	}
	return list, nil
}

// near answers a name that nothing has.
func (rt *Runtime) near(name string) string {
	best, least := "", 4
	for _, g := range rt.guards {
		for _, known := range []string{g.iface, g.wrapper, g.method, g.name} {
			if d := distance(name, known); d < least {
				best, least = known, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// Ranks of names: how specific they are. A glob has its literal characters
// added.
const (
	everything = iota
	ofInterface
	ofInstance
	ofGlob
	ofMethod         = 1 << 20
	ofInstanceMethod = ofMethod + 1
)

// rank is how specific the name is for g, negative if it does not mean it.
func (g *Guard) rank(name string) int {
	switch dir, _ := splitPath(name); {
	case name == "":
		return everything
	case dir != "" && !strings.Contains(g.iface, "/"): // else the guard's own name has slashes
		if name = strings.TrimPrefix(name, dir); g.pkg == "" || !strings.HasPrefix(g.pkg, dir) {
			return -1
		}
		base, rest, _ := strings.Cut(name, ".")
		if dir+base != g.pkg {
			return -1
		}
		own, _, _ := strings.Cut(g.iface, ".")
		name = own + "." + rest
	}
	switch name {
	case g.name:
		if g.name != g.method {
			return ofInstanceMethod
		}
		return ofMethod
	case g.method:
		return ofMethod
	case g.wrapper:
		return ofInstance
	case g.iface:
		return ofInterface
	}
	return g.glob(name)
}

// glob is rank for a name with wildcards.
func (g *Guard) glob(name string) int {
	if !strings.ContainsAny(name, "*?") {
		return -1
	}
	for _, own := range []string{g.method, g.name} {
		if matches(name, own) {
			return ofGlob + len(strings.NewReplacer("*", "", "?", "").Replace(name))
		}
	}
	return -1
}

// matches reports whether text is what the glob means: * is any characters, ?
// is one. It is path.Match for names, and small. What follows the last * is
// tried ever further behind.
func matches(glob, text string) bool {
	g, t := []rune(glob), []rune(text)
	at, star, tried := 0, -1, 0
	for i := 0; i < len(t); {
		switch {
		case at < len(g) && g[at] == '*':
			star, tried = at, i
			at++
		case at < len(g) && (g[at] == '?' || g[at] == t[i]):
			at, i = at+1, i+1
		case star >= 0:
			tried++
			at, i = star+1, tried
		default:
			return false
		}
	}
	return strings.Trim(string(g[at:]), "*") == ""
}

// change puts overrides in force if every policy is right under them, and
// leaves all as it is if not. fresh are those that are new, which must act if
// listed. rt.mu is held.
func (rt *Runtime) change(next overrides, fresh []Override, listed bool) error {
	misfits := make([]error, len(rt.guards))
	for i, g := range rt.guards {
		misfits[i], g.misfit = g.misfit, nil // it may fit now
	}
	if err := rt.fit(next, fresh, listed); err != nil {
		for i, g := range rt.guards {
			g.misfit = misfits[i]
		}
		return err
	}
	rt.sayApplied(&rt.overrides, &next)
	rt.overrides = next
	rt.version++
	rt.recompile()
	return nil
}

// fit says what is wrong with overrides. rt.mu is held.
func (rt *Runtime) fit(next overrides, fresh []Override, listed bool) error {
	var errs []error
	policies := make(map[*Guard]*inForce, len(rt.guards))
	for _, g := range rt.guards {
		policies[g] = rt.inForce(g, next)
	}
	unknown := map[string]bool{} // names that were complained about
	for _, o := range fresh {
		matched, err := rt.matched(o.Name)
		if err == nil {
			err = acts(o, matched, policies, listed)
		} else if unknown[o.Name] {
			continue
		} else {
			unknown[o.Name] = true
		}
		if err != nil {
			errs = append(errs, o.error(err))
		}
	}
	for _, g := range rt.guards {
		errs = append(errs, policies[g].misfits(g)...)
	}
	if len(errs) == 0 {
		errs = append(errs, rt.disagreement(policies))
	}
	return errors.Join(unique(errs)...)
}

// misfits are what is wrong with the policy of g, each with the place of the
// override that made it so.
func (r *inForce) misfits(g *Guard) []error {
	err := r.whole.check()
	if err == nil {
		return nil
	}
	var errs []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		key, _, _ := strings.Cut(line, ": ")
		errs = append(errs, fmt.Errorf("%s%s: %s", r.origin(key), g.name, line))
	}
	return errs
}

// origin is where the key was overridden, or else another one of its part, with
// a colon behind; "" if none was.
func (r *inForce) origin(key string) string {
	if origin := r.origins[key]; origin != "" {
		return origin + ": "
	}
	part, _, _ := strings.Cut(key, ".")
	for _, above := range []string{key, part} {
		for i := range settings {
			if s := &settings[i]; strings.HasPrefix(s.key, above+".") && r.origins[s.key] != "" {
				return r.origins[s.key] + ": "
			}
		}
	}
	return ""
}

func unique(errs []error) []error {
	seen := map[string]bool{}
	return slices.DeleteFunc(errs, func(err error) bool {
		if err == nil || seen[err.Error()] {
			return true
		}
		seen[err.Error()] = true
		return false
	})
}

func (o *Override) error(err error) error {
	return fmt.Errorf("%s: %s: %w", cmp.Or(o.Origin, o.Name), o.Key, err)
}

// acts refuses an override that changes nothing, which would be believed in.
func acts(o Override, matched []*Guard, policies map[*Guard]*inForce, listed bool) error {
	s, part := lookupSetting(o.Key), lookupPart(o.Key)
	switch {
	case o.Key == disable:
		return checkPartList(o.Value)
	case s == nil && part == nil && isCompiled(o.Key), o.Key == "fallback":
		return errCompiled
	case s == nil && part == nil:
		return errors.New("there is no such key, or it may not change at run time")
	case s == nil && o.Value != none && o.Value != "true":
		return fmt.Errorf("wants none or true, not %q", o.Value)
	case s == nil:
		return reaches(part, &setting{}, matched, policies)
	}
	if err := s.set(&Policy{}, o.Value); err != nil {
		return err
	}
	if s.key == "preset" {
		if o.Name != "" {
			return errors.New("a preset is for everything")
		}
		return nil
	}
	part = lookupPart(s.part())
	if !listed || o.Value == "" {
		s = &setting{needs: s.needs} // an update sees the whole policy
	}
	return reaches(part, s, matched, policies)
}

// reaches reports whether one of the guards has the part and what the setting
// needs.
func reaches(part *policyPart, s *setting, matched []*Guard, policies map[*Guard]*inForce) error {
	has := len(matched) == 0
	for _, g := range matched {
		if !g.has(part, s) {
			continue
		}
		has = true
		p := &policies[g].whole
		if s.acts == nil || !part.on(p) || s.acts(p) {
			return nil
		}
	}
	if has && len(matched) > 0 {
		return errors.New("acts on nothing beside the other values")
	}
	if !has {
		return errNotGenerated
	}
	return nil
}

// has reports whether the generated policy has the part, and what the setting
// needs of it.
func (g *Guard) has(part *policyPart, s *setting) bool {
	return part.on(&g.policy) && (s.needs == nil || s.needs(&g.policy))
}

func isCompiled(key string) bool {
	for k := range compiledKeys {
		if k == key {
			return true
		}
	}
	return false
}
