package resilience

import "time"

// The built-in policies of docs/policy.md, for code without an interface.
var (
	apiPolicy = Policy{
		Timeout: Timeout{Total: 30 * time.Second, Attempt: 10 * time.Second},
		Retry: Retry{MaxAttempts: 3, RetryOn: Matcher{Kinds: KindTransient},
			Backoff: Backoff{InitialDelay: time.Second, MaxDelay: 10 * time.Second, Multiplier: 2, Jitter: RatioJitter, JitterFactor: 0.1}},
		Budget:  defaultBudget,
		Breaker: breakerOf(2, 30*time.Second),
	}
	databasePolicy = Policy{
		Timeout: Timeout{Total: 5 * time.Second, Attempt: 2 * time.Second},
		Retry: Retry{MaxAttempts: 3, RetryOn: Matcher{Kinds: KindTransient},
			Backoff: Backoff{InitialDelay: 100 * time.Millisecond, MaxDelay: time.Second, Multiplier: 2, Jitter: FullJitter}},
		Budget:  defaultBudget,
		Breaker: breakerOf(3, 10*time.Second),
	}
	filesystemPolicy = Policy{
		Timeout: Timeout{Total: 10 * time.Second, Attempt: 5 * time.Second},
		Retry: Retry{MaxAttempts: 3, RetryOn: Matcher{Kinds: KindTransient},
			Backoff: Backoff{InitialDelay: 50 * time.Millisecond, MaxDelay: 500 * time.Millisecond, Multiplier: 2, Jitter: FullJitter}},
		Budget: defaultBudget,
	}
	workflowNodePolicy = Policy{
		Timeout: Timeout{Total: 2 * time.Minute, Attempt: time.Minute},
		Retry: Retry{MaxAttempts: 3,
			Backoff: Backoff{InitialDelay: 500 * time.Millisecond, MaxDelay: 5 * time.Second, Multiplier: 2, Jitter: RatioJitter, JitterFactor: 0.2}},
		Budget:  defaultBudget,
		Breaker: breakerOf(2, time.Minute),
	}
)

func breakerOf(successes int, open time.Duration) Breaker {
	return Breaker{
		Window:       Window{Type: TimeWindow, Duration: 30 * time.Second},
		MinimumCalls: 10, FailureRateThreshold: 50,
		HalfOpen:     HalfOpen{SuccessThreshold: successes},
		OpenDuration: open,
	}
}
