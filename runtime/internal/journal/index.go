package journal

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// index is what a journal knows of its segments without reading them: where the
// records of each key lie. Payloads stay on the disk. It is under Journal.mu.
type index struct {
	keys map[string]*entry
	segs map[uint64]*segment
	gone []removal // segments that compaction unlinked, by number
	// copied are the segments that hold records of which a copy elsewhere counts: a
	// crash came between the copy and the unlink. A drop of the copy needs to
	// outlive these, too.
	copied map[uint64]bool
	drops  map[uint64]dropped // that a segment still needs, by version

	version uint64 // the greatest that was given, to any record
	shown   uint64 // records up to this version may be seen
	records int    // that are live, of all keys

	suspected *quarantine // nil where all is well

	order  []string // the keys when it was made, sorted; may hold some that are gone
	fresh  []string // keys since then
	stale  int      // how many of both are gone
	sorts  int      // how often order was made
	spare  []entry  // allocated together
	spares []place
}

// entry is one key.
type entry struct {
	places   []place // of the records that may be seen, by version
	last     uint64  // version of its last record, also one that is not written yet
	dropped  uint64  // records up to this version are dropped
	dropping uint64  // also by a drop that is not written yet
	flight   *batch  // the last batch that changes the key, until it is written
}

// place is where a record lies.
type place struct {
	version uint64
	seg     uint32
	off     uint32 // in units of align
	size    uint32 // without padding
}

func (p place) segment() uint64 { return uint64(p.seg) }
func (p place) at() int64       { return int64(p.off) * align }
func (p place) padded() int64   { return int64(padded(int(p.size))) }

// dropped is a record that says that others are gone. It must outlive every
// segment that holds one of them: those from lo to hi, as far as they exist.
type dropped struct {
	place
	key     string
	through uint64
	lo, hi  uint64
}

func (d *dropped) covers(segment uint64) {
	if d.hi = max(d.hi, segment); d.lo == 0 || segment < d.lo {
		d.lo = segment
	}
}

// removal is a record that says that segments are gone. It is needed for ever,
// but neighbours may be made one.
type removal struct {
	removed
	place
}

func newIndex() *index {
	return &index{keys: map[string]*entry{}, segs: map[uint64]*segment{}, copied: map[uint64]bool{}, drops: map[uint64]dropped{}}
}

// head is the version after which the next record of e goes.
func (e *entry) head() uint64 {
	if e.last <= e.dropping {
		return 0
	}
	return e.last
}

// entry returns that of a key, and makes it.
func (x *index) entry(key string) *entry {
	e := x.keys[key]
	if e == nil {
		e = x.add(strings.Clone(key))
	}
	return e
}

func (x *index) add(key string) *entry {
	if len(x.spare) == 0 {
		x.spare, x.spares = make([]entry, 128), make([]place, 128)
	}
	e := &x.spare[0]
	e.places = x.spares[:0:1] // most keys have one record
	x.spare, x.spares = x.spare[1:], x.spares[1:]
	x.keys[key] = e
	x.fresh = append(x.fresh, key)
	return e
}

// forget removes a key of which nothing is left.
func (x *index) forget(key string, e *entry) {
	if len(e.places) == 0 && e.flight == nil {
		delete(x.keys, key)
		x.stale++
	}
}

// put notes where a record of e lies. A version that e has already is a copy that
// compaction made, and the later place counts. One that was dropped stays gone.
func (x *index) put(e *entry, p place) {
	seg := x.segs[p.segment()]
	seg.total += p.padded()
	if p.version <= e.dropped {
		return
	}
	seg.live += p.padded()
	e.last = max(e.last, p.version)
	if n := len(e.places); n == 0 || e.places[n-1].version < p.version {
		e.places = append(e.places, p)
		x.records++
		return
	}
	x.move(e, p)
}

// move puts a record that is older than the last one in its place. Scans may be
// reading the old list.
func (x *index) move(e *entry, p place) {
	i, found := slices.BinarySearchFunc(e.places, p.version, func(p place, v uint64) int { return cmp.Compare(p.version, v) })
	e.places = slices.Clone(e.places)
	if !found {
		e.places = slices.Insert(e.places, i, p)
		x.records++
		return
	}
	old := e.places[i].segment()
	x.segs[old].live -= e.places[i].padded()
	x.copied[old] = true
	e.places[i] = p
}

