package lint

var fileRules = []Rule{
	{ID: "RG096", Doc: "chaos stays small, and out of production", Severity: Judgement,
		Why:   "Injected faults are to show that a service survives them, not to be the outage. A ratio that was meant for a test and is read in production as written hurts users.",
		Fires: Example{Policy: "{chaos: {injectionRatio: 0.2, latency: 2s}}"},
		Holds: Example{Policy: "{chaos: {injectionRatio: 0.01, latency: 2s}}"}},
	{ID: "RG090", Doc: "every key is known", Severity: Fact,
		Why:   "A key that nobody reads is a policy that nobody has. A misspelt word would cost nothing today and an outage later.",
		Fires: Example{Policy: "{timeout: {atempt: 1s}}"},
		Holds: Example{Policy: "{timeout: {attempt: 1s}}"}},
	{ID: "RG091", Doc: "every entry has an interface and methods", Severity: Fact,
		Why:   "An entry for a method that was renamed guards nothing, and the new method has no policy. The build is the last moment to notice.",
		Fires: Example{Policy: "{timeout: {attempt: 1s}, methods: {Chrage: none}}"},
		Holds: Example{Policy: "{timeout: {attempt: 1s}, methods: {Charge: none}}"}},
	{ID: "RG092", Doc: "every name resolves to what it is used as", Severity: Fact,
		Why:   "Errors are matched by identifier, not by text. A name that is no error of the package would match nothing when the error comes.",
		Fires: Example{Policy: "{circuitBreaker: {recordOn: [ErrBsy]}}", Go: withError},
		Holds: Example{Policy: "{circuitBreaker: {recordOn: [ErrBusy]}}", Go: withError}},
	{ID: "RG093", Doc: "a list that replaces another is meant to", Severity: Warning,
		Why: "A list takes the place of the inherited one, so naming one more error forgets the others: what used to be retried no longer is. {add: […]} keeps them.",
		Fires: Example{Policy: `
policies:
  web: {extends: api, retry: {retryOn: [ErrBusy]}}
interfaces:
  Gateway: {use: web, idempotent: true}
`, Go: withError},
		Holds: Example{Policy: `
policies:
  web: {extends: api, retry: {retryOn: {add: [ErrBusy]}}}
interfaces:
  Gateway: {use: web, idempotent: true}
`, Go: withError}},
	{ID: "RG094", Doc: "policies exist and do not go in circles", Severity: Fact,
		Why:   "A policy that does not exist has no values, and one that extends itself has none either. Guessing would guard a method with something that nobody wrote.",
		Fires: Example{Policy: "{use: databse}"},
		Holds: Example{Policy: "{use: database}"}},
	{ID: "RG095", Doc: "durations have a unit", Severity: Fact,
		Why:   "500 is milliseconds in one library, seconds in another and nanoseconds in Go. The wrong guess is off by a thousand, or a billion.",
		Fires: Example{Policy: "{timeout: {total: 500}}"},
		Holds: Example{Policy: "{timeout: {total: 500ms}}"}},
	{ID: "RG097", Doc: "keys stay countable", Severity: Warning,
		Why:   "Breakers per key are listed one by one where breakers are reported, and a metric with a label for the key has as many series. Tens of thousands of them cost more than the service they watch.",
		Fires: Example{Policy: "{circuitBreaker: {perKey: \"id\", maxKeys: 50000}}"},
		Holds: Example{Policy: "{circuitBreaker: {perKey: \"id\", maxKeys: 1000}}"}},
	{ID: "RG098", Doc: "every policy is used", Severity: Warning,
		Why:   "A policy that nothing names is one that somebody believes in. Usually the entry that was to use it says another name.",
		Fires: Example{Policy: "policies:\n  batch: {timeout: {total: 1m}}\ninterfaces:\n  Gateway: none"},
		Holds: Example{Policy: "policies:\n  batch: {timeout: {total: 1m}}\ninterfaces:\n  Gateway: {use: batch}"}},
	{ID: "RG099", Doc: "overrides act, and reset nothing", Severity: Fact, Milder: true, Command: "lint -overrides",
		Why: "A service refuses an overrides file whole for one key that is compiled in, or for a part that the generated policy lacks, in the night in which the file was to help. A window of another shape begins empty: the breaker that was about to open starts to count anew.",
		Fires: Example{Policy: "{circuitBreaker: {window: {size: 100}}}", Overrides: `
interfaces:
  p.Gateway: {circuitBreaker: {name: db, window: {size: 50}}}
`},
		Holds: Example{Policy: "{circuitBreaker: {window: {size: 100}}}", Overrides: `
interfaces:
  p.Gateway: {circuitBreaker: {failureRateThreshold: 30, openDuration: 1m}}
`}},
	{ID: "RG09A", Doc: "generated names are nobody else's", Severity: Fact, Milder: true,
		Why: "Two entries that generate one name are refused. Where the package has the name already, the generated one gets a number, and whoever writes the usual name gets another type than the wrapper.",
		Fires: Example{Policy: "{timeout: {attempt: 1s}}", Go: `
import "context"

type Gateway interface{ Charge(ctx context.Context) error }

type ResilientGateway struct{ Name string }
`},
		Holds: Example{Policy: "{timeout: {attempt: 1s}}"}},
	{ID: "RG09B", Doc: "no policy got weaker", Severity: Warning, Command: "diff",
		Why:   "More attempts, a longer timeout, a breaker that is gone: each may be meant, and each is missed in a review of two hundred lines of YAML. Somebody should have said yes.",
		Fires: Example{Policy: "{timeout: {attempt: 9s}} # was 1s"},
		Holds: Example{Policy: "{timeout: {attempt: 500ms}} # was 1s"}},
}

const withError = `
import (
	"context"
	"errors"
)

type Gateway interface{ Charge(ctx context.Context) error }

var ErrBusy = errors.New("busy")
`
