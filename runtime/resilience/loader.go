package resilience

import "sync"

// loader has something loaded by one caller, while the others wait, and again once
// it is in doubt. The zero value has loaded nothing.
type loader struct {
	mu     sync.Mutex
	loaded bool
}

func (l *loader) once(load func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loaded {
		return nil
	}
	if err := load(); err != nil {
		return err
	}
	l.loaded = true
	return nil
}

// forgetUnless has it loaded again where ok is false.
func (l *loader) forgetUnless(ok bool) {
	if ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loaded = false
}
