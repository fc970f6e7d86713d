package lint

import "strings"

var sharingRules = []Rule{
	{ID: "RG030", Doc: "those who share a breaker agree what a failure is", Severity: Warning,
		Why: "A shared breaker opens for all who name it. If one of them counts other errors, waits for less or calls another peer, its failures reject the calls of the rest, whose peer is well.",
		Fires: Example{Policy: `
interfaces:
  Gateway:
    methods:
      Read:  {timeout: {attempt: 1s}, circuitBreaker: {name: db}}
      Write: {timeout: {attempt: 9s}, circuitBreaker: {name: db}}
`, Go: twoMethods},
		Holds: Example{Policy: `
interfaces:
  Gateway:
    timeout: {attempt: 2s}
    circuitBreaker: {name: db}
`, Go: twoMethods}},
	{ID: "RG031", Doc: "wrappers are made once", Severity: Warning, Command: "lint",
		Why:   "A wrapper made for one request begins with a closed breaker, an empty window and all its slots. It protects nothing, and costs an allocation of everything for each request.",
		Fires: Example{Policy: "{circuitBreaker: {}}", Go: madePerRequest},
		Holds: Example{Policy: "{circuitBreaker: {}}", Go: madeOnce}},
	{ID: "RG032", Doc: "state for each key is bounded", Severity: Fact,
		Why:   "A breaker for each value of an expression is one for each thing that users can make up. Without a bound the map of them grows until the process is killed.",
		Fires: Example{Policy: "{circuitBreaker: {perKey: \"id\", maxKeys: none}}"},
		Holds: Example{Policy: "{circuitBreaker: {perKey: \"id\", maxKeys: 500}}"}},
	{ID: "RG033", Doc: "one peer has one breaker", Severity: Info,
		Why: "Several breakers with different thresholds guard one peer, so some callers are let through while others are turned away. That may be meant; a shared name would make them open together.",
		Fires: Example{Policy: `
interfaces:
  Gateway:
    upstream: bank
    methods:
      Read:  {circuitBreaker: {consecutiveFailures: 5}}
      Write: {circuitBreaker: {consecutiveFailures: 9}}
`, Go: twoMethods},
		Holds: Example{Policy: `
interfaces:
  Gateway:
    upstream: bank
    methods:
      Read:  {circuitBreaker: {consecutiveFailures: 5, name: bank}}
      Write: {circuitBreaker: {consecutiveFailures: 5, name: bank}}
`, Go: twoMethods}},
	{ID: "RG034", Doc: "a shared part has one set of numbers", Severity: Fact,
		Why: "What methods share by a name, or by scope interface, is one breaker, rate limit, bulkhead or retry budget, and can have one limit only. Which of two it were would depend on which method came first, so the constructor refuses the second, each time.",
		Fires: Example{Policy: `
interfaces:
  Gateway:
    bulkhead: {name: db, maxConcurrent: 3}
    methods:
      Read: {bulkhead: {maxConcurrent: 4}}
`, Go: twoMethods},
		Holds: Example{Policy: `
interfaces:
  Gateway:
    bulkhead: {name: db, maxConcurrent: 3}
    methods:
      Read: {bulkhead: {name: reads, maxConcurrent: 4}}
`, Go: twoMethods}},
}

const twoMethods = `
import "context"

type Gateway interface {
	Read(ctx context.Context) error
	Write(ctx context.Context) error
}
`

const madePerRequest = `
import (
	"context"
	"net/http"
)

type Gateway interface{ Charge(ctx context.Context) error }

type server struct{ bank Gateway }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g, err := NewResilientGateway(nil, s.bank)
	if err == nil {
		err = g.Charge(r.Context())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}
`

const madeOnce = `
import (
	"context"
	"net/http"
)

type Gateway interface{ Charge(ctx context.Context) error }

type server struct{ bank Gateway }

func newServer(ctx context.Context, bank Gateway) (*server, error) {
	g, err := NewResilientGateway(nil, bank)
	return &server{bank: g}, err
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.bank.Charge(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}
`

