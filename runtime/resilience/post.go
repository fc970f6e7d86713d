package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Post appends body, a JSON object with the member "id", to a key that many write to
// and one reads and drops. A record with that id that is still there makes it do
// nothing, so that it may be asked again where the store gave no answer. It returns
// when the record is durable.
func Post(ctx context.Context, log Log, key, id string, body []byte) error {
	var last Version // an inbox is most often empty
	for {
		_, err := log.Append(ctx, key, last, body)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnavailable) {
			return err
		}
		failed := err
		var known bool
		if last, known, err = posted(ctx, log, key, id); known || err != nil {
			return err
		}
		if errors.Is(failed, ErrUnavailable) {
			return failed
		}
	}
}

// posted looks for a record with an id, and returns the version of the last one.
func posted(ctx context.Context, log Log, key, id string) (last Version, known bool, err error) {
	for r, err := range log.Scan(ctx, key, 0) {
		var head struct {
			ID string `json:"id"`
		}
		if err == nil {
			err = json.Unmarshal(r.Body, &head)
		}
		if err != nil {
			return 0, false, fmt.Errorf("post to %s: %w", key, err)
		}
		if head.ID == id {
			return r.Version, true, nil
		}
		last = r.Version
	}
	return last, false, ctx.Err()
}
