// Package resiliencetest helps to test what policies make of the calls of a
// service: a [Recorder] keeps what a Runtime tells, one line an event, and a
// [Faulty] is a delegate that fails by a script. In a bubble of testing/synctest
// both are deterministic to the nanosecond, and no test waits. [Stores] tests that
// an engine for durable things keeps the contracts of the runtime.
package resiliencetest
