// Package appraisal pays for what an appraiser says, and does not pay twice: what he
// has said of an item is a checkpoint, which outlives the process.
package appraisal

import (
	"context"
	"fmt"
	"sync/atomic"
)

//go:generate go run github.com/resilgen/resilgen/cmd/resilgen generate

// Item is what is to be appraised.
type Item struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Appraisal is what an item is worth.
type Appraisal struct {
	ItemID string `json:"itemID"`
	Cents  int64  `json:"cents"`
	By     string `json:"by"`
}

// Appraiser says what items are worth, for money.
type Appraiser interface {
	Appraise(ctx context.Context, item Item) (Appraisal, error)
}

// Expert is an Appraiser who counts what he is paid for.
type Expert struct {
	Name string
	Paid atomic.Int64
}

// Appraise appraises by the length of names.
func (e *Expert) Appraise(_ context.Context, item Item) (Appraisal, error) {
	n := e.Paid.Add(1)
	if item.Name == "" {
		return Appraisal{}, fmt.Errorf("item %s: nothing to see", item.ID)
	}
	return Appraisal{ItemID: item.ID, Cents: 100*int64(len(item.Name)) + n, By: e.Name}, nil
}
