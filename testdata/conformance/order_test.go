package conformance

import (
	"go/types"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/runtime/resilience"
)

var orderCases = family{
	"FSG-07": all(
		generate("interfaces: {Gateway: {methods: {Charge: {idempotent: true, retry: true, fallback: true, order: [retry, fallback]}}}}",
			"Charge", "order puts fallback inside retry", "never sees a failure", "(RG042)"),
		play(NewResilientFSG07, "F>fb execs=3 fallbacks=1")),
}

// TestOrders plays what other systems make by nesting policies by hand.
func TestOrders(t *testing.T) {
	for name, run := range (family{
		"one permit for a call": play(NewResilientOrderRate, "F,F,S>ok execs=3 S>limited execs=3 +1h S>ok"),
		"a permit goes back where nothing was executed": play(NewResilientOrderRateBack,
			"a:hold +1h S>full S>full execs=1 a!S a>ok S>ok execs=2 S>limited"),
		"the breaker counts calls":       play(NewResilientOrderBreaker, "F>E execs=2 =CLOSED F>E execs=4 =OPEN S>open execs=4 +1m S>ok =CLOSED"),
		"a slot is held in sleeps":       play(NewResilientOrderSlot, "a:F,S S>full +1s a>ok S>ok execs=3"),
		"the queue counts":               play(NewResilientOrderQueue, "a:S!10s b:S +1s b? +1s b>timeout execs=1 =CLOSED +8s a>ok execs=1"),
		"the queue does not count":       play(NewResilientOrderTotal, "a:S!10s b:S/500ms +10s a>ok +500ms b>ok execs=2"),
		"hedges share a slot":            play(NewResilientOrderHedge, "a:H,S +1s a>ok execs=2 =CLOSED S>ok"),
		"a probe that finds a full part": play(NewResilientOrderProbe, "a:hold,F b:F b>full =CLOSED a!F a>E =OPEN +1m S>ok =CLOSED"),
	}) {
		t.Run(name, run)
	}
}

// orderParts are parts in YAML, each with what it is to the runtime.
var orderParts = []struct {
	name, yaml string
	put        func(*resilience.Policy)
}{
	{"fallback", "fallback: true", func(p *resilience.Policy) { p.Fallback.On = true }},
	{"cache", "cache: {ttl: 1m, key: id}", func(p *resilience.Policy) { p.Caching.TTL = time.Minute }},
	{"timeout.total", "total: 9s", func(p *resilience.Policy) { p.Timeout.Total = 9 * time.Second }},
	{"retry", "retry: {maxAttempts: 2}", func(p *resilience.Policy) { p.Retry.MaxAttempts = 2 }},
	{"hedge", "hedge: {delay: 1s}", func(p *resilience.Policy) { p.Hedge.Delay = time.Second }},
	{"circuitBreaker", "circuitBreaker: {}", func(p *resilience.Policy) { p.Breaker.On = true }},
	{"rateLimit", "rateLimit: {limit: 9}", func(p *resilience.Policy) { p.RateLimit.Limit = 9 }},
	{"rateLimit", "rateLimit: {limit: 9, scope: call}", func(p *resilience.Policy) { p.RateLimit.Limit, p.RateLimit.Scope = 9, resilience.PerCall }},
	{"bulkhead", "bulkhead: {}", func(p *resilience.Policy) { p.Bulkhead.On = true }},
	{"adaptive", "adaptive: {k: 3}", func(p *resilience.Policy) { p.Adaptive.K = 3 }},
	{"adaptive", "adaptive: {mode: concurrency}", func(p *resilience.Policy) { p.Adaptive.Mode = resilience.Concurrency }},
	{"timeout.attempt", "attempt: 1s", func(p *resilience.Policy) { p.Timeout.Attempt = time.Second }},
	{"timeout.open", "open: 1s", func(p *resilience.Policy) { p.Timeout.Open = time.Second }},
	{"chaos", "chaos: {latency: 1s}", func(p *resilience.Policy) { p.Chaos.Latency = time.Second }},
}

var layerOf = func() map[string]resilience.Layer {
	all := map[string]resilience.Layer{}
	for l := resilience.LayerFallback; l <= resilience.LayerChaos; l++ {
		all[l.String()] = l
	}
	return all
}()

