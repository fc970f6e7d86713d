package histories

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// doer is what a script is played against: a generated wrapper, or the model of
// one.
type doer struct {
	do    func(ctx context.Context, key string, cost int) (int, error)
	state func() []string // at the end, a line for each part
	close func() error
}

// player plays a script, and is the delegate.
type player struct {
	script []visit
	begun  time.Time

	mu      sync.Mutex
	turns   []*turn
	running sync.WaitGroup // of executions, also of those that nobody waits for
}

// turn is a call that was made.
type turn struct {
	visit
	number int // from 1
	ran    int // executions
	told   []string
}

type turnKey struct{}

// play plays a script against what open returns and returns all that happened, by
// call.
func play(t *testing.T, script []visit, open func(Service) (doer, error)) (transcript []string) {
	synctest.Test(t, func(t *testing.T) {
		p := &player{script: script, begun: time.Now()}
		d, err := open(p)
		if err != nil {
			t.Error(err)
			return
		}
		var calls sync.WaitGroup
		for i, v := range script {
			c := &turn{visit: v, number: i + 1}
			p.turns = append(p.turns, c)
			calls.Go(func() { p.call(d, c) })
		}
		calls.Wait()
		p.running.Wait()
		synctest.Wait()
		for _, c := range p.turns {
			slices.Sort(c.told) // what happens at the same instant is in no order
			for _, line := range c.told {
				transcript = append(transcript, fmt.Sprintf("call %d: %s", c.number, line))
			}
		}
		transcript = append(transcript, d.state()...)
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	return transcript
}

// tell notes what happened in a call.
func (p *player) tell(c *turn, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.told = append(c.told, fmt.Sprintf(format, args...))
}

func (p *player) now() time.Duration { return time.Since(p.begun) }

// call makes a call in a goroutine that it may end.
func (p *player) call(d doer, c *turn) {
	time.Sleep(c.at)
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), turnKey{}, c))
	defer cancel()
	if c.leave > 0 {
		defer time.AfterFunc(c.leave, cancel).Stop()
	}
	if c.deadline > 0 {
		limited, stop := context.WithTimeout(ctx, c.deadline)
		defer stop()
		ctx = limited
	}
	ctx = context.WithValue(ctx, answering{}, func(_ context.Context, cause error) (int, error) {
		p.tell(c, "fallback at %v for %s", p.now(), outcome(0, cause))
		return 99, nil
	})
	over := make(chan struct{})
	go func() { // Goexit ends it
		defer close(over)
		ended := "ended its goroutine"
		defer func() {
			if v := recover(); v != nil {
				ended = fmt.Sprint("panic: ", panicked(v))
			}
			p.tell(c, "over at %v: %s", p.now(), ended)
		}()
		n, err := d.do(ctx, c.key, c.cost)
		ended = outcome(n, err)
	}()
	<-over
}

// panicked is what a delegate panicked with, wherever that was raised again.
func panicked(v any) any {
	if p, ok := v.(*resilience.PanicError); ok {
		return fmt.Sprint(p.Value, " (carried)")
	}
	return v
}

// outcome tells a result.
func outcome(n int, err error) string {
	if err == nil {
		return fmt.Sprint(n)
	}
	text := fmt.Sprintf("%d and %s", n, strings.Join(matched(err), "+"))
	switch e := err.(type) {
	case *resilience.Error:
		return text + fmt.Sprintf(", given up by %s after %d attempts and %v", e.Policy, e.Attempts, e.Elapsed)
	case *gaveUp:
		return text + fmt.Sprintf(", given up by %s after %d attempts and %v", e.policy, e.attempts, e.elapsed)
	}
	return text
}

// matched is what errors.Is finds in err.
func matched(err error) (names []string) {
	for _, known := range []struct {
		name string
		err  error
	}{
		{"A", ErrA}, {"B", ErrB}, {"P", errGone}, {"T", errPassing}, {"after", errAfter},
		{"open", resilience.ErrCircuitOpen}, {"full", resilience.ErrBulkheadFull}, {"limited", resilience.ErrRateLimited}, {"timeout", resilience.ErrTimeout},
		{"unwanted", resilience.ErrUnwantedResult}, {"budget", resilience.ErrBudgetExhausted}, {"canceled", context.Canceled}, {"deadline", context.DeadlineExceeded},
	} {
		if errors.Is(err, known.err) {
			names = append(names, known.name)
		}
	}
	return names
}

// Do is the delegate. What it does is told in the script, by execution.
func (p *player) Do(ctx context.Context, _ string, _ int) (n int, err error) {
	c := ctx.Value(turnKey{}).(*turn)
	p.running.Add(1)
	defer p.running.Done()
	p.mu.Lock()
	c.ran++
	number := c.ran
	p.mu.Unlock()
	from, limit := p.now(), "no deadline"
	if deadline, ok := ctx.Deadline(); ok {
		limit = fmt.Sprint("deadline ", deadline.Sub(p.begun))
	}
	s := c.steps[min(number, len(c.steps))-1]
	s.took += time.Duration(number) // the last step repeats, and no two executions take the same
	ended := "not at all"
	defer func() {
		p.tell(c, "execution %d from %v with %s to %v: %s", number, from, limit, p.now(), ended)
	}()
	if !s.wait(ctx) {
		ended = "its context ended"
		return 0, ctx.Err()
	}
	ended = s.does
	return perform(s.does, 10*c.number+number)
}

// wait takes the time of a step, and reports whether it may do what it does.
func (s step) wait(ctx context.Context) bool {
	if s.deaf {
		time.Sleep(s.took)
		return true
	}
	timer := time.NewTimer(s.took)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		// Not at once: under timeout.mode abandon it would be chance who is first.
		time.Sleep(s.took % time.Microsecond)
		return false
	}
}

// Errors of delegates that lists name by their kind.
var (
	errGone    = errors.New("P")
	errPassing = passing{}
	errAfter   = errors.New("after")
)

// passing is an error that a repetition may mend.
type passing struct{}

func (passing) Error() string   { return "T" }
func (passing) Temporary() bool { return true }

// after is an error that says when to come back.
type after struct{ wait time.Duration }

func (a after) Error() string                     { return "come back in " + a.wait.String() }
func (a after) Is(target error) bool              { return target == errAfter }
func (a after) RetryAfter() (time.Duration, bool) { return a.wait, true }

// performs reports whether there is a step of that name.
func performs(does string) bool {
	if d, ok := strings.CutPrefix(does, "after:"); ok {
		_, err := time.ParseDuration(d)
		return err == nil
	}
	return slices.Contains([]string{"S", "bad", "poor", "A", "B", "P", "T", "C", "panic", "exit"}, does)
}

// perform does what a delegate does in the end: S returns a result, bad one that
// is not wanted, poor one that breakers take for a failure, too; A, B, T and C
// fail with ErrA, ErrB, a temporary error and context.Canceled, P for good, and
// after:1s asks to wait a second; panic and exit end it.
func perform(does string, n int) (int, error) {
	switch does {
	case "S":
		return n, nil
	case "bad":
		return -n, nil
	case "poor":
		return -2000 - n, nil
	case "A":
		return n, ErrA
	case "B":
		return n, ErrB
	case "P":
		return n, resilience.Permanent(errGone)
	case "T":
		return n, errPassing
	case "C":
		return n, context.Canceled
	case "panic":
		panic("panicked")
	case "exit":
		runtime.Goexit()
	}
	d, err := time.ParseDuration(strings.TrimPrefix(does, "after:"))
	if err != nil {
		panic(err)
	}
	return n, after{d}
}
