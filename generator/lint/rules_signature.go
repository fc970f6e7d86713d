package lint

var signatureRules = []Rule{
	{ID: "RG080", Doc: "a policy needs an error result", Severity: Fact,
		Why:   "Without an error the wrapper cannot see that a call failed, nor say that it rejected one. A policy there would be a wish.",
		Fires: Example{Policy: "{timeout: {total: 1s}}", Go: "import \"context\"\n\ntype Gateway interface{ Ping(ctx context.Context) }"},
		Holds: Example{Policy: "{timeout: {total: 1s}}", Go: "import \"context\"\n\ntype Gateway interface{ Ping(ctx context.Context) error }"}},
	{ID: "RG081", Doc: "nobody takes the opening for the whole", Severity: Warning,
		Why:   "Streams, rows and bodies are used after the method has returned. A failure in the middle of them comes too late for the policy: nothing is retried, no breaker counts it. A timeout other than timeout.open goes on, and cuts off in the middle what takes longer.",
		Fires: Example{Policy: "{timeout: {total: 1s}}", Go: "import \"context\"\n\ntype Gateway interface{ Watch(ctx context.Context) (chan int, error) }"},
		Holds: Example{Policy: "{timeout: {open: 1s}}", Go: "import \"context\"\n\ntype Gateway interface{ Watch(ctx context.Context) (chan int, error) }"}},
	{ID: "RG082", Doc: "an argument that is read once is not sent again", Severity: Fact,
		Why:   "The first attempt reads the body to its end; the second sends an empty one, and the peer may well accept it. The upload is reported as done and the file is empty.",
		Fires: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {}}", Go: "import (\n\t\"context\"\n\t\"io\"\n)\n\ntype Gateway interface{ Put(ctx context.Context, body io.Reader) error }"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {}}", Go: "import \"context\"\n\ntype Gateway interface{ Put(ctx context.Context, body string) error }"}},
	{ID: "RG083", Doc: "executions do not share what they change", Severity: Warning,
		Why:   "An abandoned delegate still uses the caller's maps, slices and pointers after the call has returned, which is a data race; hedges use them side by side. A func argument runs again with every attempt, and with it everything that it has already done.",
		Fires: Example{Policy: "{timeout: {attempt: 1s, mode: abandon}}", Go: "import \"context\"\n\ntype Gateway interface{ Fill(ctx context.Context, buf []byte) error }"},
		Holds: Example{Policy: "{timeout: {attempt: 1s}}", Go: "import \"context\"\n\ntype Gateway interface{ Fill(ctx context.Context, buf []byte) error }"}},
	{ID: "RG084", Doc: "nobody else closes a result that is dropped", Severity: Info,
		Why:   "A result that retryOnResult rejects, or that another attempt of a hedged call has beaten, is never seen by the caller. If it holds a connection, that would leak with every retry until the pool is empty; so generated code closes it, and neither the func that judges it nor the delegate may keep it.",
		Fires: Example{Policy: "{idempotent: true, timeout: {open: 1s}, retry: {retryOnResult: isStale}}", Go: closable("io.ReadCloser")},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {retryOnResult: isStale}}", Go: closable("[]byte")}},
	{ID: "RG085", Doc: "no retry inside a transaction", Severity: Fact,
		Why:   "After a failure the database has aborted the transaction, and every further statement fails until it is rolled back. The retry burns its attempts; it belongs around the transaction.",
		Fires: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {}}", Go: "import (\n\t\"context\"\n\t\"database/sql\"\n)\n\ntype Gateway interface{ Put(ctx context.Context, tx *sql.Tx) error }"},
		Holds: Example{Policy: "{idempotent: true, timeout: {attempt: 1s}, retry: {}}", Go: "import (\n\t\"context\"\n\t\"database/sql\"\n)\n\ntype Gateway interface{ Put(ctx context.Context, db *sql.DB) error }"}},
	{ID: "RG086", Doc: "a cache can tell calls apart, and keep what they return", Severity: Fact,
		Why:   "A key that cannot be compared keeps nothing; one that is another one for each call, a pointer or a context, never finds what was kept and fills the cache with copies. A body that the first caller has read is empty for the second.",
		Fires: Example{Policy: "{timeout: {attempt: 1s}, cache: {ttl: 1m, key: \"ids\"}}", Go: "import \"context\"\n\ntype Gateway interface{ Find(ctx context.Context, ids []string) (int, error) }"},
		Holds: Example{Policy: "{timeout: {attempt: 1s}, cache: {ttl: 1m, key: \"id\"}}", Go: "import \"context\"\n\ntype Gateway interface{ Find(ctx context.Context, id string) (int, error) }"}},
	{ID: "RG087", Doc: "a zero answer can be used", Severity: Warning,
		Why:   "The zero value of a pointer, a func or an interface is nil, and beside it stands no error. Callers that trust the error, as Go code does, use it and panic in the outage.",
		Fires: Example{Policy: "{timeout: {total: 1s}, fallback: {value: zero}}", Go: "import \"context\"\n\ntype User struct{ Name string }\n\ntype Gateway interface{ GetUser(ctx context.Context, id string) (*User, error) }"},
		Holds: Example{Policy: "{timeout: {total: 1s}, fallback: {value: zero}}", Go: "import \"context\"\n\ntype User struct{ Name string }\n\ntype Gateway interface{ GetUser(ctx context.Context, id string) (User, error) }"}},
	{ID: "RG088", Doc: "a panic is no failure of the peer", Severity: Info,
		Why:   "A panic in the delegate goes on to the caller, and the breaker counts a failure. Where a panic comes from the caller's data, name Panic in ignoreOn, or a few bad requests open the circuit for all.",
		Fires: Example{Policy: "{circuitBreaker: {}}"},
		Holds: Example{Policy: "{circuitBreaker: {ignoreOn: [Panic]}}"}},
	{ID: "RG089", Doc: "the package calls its own type through the wrapper", Severity: Warning, Command: "lint",
		Why:   "A call on the concrete type goes past the wrapper: no retry, no timeout, no breaker, though the method has a policy. Calls from one method to another of the same value are the usual case.",
		Fires: Example{Policy: "{timeout: {attempt: 1s}}", Go: selfCalls("\treturn b.Charge(ctx, ids[0])")},
		Holds: Example{Policy: "{timeout: {attempt: 1s}}", Go: selfCalls("\treturn b.charge(ctx, ids[0])")}},
}

func closable(result string) string {
	text := "import \"context\"\n\n"
	if result == "io.ReadCloser" {
		text = "import (\n\t\"context\"\n\t\"io\"\n)\n\n"
	}
	return text + "type Gateway interface{ Get(ctx context.Context) (" + result + ", error) }\n\nfunc isStale(" + result + ") bool { return false }"
}

func selfCalls(body string) string {
	return `
import "context"

type Gateway interface {
	Charge(ctx context.Context, id string) error
	ChargeAll(ctx context.Context, ids []string) error
}

type bank struct{}

func (b *bank) Charge(ctx context.Context, id string) error { return b.charge(ctx, id) }

func (b *bank) ChargeAll(ctx context.Context, ids []string) error {
` + body + `
}

func (b *bank) charge(ctx context.Context, id string) error { return ctx.Err() }

var _ Gateway = (*bank)(nil)
`
}
