package ops

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// maxPage is how many letters a page has at most.
const maxPage = 500

func listLetters(r *request) (any, error) {
	limit, err := r.number("limit", maxPage, 1, maxPage)
	if err != nil {
		return nil, err
	}
	oldest, err := r.flag("oldest")
	if err != nil {
		return nil, err
	}
	return r.box().List(r.Context(), resilience.LetterQuery{
		Filter: r.query.Get("filter"), Cursor: r.query.Get("cursor"), Limit: limit, OldestFirst: oldest,
	})
}

func getLetter(r *request) (any, error) { return r.box().Get(r.Context(), r.PathValue("id")) }

// List returns a page of letters. A limit of 0 is 500, the most.
func (c *Client) List(ctx context.Context, q resilience.LetterQuery) (resilience.LetterPage, error) {
	query := url.Values{}
	setText(query, "filter", q.Filter)
	setText(query, "cursor", q.Cursor)
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.OldestFirst {
		query.Set("oldest", "true")
	}
	return ask[resilience.LetterPage](ctx, c, http.MethodGet, "letters", query, "", nil)
}

// Get returns a letter.
func (c *Client) Get(ctx context.Context, id string) (resilience.Letter, error) {
	if err := checkName(id); err != nil {
		return resilience.Letter{}, err
	}
	return ask[resilience.Letter](ctx, c, http.MethodGet, "letters/"+id, nil, "", nil)
}

func setText(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func letterStats(r *request) (any, error) { return r.box().Stats(r.Context()) }

// Stats counts the letters by queue.
func (c *Client) Stats(ctx context.Context) (resilience.LetterStats, error) {
	return ask[resilience.LetterStats](ctx, c, http.MethodGet, "stats", nil, "", nil)
}
