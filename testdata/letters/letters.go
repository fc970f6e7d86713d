// Package letters has one method for each way in which a generated wrapper keeps
// calls that finally failed. Its tests call them, read what was kept, and make the
// calls again.
package letters

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

//go:generate go run ../../cmd/resilgen generate

// Gateway is what is wrapped.
type Gateway interface {
	Charge(ctx context.Context, req ChargeRequest, tags ...string) (Receipt, error)
	Quote(ctx context.Context, id string) (int, error)
	Cancel(ctx context.Context, id string) (bool, error)
	Hedged(ctx context.Context, id string) (int, string, error)
	Left(ctx context.Context, id string) error
	Plain(id string, amount int64) error
	Stop(ctx context.Context, id string) error
	Draw(ctx context.Context, shape Shape, size int) error
	Upload(ctx context.Context, name string, body io.Reader) error
	Large(ctx context.Context, name string, body []byte, open func() (io.ReadCloser, error)) error
	Keyed(ctx context.Context, id string) error
	Cached(ctx context.Context, id, note string) (int, error)
	Paid(ctx context.Context, id string, amount int) (Receipt, error)
}

// ChargeRequest is a payment.
type ChargeRequest struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Amount   int64  `json:"amount"`
	Email    string `json:"email" resilience:"pii"`
	Card     Card   `json:"card"`
	Note     string `json:"note"`
}

// Card pays.
type Card struct {
	Number string `json:"number"`
	CVV    string `json:"cvv"`
}

// Receipt is what a payment returns.
type Receipt struct{ ID string }

// Shape is what JSON alone does not bring back.
type Shape interface{ Area() float64 }

// Circle is a Shape.
type Circle struct{ Radius float64 }

// Area returns about the area.
func (c Circle) Area() float64 { return 3 * c.Radius * c.Radius }

// shapes writes and reads a Shape.
var shapes shapeCodec

type shapeCodec struct{}

func (shapeCodec) Encode(s Shape) ([]byte, error) {
	c, ok := s.(Circle)
	if !ok {
		return nil, fmt.Errorf("no codec for a %T", s)
	}
	return json.Marshal(map[string]float64{"circle": c.Radius})
}

func (shapeCodec) Decode(data []byte) (Shape, error) {
	var m map[string]float64
	err := json.Unmarshal(data, &m)
	return Circle{m["circle"]}, err
}

// lastQuote answers for what can be answered for.
func lastQuote(_ context.Context, id string, cause error) (int, error) {
	if id == "unknown" {
		return 0, fmt.Errorf("no last quote: %w", cause)
	}
	return 42, nil
}

func cancelled(context.Context, string) (bool, error) { return true, nil }

// blobs keeps what is too large for letters.
var blobs = blobStore{&blobShelf{}}

// blobStore keeps texts by their numbers, until it is down.
type blobStore struct{ kept *blobShelf }

type blobShelf struct {
	mu         sync.Mutex
	texts      []string
	down       error
	puts, gets int
}

func (b blobStore) Put(ctx context.Context, text []byte) (string, error) {
	b.kept.mu.Lock()
	defer b.kept.mu.Unlock()
	if b.kept.puts++; b.kept.down != nil {
		return "", b.kept.down
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	b.kept.texts = append(b.kept.texts, string(text))
	return fmt.Sprint("blob-", len(b.kept.texts)), nil
}

func (b blobStore) Get(_ context.Context, ref string) ([]byte, error) {
	b.kept.mu.Lock()
	defer b.kept.mu.Unlock()
	b.kept.gets++
	var n int
	if _, err := fmt.Sscanf(ref, "blob-%d", &n); err != nil || n < 1 || n > len(b.kept.texts) {
		return nil, fmt.Errorf("no blob of this name: %w", errGone)
	}
	return []byte(b.kept.texts[n-1]), b.kept.down
}

var errGone = errors.New("gone")

// Files keeps what funcs open.
type Files struct{}

// Put keeps what open opens.
func (Files) Put(ctx context.Context, open func() (io.ReadCloser, error)) (string, error) {
	r, err := open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	return blobs.Put(ctx, text)
}

// Get returns a func that opens what was kept.
func (Files) Get(ctx context.Context, ref string) (func() (io.ReadCloser, error), error) {
	text, err := blobs.Get(ctx, ref)
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }, err
}
