package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// listeners are those in this process who wait for something at a key.
type listeners struct {
	mu sync.Mutex
	of map[string]map[*func()]bool
}

// Listen has wake called for each [Runtime.Post] to key of this Runtime, until stop
// is. What others post, it does not hear. wake must return at once.
func (rt *Runtime) Listen(key string, wake func()) (stop func()) {
	root, _ := rt.root()
	l, who := &root.listening, &wake
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]map[*func()]bool{}
	}
	if l.of[key] == nil {
		l.of[key] = map[*func()]bool{}
	}
	l.of[key][who] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.of[key], who); len(l.of[key]) == 0 {
			delete(l.of, key)
		}
	}
}

// Post is the func [Post] with the store of rt, and wakes who listens.
func (rt *Runtime) Post(ctx context.Context, key, id string, body []byte) error {
	root, _ := rt.root()
	v, err := root.values()
	if err == nil {
		err = Post(ctx, largeLog{v}, key, id, body)
	}
	if err != nil {
		return err
	}
	for _, wake := range root.listening.to(key) {
		(*wake)()
	}
	return nil
}

func (l *listeners) to(key string) (list []*func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for wake := range l.of[key] {
		list = append(list, wake)
	}
	return list
}

// Post appends body, a JSON object with the member "id", to a key that many write to
// and one reads and drops. A record with that id that is still there makes it do
// nothing, so that it may be asked again where the store gave no answer. It returns
// when the record is durable.
func Post(ctx context.Context, log Log, key, id string, body []byte) error {
	var last Version // an inbox is most often empty
	for {
		_, err := log.Append(ctx, key, last, body)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnavailable) {
			return err
		}
		failed := err
		var known bool
		if last, known, err = posted(ctx, log, key, id); known || err != nil {
			return err
		}
		if errors.Is(failed, ErrUnavailable) {
			return failed
		}
	}
}

// posted looks for a record with an id, and returns the version of the last one.
func posted(ctx context.Context, log Log, key, id string) (last Version, known bool, err error) {
	for r, err := range log.Scan(ctx, key, 0) {
		var head struct {
			ID string `json:"id"`
		}
		if err != nil {
			return 0, false, fmt.Errorf("post to %s: %w", key, err)
		}
		if err := json.Unmarshal(r.Body, &head); err == nil && head.ID == id { // what cannot be read is another one
			return r.Version, true, nil
		}
		last = r.Version
	}
	return last, false, ctx.Err()
}
