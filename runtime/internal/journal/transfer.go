package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Repair copies every live record that can be proven from a damaged journal into
// a new one in an empty directory. It writes nothing to the old one, takes its
// lock meanwhile, and reports what is missing.
func Repair(from, to FS, o Options) (Report, error) {
	lock, err := from.Lock()
	if errors.Is(err, ErrLocked) {
		err = owner(from)
	}
	if err != nil {
		return Report{}, fmt.Errorf("repair journal in %s: %w", from.Path(), err)
	}
	t := transfer{from: from, to: to, o: o, through: math.MaxUint64, damaged: true}
	err = errors.Join(t.run(), lock.Close())
	return t.Report, err
}

// Copy copies every live record into a new journal in an empty directory. The old
// one may be in use: then the copy has what was certainly durable, which the
// newest batch is once another one has followed. Damage is an error; see
// [Repair].
func Copy(from, to FS, o Options) (Report, error) {
	t := transfer{from: from, to: to, o: o, through: math.MaxUint64}
	lock, err := from.Lock()
	switch {
	case errors.Is(err, ErrLocked):
		t.through, lock = 0, io.NopCloser(nil)
	case err != nil:
		return Report{}, fmt.Errorf("copy journal in %s: %w", from.Path(), err)
	}
	err = errors.Join(t.run(), lock.Close())
	return t.Report, err
}

// Copy is the function [Copy] for a journal that is open: the copy has all that was
// durable when it began.
func (j *Journal) Copy(to FS) (Report, error) {
	t := transfer{from: j.fs, to: to, o: j.o, through: j.flushed.Load()}
	err := t.run()
	return t.Report, err
}

// Upgrade makes a journal one of the newest format that this program knows, and
// returns the old and the new one. There is one format yet.
func Upgrade(disk FS) (from, to int, err error) {
	lock, err := disk.Lock()
	if errors.Is(err, ErrLocked) {
		err = owner(disk)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("upgrade journal in %s: %w", disk.Path(), err)
	}
	s, err := openSurvey(disk)
	if err != nil {
		return 0, 0, errors.Join(fmt.Errorf("upgrade journal in %s: %w", disk.Path(), err), lock.Close())
	}
	s.close()
	return formatVersion, formatVersion, lock.Close()
}

// transfer is the copying of what is live in one journal to another one.
type transfer struct {
	Report
	from, to FS
	o        Options
	through  uint64 // batches up to this one; 0: those that are certainly durable
	damaged  bool   // the old one may be
	j        *Journal
}

func (t *transfer) run() error {
	err := t.checkEmpty()
	if err == nil {
		err = t.copy()
	}
	if err != nil {
		return fmt.Errorf("copy journal in %s to %s: %w", t.from.Path(), t.to.Path(), err)
	}
	return nil
}

func (t *transfer) checkEmpty() error {
	names, err := t.to.List()
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("the directory is not empty: it has %s", slices.Min(names))
	}
	return err
}

func (t *transfer) copy() error {
	s, _, err := look(t.from)
	if err != nil {
		return err
	}
	defer s.close()
	if t.Report = s.Report; len(s.Damage) > 0 && !t.damaged {
		return errors.Join(damages(s.Damage)...)
	}
	if t.through == 0 {
		t.through = s.proven
	}
	x := s.index()
	if err := s.run(func(b block) error { return x.foldBlock(b, t.through) }); err != nil {
		return err
	}
	s.count(x)
	t.Keys, t.Live, t.LiveBytes = s.Keys, s.Live, s.LiveBytes
	return t.write(s, x)
}

func (t *transfer) records(b block, each func(int64, rawRecord) error) error {
	return b.records(func(h header, off int64, r rawRecord) error {
		if h.number > t.through {
			return nil
		}
		return each(off, r)
	})
}

