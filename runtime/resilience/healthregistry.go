package resilience

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// HealthRegistry knows the health of a service, see [Runtime.Health]. It is
// safe for concurrent use. Nothing registers itself anywhere: a service asks for
// a [HealthRegistry.Snapshot] where its platform asks for its health.
type HealthRegistry struct {
	rt     *Runtime
	ctx    context.Context // of every run
	cancel context.CancelFunc

	mu         sync.Mutex
	components []*component // sorted by name
	removed    []*component // whose goroutines may not have ended
	running    bool         // Start was called
	closed     bool
	draining   string
	observe    func(HealthChange)
	queue      []HealthChange // for observe
	dropped    int64
	panics     int64
	news       *news         // for the observer of the Runtime; nil without
	told       chan struct{} // closed when the goroutine that tells observe has ended
	wake       chan struct{} // tells that goroutine that there is something to tell

	building  sync.Mutex   // held by who makes a snapshot; taken before mu
	changed   atomic.Int64 // times that something was
	published atomic.Pointer[HealthSnapshot]
}

const (
	freshness  = 100 * time.Millisecond // of a snapshot
	healthTick = time.Second            // between looks that nobody asked for
	queueLimit = 1000                   // of changes
	reasonFor  = "closed"               // what Close says of draining
)

var errHealthClosed = errors.New("health: closed")

// Health returns the registry of the Runtime.
func (rt *Runtime) Health() *HealthRegistry {
	root, _ := rt.root() // Open and the constructors report the error
	root.healthMade.Do(root.makeHealth)
	return root.health.(*HealthRegistry)
}

// makeHealth makes the registry, with the guards that wait for it.
func (rt *Runtime) makeHealth() {
	h := &HealthRegistry{rt: rt, told: make(chan struct{}), wake: make(chan struct{}, 1)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if rt.observer != nil {
		h.news = &news{to: rt.observer}
	}
	h.published.Store(&HealthSnapshot{})
	h.changed.Add(1)
	rt.health = h
	rt.mu.Lock()
	closed, waiting, offered := rt.closed, rt.awaitHealth, rt.offeredHealth
	rt.offeredHealth = nil
	rt.awaitHealth, rt.guardHealth, rt.closeHealth = nil, h.guard, h.Close
	rt.touchHealth, rt.registerHealth = func() { h.changed.Add(1) }, h.Register
	letters := rt.letterHealth
	rt.mu.Unlock()
	if letters != nil {
		_ = h.Register(letters()) // nothing has a name yet
	}
	if rt.files != nil {
		for _, c := range rt.files.components() {
			_ = h.Register(c) // nothing has a name yet
		}
	}
	for _, g := range waiting {
		_ = h.guard(g) // nothing else has its name yet
	}
	for _, c := range offered {
		takeOffer(h.Register, c)
	}
	if closed {
		h.news = nil  // who is told might ask for the health, which is not there yet
		_ = h.Close() // nothing runs
	}
}

// Register adds a component. It is an error if the name is taken, if what c
// depends on is not registered, if what c says cannot be, or after Close.
// After Start its runs begin at once.
func (h *HealthRegistry) Register(c Component) error {
	err := c.check()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch i, taken := h.find(c.Name); {
	case err != nil:
	case h.closed:
		err = errors.New("the registry is closed")
	case taken:
		err = errors.New("the name is taken")
	default:
		for _, name := range c.DependsOn {
			if _, ok := h.find(name); !ok {
				return fmt.Errorf("health: component %q: dependsOn: %q is not registered", c.Name, name)
			}
		}
		h.insert(i, c)
		return nil
	}
	return fmt.Errorf("health: component %q: %w", c.Name, err)
}

// insert adds a component at place i. h.mu is held.
func (h *HealthRegistry) insert(i int, c Component) {
	c.DependsOn = slices.Clone(c.DependsOn)
	n := &component{h: h, given: c, wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancel(h.ctx)
	n.conf = c.under(NoPreset)
	n.since = time.Now()
	h.components = slices.Insert(h.components, i, n)
	h.changed.Add(1)
	if h.running {
		n.start()
	}
}

// Unregister takes a component away, and ends its run, for which [HealthRegistry.Close] waits
// if it is still out. It is an error if there is none of that name, or if another
// one depends on it. The name is free again, also that of a guard whose policy
// registered it.
func (h *HealthRegistry) Unregister(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.find(name)
	if !ok {
		return fmt.Errorf("health: there is no component %q", name)
	}
	for _, c := range h.components {
		if slices.Contains(c.given.DependsOn, name) {
			return fmt.Errorf("health: component %q: %q depends on it", name, c.given.Name)
		}
	}
	c := h.components[i]
	h.components = slices.Delete(slices.Clone(h.components), i, i+1)
	c.cancel()
	h.removed = slices.DeleteFunc(h.removed, (*component).over)
	if h.running {
		h.removed = append(h.removed, c)
	}
	h.changed.Add(1)
	return nil
}

// find returns the place of the component of that name, and whether it is
// there. h.mu is held.
func (h *HealthRegistry) find(name string) (int, bool) {
	return slices.BinarySearchFunc(h.components, name, func(c *component, name string) int { return strings.Compare(c.given.Name, name) })
}

// component returns the component of that name.
func (h *HealthRegistry) component(name string) (*component, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.find(name)
	if !ok {
		return nil, fmt.Errorf("health: there is no component %q", name)
	}
	return h.components[i], nil
}

// Start begins the runs of every component, and the telling of changes. Until
// then those with runs are Starting; those with a Guard alone need no Start.
// Starting twice does nothing; after Close it is an error.
func (h *HealthRegistry) Start() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errHealthClosed
	}
	if h.running {
		return nil
	}
	h.running = true
	go h.tell()
	for _, c := range h.components {
		c.start()
	}
	return nil
}

