package resilience

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

const (
	maxPayload = 8 << 20   // bytes of a value
	wholeUpTo  = 64 << 10  // bytes of a value that goes into one record
	pieceSize  = 256 << 10 // bytes of a record with a piece of a larger one
)

// Records that begin so are no values: a piece of one, and what says that all
// pieces are there.
const (
	valueMark = "\x00rvalue"
	pieceMark = valueMark + "p"
	endMark   = valueMark + "e" // then the version of the first piece and the length of all
)

// values keeps bodies of any size up to maxPayload in a [Log]. One of more than
// wholeUpTo bytes is written in pieces under the same key, and with its last
// record, whose version is that of the value, all of it is there. What a crash
// left of one before that is shown to nobody and stands in nobody's way; it goes
// with the next drop.
type values struct{ log Log }

// urgent returns v for what is wanted most when the store is full: it may use the
// reserve, if the store has one.
func (v values) urgent() values {
	if l, ok := v.log.(*fileLog); ok {
		return values{urgentLog{l}}
	}
	return v
}

// append is [Log.Append] of a value. Of two that write in pieces after the same
// version, the one that comes later may win.
func (v values) append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	switch {
	case len(body) > maxPayload:
		return 0, fmt.Errorf("append to %s: %d bytes, at most %d: %w", key, len(body), maxPayload, ErrTooLarge)
	case !inPieces(body):
		return v.begin(ctx, key, after, body)
	}
	var first, last Version
	for piece := range slices.Chunk(body, pieceSize-len(pieceMark)) {
		next, err := v.piece(ctx, key, after, last, piece)
		if err != nil {
			v.giveUp(ctx, key, after, last, err)
			return 0, err
		}
		if last = next; first == 0 {
			first = next
		}
	}
	end := binary.LittleEndian.AppendUint64([]byte(endMark), uint64(first))
	end = binary.LittleEndian.AppendUint64(end, uint64(len(body)))
	at, err := v.log.Append(ctx, key, last, end)
	if err != nil {
		v.giveUp(ctx, key, after, last, err)
	}
	return at, err
}

// inPieces reports whether a body is written in more than one record.
func inPieces(body []byte) bool {
	return len(body) > wholeUpTo || bytes.HasPrefix(body, []byte(valueMark))
}

func (v values) piece(ctx context.Context, key string, after, last Version, piece []byte) (Version, error) {
	record := slices.Concat([]byte(pieceMark), piece)
	if last == 0 {
		return v.begin(ctx, key, after, record)
	}
	return v.log.Append(ctx, key, last, record)
}

// begin appends the first record of a value: after another one, or after what was
// left behind it.
func (v values) begin(ctx context.Context, key string, after Version, record []byte) (Version, error) {
	at, err := v.log.Append(ctx, key, after, record)
	if errors.Is(err, ErrConflict) {
		if last := v.leftover(ctx, key, after); last > 0 {
			return v.log.Append(ctx, key, last, record)
		}
	}
	return at, err
}

// leftover returns the version of the last record of key if nothing but pieces comes
// after the value after, else 0.
func (v values) leftover(ctx context.Context, key string, after Version) (last Version) {
	found := after == 0
	for r, err := range v.log.Scan(ctx, key, max(after, 1)-1) {
		switch {
		case err != nil:
			return 0
		case r.Version == after:
			found = true
		case !found || !isPiece(r):
			return 0
		default:
			last = r.Version
		}
	}
	return last
}

// giveUp drops the pieces of a value that will not become whole, if it can: they
// are in nobody's way, but where the store is full they take room.
func (v values) giveUp(ctx context.Context, key string, after, last Version, err error) {
	if after == 0 && last > 0 && knownOutcome(err) {
		_ = v.log.Drop(ctx, key, last)
	}
}

func isPiece(r Record) bool { return bytes.HasPrefix(r.Body, []byte(pieceMark)) }

// endOf takes apart what the last record of a value in pieces says.
func endOf(r Record) (first Version, length int, ok bool) {
	if len(r.Body) != len(endMark)+16 || !bytes.HasPrefix(r.Body, []byte(endMark)) {
		return 0, 0, false
	}
	b := r.Body[len(endMark):]
	return Version(binary.LittleEndian.Uint64(b)), int(binary.LittleEndian.Uint64(b[8:])), true
}

// scan is [Log.Scan] for values.
func (v values) scan(ctx context.Context, key string, after Version) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for r, err := range v.log.Scan(ctx, key, after) {
			if err == nil && isPiece(r) {
				continue
			}
			if r, err = v.whole(ctx, r, err); err == nil && r.Version == 0 {
				continue // dropped meanwhile
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// whole returns r with its body put together, or nothing if its pieces were
// dropped.
func (v values) whole(ctx context.Context, r Record, err error) (Record, error) {
	first, length, ok := endOf(r)
	if err != nil || !ok {
		return r, err
	}
	if first == 0 || first >= r.Version || length < 0 || length > maxPayload {
		return Record{}, fmt.Errorf("%s: version %d: no end of a value that this version knows", r.Key, r.Version)
	}
	body := make([]byte, 0, length)
	for piece, err := range v.log.Scan(ctx, r.Key, first-1) {
		switch {
		case err != nil:
			return Record{}, err
		case piece.Version == r.Version && len(body) == length:
			r.Body = body
			return r, nil
		case len(body) == 0 && piece.Version != first:
			return Record{}, nil
		case !isPiece(piece):
			return Record{}, fmt.Errorf("%s: version %d has %d of %d bytes", r.Key, r.Version, len(body), length)
		}
		body = append(body, piece.Body[len(pieceMark):]...)
	}
	return Record{}, nil
}

// heads is [Log.Heads] for values.
func (v values) heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for r, err := range v.log.Heads(ctx, prefix, from) {
			if err == nil && isPiece(r) {
				r, err = v.last(ctx, r.Key)
			} else {
				r, err = v.whole(ctx, r, err)
			}
			if err == nil && r.Version == 0 {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// last returns the last value of key, or none.
func (v values) last(ctx context.Context, key string) (last Record, err error) {
	for r, err := range v.scan(ctx, key, 0) {
		if err != nil {
			return Record{}, err
		}
		last = r
	}
	return last, nil
}

// drop is [Log.Drop] for values. through is the version of one.
func (v values) drop(ctx context.Context, key string, through Version) error {
	return v.log.Drop(ctx, key, through)
}

// sweep drops what was left of values that never became whole, of keys that have no
// other: it is shown to nobody, and nobody might ever write there again. What is
// younger than an age may yet become one.
func (v values) sweep(ctx context.Context, age time.Duration) error {
	for r, err := range v.log.Heads(ctx, "", "") {
		if err != nil {
			return err
		}
		if !isPiece(r) || time.Since(r.At) < age {
			continue
		}
		last, err := v.last(ctx, r.Key)
		if err == nil && last.Version == 0 {
			err = v.log.Drop(ctx, r.Key, r.Version)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
