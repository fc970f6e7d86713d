package resilience

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A setting is a key of the policy language that may change at run time. Its
// value is text, as in YAML; "" is one that is not given.
type setting struct {
	key string
	// def is the default, "" if there is none or it depends on other values.
	def  string
	get  func(*Policy) string
	set  func(*Policy, string) error
	acts func(*Policy) bool // beside the other values; nil: always
	// needs is what the generated policy must have besides the part; nil: nothing.
	needs func(*Policy) bool
}

// part returns the part that the key belongs to, "" for a key beside them.
func (s *setting) part() string {
	if strings.HasPrefix(s.key, "retry.budget.") {
		return "retry.budget" // which stands beside a hedge, too
	}
	part, _, inside := strings.Cut(s.key, ".")
	if !inside {
		return ""
	}
	return part
}

func lookupSetting(key string) *setting {
	if i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key }); i >= 0 {
		return &settings[i]
	}
	return nil
}

// settings are in the order of docs/policy.md.
var settings = slices.Concat([]setting{
	word("preset", "", func(p *Policy) *Preset { return &p.Preset }, presetWords),
	span("timeout.total", "", none, func(p *Policy) *time.Duration { return &p.Timeout.Total }).where(bounded),
	span("timeout.attempt", "", none, func(p *Policy) *time.Duration { return &p.Timeout.Attempt }).where(bounded),
	span("timeout.open", "", none, func(p *Policy) *time.Duration { return &p.Timeout.Open }).where(func(p *Policy) bool { return p.Timeout.Open > 0 }),
	whole("retry.maxAttempts", "3", 1, "", func(p *Policy) *int { return &p.Retry.MaxAttempts }),
	span("retry.maxDuration", "", none, func(p *Policy) *time.Duration { return &p.Retry.MaxDuration }),
}, backoffSettings, []setting{
	{key: "retry.retryAfter.honor", def: "true",
		get: func(p *Policy) string { return boolText(p.Retry.RetryAfter.Ignore, "false") },
		set: func(p *Policy, text string) (err error) {
			honor := true
			if text != "" {
				honor, err = parseBool(text)
			}
			p.Retry.RetryAfter.Ignore = !honor
			return err
		}},
	span("retry.retryAfter.max", "30s", "", func(p *Policy) *time.Duration { return &p.Retry.RetryAfter.Max }).
		beside(func(p *Policy) bool { return !p.Retry.RetryAfter.Ignore }),
}, hedgeSettings, breakerSettings, []setting{
	whole("rateLimit.limit", "", 1, "", func(p *Policy) *int { return &p.RateLimit.Limit }),
	span("rateLimit.period", "1s", "", func(p *Policy) *time.Duration { return &p.RateLimit.Period }),
	whole("rateLimit.burst", "", 1, "", func(p *Policy) *int { return &p.RateLimit.Burst }).
		beside(func(p *Policy) bool { return p.RateLimit.Mode == TokenLimit }),
	delay("rateLimit.maxWait", "0s", none, func(p *Policy) *time.Duration { return &p.RateLimit.MaxWait }),
	whole("bulkhead.maxConcurrent", "25", 0, "", func(p *Policy) *int { return &p.Bulkhead.MaxConcurrent }),
	delay("bulkhead.maxWait", "0s", none, func(p *Policy) *time.Duration { return &p.Bulkhead.MaxWait }),
	whole("bulkhead.maxQueue", unbounded, 0, unbounded, func(p *Policy) *int { return &p.Bulkhead.MaxQueue }),
	number("adaptive.k", "2", 1, math.MaxFloat64, func(p *Policy) *float64 { return &p.Adaptive.K }).beside(throttles),
	span("adaptive.window", "2m0s", "", func(p *Policy) *time.Duration { return &p.Adaptive.Window }).beside(throttles),
	number("adaptive.maxRejectionRatio", "0.9", 0, 1, func(p *Policy) *float64 { return &p.Adaptive.MaxRejectionRatio }).beside(throttles),
	whole("adaptive.initialLimit", "20", 1, "", func(p *Policy) *int { return &p.Adaptive.InitialLimit }).beside(steers),
	whole("adaptive.minLimit", "1", 1, "", func(p *Policy) *int { return &p.Adaptive.MinLimit }).beside(steers),
	whole("adaptive.maxLimit", "1000", 1, "", func(p *Policy) *int { return &p.Adaptive.MaxLimit }).beside(steers),
	number("chaos.injectionRatio", "0.001", 0, 1, func(p *Policy) *float64 { return &p.Chaos.InjectionRatio }),
	span("chaos.latency", "", none, func(p *Policy) *time.Duration { return &p.Chaos.Latency }),
	span("cache.ttl", "", "", func(p *Policy) *time.Duration { return &p.Caching.TTL }),
	whole("cache.maxEntries", "1000", 1, "", func(p *Policy) *int { return &p.Caching.MaxEntries }),
	delay("cache.staleOnError", "0s", none, func(p *Policy) *time.Duration { return &p.Caching.StaleOnError }),
	delay("cache.negativeTTL", "0s", none, func(p *Policy) *time.Duration { return &p.Caching.NegativeTTL }),
})

