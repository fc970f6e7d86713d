package ops

import (
	"context"
	"net/http"

	"github.com/resilgen/resilgen/runtime/resilience"
)

func editLetter(r *request) (any, error) {
	var e resilience.LetterEditRequest
	if err := r.decode(&e); err != nil {
		return nil, err
	}
	e.By = r.by
	return r.box().Edit(r.Context(), r.PathValue("id"), e)
}

// Edit changes the arguments of a letter, and returns it. Who did it is the user of
// this process, whatever e says.
func (c *Client) Edit(ctx context.Context, id string, e resilience.LetterEditRequest) (resilience.Letter, error) {
	if err := checkName(id); err != nil {
		return resilience.Letter{}, err
	}
	return ask[resilience.Letter](ctx, c, http.MethodPatch, "letters/"+id, nil, "", e)
}
