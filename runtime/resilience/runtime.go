package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Runtime owns what the wrappers of a process share: switches and presets. A
// nil Runtime is one process-wide default; the zero value works too. It is
// safe for concurrent use and must not be copied after first use.
type Runtime struct {
	name   string   // of the instances made with it, see Named
	parent *Runtime // what Named was called on

	mu        sync.Mutex
	chaos     bool // also under preset production
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
	limiters  map[string]*limiter
	limitKeys map[string]*keyedLimiters
	budgets   map[string]*budget
	naming    sync.Mutex
	named     map[string]*Guard // see API; under naming
	streams   atomic.Uint64     // one for each call that draws random numbers
	abandoned atomic.Int64      // delegates that run on
	caches    []anyCache

	// See announce. That health is a *HealthRegistry is not said here: types that
	// an interface value leads to keep their methods in the binary.
	health      any
	healthMade  sync.Once // guards health
	awaitHealth []*Guard
	guardHealth func(*Guard) error
	closeHealth func() error

	registerHealth func(Component) error
	offeredHealth  []Component // see OfferHealth
	touchHealth    func()      // a snapshot is to be made anew

	environment []Override // from variables; see SetOverrides
	overrides   overrides
	version     int   // of overrides
	refused     error // why the list that was given last is not in force

	stores    Stores
	files     *Store          // of Options.Dir; stores are in it
	sealed    bool            // the stores are not used any more
	undurable map[string]bool // "" is everything

	attached     sync.Map // see Attach
	wall         wallTime
	listening    listeners // for what is posted
	checkpointed []anyCheckpointed
	upcasts      map[string]func(json.RawMessage) (json.RawMessage, error) // by shape, see Upcast

	letters       any // a *LetterBox, which is not said for the reason that health has
	lettersMade   sync.Once
	letterOptions LetterOptions
	closeLetters  func(context.Context) error
	letterHealth  func() Component
	lettered      map[*Guard]bool                               // whose failed calls are kept
	errFP         func(error) string                            // there if any is
	replayTries   func(ctx context.Context, guard string) int32 // likewise; it takes no Call, which would escape

	noStats, noHistograms bool
	observer              *observer // nil: nobody listens
	news                  *news     // of who changes policies; nil without observer
}

// Options are what [Open] takes. The zero value is the default.
type Options struct {
	Preset   Preset // slips under what policies say themselves
	Seed     uint64 // fixes every jitter; 0 means random
	Disabled bool   // begin switched off
	// ChaosInProduction lets a [Chaos] act under preset production, in a binary that
	// was built with the tag resilience_chaos.
	ChaosInProduction bool

	// Dir is the directory in which checkpoints, dead letters and runs live, see
	// [Store]. Without it and Stores, a policy that needs one is refused by the
	// constructor of its wrapper.
	Dir       string
	Sync      Sync          // when what is appended there is durable
	SyncEvery time.Duration // between flushes with SyncInterval; default 20ms
	OnDamage  OnDamage      // what becomes of a store that lost something
	// Stores are used in place of Dir; see [MemoryStores]. Close leaves them open.
	Stores Stores
	// Letters are what dead letters need besides a store.
	Letters LetterOptions

	DisableStats      bool // keep no statistics of methods
	DisableHistograms bool // keep only counters: calls read no clock for them

	// Observe is told of every [Event], with the context of the call that caused
	// it (context.Background for timers and operators), on the goroutine of that
	// call or of another one that has an event of the same breaker, or on that of the
	// health. No lock is held, so it may call back in, but for Close from a
	// [HealthChanged]; what is slow in it slows calls down. A panic in it is
	// counted (see [Runtime.Observer]) and harms nobody. nil costs nothing. See
	// [LogHandler] and [Ring].
	Observe func(context.Context, Event)
}

// process is the Runtime of those who gave none.
var process struct {
	made sync.Once
	rt   *Runtime
	err  error
}

func defaultRuntime() (*Runtime, error) {
	process.made.Do(func() { process.rt, process.err = Open(Options{}) })
	return process.rt, process.err
}

// Open returns a Runtime. The environment wins over o: RESILIENCE_ENABLED
// (true or false), RESILIENCE_PRESET (production, development, testing),
// RESILIENCE_DISABLE (retry,hedge) and one variable for each key that may change
// at run time, such as RESILIENCE_RETRY_MAXATTEMPTS, which acts on every policy
// that has the part; RESILIENCE_DURABLE (true or false) is [Runtime.SetDurable]. A
// variable that is nearly one of these is an error, since a switch that does nothing
// is worse than none. [ErrBusy]: another process has o.Dir.
func Open(o Options) (*Runtime, error) {
	rt := &Runtime{seed: o.Seed, preset: o.Preset, chaos: o.ChaosInProduction, stores: o.Stores, letterOptions: o.Letters, enabled: map[string]bool{}, noStats: o.DisableStats, noHistograms: o.DisableHistograms}
	if o.Observe != nil {
		rt.observer = &observer{observe: o.Observe}
		rt.news = &news{to: rt.observer}
	}
	if o.Disabled {
		rt.enabled[""] = false
	}
	for _, name := range knownVariables() {
		os.Getenv(name) // tells the cache of go test that results depend on it, which os.Environ does not
	}
	err := rt.readEnvironment(os.Environ())
	rt.news.tell()
	if err == nil {
		err = rt.openStore(o)
	}
	return rt, err
}

