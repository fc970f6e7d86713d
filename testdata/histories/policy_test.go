package histories

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// conf is a policy as YAML says it: what is written for each key, by its path.
type conf []given

type given struct{ path, value string }

// readConf reads the entry of a policy file that has one, and the preset of the
// file. The generator reads the same text with its own reader.
func readConf(text string) (c conf, entry string, err error) {
	var file struct {
		Preset     string
		Interfaces map[string]yaml.Node
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		return nil, "", err
	}
	if file.Preset != "" {
		c = append(c, given{"preset", file.Preset})
	}
	for name, n := range file.Interfaces {
		entry = name
		c.add("", &n)
	}
	if len(file.Interfaces) != 1 {
		return nil, "", fmt.Errorf("want one interface, have %d", len(file.Interfaces))
	}
	return c, entry, nil
}

func (c *conf) add(path string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			c.add(strings.TrimPrefix(path+"."+n.Content[i].Value, "."), n.Content[i+1])
		}
	case yaml.SequenceNode:
		words := make([]string, len(n.Content))
		for i, w := range n.Content {
			words[i] = w.Value
		}
		*c = append(*c, given{path, "[" + strings.Join(words, ", ") + "]"})
	default:
		*c = append(*c, given{path, n.Value})
	}
}

// file is the policy file that has c as its only entry.
func (c conf) file(entry string) string {
	text := "version: 1\n"
	if preset := c.word("preset", ""); preset != "" {
		text += "preset: " + preset + "\n"
	}
	return text + "interfaces:\n  " + entry + ": " + c.String() + "\n"
}

// String is the policy in one line of YAML.
func (c conf) String() string {
	return c.without("preset").flow("")
}

// flow writes what is below path.
func (c conf) flow(path string) string {
	var words, done []string
	for _, g := range c {
		below, ok := strings.CutPrefix(g.path, path)
		if !ok {
			continue
		}
		name, _, deeper := strings.Cut(below, ".")
		switch {
		case slices.Contains(done, name):
		case deeper:
			words = append(words, name+": "+c.flow(path+name+"."))
		default:
			words = append(words, name+": "+g.value)
		}
		done = append(done, name)
	}
	return "{" + strings.Join(words, ", ") + "}"
}

// without is c without a key and all that is below it.
func (c conf) without(path string) conf {
	return slices.DeleteFunc(slices.Clone(c), func(g given) bool { return g.path == path || strings.HasPrefix(g.path, path+".") })
}

// paths are the keys of c, and what they are below.
func (c conf) paths() (list []string) {
	for _, g := range c {
		words := strings.Split(g.path, ".")
		for i := range words {
			if path := strings.Join(words[:i+1], "."); !slices.Contains(list, path) {
				list = append(list, path)
			}
		}
	}
	return list
}

// has reports whether the key, or one below it, is given, and not switched off.
func (c conf) has(path string) bool {
	return slices.ContainsFunc(c, func(g given) bool {
		return (g.path == path || strings.HasPrefix(g.path, path+".")) && (g.path != path || g.value != "none" && g.value != "false")
	})
}

func (c conf) word(path, otherwise string) string {
	for _, g := range c {
		if g.path == path {
			return g.value
		}
	}
	return otherwise
}

// span is a duration; none is 0.
func (c conf) span(path string, otherwise time.Duration) time.Duration {
	switch word := c.word(path, ""); word {
	case "":
		return otherwise
	case "none":
		return 0
	default:
		d, err := time.ParseDuration(word)
		if err != nil {
			panic(err)
		}
		return d
	}
}

func (c conf) whole(path string, otherwise int) int {
	return int(c.number(path, float64(otherwise)))
}

func (c conf) number(path string, otherwise float64) float64 {
	switch word := c.word(path, ""); word {
	case "":
		return otherwise
	case "none", "unbounded":
		return 0
	default:
		f, err := strconv.ParseFloat(word, 64)
		if err != nil {
			panic(err)
		}
		return f
	}
}

