package resilience

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// A setting is a key of the policy language that may change at run time. Its
// value is text, as in YAML; "" is one that is not given. The table of settings
// is data and no code, since every service carries it.
type setting struct {
	key string
	// def is the default, "" if there is none or it depends on other values.
	def string
	// field points to where the value is in blank: an int, a float64, a duration, a
	// list of durations, a bool or, by its number, one of words.
	field any
	// unset is the word that takes the value back, none or unbounded; "" if there
	// is none.
	unset string
	least float64 // of an int or a number; of a duration 1 if it may not be 0
	most  float64 // of a number; where that is 100 it is a percentage, which is never 0
	// words are those of a number, "" for one that has none; of a bool the text
	// of a true field.
	words []string

	acts func(*Policy) bool // beside the other values; nil: always
	// needs is what the generated policy must have besides the part; nil: nothing.
	needs func(*Policy) bool
	// instead takes values out that this one replaces; nil: none.
	instead func(*Policy)
}

// blank is what settings point into. Nobody reads or changes its values.
var blank Policy

// in returns the field of p that field is of blank.
func in[T any](p *Policy, field *T) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), uintptr(unsafe.Pointer(field))-uintptr(unsafe.Pointer(&blank))))
}

// get returns the value as text.
func (s *setting) get(p *Policy) string {
	switch f := s.field.(type) {
	case *int:
		return s.intText(*in(p, f))
	case *time.Duration:
		return s.durationText(*in(p, f))
	case *float64:
		return s.numberText(*in(p, f))
	case *bool:
		if *in(p, f) {
			return s.words[0]
		}
	case *uint8:
		return s.word(int(*in(p, f)))
	case *[]time.Duration:
		return spansText(*in(p, f))
	}
	return ""
}

// set reads the value from text.
func (s *setting) set(p *Policy, text string) (err error) {
	switch f := s.field.(type) {
	case *int:
		err = s.setInt(in(p, f), text)
	case *time.Duration:
		err = s.setDuration(in(p, f), text)
	case *float64:
		err = s.setNumber(in(p, f), text)
	case *bool:
		*in(p, f) = text == s.words[0]
		if text != "" && text != "true" && text != "false" {
			err = fmt.Errorf("wants true or false, not %q", text)
		}
	case *uint8:
		err = s.setWord(in(p, f), text)
	case *[]time.Duration:
		*in(p, f), err = parseSpans(text)
	}
	if err == nil && text != "" && s.instead != nil {
		s.instead(p)
	}
	return err
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
	for i := range settings {
		if settings[i].key == key {
			return &settings[i]
		}
	}
	return nil
}

