package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Model asks a language model over HTTP, once for each call. It knows nothing of
// retries, budgets and crashes.
type Model struct {
	URL  string
	HTTP *http.Client
}

// Answer is what the model says, and what that cost in dollars.
type Answer struct {
	Text string  `json:"text"`
	Cost float64 `json:"cost"`
}

// ErrTruncated says that the model's answer ended in the middle.
var ErrTruncated = errors.New("model: answer is cut off")

// StatusError is an answer other than 200. The runtime finds its methods: 429 and
// 529 are worth another attempt, 400 is not.
type StatusError struct {
	Status int
	After  string // the header Retry-After
}

func (e *StatusError) Error() string { return "model: " + strconv.Itoa(e.Status) }

// StatusCode tells the runtime what kind of error this is.
func (e *StatusError) StatusCode() int { return e.Status }

// RetryAfter tells the runtime how long the model wants to be left alone.
func (e *StatusError) RetryAfter() (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(e.After, 64)
	return time.Duration(seconds * float64(time.Second)), err == nil
}

// Ask sends a prompt under the idempotency key of the context, so that a prompt
// that is sent again, after a lost answer or a crash, is not paid for twice.
func (m *Model) Ask(ctx context.Context, prompt string) (Answer, error) {
	var answer Answer
	body, err := json.Marshal(map[string]string{"prompt": prompt})
	if err != nil {
		return answer, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL+"/v1/complete", bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	resilience.PutIdempotencyKey(ctx, req.Header.Set)
	resp, err := m.HTTP.Do(req)
	if err != nil {
		return answer, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return answer, &StatusError{resp.StatusCode, resp.Header.Get("Retry-After")}
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	return answer, nil
}
