package resilience

import (
	"encoding/json"
	"fmt"
)

// Upcast has values that were kept when their type had another shape become ones
// of today's: Old is the type as it was, under a name of its own, and shape the 16
// digits that [ErrCheckpointType] says are stored. up may be called by several
// goroutines. What is kept stays as it is. A shape is given once; before the
// wrapper that reads it is made, or calls may come first.
func Upcast[Old, New any](rt *Runtime, shape string, up func(Old) (New, error)) error {
	root, err := rt.root()
	if err != nil {
		return err
	}
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.upcasts[shape] != nil {
		return fmt.Errorf("upcast of shape %s: there is one", shape)
	}
	if root.upcasts == nil {
		root.upcasts = map[string]func(json.RawMessage) (json.RawMessage, error){}
	}
	root.upcasts[shape] = func(old json.RawMessage) (json.RawMessage, error) {
		var from Old
		if err := decodeStrict(old, &from); err != nil {
			return nil, fmt.Errorf("upcast of shape %s: %w", shape, err)
		}
		to, err := up(from)
		if err != nil {
			return nil, fmt.Errorf("upcast of shape %s: %w", shape, err)
		}
		return json.Marshal(&to)
	}
	return nil
}

// upcast returns what makes values of a shape ones of today's, nil if nothing
// does.
func (rt *Runtime) upcast(shape string) func(json.RawMessage) (json.RawMessage, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.upcasts[shape]
}