var fallbackRules = []Rule{
	{ID: "RG040", Doc: "a fallback has the signature of its method", Severity: Fact,
		Why:   "Elsewhere a fallback is found by name when it is first needed, which is in the outage. Here the type checker finds it before the service is built.",
		Fires: Example{Policy: "{timeout: {total: 1s}, fallback: {func: cached}}", Go: quoteFallback("func cached(id string) error { return nil }")},
		Holds: Example{Policy: "{timeout: {total: 1s}, fallback: {func: cached}}", Go: quoteFallback("func cached(ctx context.Context, id string) (int, error) { return 0, nil }")}},
	{ID: "RG041", Doc: "applyOn can match something", Severity: Judgement,
		Why:   "The fallback answers for rejections by parts that the policy does not have, so it never answers at all, and users see errors that were thought to be covered. It is right only where the delegate is wrapped itself.",
		Fires: Example{Policy: "{timeout: {total: 1s}, fallback: {applyOn: [CircuitOpen]}}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, fallback: {applyOn: [CircuitOpen]}, circuitBreaker: {}}"}},
	{ID: "RG043", Doc: "ignoreOn leaves something to record", Severity: Fact,
		Why:   "ignoreOn wins, so a list that covers recordOn leaves a breaker that never counts a failure. It is there in every review and never opens.",
		Fires: Example{Policy: "{circuitBreaker: {recordOn: [Timeout], ignoreOn: [Timeout]}}"},
		Holds: Example{Policy: "{circuitBreaker: {recordOn: [Timeout], ignoreOn: [HTTP429]}}"}},
	{ID: "RG044", Doc: "a write is not dropped in silence", Severity: Warning,
		Why:   "Zero values and no error tell the caller that the write was done. It was not, and nothing keeps it: the loss is found when somebody misses the money.",
		Fires: Example{Policy: "{timeout: {total: 1s}, fallback: {value: zero}}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, fallback: {value: zero}}", Go: "import \"context\"\n\ntype Gateway interface{ ListOffers(ctx context.Context) (int, error) }"}},
	{ID: "RG045", Doc: "a fallback does not call what it answers for", Severity: Fact, Milder: true, Command: "lint",
		Why:   "A fallback that calls the wrapped method again meets the same failure and is called again, each time with all attempts, until the stack or the caller's patience ends. Through the interface it may be another value; through the wrapper it is this one.",
		Fires: Example{Policy: "{timeout: {total: 1s}, fallback: {func: again}}", Go: quoteFallback("var gateway *ResilientGateway\n\nfunc again(ctx context.Context, id string) (int, error) { return gateway.Quote(ctx, id) }")},
		Holds: Example{Policy: "{timeout: {total: 1s}, fallback: {func: again}}", Go: quoteFallback("var prices = map[string]int{}\n\nfunc again(ctx context.Context, id string) (int, error) { return prices[id], nil }")}},
	{ID: "RG046", Doc: "a fallback does not wait for ever", Severity: Warning, Command: "lint",
		Why:   "The total timeout is over when the fallback runs, so nothing bounds it but what it brings along. A fallback that asks another server turns one slow peer into a call without end.",
		Fires: Example{Policy: "{timeout: {total: 1s}, fallback: {func: other}}", Go: asksOther("req, err := http.NewRequestWithContext(ctx, http.MethodGet, \"http://other/\"+id, nil)")},
		Holds: Example{Policy: "{timeout: {total: 1s}, fallback: {func: other}}", Go: asksOther("ctx, cancel := context.WithTimeout(ctx, time.Second)\n\tdefer cancel()\n\treq, err := http.NewRequestWithContext(ctx, http.MethodGet, \"http://other/\"+id, nil)")}},
	{ID: "RG047", Doc: "a second implementation does not do the work twice", Severity: Judgement,
		Why:   "A timeout does not undo what the first implementation has begun. If the second does it as well, the customer pays twice.",
		Fires: Example{Policy: "{timeout: {total: 1s}, fallback: {to: secondary}}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, idempotent: true, fallback: {to: secondary}}"}},
}

func quoteFallback(answer string) string {
	return "import \"context\"\n\ntype Gateway interface{ Quote(ctx context.Context, id string) (int, error) }\n\n" + answer
}

func asksOther(request string) string {
	imports := "import (\n\t\"context\"\n\t\"net/http\"\n"
	if strings.Contains(request, "time.") {
		imports += "\t\"time\"\n"
	}
	return imports + ")\n\ntype Gateway interface{ Quote(ctx context.Context, id string) (int, error) }\n\n" +
		"func other(ctx context.Context, id string) (int, error) {\n\t" + request + "\n\tif err != nil {\n\t\treturn 0, err\n\t}\n" +
		"\tresp, err := http.DefaultClient.Do(req)\n\tif err != nil {\n\t\treturn 0, err\n\t}\n\treturn resp.StatusCode, resp.Body.Close()\n}"
}
