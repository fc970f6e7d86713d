package peers

import (
	"context"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// negated answers when a call failed.
func negated(_ context.Context, n int) (int, error) { return fallbackValue(n), nil }

// keyOf names the peer of a call: one of eight.
func keyOf(n int) string { return keys[n&7] }

var keys = [8]string{"eu-1.example.com", "eu-2.example.com", "eu-3.example.com", "eu-4.example.com",
	"us-1.example.com", "us-2.example.com", "us-3.example.com", "us-4.example.com"}

// generated makes an adapter of a generated constructor.
func generated[W Service](construct func(*resilience.Runtime, Service) (W, error)) func(Service) Service {
	return func(next Service) Service {
		w, err := construct(&resilience.Runtime{}, next)
		if err != nil {
			panic(err)
		}
		return w
	}
}

var (
	resilgenEmptyOf          = generated(NewResilientEmpty)
	resilgenRetryOf          = generated(NewResilientRetry)
	resilgenBreakerOf        = generated(NewResilientBreaker)
	resilgenBreakerCountOf   = generated(NewResilientBreakerCount)
	resilgenBreakerTimeOf    = generated(NewResilientBreakerTime)
	resilgenBreakerPerKeyOf  = generated(NewResilientBreakerPerKey)
	resilgenFullNoBulkheadOf = generated(NewResilientFullNoBulkhead)
	resilgenTimeoutOf        = generated(NewResilientTimeout)
	resilgenBulkheadOf       = generated(NewResilientBulkhead)
	resilgenRateLimitOf      = generated(NewResilientRateLimit)
	resilgenFallbackOf       = generated(NewResilientFallback)
	resilgenHedgeOf          = generated(NewResilientHedge)
	resilgenBudgetOf         = generated(NewResilientBudget)
	resilgenFullOf           = generated(NewResilientFull)
	resilgenFullNoTimeoutOf  = generated(NewResilientFullNoTimeout)
)
