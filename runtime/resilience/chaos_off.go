//go:build !resilience_chaos

package resilience

const chaosBuilt = false

func (c *Call) disturb() bool { return true }

func (c *Call) inject() error { return nil }
