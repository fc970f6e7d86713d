package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Journal is an open journal. It is safe for concurrent use.
type Journal struct {
	fs   FS
	o    Options
	lock io.Closer // of the directory; nil when read-only

	mu     sync.Mutex
	ready  sync.Cond // on mu: something of what makes segments changed
	x      *index
	id     id
	clock  clock
	open   *batch // takes records; nil where the next one makes a batch
	tail   *batch // the last of those that wait for their turn or have it
	idle   []memory
	news   []Event // for whoever unlocks next
	closed bool
	broken error // what failed; nothing is written until Reopen
	full   error // why there is no room, while that is so
	waits  bool  // EMERGENCY is there for want of room
	segmaker
	beside  emergency
	written uint64 // the last batch that the operating system has
	proved  uint64 // records up to this version are durable
	stats   Stats

	// Who has the turn alone writes, and alone touches these.
	seg     *segment // the last one; nil in an empty journal
	chain   chain
	clean   bool // the last record is the mark of a clean end
	indexed bool // INDEX is there and right
	copying bool // what is written is for compaction

	flushed    atomic.Uint64 // the last batch known to be durable
	flushing   sync.Mutex    // held over a flush: after one that failed comes no other
	checking   sync.Mutex    // held while a segment is read for the first time
	compacting sync.Mutex    // held while a segment is rewritten
	wasted     chan struct{} // something was dropped
	sorting    sync.Mutex    // held while keys are sorted
	stop       chan struct{}
	workers    sync.WaitGroup
	ended      chan struct{} // closed when Close is done
}

// segmaker is what makes segments ahead.
type segmaker struct {
	spare   *segment
	making  bool        // somebody makes one
	stopped bool        // nobody does any more
	failed  error       // why the last one could not be made
	reserve bool        // RESERVE is there
	hurry   bool        // one was wanted before it was made
	awaited atomic.Bool // somebody waits for the one that is being made
	want    chan struct{}
}

const (
	defaultSegment  = 4 << 20
	defaultInterval = 20 * time.Millisecond
	mostSegment     = 16      // times the first
	mostBatch       = 4 << 20 // bytes
)

func (o *Options) segmentSize() int64 {
	n := o.SegmentSize
	if n <= 0 {
		n = defaultSegment
	}
	return min(max(n, 4<<10), 1<<30) &^ (align*4 - 1)
}

// least is the size of the smallest segment that preallocation makes.
func (o *Options) least() int64 { return o.segmentSize() / 4 }

// most is how many bytes a batch may have: it fits into the smallest segment.
func (o *Options) most() int { return int(min(o.least()-segmentHead, mostBatch)) }

// Open opens the journal in a directory, or begins one. What a crash left is
// mended first: nothing that was acknowledged is missing then, and nothing else
// shows. The FS is the caller's to close, after the journal.
func Open(disk FS, o Options) (*Journal, error) {
	if kind, err := disk.Remote(); err != nil {
		return nil, err
	} else if kind != "" && !o.AllowRemote {
		return nil, fmt.Errorf("%s is on %s, where neither locks nor flushes can be believed", disk.Path(), kind)
	}
	j := &Journal{fs: disk, o: o, stop: make(chan struct{}), ended: make(chan struct{})}
	j.ready.L = &j.mu
	j.want = make(chan struct{}, 1)
	j.wasted = make(chan struct{}, 1)
	if !o.ReadOnly {
		var err error
		if j.lock, err = own(disk); err != nil {
			return nil, err
		}
	}
	found, err := j.look()
	if err != nil {
		err = fmt.Errorf("open journal in %s: %w", disk.Path(), err)
		if j.lock != nil {
			err = errors.Join(err, j.lock.Close())
		}
		return nil, err
	}
	j.adopt(found)
	j.start()
	j.report(found)
	switch {
	case found.aside && o.ReadOnly:
		err = waiting(disk, j.id, j.x, func(int64, rawRecord) error { j.stats.Beside++; return nil })
	case found.aside:
		j.inTurn(func() { err = j.takeIn() })
		j.tell()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open journal in %s: %w", disk.Path(), err), j.Close())
	}
	return j, nil
}

// look reads the directory. Beside a process that writes, what looks like damage
// may be a batch that was half there, or a segment that went: then another look
// finds something else.
func (j *Journal) look() (*found, error) {
	found, err := j.recover(0)
	for tries := 0; j.o.ReadOnly && err != nil && tries < 100; tries++ {
		before := err.Error()
		if found, err = j.recover(0); err != nil && err.Error() == before {
			break
		}
	}
	return found, err
}

