package journal

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Scan yields the durable records of key after a version, in order. It may lag
// behind appends that run, and never skips. After an error it ends. Payloads are
// the caller's.
func (j *Journal) Scan(ctx context.Context, key string, after uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for n := firstRead; ; n = mostRead {
			list, err := j.find(ctx, key, after, n)
			for _, w := range list {
				after = w.version
			}
			if !j.read(list, yield) {
				return
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("scan %s: %w", key, err))
				return
			}
			if len(list) < n {
				return
			}
		}
	}
}

// Heads yields the last durable record of each key that begins with prefix and is
// not below from, by key. After an error it ends. Keys in quarantine are left out.
func (j *Journal) Heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		next := max(prefix, from)
		j.arrange()
		for {
			list, more, err := j.findHeads(ctx, prefix, next)
			if !j.read(list, yield) {
				return
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("heads of %s: %w", prefix, err))
				return
			}
			if more == "" {
				return
			}
			next = more
		}
	}
}

// How many records are looked up at once: their segments stay open that long.
const (
	firstRead = 16
	mostRead  = 512
)

// where is a record that is about to be read. It holds its segment.
type where struct {
	place
	key string
	seg *segment
}

// readable tells why the journal cannot be read. The caller has the lock.
func (j *Journal) readable(ctx context.Context) error {
	if j.closed {
		return ErrClosed
	}
	return ctx.Err()
}

// find returns up to n records of key after a version.
func (j *Journal) find(ctx context.Context, key string, after uint64, n int) ([]where, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.readable(ctx); err != nil {
		return nil, err
	}
	if err := j.x.unusable(key); err != nil {
		return nil, err
	}
	e := j.x.keys[key]
	if e == nil {
		return nil, nil
	}
	i, _ := slices.BinarySearchFunc(e.places, after+1, func(p place, v uint64) int { return cmp.Compare(p.version, v) })
	list := make([]where, 0, min(n, len(e.places)-i))
	for _, p := range e.places[i:] {
		if len(list) == n || p.version > j.x.shown {
			break
		}
		list = append(list, j.at(key, p))
	}
	return list, nil
}

func (j *Journal) at(key string, p place) where {
	seg := j.x.segs[p.segment()]
	seg.hold()
	return where{p, key, seg}
}

// findHeads returns the heads of some keys from one on, and the key with which it
// goes on, if it does.
func (j *Journal) findHeads(ctx context.Context, prefix, from string) (list []where, more string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.readable(ctx); err != nil {
		return nil, "", err
	}
	for _, key := range j.x.sorted(from) {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		if len(list) == mostRead {
			return list, key, nil
		}
		if e := j.x.keys[key]; e != nil && j.x.unusable(key) == nil {
			if p, ok := e.shown(j.x.shown); ok {
				list = append(list, j.at(key, p))
			}
		}
	}
	return list, "", nil
}

// Newest returns the greatest version of the records that [Journal.Heads] would read;
// 0 if there is none. It reads no file.
func (j *Journal) Newest(ctx context.Context, prefix string) (version uint64, _ error) {
	j.arrange()
	for next := prefix; ; {
		v, more, err := j.newestOf(ctx, prefix, next)
		if version = max(version, v); more == "" || err != nil {
			return version, err
		}
		next = more
	}
}

// newestOf is Newest for some keys from one on, and returns that with which it goes on,
// if it does.
func (j *Journal) newestOf(ctx context.Context, prefix, from string) (version uint64, more string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.readable(ctx); err != nil {
		return 0, "", err
	}
	for i, key := range j.x.sorted(from) {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		if i == keysAtOnce {
			return version, key, nil
		}
		if e := j.x.keys[key]; e != nil && j.x.unusable(key) == nil {
			p, _ := e.shown(j.x.shown)
			version = max(version, p.version)
		}
	}
	return version, "", nil
}

// shown returns the last record of e up to a version.
func (e *entry) shown(through uint64) (place, bool) {
	for _, p := range slices.Backward(e.places) {
		if p.version <= through {
			return p, true
		}
	}
	return place{}, false
}

// read yields the records of list and lets go of their segments. It returns
// whether the caller wants more.
func (j *Journal) read(list []where, yield func(Record, error) bool) bool {
	more, w := true, window{}
	for i, at := range list {
		if more {
			rec, err := w.record(j, at, i+1 < len(list) && list[i+1].near(at))
			if err != nil {
				err = fmt.Errorf("read %s: %w", at.key, err)
			}
			more = yield(rec, err) && err == nil
		}
		_ = at.seg.release() // of a file that was only read
	}
	return more
}

// near reports whether a record lies behind another one, within a window.
func (w where) near(before where) bool {
	return w.seg == before.seg && w.off >= before.off && w.place.at()+int64(w.size)-before.place.at() <= windowSize
}

// windowSize is how much is read at once where records lie together.
const windowSize = 64 << 10

// window is a piece of a segment that was read.
type window struct {
	seg   *segment
	off   int64
	bytes []byte
}

// record reads the record at w. ahead says that the next one lies close behind.
func (v *window) record(j *Journal, w where, ahead bool) (Record, error) {
	if err := j.check(w.seg); err != nil {
		return Record{}, err
	}
	off, size := w.place.at(), int64(w.size)
	shared := v.seg == w.seg && off >= v.off && off+size <= v.off+int64(len(v.bytes))
	if !shared {
		n := size
		if ahead {
			n = max(size, min(windowSize, w.seg.size-off))
		}
		b := make([]byte, n)
		got, err := w.seg.file.ReadAt(b, off)
		if int64(got) < size {
			return Record{}, fmt.Errorf("%s at byte %d: %w", w.seg.name(), off, err)
		}
		*v = window{w.seg, off, b[:got]}
		shared = ahead
	}
	r, why := readRecord(v.bytes[off-v.off : off-v.off+size])
	if why == "" && (r.kind != kindData || r.version != w.version || string(r.key) != w.key || r.size != int(w.size)) {
		why = "another record lies there"
	}
	if why != "" {
		return Record{}, &CorruptError{File: w.seg.name(), Offset: off, Why: why}
	}
	if shared {
		r.payload = slices.Clone(r.payload)
	} else {
		v.seg = nil // the payload is given away
	}
	return Record{w.key, r.version, r.time, r.payload}, nil
}

// check reads a segment whole before its first record is believed, if this
// process has not done so: INDEX made it unnecessary at open.
func (j *Journal) check(seg *segment) error {
	if seg.checked.Load() {
		return nil
	}
	return j.checkSegment(seg)
}
