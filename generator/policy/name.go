package policy

import (
	"go/token"
	"strings"
)

// Builtin maps the matchers of the policy language to the runtime's constants.
var Builtin = map[string]string{
	"Canceled": "KindCanceled", "CallerDeadline": "KindCallerDeadline", "Timeout": "KindTimeout",
	"CircuitOpen": "KindCircuitOpen", "BulkheadFull": "KindBulkheadFull",
	"Transient": "KindTransient", "Permanent": "KindPermanent", "ConnectionError": "KindConnectionError",
	"HTTP429": "KindHTTP429", "HTTP5xx": "KindHTTP5xx", "Panic": "KindPanic", "SQLRetryable": "KindSQLRetryable",
}

// isName reports whether s is an identifier, or one qualified by a package.
func isName(s string) bool {
	first, last, qualified := strings.Cut(s, ".")
	return token.IsIdentifier(first) && (!qualified || token.IsIdentifier(last))
}
