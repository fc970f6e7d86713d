package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// status writes to standard error, and says there how far a run is that takes
// longer than a second. On a terminal that is one line, which goes away; else
// it is a line after one second, two, four, and so on.
type status struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	text  string // what is being done
	drawn bool   // text is on the terminal
	done  chan struct{}
	wait  sync.WaitGroup
}

// patience is how long a run may be silent.
var patience = time.Second

func newStatus(out io.Writer) *status {
	s := &status{out: out, terminal: terminal(out), done: make(chan struct{})}
	s.wait.Go(s.run)
	return s
}

// say sets what is being done.
func (s *status) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = fmt.Sprintf(format, args...)
}

// progress sets what is being done with packages. In a log it would be taken for a
// result, so it stands on terminals, and elsewhere with -v.
func (env *environment) progress(format string, args ...any) {
	if env.status.terminal || env.verbose {
		env.status.say(format, args...)
	}
}

func (s *status) run() {
	pause := patience
	for {
		select {
		case <-s.done:
			return
		case <-time.After(pause):
		}
		s.draw()
		if !s.terminal {
			pause *= 2
		}
	}
}

func (s *status) draw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == "" {
		return
	}
	if !s.terminal {
		fmt.Fprintln(s.out, "resilgen:", s.text)
		return
	}
	s.erase()
	fmt.Fprint(s.out, s.text)
	s.drawn = true
}

func (s *status) erase() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.drawn = false
	}
}

// Write writes p in the place of the status.
func (s *status) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	return s.out.Write(p)
}

// close removes the status and waits for its goroutine.
func (s *status) close() {
	close(s.done)
	s.wait.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
}
