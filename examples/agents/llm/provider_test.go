package llm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// However much goes wrong, a prompt gets its answer before a policy of eight attempts
// gives up.
func TestTroubleEnds(t *testing.T) {
	p := NewProvider(1, 1, 0)
	gone, leave := context.WithCancel(t.Context())
	leave() // nobody waits for an answer that stalls
	for range 3 {
		for n := range mostUnlucky {
			if ask(gone, p); trouble(p) == 0 {
				t.Fatalf("nothing went wrong with request %d", n+1)
			}
		}
		before, answer := trouble(p), ask(t.Context(), p)
		if text := answer.Body.Bytes(); answer.Code != http.StatusOK || !json.Valid(text) || trouble(p) != before {
			t.Errorf("%d %q", answer.Code, text)
		}
	}
	if bill := p.Bill(); bill.Sold != 1 || trouble(p) != 3*mostUnlucky {
		t.Errorf("%+v", bill)
	}
}

func ask(ctx context.Context, p *Provider) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/complete", strings.NewReader(`{"prompt": "Plan: tides"}`))
	r.Header.Set(resilience.IdempotencyHeader, "k")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func trouble(p *Provider) int {
	b := p.Bill()
	return b.Limited + b.Busy + b.Truncated + b.Stalled
}
