package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const inheritance = `version: 1
preset: production
errors:
  passing: [io.ErrUnexpectedEOF, ErrBusy]
policies:
  base: {timeout: {total: 9s, attempt: 1s}, retry: {maxAttempts: 4, retryOn: [passing, Transient]}}
  more: {extends: base, retry: {retryOn: {add: [ErrSlow], remove: [Transient]}}}
interfaces:
  G:
    use: more
    bulkhead: true
    methods:
      "*": {circuitBreaker: {openDuration: 1s}}
      "Get*": {retry: {maxAttempts: 5}, circuitBreaker: {openDuration: 2s}}
      "Get*, List*": {idempotent: true}
      GetAll: {retry: {maxAttempts: 6}, timeout: {total: none}}
      Watch: {retry: none}
      Raw: none
      Own: {use: database}
      Bare: {use: none, bulkhead: true}
      "Raw2, Raw3": none
`

var inheriting = []string{"GetAll", "GetOne", "ListAll", "Watch", "Raw", "Own", "Bare", "Raw2", "Raw3", "Close"}

func TestInheritance(t *testing.T) {
	m := resolve(t, inheritance, inheriting...)
	get := m["GetAll"]
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"an exact name beats a glob", get.Int("retry.maxAttempts"), 6},
		{"a glob beats the policy", m["GetOne"].Int("retry.maxAttempts"), 5},
		{"a longer glob beats a shorter one", m["GetOne"].Dur("circuitBreaker.openDuration"), 2 * time.Second},
		{"every glob is merged", m["ListAll"].Dur("circuitBreaker.openDuration"), time.Second},
		{"a list of globs", m["ListAll"].Idempotent(), true},
		{"a policy beats its parent's list", m["ListAll"].List("retry.retryOn").String(), "io.ErrUnexpectedEOF, ErrBusy, ErrSlow"},
		{"none takes a key back", get.Dur("timeout.total"), time.Duration(0)},
		{"and leaves the others", get.Dur("timeout.attempt"), time.Second},
		{"the preset slips under", get.Dur("retry.backoff.maxDelay"), 30 * time.Second},
		{"but not under a built-in policy", m["Own"].Dur("retry.backoff.maxDelay"), time.Second},
		{"none takes a part back", m["Watch"].Has("retry"), false},
		{"and leaves other parts", m["Watch"].Has("timeout"), true},
		{"the interface's keys", m["Watch"].Has("bulkhead"), true},
		{"a use of its own replaces them", m["Own"].Has("bulkhead"), false},
		{"a use of its own", m["Own"].Dur("timeout.total"), 5 * time.Second},
		{"none", m["Raw"].None(), true},
		{"none of a list", m["Raw3"].None() && m["Raw3"].Exact, true},
		{"a closer", m["Close"].None() && m["Close"].Closer, true},
		{"use none and a key", m["Bare"].Has("bulkhead") && !m["Bare"].Has("retry"), true},
		{"own of an exact entry", get.Own("retry"), true},
		{"own of a glob", m["GetOne"].Own("retry"), false},
		{"own of use", m["Own"].Own("retry"), false},
		{"own of what was taken back", m["Watch"].Own("retry"), false},
		{"own of another part", get.Own("bulkhead"), false},
		{"exact", m["GetOne"].Exact, false},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
	if v, _ := get.Get("retry.backoff.maxDelay"); v.Origin != "preset production" || v.Pos.Line != 2 {
		t.Errorf("maxDelay is from %s at %v", v.Origin, v.Pos)
	}
	if get.Pos.Line != 16 || m["GetOne"].Pos.Line != 9 {
		t.Errorf("policies are at %v and %v", get.Pos, m["GetOne"].Pos)
	}
}

func TestClosersNamedExactly(t *testing.T) {
	m := resolve(t, "version: 1\ninterfaces: {G: {use: api, methods: {\"*\": {bulkhead: true}, Close: {retry: none}}}}", "Close", "Get")
	if c := m["Close"]; !c.Has("timeout") || c.Has("retry") || c.Closer {
		t.Errorf("Close, named, has %v", c.All())
	}
}

// over merges keys of a method over a base and prints what is given.
func over(t *testing.T, base, keys string) string {
	t.Helper()
	var words []string
	for _, v := range charge(t, base+", ", keys).GivenAll() {
		if !v.Key.group() {
			text := v.text()
			if l, ok := v.V.(List); ok {
				text = l.String()
			}
			words = append(words, v.Key.Path+"="+text)
		}
	}
	return strings.Join(words, " ")
}