// start begins the goroutines, for which Close waits.
func (j *Journal) start() {
	if j.o.ReadOnly || j.o.Serial {
		return
	}
	j.workers.Go(j.makeAhead)
	j.workers.Go(j.compactNowAndThen)
	j.waste() // what the process before left
	if j.o.Sync == Interval {
		j.workers.Go(j.flushNowAndThen)
	}
}

func (j *Journal) event(e Event) {
	if j.o.OnEvent != nil {
		j.o.OnEvent(e)
	}
}

func newID(given [16]byte) id {
	if given != [16]byte{} {
		return given
	}
	var fresh id
	_, _ = rand.Read(fresh[:]) // it never fails
	return fresh
}

// adopt makes what was found the state of the journal. The caller has the turn.
func (j *Journal) adopt(f *found) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.x, j.id, j.seg, j.chain = f.x, f.id, f.seg, f.chain
	j.clean, j.indexed = f.clean, f.indexed
	j.clock.greatest = max(j.clock.greatest, f.time)
	j.flushed.Store(f.durable)
	j.stats.Indexed = f.indexed
	j.written, j.proved = f.chain.number, f.x.shown
	j.broken, j.full, j.spare, j.failed, j.reserve = nil, nil, nil, nil, f.reserve
}

// report tells what was found.
func (j *Journal) report(f *found) {
	for _, e := range f.events {
		j.event(e)
	}
}

// Now returns the greatest wall time that the journal has seen, in Unix
// nanoseconds. It does not follow a clock that leaps by more than an hour.
func (j *Journal) Now() int64 {
	j.mu.Lock()
	now, leapt := j.clock.now(time.Now())
	j.mu.Unlock()
	if leapt != nil {
		j.event(Event{Kind: ClockJumped, Err: leapt})
	}
	return now
}

// Stats returns the numbers of the journal.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Sync, s.Keys, s.Records, s.Segments = j.o.Sync, len(j.x.keys), j.x.records, len(j.x.segs)
	for _, seg := range j.x.segs {
		s.LiveBytes += seg.live
		s.SegmentBytes += seg.size
	}
	s.Spare, s.Reserve, s.Full, s.Poisoned = j.spare != nil, j.reserve, j.full != nil, j.broken != nil
	s.Quarantine, s.Waiting = j.x.suspected != nil, j.waits
	s.Version, s.Durable = j.x.version, j.flushed.Load()
	return s
}

// Close ends the journal: what is in flight is written, then the mark of a clean
// end and INDEX, which make the next Open fast. It waits for what runs, and
// another Close waits with it.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		<-j.ended
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	defer close(j.ended)
	var err error
	j.compacting.Lock() // who rewrites a segment ends, and the next one finds it closed
	j.inTurn(func() { err = j.finish() })
	j.compacting.Unlock() // the compactor may want it before it ends
	close(j.stop)
	j.awaited.Store(true)
	j.workers.Wait()
	j.beside.mu.Lock()
	err = errors.Join(err, j.closeAside(), j.letGo())
	j.beside.mu.Unlock()
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	return err
}

// finish writes what makes the end a clean one. The caller has the turn.
func (j *Journal) finish() error {
	j.mu.Lock()
	broken := j.broken
	j.mu.Unlock()
	if broken != nil || j.o.ReadOnly || j.seg == nil {
		return broken
	}
	if !j.clean {
		if err := j.mark(); errors.Is(err, ErrFull) {
			return nil // the next Open takes longer
		} else if err != nil {
			return err
		}
	}
	if !j.indexed && j.x.suspected == nil { // INDEX does not know of damage
		if err := j.writeIndex(); err != nil {
			j.event(Event{Kind: IndexIgnored, Err: err})
		}
	}
	return nil
}

// mark writes the record of a clean end. All before it is durable first, so that
// it can say so.
func (j *Journal) mark() error {
	if err := j.flush(); err != nil {
		return err
	}
	j.mu.Lock()
	b := j.newBatch()
	b.urgent = true
	j.record(b, nil, "", kindClosed, nil)
	j.mu.Unlock()
	err := j.write(b)
	if err == nil {
		err = j.flush()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(b, err)
	j.clean = err == nil
	return err
}

// letGo closes the files. Scans that run keep theirs open until they are done.
func (j *Journal) letGo() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var errs []error
	for _, seg := range j.x.segs {
		errs = append(errs, seg.release())
	}
	if j.spare != nil {
		errs = append(errs, j.spare.release())
	}
	return errors.Join(errs...)
}
