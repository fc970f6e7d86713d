package resilience

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
)

// logCells are [Cells] in a [Log] that this process alone writes to, under
// cell/<key>, with a copy in memory that is read.
type logCells struct {
	values values
	known  loader

	mu      sync.Mutex
	closed  bool
	cells   map[string]seenCell
	news    uint64        // counts what came into cells
	changed chan struct{} // closed with the next; nil if nobody waits
}

type seenCell struct {
	Cell
	news uint64 // when it came
}

func newLogCells(log Log) *logCells {
	return &logCells{values: values{log}, cells: map[string]seenCell{}}
}

// cellKey is where a cell lives. The key of the cell is in the record too.
func cellKey(key string) string {
	if len("cell/")+len(key) > maxKey {
		return "cell/" + hashPart(key)
	}
	return "cell/" + key
}

// load takes in what is in the log and not yet here.
func (c *logCells) load(ctx context.Context) error {
	return c.known.once(func() error { return c.take(c.values.heads(ctx, "cell/", "")) })
}

func (c *logCells) take(records iter.Seq2[Record, error]) error {
	for r, err := range records {
		if err != nil {
			return err
		}
		key, value, err := unpackCell(r.Body)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Key, err)
		}
		c.see(Cell{Key: key, Version: r.Version, Value: value})
	}
	return nil
}

// see keeps what is newer than what is known, and tells those who watch.
func (c *logCells) see(cell Cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cell.Version <= c.cells[cell.Key].Version {
		return
	}
	c.news++
	c.cells[cell.Key] = seenCell{cell, c.news}
	c.wake()
}

func (c *logCells) wake() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// ready says whether the cells may be asked for key.
func (c *logCells) ready(ctx context.Context, key string) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	switch err := checkStoreKey(key); {
	case ctx.Err() != nil:
		return ctx.Err()
	case closed:
		return ErrClosed
	case err != nil:
		return err
	}
	return c.load(ctx)
}

// Get implements [Cells].
func (c *logCells) Get(ctx context.Context, key string) ([]byte, Version, error) {
	if err := c.ready(ctx, key); err != nil {
		return nil, 0, fmt.Errorf("get cell %s: %w", key, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cell := c.cells[key]
	return cell.Value, cell.Version, nil
}

// Set implements [Cells].
func (c *logCells) Set(ctx context.Context, key string, after Version, value []byte) (Version, error) {
	err := c.ready(ctx, key)
	var v Version
	if err == nil {
		v, err = c.set(ctx, key, after, value)
	}
	if err != nil {
		return 0, fmt.Errorf("set cell %s: %w", key, err)
	}
	return v, nil
}

func (c *logCells) set(ctx context.Context, key string, after Version, value []byte) (Version, error) {
	body := packCell(key, value)
	v, err := c.values.append(ctx, cellKey(key), after, body)
	switch {
	case err == nil:
		c.see(Cell{Key: key, Version: v, Value: body[len(body)-len(value):]})
		if after > 0 {
			// The value is set, whatever becomes of what it replaces.
			_ = c.values.drop(ctx, cellKey(key), after)
		}
	case errors.Is(err, ErrConflict):
		// Who lost must not be shown the value that was replaced.
		if err := c.take(c.values.scan(ctx, cellKey(key), after)); err != nil {
			return 0, err
		}
	default:
		c.known.forgetUnless(knownOutcome(err))
	}
	return v, err
}

// Watch implements [Cells].
func (c *logCells) Watch(ctx context.Context, prefix string) iter.Seq2[Cell, error] {
	return func(yield func(Cell, error) bool) {
		for seen := uint64(0); ; {
			err := c.load(ctx)
			list, changed, closed := c.since(prefix, seen)
			if ctx.Err() != nil {
				return
			}
			if err = cmp.Or(err, closed); err != nil {
				yield(Cell{}, fmt.Errorf("watch cells %s: %w", prefix, err))
				return
			}
			for _, cell := range list {
				if !yield(cell.Cell, nil) {
					return
				}
				seen = cell.news
			}
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}
}

// since returns what came after seen, and what tells of the next.
func (c *logCells) since(prefix string, seen uint64) (list []seenCell, changed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	for key, cell := range c.cells {
		if cell.news > seen && strings.HasPrefix(key, prefix) {
			list = append(list, cell)
		}
	}
	slices.SortFunc(list, func(a, b seenCell) int { return cmp.Compare(a.news, b.news) })
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return list, c.changed, nil
}

// Close ends what watches.
func (c *logCells) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.wake()
	return nil
}

// packCell is a cell as the log has it: 1, the length of the key, key and value.
func packCell(key string, value []byte) []byte {
	b := make([]byte, 0, 5+len(key)+len(value))
	b = append(b, 1)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(key)))
	return append(append(b, key...), value...)
}

func unpackCell(b []byte) (key string, value []byte, err error) {
	if len(b) < 5 || b[0] != 1 {
		return "", nil, errors.New("no cell that this version knows")
	}
	n := int64(binary.LittleEndian.Uint32(b[1:]))
	if b = b[5:]; n > int64(len(b)) {
		return "", nil, errors.New("cell that is cut off")
	}
	return string(b[:n]), b[n:], nil
}