// Close ends every run and waits for what can be waited for: for each run, until
// its Timeout. What is out longer is named in the error, and left behind. From
// then on the group ready fails and nothing changes any more.
func (h *HealthRegistry) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.draining = cmp.Or(h.draining, reasonFor)
	components, running := slices.Concat(h.components, h.removed), h.running
	h.mu.Unlock()

	h.building.Lock()
	h.build(time.Now())
	h.building.Unlock()
	h.cancel()
	if !running {
		h.news.tell()
		return nil
	}
	patience := time.Now().Add(healthTick)
	for _, c := range components {
		patience = later(patience, c.deadline())
	}
	errs := []error{await(h.told, patience, errors.New("health: the observer of changes has not returned"))}
	for _, c := range components {
		errs = append(errs, await(c.ended, patience, fmt.Errorf("health: component %q: its check has not returned", c.given.Name)))
	}
	return errors.Join(errs...)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// await waits for done until then, and returns err if that was too short.
func await(done <-chan struct{}, until time.Time, err error) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
	}
	select {
	case <-done: // both at once
		return nil
	default:
		return err
	}
}

// OnChange has f called with every change of a component, one at a time and in
// order for each, by a goroutine that runs from Start to Close. f may call back
// in, but for Close, which waits for f. A panic in f is caught and counted. Changes that come while f is 1000 of them behind are dropped and
// counted. nil calls nobody.
func (h *HealthRegistry) OnChange(f func(HealthChange)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.observe = f
}

// BeginDrain has the group ready fail from now on, so that no new traffic
// comes. The group live is left as it is: nobody is to kill what still works.
func (h *HealthRegistry) BeginDrain(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining == "" {
		h.draining = cmp.Or(reason, "draining")
	}
	h.changed.Add(1)
}