// tellNews tells what was done, by whom it may be, while rt.mu was held.
func (rt *Runtime) tellNews() {
	if rt.observer == nil {
		return
	}
	rt.news.tell()
	for _, b := range rt.allBreakers() {
		b.news.tell()
	}
	for _, n := range rt.limitNews() {
		n.tell()
	}
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

// Close ends the guarding: later calls pass straight through. It waits for no
// call, and closes [Runtime.Health] and the store of [Options].Dir: what needs a
// store then gets [ErrClosed]. Replays of letters that run are cancelled, and have
// five seconds to end; their jobs go on in the next process.
func (rt *Runtime) Close() error {
	root, err := rt.root()
	root.stop()
	root.mu.Lock()
	end, letters := root.closeHealth, root.closeLetters
	root.mu.Unlock()
	if letters != nil { // before the store is closed
		err = errors.Join(err, letters(context.Background()))
	}
	if end != nil {
		err = errors.Join(err, end())
	}
	return errors.Join(err, root.closeStores())
}

// stop ends the guarding.
func (rt *Runtime) stop() {
	defer rt.tellNews()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.closed = true
	rt.recompile()
	for _, b := range rt.breakers {
		b.stop()
	}
	for _, keys := range rt.keyed {
		keys.stop()
	}
}

// SetEnabled switches guards on or off at once: all without names, else those
// of an interface ("payments.Gateway"), of an instance of it
// ("payments.Gateway@eu"), or of a method ("payments.Gateway.Charge"). The most
// specific setting wins. A call that waits for another attempt makes none once
// it is switched off.
func (rt *Runtime) SetEnabled(on bool, names ...string) {
	root, _ := rt.root()
	defer root.tellNews()
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.enabled == nil {
		root.enabled = map[string]bool{}
	}
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		root.saySwitch(on, name)
		root.enabled[name] = on
	}
	root.recompile()
}

// Apply puts a preset under the policies of every guard, at once. A preset
// from the environment stays in force.
func (rt *Runtime) Apply(p Preset) {
	root, _ := rt.root()
	defer root.tellNews()
	root.mu.Lock()
	defer root.mu.Unlock()
	root.sayPreset(p)
	if !root.pinned {
		root.preset = p
	}
	root.recompile()
}

// recompile gives every guard the plan that now holds. rt.mu is held.
func (rt *Runtime) recompile() {
	for _, g := range rt.guards {
		p := rt.compile(g)
		if old := g.plan.Swap(p); old != nil && (old.retries || old.hedge != nil) && (p == nil || !p.retries && p.hedge == nil) {
			old.off.Store(true)
		}
	}
}

// compile returns the plan of g, nil if it is switched off. rt.mu is held.
func (rt *Runtime) compile(g *Guard) *plan {
	r := rt.inForce(g, rt.overrides)
	if rt.closed || !rt.isEnabled(g, r.Preset) {
		return nil
	}
	p := newPlan(r.of(g), r.Preset)
	p.rt, p.name = rt, g.name
	p.breaker, p.keys = rt.breakerFor(g, &r.Policy)
	p.bulkhead = rt.bulkheadFor(g, &r.Policy)
	p.limiter, p.limiters = rt.limiterFor(g, &r.Policy)
	p.limits = p.limiter != nil || p.limiters != nil
	p.throttle, p.steering = g.adaptiveFor(&r.Policy)
	p.adapts = p.throttle != nil || p.steering != nil
	p.chaos = r.Chaos.set() && rt.disturbs(r.Preset)
	p.hedge = g.hedging(r.Hedge)
	if p.retries || p.hedge != nil {
		p.budget = rt.budgetFor(g, &r.Policy)
	}
	p.stats, p.letters = g.stats, rt.lettered[g]
	p.times = g.stats != nil && g.stats.times
	p.admits = p.breaker != nil || p.keys != nil || p.bulkhead != nil || p.limits || p.adapts
	p.prepares = p.clocked || p.times || p.keys != nil || p.budget != nil
	p.arrange(r.of(g))
	p.queues = p.bulkhead != nil && r.Bulkhead.MaxWait > 0 || p.limits && r.RateLimit.MaxWait > 0
	p.measures = (p.breaker != nil || p.keys != nil) && r.Breaker.SlowCallDuration > 0 || p.steering != nil
	return p
}

func (rt *Runtime) isEnabled(g *Guard, preset Preset) bool {
	for _, name := range []string{g.name, g.method, g.wrapper, g.iface, ""} {
		if on, ok := rt.enabled[name]; ok {
			return on
		}
	}
	return preset != Testing
}

// add registers g and gives it its first plan. Overrides that do not fit it are
// left out, but not those of the environment.
func (rt *Runtime) add(g *Guard) error {
	defer rt.tellNews()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	err := rt.welcome(g)
	if err != nil && len(rt.overrides.listed)+len(rt.overrides.updated) > 0 {
		g.misfit = err
		if err = rt.welcome(g); err == nil {
			rt.refuse(g.name, "", g.misfit)
		}
	}
	if err != nil {
		return err
	}
	if err := rt.refuseChaos(g); err != nil {
		return err
	}
	rt.guards = append(rt.guards, g)
	rt.version++
	g.plan.Store(rt.compile(g))
	return nil
}

// welcome says what is wrong with a new guard under the overrides.
func (rt *Runtime) welcome(g *Guard) error {
	if err := rt.inForce(g, rt.overrides).whole.check(); err != nil {
		return fmt.Errorf("%s: %w", g.name, err)
	}
	return rt.conflict(g)
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
