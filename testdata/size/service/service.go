// Package service is what most services are: a handler that asks another
// service over HTTP. Its binary is measured with a wrapper and without.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// Gateway is what the service asks.
type Gateway interface {
	Charge(ctx context.Context, id string) (int, error)
}

// ErrDown is what the gateway answers now and then.
var ErrDown = errors.New("down")

// Client is a Gateway over HTTP.
type Client struct{ HTTP *http.Client }

// Charge asks once.
func (c *Client) Charge(ctx context.Context, id string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/"+id, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return 0, fmt.Errorf("gateway: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if resp.StatusCode == http.StatusServiceUnavailable {
		return 0, ErrDown
	}
	var n int
	return n, json.NewDecoder(resp.Body).Decode(&n)
}

// Serve answers with what g says.
func Serve(g Gateway, err error) {
	if err != nil {
		slog.Error("no gateway", "error", err)
		os.Exit(1)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		n, err := g.Charge(ctx, r.URL.Path)
		var failed *net.OpError
		switch {
		case errors.As(err, &failed):
			http.Error(w, err.Error(), http.StatusBadGateway)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			_ = json.NewEncoder(w).Encode(n) // else the client has gone
		}
	})
	slog.Error("stopped", "error", http.ListenAndServe(":0", nil))
}