// ShutdownDelay is BeginDrain, and waits for d, so that whoever sends traffic
// has asked meanwhile, or until ctx ends, whose error it returns. A server is to
// be shut down after it.
func (h *HealthRegistry) ShutdownDelay(ctx context.Context, reason string, d time.Duration) error {
	h.BeginDrain(reason)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Maintain takes a component out of the groups for d, or back at once if d is 0
// or less. Its runs go on.
func (h *HealthRegistry) Maintain(name, reason string, d time.Duration) error {
	c, err := h.component(name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.advance(now)
	c.kept, c.why = time.Time{}, reason
	if d > 0 {
		c.kept = now.Add(d)
	}
	c.settle(now)
	h.changed.Add(1)
	return nil
}

// Refresh runs the component now and waits until that has ended, or ctx. It
// joins a run that is out already.
func (h *HealthRegistry) Refresh(ctx context.Context, name string) error {
	c, err := h.component(name)
	switch {
	case err != nil:
		return err
	case !c.given.active():
		return fmt.Errorf("health: component %q has nothing to run", name)
	}
	h.mu.Lock()
	running := h.running
	h.mu.Unlock()
	if !running {
		return fmt.Errorf("health: component %q: not started", name)
	}
	select {
	case <-c.hurry():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		if h.ctx.Err() == nil {
			return fmt.Errorf("health: component %q: was taken away", name)
		}
		return errHealthClosed
	}
}

// Snapshot returns the health of the service. A snapshot serves for 100 ms, or
// until a run ends: that many who ask at once cost no more than one.
func (h *HealthRegistry) Snapshot() *HealthSnapshot {
	s := h.published.Load()
	dirty := s.changes != h.changed.Load()
	if h.ctx.Err() != nil || !dirty && time.Since(s.At) < freshness {
		return s
	}
	if dirty {
		h.building.Lock() // who changed something wants to see it
	} else if !h.building.TryLock() {
		return s // somebody is at it
	}
	defer h.inform()
	defer h.building.Unlock()
	if s = h.published.Load(); s.changes != h.changed.Load() || time.Since(s.At) >= freshness {
		s = h.build(time.Now())
	}
	return s
}

// build makes a snapshot and publishes it. h.building is held.
func (h *HealthRegistry) build(now time.Time) *HealthSnapshot {
	seen := h.changed.Load() // first: what changes meanwhile makes the snapshot an old one
	preset, refused := h.given()
	h.mu.Lock()
	components := slices.Clone(h.components)
	s := &HealthSnapshot{At: now, changes: seen, Draining: h.draining, Overrides: refused, Dropped: h.dropped, Panics: h.panics}
	h.mu.Unlock()

	var changes []HealthChange
	s.Components = make([]ComponentHealth, len(components))
	for i, c := range components {
		var own []HealthChange
		s.Components[i], own = c.examine(now, preset)
		changes = append(changes, own...)
	}
	s.blame()
	s.judge()
	for i, c := range changes {
		changes[i].Cause = s.Component(c.Component).Cause
		changes[i].Quiet = c.Quiet || changes[i].Cause != ""
	}
	h.published.Store(s)
	h.report(changes)
	return s
}

// blame finds the cause of each component that is not well.
func (s *HealthSnapshot) blame() {
	for i := range s.Components {
		if c := &s.Components[i]; c.State != Healthy && c.State != Maintenance {
			c.Cause = s.cause(c)
		}
	}
}

// cause returns the name of the first component, as far down as they go, that
// keeps c from being well.
func (s *HealthSnapshot) cause(c *ComponentHealth) string {
	for _, name := range c.DependsOn {
		if d := s.Component(name); d.State == Unhealthy || d.State == Unknown || d.State == Maintenance {
			return cmp.Or(s.cause(d), name)
		}
	}
	return ""
}

// judge answers for the groups.
func (s *HealthSnapshot) judge() {
	for i := range s.Components {
		c := &s.Components[i]
		if c.State == Maintenance {
			continue
		}
		if c.Groups&GroupLive != 0 && c.State != Starting { // whoever starts is not to be killed for it
			s.Live = max(s.Live, c.status())
		}
		if c.Groups&GroupReady != 0 {
			s.Ready = max(s.Ready, c.status())
		}
		if c.Groups&GroupStartup != 0 && c.Criticality == Critical && !c.Passed {
			s.Startup = StatusFail
		}
	}
	if s.Overrides != "" {
		s.Ready = max(s.Ready, StatusWarn)
	}
	if s.Draining != "" {
		s.Ready = StatusFail
	}
}

// status is what the component says to its groups.
func (c *ComponentHealth) status() HealthStatus {
	switch {
	case c.State == Healthy || c.Criticality == Informational:
		return StatusPass
	case c.State == Degraded || c.Criticality == Degradable:
		return StatusWarn
	}
	return StatusFail
}
