package resilience_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// healthz answers a platform: 200 as long as the group passes.
func healthz(h *resilience.HealthRegistry, group resilience.HealthGroup) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		status := h.Snapshot().Status(group)
		w.Header().Set("Content-Type", "application/health+json")
		w.Header().Set("Cache-Control", "no-store")
		if status == resilience.StatusFail {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"status": status.String()})
	}
}

// A service with a database, and what its platform asks. Reasons are for
// operators: what anybody may ask says nothing but pass, warn or fail.
func ExampleRuntime_Health() {
	rt, err := resilience.Open(resilience.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = rt.Close() }()
	down := errors.New("connection refused")
	h := rt.Health()
	err = h.Register(resilience.Component{
		Name: "database", FailAfter: 1,
		Check: func(context.Context) error { return down }, // db.PingContext
	})
	if err = errors.Join(err, h.Start()); err != nil {
		panic(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", healthz(h, resilience.GroupLive))
	mux.HandleFunc("GET /readyz", healthz(h, resilience.GroupReady))
	server := httptest.NewServer(mux)
	defer server.Close()

	ask := func(path string) {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			panic(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		fmt.Println(path, resp.StatusCode, strings.TrimSpace(string(body)), err)
	}
	_ = h.Refresh(context.Background(), "database")
	ask("/readyz")
	fmt.Println(h.Snapshot().Component("database").Reason)

	down = nil
	_ = h.Refresh(context.Background(), "database")
	ask("/readyz")
	_ = h.Refresh(context.Background(), "database")
	ask("/readyz")

	h.BeginDrain("shutting down")
	ask("/readyz")
	ask("/livez")
	// Output:
	// /readyz 503 {"status":"fail"} <nil>
	// connection refused
	// /readyz 200 {"status":"warn"} <nil>
	// /readyz 200 {"status":"pass"} <nil>
	// /readyz 503 {"status":"fail"} <nil>
	// /livez 200 {"status":"pass"} <nil>
}