// settings are in the order of docs/policy.md.
var settings = []setting{
	{key: "preset", field: (*uint8)(&blank.Preset), words: presetWords},
	{key: "timeout.total", unset: none, least: 1, field: &blank.Timeout.Total, needs: bounded},
	{key: "timeout.attempt", unset: none, least: 1, field: &blank.Timeout.Attempt, needs: bounded},
	{key: "timeout.open", unset: none, least: 1, field: &blank.Timeout.Open, needs: func(p *Policy) bool { return p.Timeout.Open > 0 }},
	{key: "retry.maxAttempts", def: "3", least: 1, field: &blank.Retry.MaxAttempts},
	{key: "retry.maxDuration", unset: none, least: 1, field: &blank.Retry.MaxDuration},
	{key: "retry.backoff.strategy", def: "exponential", field: (*uint8)(&blank.Retry.Backoff.Strategy),
		words: []string{NoBackoff: none, Constant: "constant", Linear: "linear", Exponential: "exponential", Fibonacci: "fibonacci", Sequence: "sequence"}},
	{key: "retry.backoff.initialDelay", def: "100ms", field: &blank.Retry.Backoff.InitialDelay,
		acts: func(p *Policy) bool { s := p.Retry.Backoff.Strategy; return s != NoBackoff && s != Sequence }},
	{key: "retry.backoff.multiplier", def: "2", least: 1, most: math.MaxFloat64, field: &blank.Retry.Backoff.Multiplier,
		acts: func(p *Policy) bool { s := p.Retry.Backoff.Strategy; return s == 0 || s == Exponential }},
	{key: "retry.backoff.maxDelay", def: "10s", least: 1, field: &blank.Retry.Backoff.MaxDelay, acts: waits},
	{key: "retry.backoff.jitter", def: "full", field: (*uint8)(&blank.Retry.Backoff.Jitter),
		words: []string{NoJitter: none, FullJitter: "full", EqualJitter: "equal", RatioJitter: "ratio", DecorrelatedJitter: "decorrelated", DecorrelatedJitterV2: "decorrelatedV2"},
		acts:  waits},
	{key: "retry.backoff.jitterFactor", def: "0.5", most: 1, field: &blank.Retry.Backoff.JitterFactor,
		acts: func(p *Policy) bool { return p.Retry.Backoff.Jitter == RatioJitter }},
	{key: "retry.backoff.delays", field: &blank.Retry.Backoff.Delays, acts: listsDelays},
	{key: "retry.retryAfter.honor", def: "true", field: &blank.Retry.RetryAfter.Ignore, words: []string{"false"}},
	{key: "retry.retryAfter.max", def: "30s", least: 1, field: &blank.Retry.RetryAfter.Max,
		acts: func(p *Policy) bool { return !p.Retry.RetryAfter.Ignore }},
	{key: "retry.budget.ratio", def: "0.2", unset: none, most: 1, field: &blank.Budget.Ratio},
	{key: "retry.budget.minConcurrency", def: "3", field: &blank.Budget.MinConcurrency},
	{key: "hedge.maxHedges", def: "1", least: 1, field: &blank.Hedge.MaxHedges},
	{key: "hedge.delay", field: &blank.Hedge.Delay, instead: byItself},
	{key: "hedge.percentile", def: "95", most: 100, field: &blank.Hedge.Percentile, instead: byDelay, acts: learns},
	{key: "hedge.warmup", def: "100", least: 1, field: &blank.Hedge.Warmup, instead: byDelay, acts: learns},
	{key: "circuitBreaker.window.type", def: "count", field: (*uint8)(&blank.Breaker.Window.Type),
		words: []string{CountWindow: "count", TimeWindow: "time"}},
	{key: "circuitBreaker.window.size", def: "100", least: 1, field: &blank.Breaker.Window.Size, acts: inCalls},
	{key: "circuitBreaker.window.duration", def: "30s", least: 1, field: &blank.Breaker.Window.Duration, acts: inTime},
	{key: "circuitBreaker.window.buckets", def: "10", least: 1, field: &blank.Breaker.Window.Buckets, acts: inTime},
	{key: "circuitBreaker.minimumCalls", least: 1, field: &blank.Breaker.MinimumCalls},
	{key: "circuitBreaker.failureRateThreshold", def: "50", most: 100, field: &blank.Breaker.FailureRateThreshold},
	{key: "circuitBreaker.consecutiveFailures", least: 1, unset: none, field: &blank.Breaker.ConsecutiveFailures},
	{key: "circuitBreaker.slowCallDuration", unset: none, least: 1, field: &blank.Breaker.SlowCallDuration},
	{key: "circuitBreaker.slowCallRateThreshold", def: "100", most: 100, field: &blank.Breaker.SlowCallRateThreshold,
		acts: func(p *Policy) bool { return p.Breaker.SlowCallDuration > 0 }},
	{key: "circuitBreaker.openDuration", def: "5s", least: 1, field: &blank.Breaker.OpenDuration},
	{key: "circuitBreaker.openBackoff.multiplier", least: 1, most: math.MaxFloat64, field: &blank.Breaker.OpenBackoff.Multiplier},
	{key: "circuitBreaker.openBackoff.maxDuration", def: "1h", least: 1, field: &blank.Breaker.OpenBackoff.MaxDuration,
		acts: func(p *Policy) bool { return p.Breaker.OpenBackoff.Multiplier > 0 }},
	{key: "circuitBreaker.autoHalfOpen", def: "false", field: &blank.Breaker.AutoHalfOpen, words: []string{"true"}},
	{key: "circuitBreaker.halfOpen.mode", def: "all", field: (*uint8)(&blank.Breaker.HalfOpen.Mode), words: []string{AllMode: "all", RateMode: "rate"}},
	{key: "circuitBreaker.halfOpen.successThreshold", def: "1", least: 1, field: &blank.Breaker.HalfOpen.SuccessThreshold},
	{key: "circuitBreaker.halfOpen.permittedCalls", least: 1, field: &blank.Breaker.HalfOpen.PermittedCalls},
	{key: "circuitBreaker.halfOpen.maxWait", unset: none, least: 1, field: &blank.Breaker.HalfOpen.MaxWait},
	{key: "circuitBreaker.halfOpen.onMaxWait", def: "open", field: (*uint8)(&blank.Breaker.HalfOpen.OnMaxWait),
		words: []string{StateClosed: "closed", StateOpen: "open"},
		acts:  func(p *Policy) bool { return p.Breaker.HalfOpen.MaxWait >= 0 }},
	{key: "circuitBreaker.mode", def: "enforce", field: (*uint8)(&blank.Breaker.Mode),
		words: []string{Enforce: "enforce", Shadow: "shadow", Disabled: "disabled", ForcedOpen: "forcedOpen"}},
	{key: "rateLimit.limit", least: 1, field: &blank.RateLimit.Limit},
	{key: "rateLimit.period", def: "1s", least: 1, field: &blank.RateLimit.Period},
	{key: "rateLimit.burst", least: 1, field: &blank.RateLimit.Burst, acts: func(p *Policy) bool { return p.RateLimit.Mode == TokenLimit }},
	{key: "rateLimit.maxWait", def: "0s", unset: none, field: &blank.RateLimit.MaxWait},
	{key: "bulkhead.maxConcurrent", def: "25", field: &blank.Bulkhead.MaxConcurrent},
	{key: "bulkhead.maxWait", def: "0s", unset: none, field: &blank.Bulkhead.MaxWait},
	{key: "bulkhead.maxQueue", def: unbounded, unset: unbounded, field: &blank.Bulkhead.MaxQueue},
	{key: "adaptive.k", def: "2", least: 1, most: math.MaxFloat64, field: &blank.Adaptive.K, acts: throttles},
	{key: "adaptive.window", def: "2m0s", least: 1, field: &blank.Adaptive.Window, acts: throttles},
	{key: "adaptive.maxRejectionRatio", def: "0.9", most: 1, field: &blank.Adaptive.MaxRejectionRatio, acts: throttles},
	{key: "adaptive.initialLimit", def: "20", least: 1, field: &blank.Adaptive.InitialLimit, acts: steers},
	{key: "adaptive.minLimit", def: "1", least: 1, field: &blank.Adaptive.MinLimit, acts: steers},
	{key: "adaptive.maxLimit", def: "1000", least: 1, field: &blank.Adaptive.MaxLimit, acts: steers},
	{key: "chaos.injectionRatio", def: "0.001", most: 1, field: &blank.Chaos.InjectionRatio},
	{key: "chaos.latency", unset: none, least: 1, field: &blank.Chaos.Latency},
	{key: "cache.ttl", least: 1, field: &blank.Caching.TTL},
	{key: "cache.maxEntries", def: "1000", least: 1, field: &blank.Caching.MaxEntries},
	{key: "cache.staleOnError", def: "0s", unset: none, field: &blank.Caching.StaleOnError},
	{key: "cache.negativeTTL", def: "0s", unset: none, field: &blank.Caching.NegativeTTL},
}

