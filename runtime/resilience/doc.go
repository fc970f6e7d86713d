// Package resilience is what generated wrappers run on: retries, timeouts,
// circuit breakers, bulkheads and fallbacks for one call at a time.
//
// A [Guard] keeps one method under a [Policy]; a [Call] is one call of it, whose
// loop the generated method shows. [Do] and [Try] are that loop for code
// without a wrapper. A [Runtime] holds what can be changed while a program
// runs: switches, presets and policies, and knows the health of a service (see
// [Runtime.Health]). Every type is safe for concurrent use, except a Call, which
// belongs to the goroutine that began it.
package resilience
