package resilience

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// Version is the place of a record among those of its key: it grows with every
// append, not by one, and never repeats, not even after a drop. 0 says that the
// key does not exist.
type Version uint64

// Record is what one append wrote. Body must not be changed.
type Record struct {
	Key     string
	Version Version
	At      time.Time // when it was appended, by the clock of the store
	Body    []byte
}

// MaxRecord is how many bytes the body of a record may have: every engine can
// carry that much in one message.
const MaxRecord = 512 << 10

// Log keeps records by key, in the order in which they were appended to it. It is
// what everything durable stands on, and the fence between those who would write
// to one key: of two who append after the same version, one fails. Keys are as
// [StoreKey] makes them. Implementations are safe for concurrent use.
type Log interface {
	// Append writes one record after version after of key, 0 where the key must not
	// exist. nil says that it is durable. [ErrConflict]: after is not the last
	// version, and nothing was written. [ErrUnavailable]: it is not known whether it
	// was written; a scan from after tells. [ErrStoreFull], [ErrTooLarge],
	// [ErrClosed]: nothing was written.
	Append(ctx context.Context, key string, after Version, body []byte) (Version, error)
	// Scan yields the durable records of key after a version, in order. It may lag
	// behind appends that run, and never skips. After an error it ends.
	Scan(ctx context.Context, key string, after Version) iter.Seq2[Record, error]
	// Heads yields the last durable record of each key that begins with prefix and is
	// not below from, by key.
	Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error]
	// Drop removes the records of key up to a version. Where that is the last one the
	// key is gone: it can be made again, under versions that are larger yet. Dropping
	// what is not there is no error.
	Drop(ctx context.Context, key string, through Version) error
}

// Queue hands entries to workers, each at least once, in no promised order;
// entries that come again come before fresh ones. Implementations are safe for
// concurrent use.
type Queue interface {
	// Put adds an entry that is claimed after a delay. The same id twice is one entry
	// as long as the first was not acknowledged; while nobody has it, it is claimed
	// after the delay that ends first.
	Put(ctx context.Context, queue, id string, body []byte, delay time.Duration) error
	// Claim takes an entry for the length of a lease. Without one it waits, and
	// returns [ErrEmpty] after wait.
	Claim(ctx context.Context, queue string, lease, wait time.Duration) (Claim, error)
	// Entries yields what is in the queues whose names begin with prefix, also what is
	// claimed, by when it is due. It is a look at one moment, which may lag, and changes
	// nothing. After an error it ends.
	Entries(ctx context.Context, prefix string) iter.Seq2[QueueEntry, error]
}

// Claim is an entry in the hands of one worker. Its methods return [ErrFenced]
// once the lease has ended and somebody else may have the entry.
type Claim interface {
	Entry() Entry
	Extend(ctx context.Context) error                    // for the length of the lease again
	Ack(ctx context.Context) error                       // it is done and gone
	Nack(ctx context.Context, delay time.Duration) error // it comes again after delay
}

// Entry is what was put into a [Queue].
type Entry struct {
	ID         string
	Body       []byte
	Deliveries int       // with this one
	Enqueued   time.Time // by the clock of the store
}

// QueueEntry is an entry as [Queue] lists it. Deliveries are those that there were.
type QueueEntry struct {
	Entry
	Queue   string
	Due     time.Time // from when it can be claimed; of one that is claimed, if the claim is not extended
	Claimed bool      // somebody has it
}

// Leases grant names to one owner at a time. Implementations are safe for
// concurrent use.
type Leases interface {
	// Acquire grants name for ttl, or returns a [*HeldError], which matches
	// [ErrHeld].
	Acquire(ctx context.Context, name, owner string, ttl time.Duration) (Lease, error)
	// Renew makes l last for ttl from now. [ErrFenced]: somebody else has it, or it
	// was released.
	Renew(ctx context.Context, l Lease, ttl time.Duration) error
	// Release gives l back. [ErrFenced] as for Renew.
	Release(ctx context.Context, l Lease) error
	// Holder returns who has name, and for how long yet if he does not renew it; ""
	// if nobody has. [ErrReadOnly]: only the process that owns the store can tell.
	Holder(ctx context.Context, name string) (owner string, rest time.Duration, err error)
}

// Lease is a name that was granted. Its Epoch is larger than that of every lease
// of the name before.
type Lease struct {
	Name, Owner string
	Epoch       uint64
}

// HeldError says who has a lease, and for how long.
type HeldError struct {
	Name, Owner string
	For         time.Duration
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("lease %s is held by %s for %v", e.Name, e.Owner, rounded(e.For))
}

// Is matches [ErrHeld].
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// Cells keep small values that many read and few set. Implementations are safe
// for concurrent use.
type Cells interface {
	// Get returns the value of key and its version, which is 0 for one that was never
	// set.
	Get(ctx context.Context, key string) ([]byte, Version, error)
	// Set replaces version after of the value of key. Errors are as for [Log].
	Set(ctx context.Context, key string, after Version, value []byte) (Version, error)
	// Watch yields the cells whose keys begin with prefix, then what changes, until
	// ctx ends. Of a cell that changes fast it may show the latest value only.
	Watch(ctx context.Context, prefix string) iter.Seq2[Cell, error]
}

// Cell is a value of [Cells].
type Cell struct {
	Key     string
	Version Version
	Value   []byte
}

// Stores are where the durable things of a Runtime live. What is nil is not
// there, and whoever needs it says so.
type Stores struct {
	Log    Log
	Queue  Queue
	Leases Leases
	Cells  Cells
}

// Close closes those that can be closed, the Log last. What is asked of them later
// returns [ErrClosed].
func (s Stores) Close() error {
	var errs []error
	for _, store := range []any{s.Queue, s.Leases, s.Cells, s.Log} {
		if c, ok := store.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Errors of stores, matched with errors.Is.
var (
	// ErrConflict says that another append came first. Nothing was written.
	ErrConflict error = &sentinel{"conflict"}
	// ErrFenced says that what was held is somebody else's.
	ErrFenced error = &sentinel{"fenced"}
	// ErrEmpty says that a queue had no entry in time.
	ErrEmpty error = &sentinel{"queue empty"}
	// ErrHeld says that somebody else has a lease.
	ErrHeld error = &sentinel{"held"}
	// ErrTooLarge says that a record is larger than the store takes. Nothing was
	// written.
	ErrTooLarge error = &sentinel{"too large"}
	// ErrUnavailable says that a store does not answer now. Whether it wrote is not
	// known.
	ErrUnavailable error = &sentinel{"store unavailable"}
	// ErrStoreFull says that there is no room. Nothing was written; reads go on.
	ErrStoreFull error = &sentinel{"store full"}
	// ErrClosed says that a store was closed. Nothing was written.
	ErrClosed error = &sentinel{"store closed"}
	// ErrReadOnly says that a store was opened to be read.
	ErrReadOnly error = &sentinel{"store is read-only"}
	// ErrBusy says that another process owns the directory.
	ErrBusy error = &sentinel{"store busy"}
	// ErrNoStore says that something durable is wanted of a Runtime without a store.
	ErrNoStore = errors.New("no store: open the Runtime with Options.Dir or Options.Stores")
)