func waits(p *Policy) bool   { return p.Retry.Backoff.Strategy != NoBackoff }
func inTime(p *Policy) bool  { return p.Breaker.Window.Type == TimeWindow }
func inCalls(p *Policy) bool { return p.Breaker.Window.Type != TimeWindow }

func throttles(p *Policy) bool { return p.Adaptive.Mode == Throttle }
func steers(p *Policy) bool    { return p.Adaptive.Mode == Concurrency }

func listsDelays(p *Policy) bool { return p.Retry.Backoff.Strategy == Sequence }

// byItself takes percentile and warmup out, which a delay replaces, and byDelay
// the delay that those replace.
func byItself(p *Policy) { p.Hedge.Percentile, p.Hedge.Warmup = 0, 0 }
func byDelay(p *Policy)  { p.Hedge.Delay = 0 }

func learns(p *Policy) bool { return p.Hedge.Delay == 0 }

// none and unbounded are the words that take an inherited value back.
const (
	none      = "none"
	unbounded = "unbounded"
)

// bounded reports whether the method's context may end with the call: what
// lives longer, like a stream, has timeout.open alone.
func bounded(p *Policy) bool { return p.Timeout.Total > 0 || p.Timeout.Attempt > 0 }

func (s *setting) intText(n int) string {
	switch {
	case n == 0:
		return ""
	case n < 0 && s.unset == none:
		return none
	case n == None:
		return "0"
	}
	return strconv.Itoa(n)
}