func throttles(p *Policy) bool { return p.Adaptive.Mode == Throttle }
func steers(p *Policy) bool    { return p.Adaptive.Mode == Concurrency }

var backoffSettings = []setting{
	word("retry.backoff.strategy", "exponential", func(p *Policy) *Strategy { return &p.Retry.Backoff.Strategy },
		[]string{NoBackoff: none, Constant: "constant", Linear: "linear", Exponential: "exponential", Fibonacci: "fibonacci", Sequence: "sequence"}),
	delay("retry.backoff.initialDelay", "100ms", "", func(p *Policy) *time.Duration { return &p.Retry.Backoff.InitialDelay }).
		beside(func(p *Policy) bool { s := p.Retry.Backoff.Strategy; return s != NoBackoff && s != Sequence }),
	number("retry.backoff.multiplier", "2", 1, math.MaxFloat64, func(p *Policy) *float64 { return &p.Retry.Backoff.Multiplier }).
		beside(func(p *Policy) bool { s := p.Retry.Backoff.Strategy; return s == 0 || s == Exponential }),
	span("retry.backoff.maxDelay", "10s", "", func(p *Policy) *time.Duration { return &p.Retry.Backoff.MaxDelay }).
		beside(func(p *Policy) bool { return p.Retry.Backoff.Strategy != NoBackoff }),
	word("retry.backoff.jitter", "full", func(p *Policy) *Jitter { return &p.Retry.Backoff.Jitter },
		[]string{NoJitter: none, FullJitter: "full", EqualJitter: "equal", RatioJitter: "ratio", DecorrelatedJitter: "decorrelated", DecorrelatedJitterV2: "decorrelatedV2"}).
		beside(func(p *Policy) bool { return p.Retry.Backoff.Strategy != NoBackoff }),
	number("retry.backoff.jitterFactor", "0.5", 0, 1, func(p *Policy) *float64 { return &p.Retry.Backoff.JitterFactor }).
		beside(func(p *Policy) bool { return p.Retry.Backoff.Jitter == RatioJitter }),
	{key: "retry.backoff.delays",
		get:  func(p *Policy) string { return spansText(p.Retry.Backoff.Delays) },
		set:  func(p *Policy, text string) (err error) { p.Retry.Backoff.Delays, err = parseSpans(text); return err },
		acts: func(p *Policy) bool { return p.Retry.Backoff.Strategy == Sequence }},
}

