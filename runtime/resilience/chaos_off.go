//go:build !resilience_chaos

package resilience

const chaosBuilt = false

func (c *Call) disturb() bool { return true }

func (c *Call) inject() error { return nil }

// Injected reports whether a result is to stand for the delegate's, as
// [Chaos.Result] asks for; never in builds without the tag resilience_chaos. It
// is asked once after each Next, and may last as long as [Chaos.Latency].
func (c *Call) Injected() bool { return false }