func TestMerge(t *testing.T) {
	for _, c := range []struct{ name, base, keys, want string }{
		{"another type of window", "circuitBreaker: {window: {type: time, duration: 5s, buckets: 3}}", "{circuitBreaker: {window: {type: count}}}", "circuitBreaker.window.type=count"},
		{"the same type of window", "circuitBreaker: {window: {type: time, duration: 5s}}", "{circuitBreaker: {window: {buckets: 3}}}",
			"circuitBreaker.window.type=time circuitBreaker.window.duration=5s circuitBreaker.window.buckets=3"},
		{"another jitter", "retry: {backoff: {jitter: ratio, jitterFactor: 0.1}}", "{retry: {backoff: {jitter: full}}}", "retry.backoff.jitter=full"},
		{"no back-off", "retry: {backoff: {initialDelay: 1s, maxDelay: 5s, multiplier: 3}}", "{retry: {backoff: none}}", "retry.backoff.strategy=none"},
		{"no Retry-After", "retry: {retryAfter: {max: 5s}}", "{retry: {retryAfter: none}}", "retry.retryAfter.honor=false"},
		{"no open back-off", "circuitBreaker: {openBackoff: {multiplier: 2, maxDuration: 1m}, openDuration: 1s}", "{circuitBreaker: {openBackoff: none}}", "circuitBreaker.openDuration=1s"},
		{"half-open for ever", "circuitBreaker: {halfOpen: {maxWait: 5s}}", "{circuitBreaker: {halfOpen: {maxWait: none}}}", "circuitBreaker.halfOpen.maxWait=none"},
		{"another answer", "fallback: {func: a, applyOn: [b]}", "{fallback: {value: zero}}", "fallback.value=zero fallback.applyOn=b"},
		{"the method's answer", "fallback: {func: a, applyOn: [b]}", "{fallback: true}", "fallback.applyOn=b"},
		{"any error again", "retry: {retryOn: [a]}", "{retry: {retryOn: any}}", ""},
		{"a list taken back", "retry: {abortOn: [a]}", "{retry: {abortOn: none}}", ""},
		{"a list replaced", "retry: {retryOn: [a, b]}", "{retry: {retryOn: [c]}}", "retry.retryOn=c"},
		{"added to any error", "timeout: {total: 5s}", "{retry: {retryOn: {add: [CircuitOpen]}}}", "timeout.total=5s retry.retryOn=any error, CircuitOpen"},
		{"added to nothing", "timeout: {total: 5s}", "{retry: {abortOn: {add: [a]}}}", "timeout.total=5s retry.abortOn=a"},
		{"added twice", "retry: {abortOn: [a]}", "{retry: {abortOn: {add: [a, b]}}}", "retry.abortOn=a, b"},
		{"an empty list", "circuitBreaker: {ignoreOn: [a]}", "{circuitBreaker: {ignoreOn: []}}", "circuitBreaker.ignoreOn=empty"},
		{"a queue without bounds", "bulkhead: {maxQueue: 3, maxWait: 1s}", "{bulkhead: {maxQueue: unbounded}}", "bulkhead.maxWait=1s"},
		{"on again", "retry: none", "{retry: {maxAttempts: 2}}", "retry.maxAttempts=2"},
		{"a func", "retry: {retryOnResult: isOld}", "{retry: {failOnExhaustedResult: true}}", "retry.retryOnResult=isOld retry.failOnExhaustedResult=true"},
		{"delays", "retry: {backoff: {strategy: sequence, delays: [1s, 2s]}}", "{idempotent: true}", "retry.backoff.strategy=sequence retry.backoff.delays=[1s, 2s] idempotent=true"},
		{"a key replaced whole", "idempotent: {key: \"a\", into: \"b\"}", "{idempotent: {key: generate}}", "idempotent= idempotent.key=\"generate\""},
		{"a key taken back", "idempotent: {key: \"a\", into: \"b\"}", "{idempotent: true}", "idempotent=true"},
		{"a condition replaced", "idempotent: \"n > 0\"", "{idempotent: {key: \"a\"}}", "idempotent= idempotent.key=\"a\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := over(t, c.base, c.keys); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestEffectiveDefaults(t *testing.T) {
	for _, c := range []struct {
		name, keys, path string
		want             any
	}{
		{"minimum", "{circuitBreaker: true}", "circuitBreaker.minimumCalls", 20},
		{"minimum of a small window", "{circuitBreaker: {window: {size: 5}}}", "circuitBreaker.minimumCalls", 5},
		{"minimum of a window of time", "{circuitBreaker: {window: {type: time}}}", "circuitBreaker.minimumCalls", 20},
		{"a written minimum is not clamped", "{circuitBreaker: {minimumCalls: 50, window: {size: 5}}}", "circuitBreaker.minimumCalls", 50},
		{"rate beside a count", "{circuitBreaker: {consecutiveFailures: 3, minimumCalls: 5}}", "circuitBreaker.failureRateThreshold", 50.0},
		{"no rate beside a lone count", "{circuitBreaker: {consecutiveFailures: 3}}", "circuitBreaker.failureRateThreshold", nil},
		{"no minimum beside a lone count", "{circuitBreaker: {consecutiveFailures: 3}}", "circuitBreaker.minimumCalls", nil},
		{"probes", "{circuitBreaker: true}", "circuitBreaker.halfOpen.permittedCalls", 1},
		{"probes by rate", "{circuitBreaker: {halfOpen: {mode: rate}}}", "circuitBreaker.halfOpen.permittedCalls", 10},
		{"half-open", "{circuitBreaker: {openDuration: 7s}}", "circuitBreaker.halfOpen.maxWait", 7 * time.Second},
		{"half-open for ever", "{circuitBreaker: {halfOpen: {maxWait: none}}}", "circuitBreaker.halfOpen.onMaxWait", nil},
		{"size of a window of time", "{circuitBreaker: {window: {type: time}}}", "circuitBreaker.window.size", nil},
		{"multiplier of constant delays", "{retry: {backoff: {strategy: constant}}}", "retry.backoff.multiplier", nil},
		{"of a part that is off", "{circuitBreaker: true}", "retry.maxAttempts", nil},
		{"without a default", "{circuitBreaker: true}", "circuitBreaker.slowCallDuration", nil},
		{"not built", "{retry: true}", "retry.budget", nil},
		{"of a file", "{retry: true}", "version", nil},
		{"no key", "{retry: true}", "retry.frobnicate", nil},
		{"a list", "{retry: true}", "retry.retryOn", List{Any: true}},
		{"a slot", "{bulkhead: true}", "bulkhead.maxWait", time.Duration(0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, ok := charge(t, "", c.keys).Get(c.path)
			if diff := cmp.Diff(c.want, v.V); diff != "" || ok != (c.want != nil) {
				t.Errorf("Get(%s) = %v, %v, want %v", c.path, v.V, ok, c.want)
			}
		})
	}
}

func TestAccessors(t *testing.T) {
	e := charge(t, "", "{retry: {retryOnResult: isOld, backoff: {strategy: sequence, delays: [1s, 0]}}, circuitBreaker: {failureRateThreshold: 30, name: db}, lint: {ignore: {RG02B: \"why\"}}}")
	if e.Float("circuitBreaker.failureRateThreshold") != 30 || e.Str("circuitBreaker.name") != "db" || e.Str("retry.retryOnResult") != "isOld" ||
		len(e.Durs("retry.backoff.delays")) != 2 || e.Bool("retry.failOnExhaustedResult") || e.Str("retry.backoff.jitter") != "full" {
		t.Errorf("accessors are wrong: %v", e.All())
	}
	if v, _ := e.Given("retry.retryOnResult"); v.V.(Name).Pos.Line != 2 {
		t.Errorf("the name of a func is at %v", v.V.(Name).Pos)
	}
	if why, ok := e.Ignores("RG02B"); !ok || why != "why" {
		t.Errorf("Ignores = %q, %v", why, ok)
	}
	if _, ok := e.Ignores("RG001"); ok || len(e.lint) != 1 {
		t.Errorf("lint = %v", e.lint)
	}
}

func TestDrop(t *testing.T) {
	e := charge(t, "use: api, ", "{idempotent: true}")
	e.Drop("retry", "not idempotent")
	e.Drop("timeout.attempt", "a stream")
	if e.Has("retry") || e.Dur("timeout.attempt") != 0 || e.Dur("timeout.total") == 0 || !e.Has("timeout") {
		t.Error("Drop does not drop")
	}
	if _, ok := e.Given("retry.maxAttempts"); ok {
		t.Error("a key of a dropped part is given")
	}
	e.Drop("timeout.total", "a stream")
	if e.Has("timeout") {
		t.Error("a timeout without a time is on")
	}
	if diff := cmp.Diff([]Dropped{{"retry", "not idempotent"}, {"timeout.attempt", "a stream"}, {"timeout.total", "a stream"}}, e.Dropped()); diff != "" {
		t.Error(diff)
	}
}

func TestTimeoutTakenBack(t *testing.T) {
	e := charge(t, "timeout: {total: 5s}, ", "{timeout: {total: none}}")
	if e.Has("timeout") || !e.None() {
		t.Error("a timeout without a time is on")
	}
	if got := fails("version: 1\npolicies: {a: {extends: b, timeout: {mode: cooperative}}, b: {idempotent: true}}\ninterfaces: {G: {use: a}}", "M"); got != "" &&
		!strings.Contains(got, "bounds nothing") && !strings.Contains(got, "not available yet") {
		t.Error(got)
	}
}

func TestZero(t *testing.T) {
	e := charge(t, "", "{bulkhead: {maxWait: 0, maxQueue: 0, maxConcurrent: 3}, retry: {backoff: {initialDelay: 0s, jitter: ratio, jitterFactor: 0}}, circuitBreaker: {halfOpen: {maxWait: none}}}")
	for path, want := range map[string]bool{
		"bulkhead.maxWait": true, "bulkhead.maxQueue": true, "bulkhead.maxConcurrent": false, "retry.backoff.initialDelay": true,
		"retry.backoff.jitterFactor": true, "retry.backoff.jitter": false, "circuitBreaker.halfOpen.maxWait": true,
	} {
		if v, ok := e.Given(path); !ok || v.Zero() != want {
			t.Errorf("%s: Zero = %v, given %v; want %v", path, v.Zero(), ok, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	f := read(t, `version: 1
policies:
  batch: {retry: true}
  quiet: {retry: true, lint: {ignore: {RG098: "for next week"}}}
  web: {extends: api, retry: {retryOn: [ErrBusy]}}
  more: {extends: web, retry: {retryOn: [ErrBusy, ErrSlow]}}
interfaces:
  G:
    use: more
    methods:
      Charge: {retry: {retryOn: [Transient]}}
      Quiet: {retry: {retryOn: [Transient]}, lint: {ignore: {RG093: "on purpose"}}}
      Own: {use: api}
`)
	var got []string
	for _, w := range f.Warnings() {
		if !w.Warning {
			t.Errorf("%v is no warning", w)
		}
		got = append(got, w.Error())
	}
	want := []string{
		"resilience.yaml:3:3: policies.batch: used nowhere (RG098)",
		"resilience.yaml:5:40: retry.retryOn: the list replaces the one inherited from policy api (built in) (Transient); {add: […]} extends it (RG093)",
		"resilience.yaml:11:33: retry.retryOn: the list replaces the one inherited from resilience.yaml:6:41 (ErrBusy, ErrSlow); {add: […]} extends it (RG093)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPresets(t *testing.T) {
	for preset, want := range map[string]int{"production": 5, "development": 3, "testing": 1} {
		text := "version: 1\npreset: " + preset + "\ninterfaces: {G: {retry: true, circuitBreaker: true}}"
		if got := resolve(t, text, "M")["M"].Int("retry.maxAttempts"); got != want {
			t.Errorf("preset %s: %d attempts, want %d", preset, got, want)
		}
	}
}

func TestBuiltins(t *testing.T) {
	for _, name := range Builtins() {
		m := resolve(t, "version: 1\ninterfaces: {G: {use: "+name+"}}", "M")["M"]
		if !m.Has("retry") || !m.Has("timeout") || m.Has("circuitBreaker") != (name != "filesystem") {
			t.Errorf("%s: %v", name, m.GivenAll())
		}
		if v, _ := m.Get("retry.maxAttempts"); v.Origin != "policy "+name+" (built in)" || v.Pos.IsValid() {
			t.Errorf("%s: origin %s at %v", name, v.Origin, v.Pos)
		}
	}
	if len(BuiltinMatchers()) != len(Builtin) {
		t.Error("a matcher is named twice")
	}
}

// charge resolves one method with the keys over a base.
func charge(t *testing.T, base, keys string) *Effective {
	t.Helper()
	return resolve(t, "version: 1\ninterfaces: {G: {"+base+"methods: {Charge: "+keys+"}}}", "Charge")["Charge"]
}
