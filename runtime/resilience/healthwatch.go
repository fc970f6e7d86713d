package resilience

import (
	"context"
	"fmt"
	"time"
)

// Watchdog returns a component for the group live: a process whose goroutines
// do not get to run has to be restarted. Once a second it looks how long a new
// goroutine waits for its turn, and fails if that is longer than limit. Where
// nothing runs any more, the check does not either, and is unknown after MaxStale.
// Its fields may be changed before it is registered.
func Watchdog(limit time.Duration) Component {
	return Component{
		Name: "watchdog", Kind: "system", Groups: GroupLive, InProcess: true,
		Interval: time.Second, Timeout: max(time.Second, limit),
		Check: func(ctx context.Context) error { return awaitTurn(ctx, limit) },
	}
}

// awaitTurn begins a goroutine, and fails if that has to wait for longer than limit.
func awaitTurn(ctx context.Context, limit time.Duration) error {
	begun, turn := time.Now(), make(chan time.Duration, 1)
	go func() { turn <- time.Since(begun) }()
	select {
	case waited := <-turn:
		if waited > limit {
			return fmt.Errorf("a goroutine waited %v for its turn, more than %v", rounded(waited), limit)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
