package workflow

import "sync"

// endings tells those in this process who wait for runs of an engine of their ends:
// channels by id of the run.
type endings struct {
	mu sync.Mutex
	to map[string]map[chan struct{}]bool
}

// listen has c get something when a run ends or parks here, until stop is called.
func (l *endings) listen(run string, c chan struct{}) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to == nil {
		l.to = map[string]map[chan struct{}]bool{}
	}
	if l.to[run] == nil {
		l.to[run] = map[chan struct{}]bool{}
	}
	l.to[run][c] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.to[run], c); len(l.to[run]) == 0 {
			delete(l.to, run)
		}
	}
}

// tell wakes those who wait for a run.
func (l *endings) tell(run string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.to[run] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
