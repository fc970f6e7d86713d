package journal

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Quarantine works where it can be told which keys a damaged batch touches: its
// header is whole, so its length is known and the next batch proves that the chain
// goes on, and its records still follow one another. What is damaged may be a byte
// of a key or its length, so keys that differ from one of them in a byte count as
// damaged, too, and those with which the bytes of key and payload begin.

// quarantine is what may be damaged.
type quarantine struct {
	cut   map[string]error // by key, with one byte replaced by 0
	texts []string         // of keys and payloads
	whys  []error          // of each of them
}

// skip goes on behind a damaged batch, if the keys in it can be told, and reports
// whether it did.
func (r *recovery) skip(err error) bool {
	var damage *CorruptError
	if r.o.OnDamage != Quarantine || !errors.As(err, &damage) {
		return false
	}
	at, off := r.at, r.end
	b, h, ok := r.damaged(at, off)
	if !ok && at+1 < len(r.segs) && r.segs[at+1].number == r.segs[at].number+1 {
		at, off = at+1, segmentHead // it would be the first one there
		b, h, ok = r.damaged(at, off)
	}
	if !ok {
		return false
	}
	records, ok := suspects(b, h)
	if !ok {
		return false
	}
	why := &CorruptError{File: r.segs[at].name(), Offset: off, Batch: h.number, Why: fmt.Sprintf("its records are damaged; %d keys are in quarantine", len(records))}
	for _, rec := range records {
		r.found.x.suspect(rec, why)
	}
	r.found.events = append(r.found.events, Event{Kind: Damaged, File: why.File, Bytes: int64(len(b)), Err: why})
	r.at, r.end, r.found.chain = at, off+batchHead+int64(h.length), chain{h.number, h.crc}
	seg := r.segs[at]
	seg.used = r.end
	seg.total += int64(len(b))
	seg.live += int64(len(b)) // what it holds nobody knows, so it must stay
	return true
}

// damaged returns the records of the batch that should follow, if its header is
// whole.
func (r *recovery) damaged(at int, off int64) (body []byte, h header, ok bool) {
	seg := r.segs[at]
	head := make([]byte, batchHead)
	if off+batchHead > seg.size || readFull(seg, head, off) != nil {
		return nil, header{}, false
	}
	h, ok = newHeadSum(r.found.id, seg.number).readHead(head, seg.size-off)
	if !ok || !h.continues(r.found.chain, false) {
		return nil, header{}, false
	}
	body = make([]byte, h.length)
	return body, h, readFull(seg, body, off+batchHead) == nil
}

// suspects returns records that are damaged somewhere, unless they are so damaged
// that there may be others.
func suspects(body []byte, h header) (records []rawRecord, ok bool) {
	for len(body) > 0 {
		r, why := readRecord(body)
		if why != "" || r.known(0) != nil || r.kind != kindData && r.kind != kindDrop || !readable(r.key) {
			return nil, false
		}
		records = append(records, r)
		body = body[min(padded(r.size), len(body)):]
	}
	return records, len(records) == int(h.records)
}

// readable reports whether a key is one that nothing was written over.
func readable(key []byte) bool {
	for _, c := range key {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(key) > 0
}

// suspect puts what may be the key of r into quarantine.
func (x *index) suspect(r rawRecord, why error) {
	if x.suspected == nil {
		x.suspected = &quarantine{cut: map[string]error{}}
	}
	q, key := x.suspected, string(r.key)
	for i := range len(key) {
		q.cut[key[:i]+"\x00"+key[i+1:]] = why
	}
	q.texts = append(q.texts, key+string(r.payload[:min(len(r.payload), math.MaxUint16)]))
	q.whys = append(q.whys, why)
}

// unusable returns why a key is in quarantine.
func (x *index) unusable(key string) error {
	q := x.suspected
	if q == nil {
		return nil
	}
	for i := range len(key) {
		if why := q.cut[key[:i]+"\x00"+key[i+1:]]; why != nil {
			return why
		}
	}
	for i, text := range q.texts {
		if strings.HasPrefix(text, key) {
			return q.whys[i]
		}
	}
	return nil
}