// drop removes the records of e up to a version, and keeps the record that says
// so while a segment holds one of them.
func (x *index) drop(key string, e *entry, through uint64, p place) {
	d := dropped{place: p, key: key, through: through}
	e.dropped = max(e.dropped, through)
	e.dropping = max(e.dropping, e.dropped)
	i := 0
	for ; i < len(e.places) && e.places[i].version <= through; i++ {
		x.segs[e.places[i].segment()].live -= e.places[i].padded()
		d.covers(e.places[i].segment())
	}
	for at := range x.copied {
		d.covers(at)
	}
	x.records -= i
	e.places = e.places[i:]
	x.segs[p.segment()].total += p.padded()
	if old, ok := x.drops[p.version]; ok {
		d.lo, d.hi = old.lo, old.hi
	} else if i == 0 {
		return
	}
	x.hold(d)
}

// hold keeps a drop that is needed, at the last place where it was found.
func (x *index) hold(d dropped) {
	if old, ok := x.drops[d.version]; ok {
		x.segs[old.segment()].live -= old.padded()
	}
	x.segs[d.segment()].live += d.padded()
	x.drops[d.version] = d
}

// kills reports whether a segment, but for one, may hold what d drops.
func (x *index) kills(d dropped, but uint64) bool {
	for n := range x.segs {
		if n != but && d.lo <= n && n <= d.hi {
			return true
		}
	}
	return false
}

// forgetDrops lets go of the drops that were needed for a segment that is gone,
// and for no other.
func (x *index) forgetDrops(gone uint64) {
	for v, d := range x.drops {
		if gone < d.lo || gone > d.hi || x.kills(d, gone) {
			continue
		}
		if seg := x.segs[d.segment()]; seg != nil {
			seg.live -= d.padded()
		}
		delete(x.drops, v)
	}
}

// again takes note of the copy of a record, which counts from now on.
func (x *index) again(c *change, p place) {
	seg := x.segs[p.segment()]
	seg.total += p.padded()
	if c.kind == kindDrop {
		d := x.drops[c.version]
		d.place = p
		x.hold(d)
		return
	}
	seg.live += p.padded()
	x.move(x.keys[c.key], p)
}

// has reports whether a record of e is at p.
func (e *entry) has(p place) bool {
	i, found := slices.BinarySearchFunc(e.places, p.version, func(p place, v uint64) int { return cmp.Compare(p.version, v) })
	return found && e.places[i] == p
}

// remove notes that segments are gone.
func (x *index) remove(r removed, p place) {
	seg := x.segs[p.segment()]
	seg.total += p.padded()
	seg.live += p.padded()
	x.gone = slices.DeleteFunc(x.gone, func(old removal) bool {
		covered := r.from <= old.from && old.through <= r.through
		if at := x.segs[old.segment()]; covered && at != nil {
			at.live -= old.padded()
		}
		return covered
	})
	x.gone = append(x.gone, removal{r, p})
	slices.SortFunc(x.gone, func(a, b removal) int { return cmp.Compare(a.from, b.from) })
}

// wasRemoved reports whether a record says that a segment is gone.
func (x *index) wasRemoved(segment uint64) bool {
	return slices.ContainsFunc(x.gone, func(g removal) bool { return g.from <= segment && segment <= g.through })
}

// keysAtOnce is how many keys may be sorted while the journal is locked.
const keysAtOnce = 1 << 10

// sorted returns the keys from one on, in order; some may be gone. The list does
// not change any more.
func (x *index) sorted(from string) []string {
	if order, fresh := x.unsorted(); len(fresh) > 0 {
		slices.Sort(fresh)
		x.arranged(merged(order, fresh), len(x.fresh))
	}
	i, _ := slices.BinarySearch(x.order, from)
	return x.order[i:]
}

// unsorted returns a list that is sorted and one that is not, with all keys. Where
// many are gone it begins anew.
func (x *index) unsorted() (order, fresh []string) {
	if x.stale > len(x.keys)/2+16 {
		return nil, slices.Collect(maps.Keys(x.keys))
	}
	return x.order, slices.Clone(x.fresh)
}

// arranged takes over the sorted list of all keys, the first so many of fresh
// among them.
func (x *index) arranged(order []string, fresh int) {
	x.order, x.fresh = slices.Compact(order), x.fresh[fresh:]
	x.stale = max(0, len(x.order)+len(x.fresh)-len(x.keys))
	x.sorts++
}

// arrange sorts what keys there are, if they are many, while others append.
func (j *Journal) arrange() {
	j.sorting.Lock()
	defer j.sorting.Unlock()
	j.mu.Lock()
	x, n, sorts := j.x, len(j.x.fresh), j.x.sorts
	order, fresh := x.unsorted()
	j.mu.Unlock()
	if len(fresh) < keysAtOnce {
		return
	}
	slices.Sort(fresh)
	order = merged(order, fresh)
	j.mu.Lock()
	if x.sorts == sorts { // else a few came first
		x.arranged(order, n)
	}
	j.mu.Unlock()
}

// merged returns what two sorted lists hold, sorted.
func merged(a, b []string) []string {
	out := make([]string, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] <= b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