// list is the matchers of a list, and of what is added to any error.
func (c conf) list(path string) (names []string, all, ok bool) {
	for _, g := range c {
		switch g.path {
		case path:
			if g.value == "any" {
				return nil, true, true
			}
			return words(g.value), false, true
		case path + ".add":
			return words(g.value), true, true
		}
	}
	return nil, false, false
}

func words(list string) []string {
	return strings.Split(strings.Trim(list, "[]"), ", ")
}

// caching reports whether results are kept.
func (c conf) caching() bool { return c.word("cache.ttl", "") != "" }

// spans are the durations of the policy.
func (c conf) spans() (list []time.Duration) {
	for _, g := range c {
		for _, word := range words(g.value) {
			if d, err := time.ParseDuration(word); err == nil && d > 0 {
				list = append(list, d)
			}
		}
	}
	return list
}

// chooser makes a random policy.
type chooser struct {
	*rand.Rand
	conf
}

func (c *chooser) set(path string, value any) {
	c.conf = append(c.conf, given{path, fmt.Sprint(value)})
}

// one in n
func (c *chooser) one(n int) bool { return c.IntN(n) == 0 }

func (c *chooser) pick(words ...string) string { return words[c.IntN(len(words))] }

// spans have whole microseconds, of which every thousand has its own, so that no
// sum of some is a sum of others.
func (c *chooser) spanOf(least, most int) time.Duration {
	return time.Duration(least+c.IntN(most-least+1))*time.Millisecond + time.Duration(1+c.IntN(999))*time.Microsecond
}

// matchers is a list of some of those words.
func (c *chooser) matchers(words ...string) string {
	c.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	return "[" + strings.Join(words[:1+c.IntN(min(len(words), 3))], ", ") + "]"
}

// lists gives a list, now and then as what is added to any error.
func (c *chooser) lists(path string, words ...string) {
	if c.one(3) {
		path += ".add"
	}
	c.set(path, c.matchers(words...))
}

var kinds = []string{"ErrA", "ErrB", "Timeout", "Transient", "Permanent", "Canceled", "CallerDeadline", "CircuitOpen", "BulkheadFull", "RateLimited"}

// randomPolicy returns an entry that the generator may refuse.
func randomPolicy(r *rand.Rand) conf {
	c := &chooser{Rand: r}
	c.set("of", "Service")
	c.set("idempotent", "true")
	for _, part := range []struct {
		often int // in ten
		give  func(*chooser)
	}{
		{7, (*chooser).repeat}, {5, (*chooser).timeout}, {6, (*chooser).breaker}, {4, (*chooser).bulkhead}, {3, (*chooser).limit}, {3, (*chooser).fallback},
	} {
		if c.IntN(10) < part.often {
			part.give(c)
		}
	}
	if !c.has("retry") && c.one(2) {
		c.hedge()
	}
	if c.one(6) {
		c.keep()
	}
	if len(c.conf) == 2 {
		c.set("circuitBreaker", "true")
	}
	if c.caching() {
		return c.conf
	}
	if c.one(12) && c.has("circuitBreaker") && c.word("circuitBreaker", "") == "" {
		c.set("circuitBreaker.perKey", "key")
	} else if c.one(12) && (c.has("retry") || c.has("hedge")) {
		c.conf[1].value = "cost > 0"
	}
	return c.conf
}

