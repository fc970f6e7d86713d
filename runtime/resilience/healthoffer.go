package resilience

import "fmt"

// OfferHealth makes c a component of the health once somebody asks for that with
// [Runtime.Health], and not before: a program that never does gets along without. A
// name that is taken gets a number, as instances of wrappers do.
func (rt *Runtime) OfferHealth(c Component) {
	root, _ := rt.root()
	root.mu.Lock()
	register := root.registerHealth
	if register == nil && !root.closed {
		root.offeredHealth = append(root.offeredHealth, c)
	}
	root.mu.Unlock()
	if register != nil {
		takeOffer(register, c)
	}
}

// takeOffer registers c under the first name that is free.
func takeOffer(register func(Component) error, c Component) {
	name := c.Name
	for n := 2; register(c) != nil && n < 100; n++ {
		c.Name = fmt.Sprintf("%s#%d", name, n)
	}
}
