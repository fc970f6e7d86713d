package payments

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Client is the bare gateway over HTTP.
type Client struct {
	URL  string
	HTTP *http.Client
}

var _ Gateway = (*Client)(nil)

// StatusError is an answer other than 200. The runtime finds its methods.
type StatusError struct {
	Status int
	After  time.Duration // from Retry-After; 0 if there was none
}

func (e *StatusError) Error() string { return "gateway: " + strconv.Itoa(e.Status) }

// StatusCode tells the runtime how to classify the error.
func (e *StatusError) StatusCode() int { return e.Status }

// RetryAfter returns the wait that the gateway asked for.
func (e *StatusError) RetryAfter() (time.Duration, bool) { return e.After, e.After > 0 }

// Charge posts the request.
func (c *Client) Charge(ctx context.Context, req ChargeRequest) (Receipt, error) {
	var receipt Receipt
	err := c.post(ctx, "/charge", req, &receipt)
	return receipt, err
}

// Refund posts the receipt.
func (c *Client) Refund(ctx context.Context, receipt Receipt) error {
	return c.post(ctx, "/refund", receipt, nil)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		if out == nil {
			return nil
		}
		return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(out)
	case http.StatusPaymentRequired:
		return ErrDeclined
	}
	seconds, _ := strconv.ParseFloat(resp.Header.Get("Retry-After"), 64)
	return &StatusError{resp.StatusCode, time.Duration(seconds * float64(time.Second))}
}
