package resilience

import (
	"bytes"
	"crypto/rand"
	"strings"
	"sync"
	"time"
)

// crockford are the digits of base 32 that nobody confuses, in lower case, which
// keys of stores are written in.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// idLength is how many of them an id has: 128 bits, and two that are zero.
const idLength = 26

// idSource makes ids, each greater than all before it. It is safe for concurrent
// use.
type idSource struct {
	mu   sync.Mutex
	last [16]byte
}

// next returns an id of a time: 48 bits of milliseconds, then 80 random ones. Within
// a millisecond, and where the clock was set back, it is the last one plus one.
func (s *idSource) next(at time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw := randomID(at)
	if bytes.Compare(raw[:6], s.last[:6]) <= 0 {
		raw = s.last
		for i := len(raw) - 1; i >= 0; i-- {
			if raw[i]++; raw[i] != 0 {
				break
			}
		}
	}
	s.last = raw
	return encodeID(raw)
}

// newLetterID returns an id that sorts by at.
func newLetterID(at time.Time) string { return encodeID(randomID(at)) }

func randomID(at time.Time) (raw [16]byte) {
	ms := uint64(max(at.UnixMilli(), 0))
	for i := range 6 {
		raw[i] = byte(ms >> (40 - 8*i))
	}
	_, _ = rand.Read(raw[6:]) // never fails
	return raw
}

func encodeID(raw [16]byte) string {
	var text [idLength]byte
	for i := range text {
		var digit byte
		for bit := range 5 { // the text has 130 bits, the first two of which are zero
			digit <<= 1
			if at := 5*i + bit - 2; at >= 0 {
				digit |= raw[at/8] >> (7 - at%8) & 1
			}
		}
		text[i] = crockford[digit]
	}
	return string(text[:])
}

// isLetterID reports whether text is what newLetterID makes.
func isLetterID(text string) bool {
	if len(text) != idLength || text[0] > '7' {
		return false
	}
	return strings.Trim(text, crockford) == ""
}

// letterTime is the time in an id, to the millisecond.
func letterTime(id string) time.Time {
	var ms int64
	for i := range 10 { // 48 bits and the two that are zero
		ms = ms<<5 | int64(strings.IndexByte(crockford, id[i]))
	}
	return time.UnixMilli(ms)
}
