package ops

import (
	"context"
	"net/http"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Decision is what somebody says of a letter.
type Decision struct {
	// Rev is the revision that was looked at; 0 is any.
	Rev resilience.Version `json:"rev,omitempty"`
	// As is what [resilience.LetterBox.Resolve] takes.
	As  resilience.LetterState `json:"as,omitempty"`
	Why string                 `json:"why,omitempty"`
}

func discardLetter(r *request) (any, error) {
	var d Decision
	if err := r.decode(&d); err != nil {
		return nil, err
	}
	return r.box().Discard(r.Context(), r.PathValue("id"), d.Rev, r.by, d.Why)
}

func resolveLetter(r *request) (any, error) {
	var d Decision
	if err := r.decode(&d); err != nil {
		return nil, err
	}
	return r.box().Resolve(r.Context(), r.PathValue("id"), d.Rev, d.As, r.by, d.Why)
}

// Discard says that a letter is not to be replayed.
func (c *Client) Discard(ctx context.Context, id string, d Decision) (resilience.Letter, error) {
	return c.decide(ctx, id, "/discard", d)
}

// Resolve says what has become of a letter.
func (c *Client) Resolve(ctx context.Context, id string, d Decision) (resilience.Letter, error) {
	return c.decide(ctx, id, "/resolve", d)
}

func (c *Client) decide(ctx context.Context, id, verb string, d Decision) (resilience.Letter, error) {
	if err := checkName(id); err != nil {
		return resilience.Letter{}, err
	}
	return ask[resilience.Letter](ctx, c, http.MethodPost, "letters/"+id+verb, nil, "", d)
}
