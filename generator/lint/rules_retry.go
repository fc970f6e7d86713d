package lint

var retryRules = []Rule{
	{ID: "RG010", Doc: "there is at least one attempt", Severity: Fact,
		Why:   "maxAttempts counts the first execution too, as most but not all libraries do. Whoever means “no retry” by 0 would get a method that never calls anything.",
		Fires: Example{Policy: "{idempotent: true, retry: {maxAttempts: 0}}"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {maxAttempts: 1}}"}},
	{ID: "RG011", Doc: "what is retried may run twice", Severity: Judgement, Milder: true,
		Why:   "An attempt that failed may have done its work: the answer was lost, not the request. Repeating it charges the card twice, and no error tells.",
		Fires: Example{Policy: "{methods: {Charge: {timeout: {attempt: 1s}, retry: {maxAttempts: 2}}}}"},
		Holds: Example{Policy: "{methods: {Charge: {idempotent: true, timeout: {attempt: 1s}, retry: {maxAttempts: 2}}}}"}},
	{ID: "RG012", Doc: "retries do not multiply", Severity: Warning, Command: "lint",
		Why:   "Where a wrapped method calls another wrapped one, both retry: three attempts of four each are twelve requests to a peer that is already down. It recovers later, if at all, and the caller waits for the product too.",
		Fires: Example{Policy: multiplied, Go: callsWrapped},
		Holds: Example{Policy: onlyBelow, Go: callsWrapped}},
	{ID: "RG013", Doc: "there are few attempts, and a budget stays", Severity: Warning,
		Why:   "Every caller multiplies its load by the attempts while the peer is down, which keeps it down. After the fifth attempt there is hardly ever a success left to be had. A budget bounds what all callers add together; one that is taken away leaves each of them to itself.",
		Fires: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {maxAttempts: 12}}"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {maxAttempts: 5}}"}},
	{ID: "RG014", Doc: "there is a pause between attempts", Severity: Warning,
		Why:   "Without a pause all attempts fall into the same moment of trouble: they fail together, and hammer a peer that needs air. A pause of a few milliseconds is the difference between one failure and an answer.",
		Fires: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {backoff: none}}"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {backoff: {initialDelay: 10ms}}}"}},
	{ID: "RG015", Doc: "delays are spread", Severity: Warning,
		Why:   "Callers that failed together come back together when their delays are the same, and the peer meets the whole crowd at each step of the back-off. Spread, the same number of retries is a trickle.",
		Fires: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {backoff: {initialDelay: 200ms, jitter: none}}}"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {backoff: {initialDelay: 200ms, jitter: full}}}"}},
	{ID: "RG016", Doc: "back-off numbers are sane", Severity: Fact,
		Why:   "A cap below the first delay, a growth below one or a share of jitter above one means that some number was mistaken for another. The delays would be others than those that were reviewed.",
		Fires: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {backoff: {initialDelay: 5s, maxDelay: 1s}}}"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {backoff: {initialDelay: 1s, maxDelay: 5s}}}"}},
	{ID: "RG017", Doc: "retryOn can match something", Severity: Judgement,
		Why:   "If no error that can come up is in the list, the retry is dead, and the first failure is the caller's. An empty list is refused; so is one that names only rejections by parts that the policy does not have, unless the delegate is wrapped itself.",
		Fires: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {retryOn: [BulkheadFull]}}"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {retryOn: [BulkheadFull]}, bulkhead: {maxConcurrent: 5}}"}},
	{ID: "RG018", Doc: "abortOn leaves something to retry", Severity: Fact,
		Why:   "abortOn wins, so a list that covers retryOn leaves nothing that is ever retried. The policy reads as if failures were repaired, and they are not.",
		Fires: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {retryOn: [Timeout], abortOn: [Timeout]}}"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {retryOn: [Timeout], abortOn: [HTTP5xx]}}"}},
	{ID: "RG019", Doc: "retries of rejections can succeed", Severity: Warning,
		Why:   "A retry of a call that the open breaker rejected helps only if it comes after the breaker lets a probe through; one that a limiter or a bulkhead rejected, when there is a permit or a slot. Shorter sleeps spend all attempts on the same closed door, and the caller waits for nothing.",
		Fires: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {retryOn: {add: [CircuitOpen]}, retryAfter: none}, circuitBreaker: {openDuration: 30s}}"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {retryOn: {add: [CircuitOpen]}}, circuitBreaker: {openDuration: 5s}}"}},
	{ID: "RG01A", Doc: "attempts end while repetitions are recognised", Severity: Warning,
		Why:   "The peer recognises a repetition for as long as the lease says. An attempt that comes after it is new work: the order is placed twice although the method is marked idempotent.",
		Fires: Example{Policy: "{idempotent: true, lease: 2s, timeout: {attempt: 1s}, retry: {maxAttempts: 3}}"},
		Holds: Example{Policy: "{idempotent: true, lease: 5m, timeout: {attempt: 1s}, retry: {maxAttempts: 3}}"}},
}

// multiplied and onlyBelow are policies for callsWrapped: a service that is
// wrapped calls a store that is wrapped.
const multiplied = `
interfaces:
  Orders: {idempotent: true, timeout: {attempt: 10s}, retry: {maxAttempts: 3}}
  Store:  {idempotent: true, timeout: {attempt: 1s}, retry: {maxAttempts: 4}}
`

const onlyBelow = `
interfaces:
  Orders: {idempotent: true, timeout: {attempt: 10s}}
  Store:  {idempotent: true, timeout: {attempt: 1s}, retry: {maxAttempts: 4}}
`

const callsWrapped = `
import "context"

type Orders interface{ Place(ctx context.Context, id string) error }

type Store interface{ Save(ctx context.Context, id string) error }

type orders struct{ store Store }

func (o *orders) Place(ctx context.Context, id string) error { return o.save(ctx, id) }

func (o *orders) save(ctx context.Context, id string) error { return o.store.Save(ctx, id) }

var _ Orders = (*orders)(nil)
`
