package resilience_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// A server that knows a key again does the work once, however often the client
// asks. Generated code puts the key into the context, and what makes the request
// puts it into the header.
func ExamplePutIdempotencyKey() {
	paid := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(resilience.IdempotencyHeader)
		if again := paid[key]; again {
			fmt.Println(key, "again")
			return
		}
		paid[key] = true
		fmt.Println(key, "paid")
		w.WriteHeader(http.StatusServiceUnavailable) // after the work was done
	}))
	defer server.Close()

	pay := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, nil)
		if err != nil {
			return err
		}
		resilience.PutIdempotencyKey(ctx, req.Header.Set)
		resp, err := server.Client().Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}

	var rt resilience.Runtime
	guard, err := rt.Guard("pay", resilience.Policy{Retry: resilience.Retry{
		MaxAttempts: 3, Backoff: resilience.Backoff{Strategy: resilience.NoBackoff},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := resilience.WithIdempotencyKey(context.Background(), "order-17")
	fmt.Println(resilience.Try(ctx, guard, pay))
	// Output:
	// order-17 paid
	// order-17 again
	// <nil>
}
