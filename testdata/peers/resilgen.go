package peers

import (
	"context"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// negated answers when a call failed.
func negated(_ context.Context, n int) (int, error) { return fallbackValue(n), nil }

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
	resilgenEmptyOf         = generated(NewResilientEmpty)
	resilgenRetryOf         = generated(NewResilientRetry)
	resilgenBreakerOf       = generated(NewResilientBreaker)
	resilgenBreakerCountOf  = generated(NewResilientBreakerCount)
	resilgenBreakerTimeOf   = generated(NewResilientBreakerTime)
	resilgenTimeoutOf       = generated(NewResilientTimeout)
	resilgenBulkheadOf      = generated(NewResilientBulkhead)
	resilgenFallbackOf      = generated(NewResilientFallback)
	resilgenFullOf          = generated(NewResilientFull)
	resilgenFullNoTimeoutOf = generated(NewResilientFullNoTimeout)
)