// TestOrderIsOneForBoth has the generator and the runtime judge random orders:
// they refuse the same ones, and nest the parts of the others in the same way.
func TestOrderIsOneForBoth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	accepted, refused := 0, 0
	for range 4000 {
		yaml, p := randomOrder(random)
		nesting, generates := nestingOf(t, yaml)
		rt := &resilience.Runtime{}
		_, err := rt.Guard("Do", p)
		if generates != (err == nil) {
			t.Fatalf("%s\nthe generator takes it: %t, the runtime: %v", yaml, generates, err)
		}
		if !generates {
			refused++
			continue
		}
		accepted++
		_, text, _ := strings.Cut(rt.Explain(""), "nesting")
		if got := strings.TrimSpace(text); got != nesting+" > delegate" {
			t.Fatalf("%s\nthe runtime nests   %s\nthe generator nests %s", yaml, got, nesting)
		}
	}
	t.Logf("%d accepted, %d refused", accepted, refused)
	if accepted < 400 || refused < 400 {
		t.Error("that tells nothing")
	}
}

func randomOrder(random *rand.Rand) (string, resilience.Policy) {
	var p resilience.Policy
	var entry, timeout, order []string
	for _, i := range random.Perm(len(orderParts)) {
		part := orderParts[i]
		if random.IntN(3) == 0 || slices.Contains(order, part.name) || part.name == "retry" && slices.Contains(order, "hedge") || part.name == "hedge" && slices.Contains(order, "retry") {
			continue
		}
		part.put(&p)
		order = append(order, part.name)
		if strings.HasPrefix(part.name, "timeout.") {
			timeout = append(timeout, part.yaml)
		} else {
			entry = append(entry, part.yaml)
		}
	}
	if len(timeout) > 0 && random.IntN(4) == 0 {
		timeout, p.Timeout.Mode = append(timeout, "mode: abandon"), resilience.Abandon
	}
	if len(timeout) > 0 {
		entry = append(entry, "timeout: {"+strings.Join(timeout, ", ")+"}")
	}
	if random.IntN(3) > 0 { // else nearly all are refused
		sort.Slice(order, func(i, j int) bool { return layerOf[order[i]] < layerOf[order[j]] })
		for range random.IntN(3) {
			i, j := random.IntN(len(order)+1), random.IntN(len(order)+1)
			if i < len(order) && j < len(order) {
				order[i], order[j] = order[j], order[i]
			}
		}
	}
	if len(order) > 1 && random.IntN(2) == 0 {
		at := random.IntN(len(order))
		order = slices.Delete(order, at, at+1)
	}
	if len(order) > 0 {
		entry = append(entry, "order: ["+strings.Join(order, ", ")+"]")
	}
	for _, name := range order {
		p.Order = append(p.Order, layerOf[name])
	}
	return "version: 1\ninterfaces:\n  G: {methods: {Do: {" + strings.Join(append(entry, "idempotent: true"), ", ") + "}}}\n", p
}

// nestingOf is how the generator nests the parts, if it takes the order.
func nestingOf(t *testing.T, yaml string) (string, bool) {
	set, err := policy.Read([]policy.Input{{Path: "resilience.yaml", Data: []byte(yaml)}})
	if err != nil {
		t.Fatalf("%s\n%v", yaml, err)
	}
	methods, errs := set.Files[0].Interfaces[0].Resolve([]policy.Method{{Name: "Do"}})
	if len(errs) > 0 {
		t.Fatalf("%s\n%v", yaml, errs)
	}
	failed := types.NewVar(0, nil, "", types.Universe.Lookup("error").Type())
	sig := types.NewSignatureType(nil, nil, nil, nil, types.NewTuple(types.NewVar(0, nil, "", types.Typ[types.Int]), failed), false)
	for _, f := range lint.Run(&lint.Method{Policy: methods[0], Sig: sig, Ctx: 0, Err: 1}) {
		if f.ID == "RG042" {
			return "", false
		}
	}
	return strings.Join(methods[0].Nesting(), " > "), true
}
