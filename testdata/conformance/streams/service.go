// Package streams holds the wrappers that are tested against real bodies of
// net/http and rows of database/sql.
package streams

import (
	"context"
	"database/sql"
	"io"
	"iter"
	"net/http"
)

//go:generate go tool resilgen generate

// Web sends requests.
type Web interface {
	Do(ctx context.Context, method, url string) (*http.Response, error)
}

// Sender sends requests, which bring the context of their callers.
type Sender interface {
	Do(*http.Request) (*http.Response, error)
}

// Database asks for rows.
type Database interface {
	Query(ctx context.Context, query string) (*sql.Rows, error)
	Row(ctx context.Context, query string) (*sql.Row, error)
}

// Store has results of its own kinds.
type Store interface {
	Open(ctx context.Context, name string) (Blob, error)
	Keys(ctx context.Context) (iter.Seq2[int, string], error)
	Watch(ctx context.Context) (<-chan int, error)
}

// Blob is a stream with more methods than one.
type Blob interface {
	io.ReadCloser
	Size() int
}

func isBusy(r *http.Response) bool { return r.StatusCode == http.StatusServiceUnavailable }
