package ops

import (
	"context"
	"net/http"
	"net/url"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// PatternList is the answer to GET patterns.
type PatternList struct {
	Patterns []resilience.LetterPattern `json:"patterns"`
}

// PatternRequest changes what is said of a pattern.
type PatternRequest struct {
	ID     string                   `json:"id"`
	Change resilience.PatternChange `json:"change"`
}

// listPatterns answers with the patterns that a text chooses, or with one.
func listPatterns(r *request) (any, error) {
	if id := r.query.Get("id"); id != "" {
		p, err := r.box().Pattern(r.Context(), id)
		return PatternList{[]resilience.LetterPattern{p}}, err
	}
	list, err := r.box().Patterns(r.Context(), r.query.Get("text"))
	return PatternList{list}, err
}

func setPattern(r *request) (any, error) {
	var p PatternRequest
	if err := r.decode(&p); err != nil {
		return nil, err
	}
	if s := p.Change.State; s != "" && s != resilience.PatternOngoing && s != resilience.PatternResolved && s != resilience.PatternMuted {
		return nil, problem(BadRequest, "state %s: want ongoing, resolved or muted", brief(string(s)))
	}
	p.Change.By = r.by
	return r.box().SetPattern(r.Context(), p.ID, p.Change)
}

// Patterns returns patterns, see [resilience.LetterBox.Patterns].
func (c *Client) Patterns(ctx context.Context, text string) ([]resilience.LetterPattern, error) {
	query := url.Values{}
	setText(query, "text", text)
	list, err := ask[PatternList](ctx, c, http.MethodGet, "patterns", query, "", nil)
	return list.Patterns, err
}

// Pattern returns a pattern.
func (c *Client) Pattern(ctx context.Context, id string) (resilience.LetterPattern, error) {
	list, err := ask[PatternList](ctx, c, http.MethodGet, "patterns", url.Values{"id": {id}}, "", nil)
	if err != nil || len(list.Patterns) != 1 {
		return resilience.LetterPattern{}, err
	}
	return list.Patterns[0], nil
}

// SetPattern changes what is said of a pattern, and returns what it is then.
func (c *Client) SetPattern(ctx context.Context, id string, change resilience.PatternChange) (resilience.LetterPattern, error) {
	return ask[resilience.LetterPattern](ctx, c, http.MethodPost, "patterns", nil, "", PatternRequest{id, change})
}
