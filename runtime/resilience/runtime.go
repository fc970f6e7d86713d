package resilience

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Runtime owns what the wrappers of a process share: switches and presets. A
// nil Runtime is one process-wide default; the zero value works too. It is
// safe for concurrent use and must not be copied after first use.
type Runtime struct {
	name   string   // of the instances made with it, see Named
	parent *Runtime // what Named was called on

	mu        sync.Mutex
	seed      uint64
	preset    Preset
	pinned    bool // the environment chose the preset: Apply leaves it alone
	closed    bool
	enabled   map[string]bool // "" is everything
	guards    []*Guard
	count     map[string]int // instances by name
	breakers  map[string]*breaker
	keyed     map[string]*keyedBreakers
	bulkheads map[string]*bulkhead
	naming    sync.Mutex
	named     map[string]*Guard // see API; under naming
	streams   atomic.Uint64     // one for each call that draws random numbers
	abandoned atomic.Int64      // delegates that run on
}

// Options are what [Open] takes. The zero value is the default.
type Options struct {
	Preset   Preset // slips under what policies say themselves
	Seed     uint64 // fixes every jitter; 0 means random
	Disabled bool   // begin switched off
}

var defaultRuntime = sync.OnceValues(func() (*Runtime, error) { return Open(Options{}) })

// Open returns a Runtime. The environment wins over o: RESILIENCE_ENABLED
// (true or false) and RESILIENCE_PRESET (production, development, testing). A
// variable that is nearly one of these is an error, since a switch that does
// nothing is worse than none.
func Open(o Options) (*Runtime, error) {
	rt := &Runtime{seed: o.Seed, preset: o.Preset, enabled: map[string]bool{}}
	if o.Disabled {
		rt.enabled[""] = false
	}
	for _, name := range variables {
		os.Getenv(name) // tells the cache of go test that results depend on it, which os.Environ does not
	}
	return rt, rt.readEnvironment(os.Environ())
}

func (rt *Runtime) readEnvironment(environ []string) error {
	var errs []error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" {
			continue
		}
		if err := rt.setVariable(name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s=%s: %w", name, value, err))
		}
	}
	return errors.Join(errs...)
}

var variables = []string{"RESILIENCE_ENABLED", "RESILIENCE_PRESET", "RESILIENCE_DISABLE", "RESILIENCE_DURABLE"}

func (rt *Runtime) setVariable(name, value string) error {
	switch name {
	case "RESILIENCE_ENABLED":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("want true or false")
		}
		rt.enabled[""] = on
	case "RESILIENCE_PRESET":
		p, ok := presetNames[value]
		if !ok {
			return errors.New("want production, development or testing")
		}
		rt.preset, rt.pinned = p, true
	case "RESILIENCE_DISABLE", "RESILIENCE_DURABLE":
		return errors.New("not available yet")
	default:
		for _, known := range variables {
			if distance(name, known) <= 2 {
				return fmt.Errorf("no such variable, did you mean %s?", known)
			}
		}
	}
	return nil
}

// distance is the edit distance of Levenshtein (1965).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// root returns the Runtime that holds the state, and its error for nil.
func (rt *Runtime) root() (*Runtime, error) {
	if rt == nil {
		return defaultRuntime()
	}
	if rt.parent != nil {
		return rt.parent.root()
	}
	return rt, nil
}

// Named returns rt with a name for the instances made with it:
// "payments.Gateway.Charge@eu". Switches and presets are those of rt.
func (rt *Runtime) Named(name string) *Runtime {
	root, _ := rt.root() // the constructor reports the error
	return &Runtime{name: name, parent: root}
}

// Close ends the guarding: later calls pass straight through. It waits for
// nothing.
func (rt *Runtime) Close() error {
	root, err := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	root.closed = true
	root.recompile()
	for _, b := range root.breakers {
		b.stop()
	}
	for _, keys := range root.keyed {
		keys.stop()
	}
	return err
}

// SetEnabled switches guards on or off at once: all without names, else those
// of an interface ("payments.Gateway"), of an instance of it
// ("payments.Gateway@eu"), or of a method ("payments.Gateway.Charge"). The most
// specific setting wins. A call that waits for another attempt makes none once
// it is switched off.
func (rt *Runtime) SetEnabled(on bool, names ...string) {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.enabled == nil {
		root.enabled = map[string]bool{}
	}
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		root.enabled[name] = on
	}
	root.recompile()
}

// Apply puts a preset under the policies of every guard, at once. A preset
// from the environment stays in force.
func (rt *Runtime) Apply(p Preset) {
	root, _ := rt.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if !root.pinned {
		root.preset = p
	}
	root.recompile()
}

// recompile gives every guard the plan that now holds. rt.mu is held.
func (rt *Runtime) recompile() {
	for _, g := range rt.guards {
		p := rt.compile(g)
		if old := g.plan.Swap(p); old != nil && p == nil {
			old.off.Store(true)
		}
	}
}

// compile returns the plan of g, nil if it is switched off. rt.mu is held.
func (rt *Runtime) compile(g *Guard) *plan {
	preset := rt.presetOf(g)
	if rt.closed || !rt.isEnabled(g, preset) {
		return nil
	}
	p := newPlan(g.policy, preset)
	p.rt, p.name = rt, g.name
	p.breaker, p.keys = rt.breakerFor(g, preset)
	p.bulkhead = rt.bulkheadFor(g)
	p.admits = p.breaker != nil || p.keys != nil || p.bulkhead != nil
	p.prepares = p.clocked || p.keys != nil
	p.queues = p.bulkhead != nil && p.bulkhead.conf.MaxWait > 0
	return p
}

// presetOf returns the preset under the policy of g. rt.mu is held.
func (rt *Runtime) presetOf(g *Guard) Preset {
	if rt.preset != NoPreset {
		return rt.preset
	}
	return g.policy.Preset
}

func (rt *Runtime) isEnabled(g *Guard, preset Preset) bool {
	for _, name := range []string{g.name, g.method, g.wrapper, g.iface, ""} {
		if on, ok := rt.enabled[name]; ok {
			return on
		}
	}
	return preset != Testing
}

// add registers g and gives it its first plan.
func (rt *Runtime) add(g *Guard) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if err := rt.conflict(g); err != nil {
		return err
	}
	rt.guards = append(rt.guards, g)
	g.plan.Store(rt.compile(g))
	return nil
}

// instance returns the suffix of another instance of the wrapper name.
func (rt *Runtime) instance(name, as string) string {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.count == nil {
		rt.count = map[string]int{}
	}
	key := name
	if as != "" {
		key += "@" + as
		as = "@" + as
	}
	rt.count[key]++
	if n := rt.count[key]; n > 1 {
		as += "#" + strconv.Itoa(n)
	}
	return as
}