// write makes the new journal under names that none has, so that a copy that was
// not finished cannot be taken for one.
func (t *transfer) write(s *survey, x *index) error {
	parts := partFS{t.to}
	var err error
	t.j, err = Open(parts, Options{Sync: Never, SegmentSize: t.o.SegmentSize, Growing: t.o.Growing, AllowRemote: t.o.AllowRemote, Serial: true})
	if err != nil {
		return err
	}
	err = s.run(func(b block) error { return t.block(x, b) })
	t.j.x.version = max(t.j.x.version, x.version)
	if err == nil {
		err = waiting(t.from, s.of, x, t.takeIn)
	}
	if err == nil && t.j.seg == nil { // nothing is live, and versions go on nevertheless
		err = t.j.mark()
	}
	if err = errors.Join(err, t.j.Close()); err != nil {
		return err
	}
	made, err := Verify(parts)
	if err == nil && (len(made.Damage) > 0 || made.Live != t.Live || made.LiveBytes != t.LiveBytes) {
		err = fmt.Errorf("the copy has %d records of %d, and %d damages", made.Live, t.Live, len(made.Damage))
	}
	if err != nil {
		return err
	}
	return parts.finish()
}

// takeIn copies what stands beside the journal.
func (t *transfer) takeIn(_ int64, r rawRecord) error {
	_, err := t.j.AppendUrgent(context.Background(), string(r.key), 0, r.payload)
	if errors.Is(err, ErrConflict) { // it is there twice
		return nil
	}
	t.Keys, t.Live, t.LiveBytes = t.Keys+1, t.Live+1, t.LiveBytes+int64(padded(r.size))
	return err
}

// block copies what is live of some batches, under the versions and times that it
// has.
func (t *transfer) block(x *index, b block) error {
	var list []rawRecord
	n := 0
	err := t.records(b, func(off int64, r rawRecord) error {
		p := place{r.version, uint32(b.seg.number), uint32(off / align), uint32(r.size)}
		e := x.keys[string(r.key)]
		if r.kind != kindData || e == nil || !e.has(p) {
			return nil
		}
		if size := padded(r.size); n+size > copyBatch || n+size > t.j.o.most()-batchHead {
			if err := t.j.install(list); err != nil {
				return err
			}
			list, n = list[:0], 0
		}
		list, n = append(list, r), n+padded(r.size)
		return nil
	})
	return errors.Join(err, t.j.install(list))
}

// install writes records as another journal had them. Nobody else uses j.
func (j *Journal) install(list []rawRecord) error {
	if len(list) == 0 {
		return nil
	}
	b := j.newBatch()
	for _, r := range list {
		e := j.x.entry(string(r.key))
		b.changes = append(b.changes, change{e: e, key: string(r.key), kind: kindData, version: r.version, at: len(b.bytes), size: r.size})
		b.bytes = appendRecord(b.bytes, kindData, r.version, r.time, string(r.key), r.payload)
		j.x.version = max(j.x.version, r.version)
	}
	if len(b.bytes) > j.o.most() {
		return fmt.Errorf("a record of %d bytes: %w", list[0].size, ErrTooLarge)
	}
	err := j.write(b)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(b, err)
	return err
}

// partFS is a directory of files whose names begin with a word, until they are
// finished.
type partFS struct{ FS }

const partPrefix = "PART-"

func (p partFS) List() ([]string, error) {
	names, err := p.FS.List()
	own := names[:0]
	for _, name := range names {
		if name, ok := strings.CutPrefix(name, partPrefix); ok {
			own = append(own, name)
		}
	}
	return own, err
}

func (p partFS) Open(name string, mode Mode) (File, error) { return p.FS.Open(partPrefix+name, mode) }
func (p partFS) Remove(name string) error                  { return p.FS.Remove(partPrefix + name) }
func (p partFS) Rename(from, to string) error {
	return p.FS.Rename(partPrefix+from, partPrefix+to)
}

// finish gives the files their names. The first segment comes last: without it
// nobody opens the others.
func (p partFS) finish() error {
	names, err := p.List()
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
	for i, name := range names {
		if i == len(names)-1 {
			err = errors.Join(err, p.SyncDir())
		}
		switch {
		case err != nil:
		case name == lockName:
			err = p.Remove(name)
		default:
			err = p.FS.Rename(partPrefix+name, name)
		}
	}
	return errors.Join(err, p.SyncDir())
}
