package forecast

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Client asks the other service over HTTP, once for each call. It knows nothing
// of retries.
type Client struct {
	URL  string
	HTTP *http.Client
}

var _ Forecasts = (*Client)(nil)

// StatusError is an answer other than 200. The runtime finds its methods: 503
// is worth another attempt, 404 is not.
type StatusError struct {
	Status int
	After  string // the header Retry-After
}

func (e *StatusError) Error() string { return "forecasts: " + strconv.Itoa(e.Status) }

// StatusCode tells the runtime what kind of error this is.
func (e *StatusError) StatusCode() int { return e.Status }

// RetryAfter tells the runtime how long the other service wants to be left alone.
func (e *StatusError) RetryAfter() (time.Duration, bool) {
	seconds, err := strconv.Atoi(e.After)
	return time.Duration(seconds) * time.Second, err == nil
}

// Today asks for the forecast.
func (c *Client) Today(ctx context.Context, city string) (Forecast, error) {
	var f Forecast
	body, err := c.do(ctx, http.MethodGet, "/today?city="+url.QueryEscape(city), nil)
	if err != nil {
		return f, err
	}
	defer func() { _ = body.Close() }() // it was read
	return f, json.NewDecoder(body).Decode(&f)
}

// Report sends the observation. The body is made anew in every attempt.
func (c *Client) Report(ctx context.Context, o Observation) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	body, err := c.do(ctx, http.MethodPost, "/report", bytes.NewReader(text))
	if err != nil {
		return err
	}
	return body.Close()
}

// Map returns the body as it comes.
func (c *Client) Map(ctx context.Context, city string) (io.ReadCloser, error) {
	return c.do(ctx, http.MethodGet, "/map?city="+url.QueryEscape(city), nil)
}

func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, body)
	if err != nil {
		return nil, err
	}
	resilience.PutIdempotencyKey(ctx, req.Header.Set) // of the call, where its policy has one
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("forecasts: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, &StatusError{resp.StatusCode, resp.Header.Get("Retry-After")}
	}
	return resp.Body, nil
}
