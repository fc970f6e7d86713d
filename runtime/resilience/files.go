package resilience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// CorruptError says that something durable is lost or changed: where, and how that
// is known.
type CorruptError = journal.CorruptError

// FormatError says that a newer program wrote a store.
type FormatError = journal.FormatError

// BusyError says which process owns a directory. It matches [ErrBusy].
type BusyError = journal.BusyError

// Sync says when what is appended to a [Store] is durable. None of them loses
// anything when a process is killed.
type Sync int

// Levels of Sync.
const (
	// SyncAlways: once the append returned, whatever happens to the machine.
	SyncAlways Sync = iota
	// SyncInterval: when the next flush is done. A crash of the system loses what was
	// appended since the last one.
	SyncInterval
	// SyncNone: when the operating system likes. A crash of it may lose anything that
	// is recent. For tests.
	SyncNone
)

// String returns "always", "interval" or "none".
func (s Sync) String() string { return journal.Sync(min(max(s, 0), SyncNone)).String() }

// OnDamage says what becomes of a store that lost something durable.
type OnDamage int

// Values of OnDamage.
const (
	// RefuseDamage: it is not opened; the error is a [*CorruptError].
	RefuseDamage OnDamage = iota
	// QuarantineDamage: it is opened, keys that may have lost something return the
	// [*CorruptError], and the health says so. Where it cannot be told which keys
	// those are, it is not opened.
	QuarantineDamage
)

// StoreOptions are what [OpenStore] takes. The zero value is the safest.
type StoreOptions struct {
	Sync      Sync
	SyncEvery time.Duration // between flushes with SyncInterval; default 20ms
	OnDamage  OnDamage
	// ReadOnly opens a store that another process may own, and changes nothing. It
	// shows what was certainly durable a moment ago.
	ReadOnly bool
	// Newest has a ReadOnly store show the newest records too, of which only who wrote
	// them can know that they are durable: a power cut may yet take them.
	Newest bool
	// AllowRemote opens a directory on a network file system, where neither locks nor
	// flushes can be relied on.
	AllowRemote bool
	// Observe is told of [StoreChanged] events, from any goroutine, and must not wait.
	Observe func(Event)
}

// Store keeps durable things in a directory. One process owns it, with as many
// goroutines as it likes. It is safe for concurrent use.
type Store struct {
	dir    string
	o      StoreOptions
	log    *fileLog
	stores Stores
}

// OpenStore opens the store in a directory, which is made if it is not there. What
// a crash left is mended first: nothing that was acknowledged is missing then.
// [ErrBusy]: another process owns it.
func OpenStore(dir string, o StoreOptions) (*Store, error) {
	open := journal.OS
	if o.ReadOnly {
		open = journal.ExistingOS
	}
	disk, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return openStoreOn(disk, dir, o)
}

func openStoreOn(disk journal.FS, dir string, o StoreOptions) (*Store, error) {
	if o.Sync < SyncAlways || o.Sync > SyncNone || o.OnDamage < RefuseDamage || o.OnDamage > QuarantineDamage || o.SyncEvery < 0 {
		return nil, errors.Join(fmt.Errorf("store in %s: Sync %d, SyncEvery %v or OnDamage %d is out of range", dir, o.Sync, o.SyncEvery, o.OnDamage), disk.Close())
	}
	s := &Store{dir: dir, o: o}
	var err error
	s.log, err = openFileLog(disk, journal.Options{Sync: journal.Sync(o.Sync), SyncInterval: o.SyncEvery, ReadOnly: o.ReadOnly, Newest: o.Newest,
		OnDamage: journal.OnDamage(o.OnDamage), AllowRemote: o.AllowRemote}, s.hear)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s.stores = storesIn(s.log)
	return s, nil
}

// storeNews are the reasons of StoreChanged.
var storeNews = map[journal.EventKind]string{
	journal.TailCut:          "cut off what was not whole",
	journal.Damaged:          "damaged",
	journal.Poisoned:         "failed",
	journal.Reopened:         "works again",
	journal.Full:             "full",
	journal.RoomAgain:        "room again",
	journal.ClockJumped:      "clock jumped",
	journal.IndexIgnored:     "index ignored",
	journal.EmergencyIgnored: "emergency file ignored",
	journal.HalvedSegment:    "smaller segment",
}

func (s *Store) hear(e journal.Event) {
	if s.o.Observe == nil {
		return
	}
	ours := Event{Kind: StoreChanged, Time: time.Now(), Name: s.dir, Reason: storeNews[e.Kind], Key: e.File, Err: asOurs(e.Err)}
	if e.Bytes > 0 {
		ours.Value = fmt.Sprintf("%d bytes", e.Bytes)
	}
	s.o.Observe(ours)
}

// Stores returns what the store is used through.
func (s *Store) Stores() Stores { return s.stores }

// Close writes what is in flight and gives the directory back. What is asked of
// the store later returns [ErrClosed].
func (s *Store) Close() error {
	if err := s.stores.Close(); err != nil {
		return fmt.Errorf("close store in %s: %w", s.dir, err)
	}
	return nil
}

// StoreStats are the numbers of a store at one moment.
type StoreStats struct {
	Dir     string
	Sync    Sync
	MayLose string // what a crash may take, in words

	Keys, Records        int   // that are kept
	Segments             int   // files
	LiveBytes, FileBytes int64 // of what is kept, and of the files

	Appends, Batches, Flushes uint64 // since it was opened

	Version Version // the last one that was given
	Reserve bool    // there is room set aside for a full disk
	Indexed bool    // it was opened by its index
	Failed  error   // why nothing can be written now
	Damage  error   // what was lost, of keys that are not shown
	Waiting int     // of a store that is only read: records in EMERGENCY, which its next owner takes in
}

// Stats returns the numbers of the store.
func (s *Store) Stats() StoreStats {
	j := s.log.j.Stats()
	failed, damage := s.log.well()
	return StoreStats{Dir: s.dir, Sync: s.o.Sync, MayLose: s.mayLose(), Keys: j.Keys, Records: j.Records, Segments: j.Segments,
		LiveBytes: j.LiveBytes, FileBytes: j.SegmentBytes, Appends: j.Appends, Batches: j.Batches, Flushes: j.Flushes,
		Version: Version(j.Version), Reserve: j.Reserve, Indexed: j.Indexed, Failed: failed, Damage: damage, Waiting: j.Beside}
}

func (s *Store) mayLose() string {
	const killed = "a process that is killed loses nothing; a crash of the system may take "
	switch s.o.Sync {
	case SyncInterval:
		every := s.o.SyncEvery
		if every == 0 {
			every = 20 * time.Millisecond
		}
		return killed + "what was acknowledged in its last " + every.String()
	case SyncNone:
		return killed + "whatever it had not written by itself"
	}
	return "nothing that was acknowledged"
}

// components are what the health knows of the store: whether it can be written, and
// whether all of it can be read.
func (s *Store) components() []Component {
	check := func(of func(failed, damage error) error) func(context.Context) error {
		return func(context.Context) error { return of(s.log.well()) }
	}
	return []Component{
		{Name: "store", Title: "durable store", Kind: "datastore", InProcess: true, Interval: time.Second, FailAfter: 1, RecoverAfter: 1,
			Check: check(func(failed, _ error) error { return failed })},
		{Name: "store.damage", Title: "damage of the durable store", Kind: "datastore", InProcess: true, Interval: time.Second,
			FailAfter: 1, RecoverAfter: 1, Criticality: Degradable, Check: check(func(_, damage error) error { return damage })},
	}
}