var breakerSettings = []setting{
	word("circuitBreaker.window.type", "count", func(p *Policy) *WindowType { return &p.Breaker.Window.Type },
		[]string{CountWindow: "count", TimeWindow: "time"}),
	whole("circuitBreaker.window.size", "100", 1, "", func(p *Policy) *int { return &p.Breaker.Window.Size }).
		beside(func(p *Policy) bool { return p.Breaker.Window.Type != TimeWindow }),
	span("circuitBreaker.window.duration", "30s", "", func(p *Policy) *time.Duration { return &p.Breaker.Window.Duration }).
		beside(func(p *Policy) bool { return p.Breaker.Window.Type == TimeWindow }),
	whole("circuitBreaker.window.buckets", "10", 1, "", func(p *Policy) *int { return &p.Breaker.Window.Buckets }).
		beside(func(p *Policy) bool { return p.Breaker.Window.Type == TimeWindow }),
	whole("circuitBreaker.minimumCalls", "", 1, "", func(p *Policy) *int { return &p.Breaker.MinimumCalls }),
	number("circuitBreaker.failureRateThreshold", "50", 0, 100, func(p *Policy) *float64 { return &p.Breaker.FailureRateThreshold }),
	whole("circuitBreaker.consecutiveFailures", "", 1, none, func(p *Policy) *int { return &p.Breaker.ConsecutiveFailures }),
	span("circuitBreaker.slowCallDuration", "", none, func(p *Policy) *time.Duration { return &p.Breaker.SlowCallDuration }),
	number("circuitBreaker.slowCallRateThreshold", "100", 0, 100, func(p *Policy) *float64 { return &p.Breaker.SlowCallRateThreshold }).
		beside(func(p *Policy) bool { return p.Breaker.SlowCallDuration > 0 }),
	span("circuitBreaker.openDuration", "5s", "", func(p *Policy) *time.Duration { return &p.Breaker.OpenDuration }),
	number("circuitBreaker.openBackoff.multiplier", "", 1, math.MaxFloat64, func(p *Policy) *float64 { return &p.Breaker.OpenBackoff.Multiplier }),
	span("circuitBreaker.openBackoff.maxDuration", "1h", "", func(p *Policy) *time.Duration { return &p.Breaker.OpenBackoff.MaxDuration }).
		beside(func(p *Policy) bool { return p.Breaker.OpenBackoff.Multiplier > 0 }),
	{key: "circuitBreaker.autoHalfOpen", def: "false",
		get: func(p *Policy) string { return boolText(p.Breaker.AutoHalfOpen, "true") },
		set: func(p *Policy, text string) (err error) {
			p.Breaker.AutoHalfOpen, err = parseBool(cmp.Or(text, "false"))
			return err
		}},
	word("circuitBreaker.halfOpen.mode", "all", func(p *Policy) *HalfOpenMode { return &p.Breaker.HalfOpen.Mode },
		[]string{AllMode: "all", RateMode: "rate"}),
	whole("circuitBreaker.halfOpen.successThreshold", "1", 1, "", func(p *Policy) *int { return &p.Breaker.HalfOpen.SuccessThreshold }),
	whole("circuitBreaker.halfOpen.permittedCalls", "", 1, "", func(p *Policy) *int { return &p.Breaker.HalfOpen.PermittedCalls }),
	span("circuitBreaker.halfOpen.maxWait", "", none, func(p *Policy) *time.Duration { return &p.Breaker.HalfOpen.MaxWait }),
	word("circuitBreaker.halfOpen.onMaxWait", "open", func(p *Policy) *State { return &p.Breaker.HalfOpen.OnMaxWait },
		[]string{StateClosed: "closed", StateOpen: "open"}).
		beside(func(p *Policy) bool { return p.Breaker.HalfOpen.MaxWait >= 0 }),
	word("circuitBreaker.mode", "enforce", func(p *Policy) *BreakerMode { return &p.Breaker.Mode },
		[]string{Enforce: "enforce", Shadow: "shadow", Disabled: "disabled", ForcedOpen: "forcedOpen"}),
}

// none and unbounded are the words that take an inherited value back.
const (
	none      = "none"
	unbounded = "unbounded"
)

// beside says when the setting acts.
//
//go:noinline
func (s setting) beside(acts func(*Policy) bool) setting {
	s.acts = acts
	return s
}

// where says what the generated policy must have.
//
//go:noinline
func (s setting) where(needs func(*Policy) bool) setting {
	s.needs = needs
	return s
}

// bounded reports whether the method's context may end with the call: what
// lives longer, like a stream, has timeout.open alone.
func bounded(p *Policy) bool { return p.Timeout.Total > 0 || p.Timeout.Attempt > 0 }

// whole is an integer, not below least. unset is the word that takes it back.
//
//go:noinline
func whole(key, def string, least int, unset string, field func(*Policy) *int) setting {
	return setting{key: key, def: def,
		get: func(p *Policy) string {
			switch n := *field(p); {
			case n == 0:
				return ""
			case n < 0 && unset == none:
				return none
			case n == None:
				return "0"
			default:
				return strconv.Itoa(n)
			}
		},
		set: func(p *Policy, text string) error {
			switch n, err := strconv.Atoi(text); {
			case text == "" || text == unset && unset == unbounded:
				*field(p) = 0
			case text == unset || text == "0" && least == 0:
				*field(p) = None
			case err != nil:
				return fmt.Errorf("wants a whole number, not %q", text)
			case n < least || n > math.MaxInt32:
				return fmt.Errorf("must be ≥ %d (is %s)", least, text)
			default:
				*field(p) = n
			}
			return nil
		}}
}

