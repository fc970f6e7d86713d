package workflow

import (
	"context"
	"maps"
	"slices"
)

// NodeMemory is what a node remembers in its run: texts by keys. What it sets is kept
// by the record of its step, and lost with a call that is not recorded. It is safe
// for concurrent use; of two calls of one node at a time, what is recorded last
// stays.
type NodeMemory struct{ inv *invocation }

// Memory returns the memory of the node that ctx belongs to; for anybody else one
// that is empty and forgets.
func Memory(ctx context.Context) NodeMemory { return NodeMemory{invocationOf(ctx)} }

// Get returns the text under a key.
func (m NodeMemory) Get(key string) (text string, ok bool) {
	if m.inv == nil {
		return "", false
	}
	m.inv.mu.Lock()
	defer m.inv.mu.Unlock()
	if text, ok = m.inv.set[key]; ok || m.inv.forgot[key] {
		return text, ok
	}
	text, ok = m.inv.memory[key]
	return text, ok
}

// Set puts a text under a key.
func (m NodeMemory) Set(key, text string) {
	if m.inv == nil {
		return
	}
	m.inv.mu.Lock()
	defer m.inv.mu.Unlock()
	if m.inv.set == nil {
		m.inv.set = map[string]string{}
	}
	if m.inv.over {
		return
	}
	m.inv.set[key] = text
	delete(m.inv.forgot, key)
}

// Delete takes a key away.
func (m NodeMemory) Delete(key string) {
	if m.inv == nil {
		return
	}
	m.inv.mu.Lock()
	defer m.inv.mu.Unlock()
	if m.inv.over {
		return
	}
	if m.inv.forgot == nil {
		m.inv.forgot = map[string]bool{}
	}
	m.inv.forgot[key] = true
	delete(m.inv.set, key)
}

// Keys returns the keys in order.
func (m NodeMemory) Keys() []string {
	if m.inv == nil {
		return nil
	}
	m.inv.mu.Lock()
	defer m.inv.mu.Unlock()
	keys := maps.Clone(m.inv.memory)
	if keys == nil {
		keys = map[string]string{}
	}
	maps.Copy(keys, m.inv.set)
	for key := range m.inv.forgot {
		delete(keys, key)
	}
	return slices.Sorted(maps.Keys(keys))
}
