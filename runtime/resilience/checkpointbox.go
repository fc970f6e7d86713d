package resilience

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// ErrNoCheckpoint says that there is no checkpoint with an id.
var ErrNoCheckpoint = errors.New("no such checkpoint")

// CheckpointBox are the checkpoints of every method, without their types. It is
// safe for concurrent use.
type CheckpointBox struct{ rt *Runtime }

// Checkpoints returns the checkpoints of rt.
func (rt *Runtime) Checkpoints() *CheckpointBox {
	root, _ := rt.root()
	return &CheckpointBox{root}
}

// Stats returns what the checkpoints of each method did, in the order in which the
// wrappers were made.
func (b *CheckpointBox) Stats() []CheckpointSnapshot {
	var list []CheckpointSnapshot
	for _, k := range b.rt.listCheckpointed() {
		list = append(list, k.snapshot())
	}
	return list
}

// CheckpointQuery chooses checkpoints. Fields that are zero choose all.
type CheckpointQuery struct {
	Interface string // with the path of its package, or the end of that behind a slash
	Method    string
	Key       string // what the key begins with
	Expired   bool   // only those that are too old to answer
}

func (q *CheckpointQuery) chooses(c *Checkpoint, expired bool) bool {
	face := q.Interface == "" || c.Interface == q.Interface || strings.HasSuffix(c.Interface, "/"+q.Interface)
	return face && (q.Method == "" || c.Method == q.Method) && strings.HasPrefix(c.Key, q.Key) && (expired || !q.Expired)
}

// CheckpointDamage is the error of a record that is no checkpoint.
type CheckpointDamage struct {
	ID  string
	Err error
}

func (e *CheckpointDamage) Error() string { return e.Err.Error() }

// Unwrap returns [ErrCheckpointDamaged] and what is wrong.
func (e *CheckpointDamage) Unwrap() []error { return []error{ErrCheckpointDamaged, e.Err} }

// All yields the checkpoints that q chooses, by their ids. A record that cannot be
// read comes as a [*CheckpointDamage], whatever q says, and does not end it; another
// error does.
func (b *CheckpointBox) All(ctx context.Context, q CheckpointQuery) iter.Seq2[Checkpoint, error] {
	return func(yield func(Checkpoint, error) bool) {
		store, err := b.rt.values()
		if err != nil {
			yield(Checkpoint{}, err)
			return
		}
		for r, err := range store.heads(ctx, "ckpt/", "") {
			if err != nil {
				yield(Checkpoint{}, err)
				return
			}
			b.rt.wall.written(r.At)
			c, err := decodeCheckpoint(r)
			switch {
			case err != nil:
				if !yield(Checkpoint{}, &CheckpointDamage{r.Key, err}) {
					return
				}
			case q.chooses(c, c.Expired(b.rt.wall.now())) && !yield(*c, nil):
				return
			}
		}
	}
}

// Get returns the checkpoint with an id. [ErrNoCheckpoint]: there is none.
func (b *CheckpointBox) Get(ctx context.Context, id string) (Checkpoint, error) {
	r, _, err := b.last(ctx, id)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := decodeCheckpoint(r)
	if err != nil {
		return Checkpoint{}, &CheckpointDamage{id, err}
	}
	return *c, nil
}

func (b *CheckpointBox) last(ctx context.Context, id string) (Record, values, error) {
	store, err := b.rt.values()
	if err != nil {
		return Record{}, store, err
	}
	if !strings.HasPrefix(id, "ckpt/") || checkStoreKey(id) != nil {
		return Record{}, store, fmt.Errorf("%.100q: %w", id, ErrNoCheckpoint)
	}
	r, err := store.last(ctx, id)
	if err == nil && r.Version == 0 {
		err = fmt.Errorf("%s: %w", id, ErrNoCheckpoint)
	}
	return r, store, err
}

// Remove removes the checkpoint with an id, also one that cannot be read: the next
// call with its key is made. [ErrNoCheckpoint]: there is none.
func (b *CheckpointBox) Remove(ctx context.Context, id string) error {
	r, store, err := b.last(ctx, id)
	if err != nil {
		return err
	}
	if err := store.drop(ctx, id, r.Version); err != nil {
		return err
	}
	for _, k := range b.rt.listCheckpointed() {
		k.forgetID(id)
	}
	return nil
}

// Prune removes the checkpoints that are too old to answer, and returns how many.
func (b *CheckpointBox) Prune(ctx context.Context) (n int, err error) {
	var ids []string
	for c, err := range b.All(ctx, CheckpointQuery{Expired: true}) {
		switch {
		case err == nil:
			ids = append(ids, c.ID())
		case !errors.Is(err, ErrCheckpointDamaged):
			return 0, err
		}
	}
	for _, id := range ids {
		if err := b.Remove(ctx, id); err != nil && !errors.Is(err, ErrNoCheckpoint) {
			return n, err
		}
		n++
	}
	return n, nil
}

// Export writes the checkpoints that q chooses to w, each as a line of JSON, and
// returns how many. Records that cannot be read are left out, and joined in the
// error.
func (b *CheckpointBox) Export(ctx context.Context, w io.Writer, q CheckpointQuery) (n int, err error) {
	var damaged []error
	for c, err := range b.All(ctx, q) {
		if errors.Is(err, ErrCheckpointDamaged) {
			damaged = append(damaged, err)
			continue
		}
		if err != nil {
			return n, err
		}
		line, err := json.Marshal(&c)
		if err == nil {
			_, err = fmt.Fprintf(w, "%s\n", line)
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, errors.Join(damaged...)
}

// maxCheckpointLine is how many bytes a line of an import may have.
const maxCheckpointLine = 2*maxPayload + 64<<10

// Import reads what Export wrote, and writes the checkpoints that are not there; with
// replace also those that are. It returns how many were written, and how many were
// there. A line that is no checkpoint ends it, with those before written.
//
// What is imported answers calls: whoever may write r decides what they return.
func (b *CheckpointBox) Import(ctx context.Context, r io.Reader, replace bool) (written, there int, err error) {
	store, err := b.rt.values()
	if err != nil {
		return 0, 0, err
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxCheckpointLine)
	for n := 1; lines.Scan(); n++ {
		done, err := b.importLine(ctx, store, lines.Bytes(), replace)
		switch {
		case err != nil:
			return written, there, fmt.Errorf("line %d: %w", n, err)
		case done:
			written++
		default:
			there++
		}
	}
	return written, there, lines.Err()
}

func (b *CheckpointBox) importLine(ctx context.Context, store values, line []byte, replace bool) (done bool, err error) {
	var at struct{ Interface, Method, Key string }
	if err := json.Unmarshal(line, &at); err != nil {
		return false, err
	}
	id := StoreKey("ckpt", at.Interface, at.Method, at.Key)
	if _, err := decodeCheckpoint(Record{Key: id, Body: line}); err != nil {
		return false, err
	}
	old, err := store.last(ctx, id)
	if err != nil || old.Version != 0 && !replace {
		return false, err
	}
	if _, err := store.append(ctx, id, old.Version, line); err != nil {
		return false, err
	}
	for _, k := range b.rt.listCheckpointed() {
		k.forgetID(id)
	}
	if old.Version != 0 {
		return true, store.drop(ctx, id, old.Version)
	}
	return true, nil
}