// span is a duration above 0.
//
//go:noinline
func span(key, def, unset string, field func(*Policy) *time.Duration) setting {
	return duration(key, def, unset, 1, field)
}

// delay is a duration that may be 0.
//
//go:noinline
func delay(key, def, unset string, field func(*Policy) *time.Duration) setting {
	return duration(key, def, unset, 0, field)
}

//go:noinline
func duration(key, def, unset string, least time.Duration, field func(*Policy) *time.Duration) setting {
	return setting{key: key, def: def,
		get: func(p *Policy) string {
			switch d := *field(p); {
			case d == 0:
				return ""
			case d < 0 && unset == none:
				return none
			case d == None:
				return "0s"
			default:
				return d.String()
			}
		},
		set: func(p *Policy, text string) error {
			switch d, err := time.ParseDuration(text); {
			case text == "":
				*field(p) = 0
			case text == unset:
				*field(p) = None
			case err != nil:
				return fmt.Errorf("wants a duration, like 250ms, not %q", text)
			case d < least:
				return fmt.Errorf("must be %s 0 (is %s)", [...]string{"≥", ">"}[least], text)
			case d == 0:
				*field(p) = None
			default:
				*field(p) = d
			}
			return nil
		}}
}

// number is a fraction from least to most; where that is 100 a percentage,
// which is never 0.
//
//go:noinline
func number(key, def string, least, most float64, field func(*Policy) *float64) setting {
	return setting{key: key, def: def,
		get: func(p *Policy) string {
			switch f := *field(p); f {
			case 0:
				return ""
			case None:
				return "0"
			default:
				return strconv.FormatFloat(f, 'g', -1, 64)
			}
		},
		set: func(p *Policy, text string) error {
			switch f, err := strconv.ParseFloat(text, 64); {
			case text == "":
				*field(p) = 0
			case err != nil || math.IsNaN(f):
				return fmt.Errorf("wants a number, not %q", text)
			case most == 100 && (f <= 0 || f > 100):
				return fmt.Errorf("must be in (0,100] (is %s)", text)
			case f < least || f > most:
				return fmt.Errorf("must be %s (is %s)", rangeText(least, most), text)
			case f == 0:
				*field(p) = None
			default:
				*field(p) = f
			}
			return nil
		}}
}

func rangeText(least, most float64) string {
	if most == math.MaxFloat64 {
		return fmt.Sprintf("≥ %g", least)
	}
	return fmt.Sprintf("%g to %g", least, most)
}

// word is one of several, by its number; "" is none of them.
//
//go:noinline
func word[E ~uint8](key, def string, field func(*Policy) *E, words []string) setting {
	return setting{key: key, def: def,
		get: func(p *Policy) string {
			n := int(*field(p))
			switch {
			case n == 0:
				return ""
			case n < len(words) && words[n] != "":
				return words[n]
			}
			return strconv.Itoa(n)
		},
		set: func(p *Policy, text string) error {
			if text == "" {
				*field(p) = 0
				return nil
			}
			n := slices.Index(words, text)
			if n < 0 {
				return fmt.Errorf("%q is none of %s", text, strings.Join(given(words), ", "))
			}
			*field(p) = E(n)
			return nil
		}}
}

func given(words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
}

func boolText(set bool, text string) string {
	if set {
		return text
	}
	return ""
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("wants true or false, not %q", text)
}

func spansText(list []time.Duration) string {
	words := make([]string, len(list))
	for i, d := range list {
		words[i] = max(d, 0).String()
	}
	return strings.Join(words, ",")
}

func parseSpans(text string) ([]time.Duration, error) {
	if text == "" {
		return nil, nil
	}
	var list []time.Duration
	for one := range strings.SplitSeq(text, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(one))
		if err != nil || d < 0 {
			return nil, errors.New("wants durations with commas between, like 100ms,1s")
		}
		list = append(list, d)
	}
	return list, nil
}
