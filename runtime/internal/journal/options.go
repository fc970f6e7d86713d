package journal

import (
	"errors"
	"fmt"
	"time"
)

// Sync says when an append is durable.
type Sync int

// Levels of Sync.
const (
	// Always: an append returns when its record is on the disk.
	Always Sync = iota
	// Interval: an append returns when the operating system has its record, and one
	// goroutine flushes now and then. A process that is killed loses nothing; a crash
	// of the system loses what was appended since the last flush.
	Interval
	// Never: as Interval, and the system decides when. Close flushes.
	Never
)

func (s Sync) String() string { return [...]string{"always", "interval", "none"}[s] }

// OnDamage says what Open does with a journal that lost something durable.
type OnDamage int

// Values of OnDamage.
const (
	// Refuse: Open returns a [*CorruptError].
	Refuse OnDamage = iota
	// Quarantine: keys that may have lost a record return the [*CorruptError], and are
	// not among heads; the rest works. Where it cannot be told which keys those are,
	// Open refuses. Damage that INDEX hid shows when the segment is read for the first
	// time, as the [*CorruptError] of every record in it.
	Quarantine
)

// Options say how a journal works. The zero value is the safest.
type Options struct {
	Sync         Sync
	SyncInterval time.Duration // between flushes with Interval; 0 is 20 ms
	// SegmentSize is how many bytes the first file has; later ones have twice as many
	// as the one before, up to 16 times this. 0 is 4 MiB. A record and a batch have at
	// most a quarter of it, which is also how far preallocation goes down before the
	// disk counts as full.
	SegmentSize int64
	// Growing says that files are not filled with zeros before they are used. A flush
	// then has to write metadata as well, and is slower.
	Growing bool
	// ReadOnly opens without the lock, also while another process writes. Nothing in
	// the directory changes. What is seen is what was certainly durable: the newest
	// batch shows with the one after it or a clean end.
	ReadOnly bool
	// Newest has a ReadOnly journal show every batch that is whole, also one of which
	// only who wrote it can know that it is durable: a power cut may yet take it.
	Newest   bool
	OnDamage OnDamage
	// AllowRemote opens a directory on a network file system, where neither locks nor
	// flushes can be believed.
	AllowRemote bool
	// Serial does everything in the goroutine that calls: no segment is made ahead.
	// What the disk sees is then a function of the calls. For tests that count.
	Serial bool
	// OnEvent is told what whoever operates a journal wants to know. It is called
	// without locks held, by the goroutine where it happened, and must not wait.
	OnEvent func(Event)
	// ID names a new journal, and is drawn at random if it is zero. For tests.
	ID [16]byte
}

// Event is something that happened to a journal.
type Event struct {
	Kind  EventKind
	File  string // the segment, where there is one
	Bytes int64  // how many, where something was cut or zeroed
	Err   error
}

// EventKind says what happened.
type EventKind int

// Kinds of events.
const (
	TailCut          EventKind = iota + 1 // at open: the last batch was not whole; nobody was told it was
	Damaged                               // Err is the *CorruptError; with Quarantine the journal opened
	Poisoned                              // a write or flush failed: Err; nothing works but reads until Reopen
	Reopened                              // after that
	Full                                  // there is no room: Err
	RoomAgain                             // after that
	ClockJumped                           // the wall clock moved by more than an hour; Err says from where to where
	IndexIgnored                          // INDEX does not fit the journal: Err; it was read whole instead
	HalvedSegment                         // there was no room for a whole segment: Bytes
	Compacted                             // File is gone: Bytes; what was live in it is elsewhere
	CompactionFailed                      // Err; what is live stays where it is
	EmergencyIgnored                      // EMERGENCY is not what this journal wrote: Err; it stays where it is
)

// Record is what one append wrote.
type Record struct {
	Key     string
	Version uint64
	Time    int64 // Unix nanoseconds: the greatest that the journal had seen
	Payload []byte
}

// Stats are numbers of a journal since it was opened, but for the sizes.
type Stats struct {
	Sync                    Sync
	Appends, Batches        uint64 // records and batches that were written
	Flushes                 uint64
	Bytes                   uint64 // of batches
	Keys, Records           int    // that are live
	Segments                int
	LiveBytes, SegmentBytes int64 // of records that are live, and of files
	Spare                   bool  // whether a segment is ready ahead
	Reserve                 bool  // whether RESERVE is there
	Full, Poisoned, Indexed bool  // Indexed: opened by INDEX
	Quarantine              bool  // some keys are damaged
	Waiting                 bool  // what was kept beside the journal found no room in it
	Beside                  int   // records in EMERGENCY when a ReadOnly journal was opened
	Version                 uint64
	Durable                 uint64 // the number of the last batch known to be flushed
}

// Errors of a journal, matched with errors.Is.
var (
	// ErrConflict says that the version given is not the last one of the key.
	// Nothing was written.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable says that it is not known whether the record was written. Until
	// [Journal.Reopen] nothing more will be.
	ErrUnavailable = errors.New("journal unavailable")
	// ErrUnknown says that the caller left before its record was durable: it may
	// become so.
	ErrUnknown = errors.New("outcome unknown")
	// ErrFull says that there is no room. Nothing was written.
	ErrFull = errors.New("journal full")
	// ErrTooLarge says that a key or payload is larger than the journal takes.
	// Nothing was written.
	ErrTooLarge = errors.New("too large")
	// ErrClosed says that the journal was closed. Nothing was written.
	ErrClosed = errors.New("journal closed")
	// ErrReadOnly says that the journal was opened to be read.
	ErrReadOnly = errors.New("journal is read-only")
	// ErrBusy says that another process owns the directory; see [*BusyError].
	ErrBusy = errors.New("journal busy")
)

// BusyError says who owns a directory, as far as the file LOCK tells. It matches
// [ErrBusy].
type BusyError struct {
	Path, Host string
	PID        int
	Since      time.Time
	// Orphan says that the process that took the lock is gone: one that inherited it
	// holds it.
	Orphan bool
}

func (e *BusyError) Error() string {
	who := fmt.Sprintf("process %d on %s since %s", e.PID, e.Host, e.Since.Format(time.RFC3339))
	switch {
	case e.PID == 0:
		who = "another process"
	case e.Orphan:
		who = "a child of " + who + ", which has ended"
	}
	return fmt.Sprintf("%s is in use by %s", e.Path, who)
}

// Is matches [ErrBusy].
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// CorruptError says that something durable is lost or changed.
type CorruptError struct {
	File   string
	Offset int64
	Batch  uint64 // its number, 0 where that is not known
	Why    string
}

func (e *CorruptError) Error() string {
	if e.Batch == 0 {
		return fmt.Sprintf("%s is damaged at byte %d: %s", e.File, e.Offset, e.Why)
	}
	return fmt.Sprintf("%s is damaged at byte %d, batch %d: %s", e.File, e.Offset, e.Batch, e.Why)
}

// FormatError says that a journal was written by another version of this program.
type FormatError struct {
	File        string
	What        string // what is not known: "format", "kind of record", "flags"
	Found, Have int    // its number, and the greatest this program knows
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s has %s %d, this program knows up to %d: a newer one wrote it", e.File, e.What, e.Found, e.Have)
}
