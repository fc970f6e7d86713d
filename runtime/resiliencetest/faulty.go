package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrFaulty is what a [Faulty] fails with when nothing else is said.
var ErrFaulty = errors.New("faulty")

// Faulty is a delegate that does what its script says. It is safe for
// concurrent use once it is made; its zero value always succeeds.
type Faulty[T any] struct {
	// Script holds what each call does, with spaces between; the last step
	// repeats:
	//
	//	S      returns Value
	//	F      fails with Err
	//	name   fails with the error of that name in Errors
	//	P      panics
	//	H      waits for its context to end, and fails with its error
	//	hold   waits for Release, and returns Value; or for its context
	//	F*3    three of them
	//	S/2s   S after two seconds, or the context's error
	//	S!2s   S after two seconds, whatever the context says
	Script string
	Value  T
	Err    error // ErrFaulty if nil
	Errors map[string]error

	mu    sync.Mutex
	calls int
	gate  chan struct{}
}

// Call does the next step. A step that means nothing panics.
func (f *Faulty[T]) Call(ctx context.Context) (T, error) {
	step := f.next()
	what, wait, _ := strings.Cut(step, "/")
	if d, ok := duration(wait, step); ok {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return f.failed(ctx.Err())
		}
	}
	what, wait, _ = strings.Cut(what, "!")
	if d, ok := duration(wait, step); ok {
		time.Sleep(d)
	}
	return f.do(ctx, what)
}

// Calls returns how often Call was called.
func (f *Faulty[T]) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Release lets every call go on that holds.
func (f *Faulty[T]) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gate != nil {
		close(f.gate)
		f.gate = nil
	}
}

func (f *Faulty[T]) do(ctx context.Context, what string) (T, error) {
	switch what {
	case "S":
		return f.Value, nil
	case "F":
		if f.Err != nil {
			return f.failed(f.Err)
		}
		return f.failed(ErrFaulty)
	case "P":
		panic("resiliencetest: P")
	case "H":
		<-ctx.Done()
		return f.failed(ctx.Err())
	case "hold":
		select {
		case <-f.held():
			return f.Value, nil
		case <-ctx.Done():
			return f.failed(ctx.Err())
		}
	}
	err, ok := f.Errors[what]
	if !ok {
		panic(fmt.Sprintf("resiliencetest: no step %q", what))
	}
	return f.failed(err)
}

func (f *Faulty[T]) failed(err error) (T, error) {
	var zero T
	return zero, err
}

// held is closed by the next Release.
func (f *Faulty[T]) held() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gate == nil {
		f.gate = make(chan struct{})
	}
	return f.gate
}

// next returns the step of the next call.
func (f *Faulty[T]) next() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls
	f.calls++
	step := "S"
	for _, field := range strings.Fields(f.Script) {
		what, times, many := strings.Cut(field, "*")
		count := 1
		if many {
			var err error
			if count, err = strconv.Atoi(times); err != nil {
				panic(fmt.Sprintf("resiliencetest: no step %q", field))
			}
		}
		if step = what; n < count {
			break
		}
		n -= count
	}
	return step
}

func duration(text, step string) (time.Duration, bool) {
	if text == "" {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(fmt.Sprintf("resiliencetest: no step %q", step))
	}
	return d, true
}
