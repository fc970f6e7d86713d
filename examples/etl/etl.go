// Package etl carries many small items through a workflow whose memory does not
// grow with their number: chunks of a file go round in a few lanes, each one
// extracted, transformed, loaded, and only then the next.
package etl

import (
	"context"

	"github.com/resilgen/resilgen/runtime/workflow"
)

//go:generate go tool resilgen generate

// Job says what to do. In has one number in each line.
type Job struct {
	In    string `json:"in"`
	Out   string `json:"out"` // a directory, for a file of each lane
	Lanes int    `json:"lanes"`
	Size  int    `json:"size"` // lines of a chunk
}

// Chunk is the next part of a lane's share of the file.
type Chunk struct {
	Job   Job   `json:"job"`
	Lane  int   `json:"lane"`
	At    int64 `json:"at"`    // byte of In where it begins
	End   int64 `json:"end"`   // of the lane's share
	OutAt int64 `json:"outAt"` // byte of the lane's file
	Total Total `json:"total"`
}

// Items are the lines of a chunk. From is where they began, Next comes after them.
type Items struct {
	Next  Chunk    `json:"next"`
	Lines []string `json:"lines"`
}

// Rows are items that are ready to be loaded.
type Rows struct {
	Next Chunk  `json:"next"`
	Text string `json:"text"`
}

// Total is what a lane came to.
type Total struct {
	Lane  int `json:"lane"`
	Items int `json:"items"`
	Sum   int `json:"sum"`
}

// Stages are the nodes of the workflow Import.
type Stages interface {
	// Split sends each lane its first chunk.
	Split(ctx context.Context, j Job) (Chunk, workflow.Route, error)
	// Extract reads the lines of a chunk.
	Extract(ctx context.Context, c Chunk) (Items, error)
	// Transform squares the numbers and adds them up.
	Transform(ctx context.Context, i Items) (Rows, error)
	// Load writes, and sends the next chunk round, or says what the lane came to.
	Load(ctx context.Context, r Rows) (Chunk, workflow.Route, error)
	// Count ends a lane.
	Count(ctx context.Context, c Chunk) (Total, error)
}
