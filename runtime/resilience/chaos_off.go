//go:build !resilience_chaos

package resilience

const chaosBuilt = false

func (c *Call) disturb() bool { return true }
