package conformance

import (
	"fmt"
	"strings"
	"testing"
)

var invalidCases = family{
	"MP-INV-01": invalid("circuitBreaker: {openDuration: %s}", "openDuration", "must be > 0", "-1s"),
	"MP-INV-02": invalid("circuitBreaker: {failureRateThreshold: %s}", "failureRateThreshold", "(0,100]", "-1", "101"),
	"MP-INV-03": all(
		invalid("circuitBreaker: {minimumCalls: %s}", "minimumCalls", "must be ≥ 1", "0", "-1"),
		invalid("circuitBreaker: {window: {size: %s}}", "size", "1 to 1000000", "0", "-1")),
	"MP-INV-04": invalid("circuitBreaker: {halfOpen: {successThreshold: %s}}", "successThreshold", "must be ≥ 1", "0", "-1"),
	"MP-INV-05": invalid("idempotent: true, retry: {maxAttempts: %s}", "maxAttempts", "must be ≥ 1", "0", "-2"),
	"MP-INV-06": invalid("idempotent: true, retry: {backoff: {initialDelay: %s}}", "initialDelay", "must be ≥ 0", "-1s"),
	"MP-INV-08": invalid("idempotent: true, retry: {backoff: {jitter: ratio, jitterFactor: %s}}", "jitterFactor", "0 to 1", "-1"),
	"MP-INV-09": invalid("timeout: {attempt: %s}", "attempt", "must be > 0", "-1s"),
	"MP-INV-10": all(
		invalid("bulkhead: {maxConcurrent: %s}", "maxConcurrent", "must be ≥ 1", "-1"),
		invalid("bulkhead: {maxWait: 1s, maxQueue: %s}", "maxQueue", "must be ≥ 0", "-1")),
	"MSX-02":    warned("interfaces: {Gateway: {circuitBreaker: {window: {type: time, duration: 15s}}, timeout: {attempt: 10s}}}", "(RG024)"),
	"MP-INV-12": generate("interfaces: {Gateway: {fallback: {func: right, value: zero}}}", "fallback", "func", "value"),
}

// invalid generates with each value; the complaint has the value's position,
// and names the key, the value and the range.
func invalid(form, key, allowed string, values ...string) func(*testing.T) {
	return func(t *testing.T) {
		for _, value := range values {
			yaml := fmt.Sprintf("interfaces: {Gateway: {"+form+"}}", value)
			at := strings.Index(yaml, key+": "+value) + len(key+": ") + 1
			generate(yaml, fmt.Sprintf("resilience.yaml:2:%d: ", at), key, value, allowed)(t)
		}
	}
}