func (c *chooser) repeat() {
	c.set("retry.maxAttempts", 1+c.IntN(5))
	c.backoff()
	if c.one(5) {
		c.set("retry.maxDuration", c.spanOf(5, 500))
	}
	if c.one(4) {
		c.lists("retry.retryOn", slices.Clone(kinds)...)
	}
	if c.one(6) {
		c.set("retry.abortOn", c.matchers(slices.Clone(kinds)...))
	}
	if c.one(4) {
		c.set("retry.retryOnResult", "isBad")
		if c.one(2) {
			c.set("retry.failOnExhaustedResult", "true")
		}
	}
	if c.one(6) {
		if c.IntN(3) > 0 {
			c.set("retry.budget.ratio", c.pick("0.1", "0.3", "1"))
		}
		c.set("retry.budget.minConcurrency", c.IntN(3))
	}
	// Without delays it is not said which calls draw a random number, of which a
	// little goes on top of what the peer asks for.
	if c.one(6) || c.word("retry.backoff.strategy", "") == "none" {
		c.set("retry.retryAfter.honor", "false")
	} else if c.one(5) {
		c.set("retry.retryAfter.max", c.spanOf(1, 100))
	}
}

// hedge gives a hedge after a fixed delay. Left behind by mode abandon, an
// attempt that wins frees its slot a moment before, for a hedge that waits for it:
// whether that still begins is chance.
func (c *chooser) hedge() {
	if c.has("timeout.mode") && c.has("bulkhead.maxWait") {
		return
	}
	c.set("hedge.delay", c.spanOf(0, 60))
	if c.one(2) {
		c.set("hedge.maxHedges", 1+c.IntN(3))
	}
	if c.one(5) {
		c.set("retry.budget.minConcurrency", c.IntN(3))
	}
}

func (c *chooser) backoff() {
	strategy := c.pick("", "none", "constant", "linear", "exponential", "fibonacci", "sequence")
	if strategy != "" {
		c.set("retry.backoff.strategy", strategy)
	}
	if strategy == "none" {
		return
	}
	most := 0
	if strategy == "sequence" {
		most = 100
		c.set("retry.backoff.delays", fmt.Sprintf("[%v, %v]", c.spanOf(1, 99), c.spanOf(1, 99)))
	} else if c.IntN(4) > 0 {
		most = 1 + c.IntN(60)
		c.set("retry.backoff.initialDelay", c.spanOf(0, most-1))
	}
	if (strategy == "" || strategy == "exponential") && c.one(3) {
		c.set("retry.backoff.multiplier", c.pick("1", "1.5", "3", "1000"))
	}
	if c.one(3) && most > 0 {
		c.set("retry.backoff.maxDelay", c.spanOf(most, most+50))
	}
	if strategy != "sequence" || c.one(2) {
		jitter := c.pick("none", "none", "full", "equal", "ratio", "decorrelated", "decorrelatedV2")
		c.set("retry.backoff.jitter", jitter)
		if jitter == "ratio" && c.one(2) {
			c.set("retry.backoff.jitterFactor", c.pick("0.1", "0.5", "1"))
		}
	}
}

func (c *chooser) timeout() {
	which := c.IntN(3)
	if which != 0 {
		c.set("timeout.total", c.spanOf(5, 300))
	}
	if which != 1 {
		c.set("timeout.attempt", c.spanOf(1, 60))
	}
	if c.one(5) {
		c.set("timeout.mode", "abandon")
	}
}

func (c *chooser) breaker() {
	const b = "circuitBreaker."
	size := 2 + c.IntN(12)
	switch c.IntN(4) {
	case 0:
		c.set(b+"window.type", "time")
		c.set(b+"window.duration", c.spanOf(20, 1000))
		c.set(b+"window.buckets", 1+c.IntN(5))
	case 1, 2:
		c.set(b+"window.size", size)
	}
	if c.IntN(3) > 0 {
		c.set(b+"minimumCalls", 1+c.IntN(size))
	}
	if c.one(2) {
		c.set(b+"failureRateThreshold", c.pick("1", "20", "33.3", "50", "75", "100"))
	}
	if c.one(3) {
		c.set(b+"consecutiveFailures", 1+c.IntN(5))
	}
	if c.one(3) {
		c.set(b+"slowCallDuration", c.spanOf(1, 50))
		if c.one(2) {
			c.set(b+"slowCallRateThreshold", c.pick("10", "50", "100"))
		}
	}
	if c.IntN(4) > 0 {
		c.set(b+"openDuration", c.spanOf(1, 200))
	}
	if c.one(3) {
		c.set(b+"openBackoff.multiplier", c.pick("1", "2", "10"))
		if c.one(2) {
			c.set(b+"openBackoff.maxDuration", c.spanOf(100, 500))
		}
	}
	if c.one(5) {
		c.set(b+"autoHalfOpen", "true")
	}
	c.halfOpen()
	c.verdicts()
	if c.one(12) {
		c.set(b+"initialState", "open")
	}
	if c.one(12) {
		c.set(b+"mode", c.pick("shadow", "disabled", "forcedOpen"))
	}
}

