package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// snapshotEvery is how many steps are between two snapshots, at least: a run is read
// from the last one on. The records between are not smaller than it was, either, so
// that a run with a large state does not write much more than without.
const snapshotEvery = 256

// defaultKeep is how many checkpoints of a run are kept where its graph does not say.
const defaultKeep = 10

// mark is a snapshot in the log of a run.
type mark struct {
	before resilience.Version // the record before it
	count  int                // steps in it
}

// snapshot writes the state behind the records that make it, if it is time to, and
// drops the records that no checkpoint needs any more. One that is too large is left
// out: the run can be read without.
func (r *run) snapshot() error {
	if r.log == nil || r.s.Count-r.s.snapStep < snapshotEvery || r.s.sinceSnap < r.s.snapSize || r.resting() {
		return nil
	}
	rec := &record{
		V: recordFormat, Kind: kindSnapshot, By: r.token, At: r.s.Updated, Snap: r.s.snap, Queue: r.s.Queue,
		Prev: r.log.last, CRC: r.log.crc, Snapshot: r.s,
	}
	body, err := json.Marshal(rec)
	if err == nil {
		err = r.log.append(r.caller, body)
	}
	if errors.Is(err, resilience.ErrTooLarge) {
		r.s.snapStep = r.s.Count
		return nil
	}
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	r.s.placed(rec, r.log.last, r.log.crc, r.log.size)
	r.forget()
	return nil
}

// forget drops the records before the last snapshot that the oldest checkpoint which
// is kept does not need. Where that fails, the next time does it too.
func (r *run) forget() {
	keep := r.e.g.Checkpoint.Keep
	if keep == 0 {
		keep = defaultKeep
	}
	through, at := resilience.Version(0), -1
	for i, m := range r.s.marks {
		if m.count <= r.s.Count-keep {
			through, at = m.before, i
		}
	}
	if keep < 0 || at < 0 {
		return
	}
	r.s.marks = append(r.s.marks[:0], r.s.marks[at:]...)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.caller), dropLimit)
	defer cancel()
	_ = r.log.log.Drop(ctx, r.log.key, through)
}

// dropLimit is how long the store may take to drop what is not needed.
const dropLimit = 5 * time.Second
