package peers

import (
	"context"
	"fmt"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// negated answers when a call failed.
func negated(_ context.Context, n int) (int, error) { return fallbackValue(n), nil }

// keyOf names the peer of a call: one of eight.
func keyOf(n int) string { return keys[n&7] }

var keys = [8]string{"eu-1.example.com", "eu-2.example.com", "eu-3.example.com", "eu-4.example.com",
	"us-1.example.com", "us-2.example.com", "us-3.example.com", "us-4.example.com"}

// manyKeyOf names one of ten thousand peers.
func manyKeyOf(n int) string { return manyKeys[n%len(manyKeys)] }

var manyKeys = func() (list [10_000]string) {
	for i := range list {
		list[i] = fmt.Sprintf("peer-%d.example.com", i)
	}
	return list
}()

// generated makes an adapter of a generated constructor. Statistics are counted,
// as they are by default; the histogram of latencies is off, as no other library
// here keeps one: it reads the clock twice.
func generated[W Service](construct func(*resilience.Runtime, Service) (W, error)) func(Service) Service {
	return under(resilience.Options{DisableHistograms: true}, construct)
}

// under is generated for a Runtime with options.
func under[W Service](options resilience.Options, construct func(*resilience.Runtime, Service) (W, error)) func(Service) Service {
	return func(next Service) Service {
		rt, err := resilience.Open(options)
		if err != nil {
			panic(err)
		}
		w, err := construct(rt, next)
		if err != nil {
			panic(err)
		}
		return w
	}
}

var (
	resilgenEmptyOf              = generated(NewResilientEmpty)
	resilgenRetryOf              = generated(NewResilientRetry)
	resilgenBreakerOf            = generated(NewResilientBreaker)
	resilgenBreakerCountOf       = generated(NewResilientBreakerCount)
	resilgenBreakerTimeOf        = generated(NewResilientBreakerTime)
	resilgenBreakerPerKeyOf      = generated(NewResilientBreakerPerKey)
	resilgenFullNoBulkheadOf     = generated(NewResilientFullNoBulkhead)
	resilgenTimeoutOf            = generated(NewResilientTimeout)
	resilgenBulkheadOf           = generated(NewResilientBulkhead)
	resilgenBreakerManyKeysOf    = generated(NewResilientBreakerManyKeys)
	resilgenRateLimitOf          = generated(NewResilientRateLimit)
	resilgenRateSmoothOf         = generated(NewResilientRateLimitSmooth)
	resilgenRateFixedOf          = generated(NewResilientRateLimitFixed)
	resilgenRateRollingOf        = generated(NewResilientRateLimitRolling)
	resilgenThrottleOf           = generated(NewResilientThrottle)
	resilgenConcurrencyOf        = generated(NewResilientConcurrency)
	resilgenVegasOf              = generated(NewResilientConcurrencyVegas)
	resilgenCacheStringOf        = generated(NewResilientCacheString)
	resilgenCacheIntOf           = generated(NewResilientCacheInt)
	resilgenFallbackOf           = generated(NewResilientFallback)
	resilgenHedgeOf              = generated(NewResilientHedge)
	resilgenBudgetOf             = generated(NewResilientBudget)
	resilgenFullOf               = generated(NewResilientFull)
	resilgenFullHistogramOf      = under(resilience.Options{}, NewResilientFull)
	resilgenFullNoTimeoutOf      = generated(NewResilientFullNoTimeout)
	resilgenGuardedOf            = under(resilience.Options{}, NewResilientGuarded)
	resilgenGuardedNoHistogramOf = generated(NewResilientGuarded)
)
