package resilience

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// Values yields what the store holds under keys that begin with prefix, by key and
// version: values that lie in pieces are put together. After an error it ends.
func (s *Store) Values(ctx context.Context, prefix string) iter.Seq2[Record, error] {
	v := values{s.log}
	return func(yield func(Record, error) bool) {
		for head, err := range s.log.Heads(ctx, prefix, "") {
			if err != nil {
				yield(Record{}, err)
				return
			}
			for r, err := range v.scan(ctx, head.Key, 0) {
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

// leftoverAge is after how long nobody writes a value any more that he began.
const leftoverAge = time.Hour

// Compact drops what is left of values that never became whole, and rewrites files of
// which less than half is kept, until there is none. A store does the latter by
// itself, beside whoever uses it.
func (s *Store) Compact(ctx context.Context) error {
	if err := (values{s.log}).sweep(ctx, leftoverAge); err != nil {
		return err
	}
	return asOurs(s.log.j.Compact(ctx))
}

// Erase returns when no file of the store holds a byte of what was dropped before it
// was called.
func (s *Store) Erase(ctx context.Context) error { return asOurs(s.log.j.Erase(ctx)) }

// Kinds counts the keys of the store by their first part: "ckpt", "dlq", "queue".
func (s *Store) Kinds(ctx context.Context) (map[string]int, error) {
	kinds := map[string]int{}
	for head, err := range s.log.Heads(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		kind, _, _ := strings.Cut(head.Key, "/")
		kinds[kind]++
	}
	return kinds, nil
}

// DiskCheck is what flushes cost in a directory, and so what a durable step,
// checkpoint or letter costs there: one each.
type DiskCheck struct {
	Dir     string
	Remote  string     `json:",omitempty"` // the kind of network file system, if it is on one
	Flush   FlushTimes // one after another
	Idle    FlushTimes // each after 10 ms in which nothing was written: disks fall asleep
	Doubts  []string   `json:",omitempty"` // why these numbers, or the disk, are not to be relied on
	Created time.Time
}

// FlushTimes are those of some flushes.
type FlushTimes struct {
	Flushes            int
	Median, P99, Worst time.Duration
}

const (
	checkBytes  = 1 << 20 // of the file that is written
	checkRecord = 512     // bytes a flush
	checkBusy   = 300     // flushes one after another
	checkIdle   = 50      // flushes after idle time
	idleTime    = 10 * time.Millisecond
	noDisk      = 20 * time.Microsecond // a flush that takes less has reached none
)

// CheckDisk measures what flushes cost in a directory, in about a second, with a file
// that it takes away again. A store there may be open.
func CheckDisk(ctx context.Context, dir string) (DiskCheck, error) {
	disk, err := journal.ExistingOS(dir)
	if err != nil {
		return DiskCheck{}, fmt.Errorf("check disk: %w", err)
	}
	c, err := checkDisk(ctx, disk)
	c.Dir = dir
	if err = errors.Join(err, disk.Close()); err != nil {
		return DiskCheck{}, fmt.Errorf("check disk of %s: %w", dir, err)
	}
	return c, nil
}

func checkDisk(ctx context.Context, disk journal.FS) (c DiskCheck, err error) {
	c.Created = time.Now().UTC()
	if c.Remote, err = disk.Remote(); err != nil {
		return c, err
	}
	name := fmt.Sprintf("TMP-check-%d", os.Getpid()) // a store that is opened removes what begins so
	f, err := disk.Open(name, journal.Create)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, f.Close(), disk.Remove(name)) }()
	if _, err = f.WriteAt(make([]byte, checkBytes), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		c.Flush, err = flushes(ctx, f, checkBusy, 0)
	}
	if err == nil {
		c.Idle, err = flushes(ctx, f, checkIdle, idleTime)
	}
	c.Doubts = c.doubts()
	return c, err
}

// flushes writes and flushes n records, each after a pause.
func flushes(ctx context.Context, f journal.File, n int, pause time.Duration) (FlushTimes, error) {
	took := make([]time.Duration, n)
	record := make([]byte, checkRecord)
	for i := range took {
		if pause > 0 {
			time.Sleep(pause)
		}
		if err := ctx.Err(); err != nil {
			return FlushTimes{}, err
		}
		record[0] = byte(i)
		begun := time.Now()
		if _, err := f.WriteAt(record, int64(i*checkRecord)); err != nil {
			return FlushTimes{}, err
		}
		if err := f.Sync(); err != nil {
			return FlushTimes{}, err
		}
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	return FlushTimes{Flushes: n, Median: took[n/2], P99: took[n*99/100], Worst: took[n-1]}, nil
}

// doubts says what is wrong with a disk on which flushes take so long.
func (c *DiskCheck) doubts() (list []string) {
	if c.Remote != "" {
		list = append(list, "the directory is on "+c.Remote+", where neither locks nor flushes can be relied on: a store is not opened there")
	}
	if c.Flush.Median < noDisk {
		list = append(list, fmt.Sprintf("a flush takes %v, less than any disk needs: this is memory, or something that acknowledges what it has not written, and a power cut may take what was acknowledged", c.Flush.Median))
	}
	return list
}
