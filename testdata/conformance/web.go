package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Web is a client of an HTTP server.
type Web interface {
	Get(ctx context.Context, path string) (io.ReadCloser, error)
	Raw(ctx context.Context, path string) (*http.Response, error)
	Send(ctx context.Context, path string, body io.ReadSeeker) (string, error)
}

// StatusError is an answer that is no success.
type StatusError struct {
	Code  int
	after string // the header Retry-After
}

// Error returns the code.
func (e StatusError) Error() string { return fmt.Sprintf("HTTP %d", e.Code) }

// StatusCode is how HTTP clients tell their status.
func (e StatusError) StatusCode() int { return e.Code }

// RetryAfter returns what the server asks for, in seconds or until a date.
func (e StatusError) RetryAfter() (time.Duration, bool) {
	if seconds, err := strconv.Atoi(e.after); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(e.after); err == nil {
		return time.Until(at), true
	}
	return 0, false
}

// Browser is a Web by net/http.
type Browser struct {
	Client *http.Client
	Base   string
}

// Get returns the body of a success.
func (b Browser) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	response, err := b.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// Raw returns any response.
func (b Browser) Raw(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Base+path, nil)
	if err != nil {
		return nil, err
	}
	return b.Client.Do(request)
}

// Send returns what the server answers to a body.
func (b Browser) Send(ctx context.Context, path string, body io.ReadSeeker) (string, error) {
	response, err := b.do(ctx, http.MethodPut, path, io.NopCloser(body)) // else a file would be closed
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func (b Browser) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, b.Base+path, body)
	if err != nil {
		return nil, err
	}
	response, err := b.Client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, StatusError{response.StatusCode, response.Header.Get("Retry-After")}
	}
	return response, nil
}

func isBusy(r *http.Response) bool {
	return r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusServiceUnavailable
}