func (s *setting) setInt(field *int, text string) error {
	switch n, err := strconv.Atoi(text); {
	case text == "" || text == s.unset && s.unset == unbounded:
		*field = 0
	case text == s.unset || text == "0" && s.least == 0:
		*field = None
	case err != nil:
		return fmt.Errorf("wants a whole number, not %q", text)
	case n < int(s.least) || n > math.MaxInt32:
		return fmt.Errorf("must be ≥ %d (is %s)", int(s.least), text)
	default:
		*field = n
	}
	return nil
}

func (s *setting) durationText(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < 0 && s.unset == none:
		return none
	case d == None:
		return "0s"
	}
	return d.String()
}

func (s *setting) setDuration(field *time.Duration, text string) error {
	switch d, err := time.ParseDuration(text); {
	case text == "":
		*field = 0
	case text == s.unset:
		*field = None
	case err != nil:
		return fmt.Errorf("wants a duration, like 250ms, not %q", text)
	case d < time.Duration(s.least):
		return fmt.Errorf("must be %s 0 (is %s)", [...]string{"≥", ">"}[int(s.least)], text)
	case d == 0:
		*field = None
	default:
		*field = d
	}
	return nil
}

func (s *setting) numberText(f float64) string {
	switch {
	case f == 0:
		return ""
	case f < 0 && s.unset == none:
		return none
	case f == None:
		return "0"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func (s *setting) setNumber(field *float64, text string) error {
	switch f, err := strconv.ParseFloat(text, 64); {
	case text == "":
		*field = 0
	case text == s.unset:
		*field = None
	case err != nil || math.IsNaN(f):
		return fmt.Errorf("wants a number, not %q", text)
	case (s.most == 100 || s.unset == none) && (f <= 0 || f > s.most):
		return fmt.Errorf("must be in (0,%g] (is %s)", s.most, text)
	case f < s.least || f > s.most:
		return fmt.Errorf("must be %s (is %s)", rangeText(s.least, s.most), text)
	case f == 0:
		*field = None
	default:
		*field = f
	}
	return nil
}

func rangeText(least, most float64) string {
	if most == math.MaxFloat64 {
		return fmt.Sprintf("≥ %g", least)
	}
	return fmt.Sprintf("%g to %g", least, most)
}

// word is the one with a number; "" is none of them.
func (s *setting) word(n int) string {
	switch {
	case n == 0:
		return ""
	case n < len(s.words) && s.words[n] != "":
		return s.words[n]
	}
	return strconv.Itoa(n)
}

func (s *setting) setWord(field *uint8, text string) error {
	if text == "" {
		*field = 0
		return nil
	}
	n := slices.Index(s.words, text)
	if n < 0 {
		return fmt.Errorf("%q is none of %s", text, strings.Join(given(s.words), ", "))
	}
	*field = uint8(n)
	return nil
}

func given(words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
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