func (c *chooser) halfOpen() {
	const h = "circuitBreaker.halfOpen."
	rate := c.one(3)
	if rate {
		c.set(h+"mode", "rate")
	} else if c.one(2) {
		c.set(h+"successThreshold", 1+c.IntN(4))
	}
	if rate || c.one(2) {
		c.set(h+"permittedCalls", 1+c.IntN(4))
	}
	switch c.IntN(4) {
	case 0:
		c.set(h+"maxWait", "none")
	case 1, 2:
		c.set(h+"maxWait", c.spanOf(1, 100))
		if c.one(2) {
			c.set(h+"onMaxWait", c.pick("open", "closed"))
		}
	}
}

func (c *chooser) verdicts() {
	if c.one(5) {
		c.lists("circuitBreaker.recordOn", slices.Clone(kinds)...)
	}
	if c.one(5) {
		c.set("circuitBreaker.ignoreOn", c.matchers(append(slices.Clone(kinds), "Panic")...))
	}
	if c.one(5) {
		c.set("circuitBreaker.recordOnResult", "isPoor")
	}
}

func (c *chooser) bulkhead() {
	c.set("bulkhead.maxConcurrent", 1+c.IntN(3))
	if c.IntN(3) > 0 {
		c.set("bulkhead.maxWait", c.spanOf(1, 100))
		if c.one(2) {
			c.set("bulkhead.maxQueue", 1+c.IntN(3))
		}
	}
}

// keep gives a cache, whose forms are fewer.
func (c *chooser) keep() {
	c.conf = c.without("rateLimit.cost")
	c.set("cache.ttl", c.spanOf(1, 100))
	c.set("cache.key", "key")
	if c.one(2) {
		c.set("cache.staleOnError", c.spanOf(1, 500))
	}
	if c.one(2) {
		c.set("cache.negativeTTL", c.spanOf(1, 100))
	}
}

// limit gives a rate limit, but none that grants several calls at one instant:
// who of them is first at what comes next would be chance.
func (c *chooser) limit() {
	mode := c.pick("token", "smooth", "fixed", "rolling")
	limit := 1 + c.IntN(5)
	waits := c.one(2) && (c.word("retry.retryAfter.honor", "") == "false" || !strings.Contains(c.String(), "RateLimited"))
	if mode == "fixed" && waits {
		limit = 1
	}
	costs := limit > 2 && c.one(3) && !(waits && (c.has("bulkhead") || c.has("timeout.mode")))
	c.set("rateLimit.mode", mode)
	c.set("rateLimit.limit", limit)
	c.set("rateLimit.period", time.Duration(limit)*c.spanOf(1, 40))
	if mode == "token" && c.one(2) {
		c.set("rateLimit.burst", limit+c.IntN(4))
	}
	if waits {
		c.set("rateLimit.maxWait", c.spanOf(1, 100))
	}
	if c.one(4) {
		c.set("rateLimit.scope", "call")
	}
	if costs {
		c.set("rateLimit.cost", "cost")
	}
}

func (c *chooser) fallback() {
	c.set("fallback.func", "answer")
	if c.one(3) {
		c.lists("fallback.applyOn", append(slices.Clone(kinds), "BudgetExhausted")...)
	}
	if c.one(4) {
		c.set("fallback.skipOn", c.matchers(append(slices.Clone(kinds), "BudgetExhausted")...))
	}
}
