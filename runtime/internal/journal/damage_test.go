package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// threeSegments returns a disk with a journal of three segments, and what it
// holds.
func threeSegments(t *testing.T, clean bool) (*faultfs.Disk, []wrote) {
	t.Helper()
	d := faultfs.New(1)
	d.Record()
	j := must(journal.Open(d, small))
	var all []wrote
	last := map[string]uint64{}
	for i := range 40 {
		w := wrote{key: []string{"k/one", "k/three", "k/four"}[i%3], payload: []byte(strings.Repeat(string(rune('A'+i)), 40+i*14))}
		w.version = must(j.Append(background, w.key, last[w.key], w.payload))
		last[w.key] = w.version
		all = append(all, w)
	}
	if clean {
		ok(t, j.Close())
	}
	if n := j.Stats().Segments; !clean && n != 3 {
		t.Fatalf("%d segments, want 3", n)
	}
	return d.Kill(), all
}

// findable opens a journal whose bytes were changed and fails if what changed is
// not found out.
func findable(t *testing.T, d *faultfs.Disk, all []wrote, clean bool, what string) {
	t.Helper()
	cut := false
	o := small
	o.OnEvent = func(e journal.Event) { cut = cut || e.Kind == journal.TailCut }
	j, err := journal.Open(d, o)
	var corrupt *journal.CorruptError
	if errors.As(err, &corrupt) {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	left := 0
	for _, w := range all {
		found := false
		for r, err := range j.Scan(background, w.key, w.version-1) {
			if errors.As(err, &corrupt) {
				return // it was opened by INDEX, and found out when it was read
			}
			ok(t, err)
			found = r.Version == w.version && string(r.Payload) == string(w.payload)
			break
		}
		if found {
			left++
		}
	}
	if lost := len(all) - left; lost > 0 && (clean || !cut || lost > 1) {
		t.Fatalf("%s: %d records are lost without a word (cut: %v)", what, lost, cut)
	}
	ok(t, j.Close())
}

// TestEveryBitFlip flips every bit of a journal of three segments, with -short
// one of 23. What is written is found out, or did not matter; the last batch may be
// cut where the end was not clean.
func TestEveryBitFlip(t *testing.T) {
	for _, clean := range []bool{false, true} {
		d, all := threeSegments(t, clean)
		for _, name := range d.Names() {
			if name == "RESERVE" || name == "LOCK" {
				continue
			}
			t.Run(fmt.Sprintf("%s/%v", name, clean), func(t *testing.T) {
				t.Parallel()
				b, step := d.Bytes(name), 1
				used := len(bytes.TrimRight(b, "\x00")) + 64 // flips far behind it are like one another
				if testing.Short() {
					step = 23
				}
				for bit := 0; bit < 8*min(used, len(b)); bit += step {
					b[bit/8] ^= 1 << (bit % 8)
					c := d.Kill()
					c.Put(name, b)
					b[bit/8] ^= 1 << (bit % 8)
					findable(t, c, all, clean, fmt.Sprintf("bit %d of %s flipped", bit, name))
				}
			})
		}
	}
}

// TestEveryTruncation cuts each file of a journal short at every length.
func TestEveryTruncation(t *testing.T) {
	for _, clean := range []bool{false, true} {
		d, all := threeSegments(t, clean)
		for _, name := range d.Names() {
			b := d.Bytes(name)
			for n := range b {
				if testing.Short() && n%7 != 0 {
					continue
				}
				c := d.Kill()
				c.Put(name, b[:n])
				findable(t, c, all, clean, fmt.Sprintf("%s cut at %d", name, n))
			}
		}
	}
}

// TestMissingSegment takes away each segment in turn.
func TestMissingSegment(t *testing.T) {
	d, _ := threeSegments(t, false)
	for _, name := range []string{"000000000001.rj", "000000000002.rj"} {
		c := d.Kill()
		c.Delete(name)
		_, err := journal.Open(c, small)
		var corrupt *journal.CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("without %s: %v, want a *CorruptError", name, err)
		}
	}
}

// TestForeignSegment puts a segment of another journal, and a copy of a segment
// under another number, into a journal.
func TestForeignSegment(t *testing.T) {
	d, _ := threeSegments(t, false)
	other := faultfs.New(2)
	o := small
	o.ID = [16]byte{2}
	j := must(journal.Open(other, o))
	must(j.Append(background, "k", 0, nil))
	for what, b := range map[string][]byte{"another journal": other.Bytes("000000000001.rj"), "another number": d.Bytes("000000000002.rj")} {
		c := d.Kill()
		c.Put("000000000001.rj", b)
		_, err := journal.Open(c, small)
		var corrupt *journal.CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("%s: %v, want a *CorruptError", what, err)
		}
	}
}

// TestPayloadsThatAreJournals stores the bytes of whole segments, damages what
// lies behind them, and expects that none of it passes for batches.
func TestPayloadsThatAreJournals(t *testing.T) {
	inner, _ := threeSegments(t, false)
	d := faultfs.New(1)
	d.Record()
	o := small
	o.SegmentSize, o.ID = 256<<10, [16]byte{9}
	j := must(journal.Open(d, o))
	var all []wrote
	for _, name := range []string{"000000000001.rj", "000000000002.rj", "000000000003.rj"} {
		w := wrote{key: "k/" + name[11:12], payload: inner.Bytes(name)}
		w.version = must(j.Append(background, w.key, 0, w.payload))
		all = append(all, w)
	}
	b := d.Bytes("000000000001.rj")
	i := bytes.Index(b, []byte("hhhhhhhh")) // in the last payload
	c := d.Kill()
	b[i] ^= 1
	c.Put("000000000001.rj", b)
	cut := false
	o.OnEvent = func(e journal.Event) { cut = cut || e.Kind == journal.TailCut }
	j = must(journal.Open(c, o))
	if !cut {
		t.Fatal("the last batch was changed, and not cut")
	}
	judge(t, j, all[:2], 0)
}

// TestQuarantine flips every bit of the records of a journal: the keys of the
// batch that it hits are unusable, and all others whole, over a restart as well.
func TestQuarantine(t *testing.T) {
	d, all := threeSegments(t, false)
	o := small
	o.OnDamage = journal.Quarantine
	opened, usable := 0, 0
	for _, name := range []string{"000000000001.rj", "000000000002.rj"} {
		b := d.Bytes(name)
		for bit := 0; bit < len(b)*8; bit += 3 {
			if testing.Short() && bit%11 != 0 {
				continue
			}
			b[bit/8] ^= 1 << (bit % 8)
			c := d.Kill()
			c.Put(name, b)
			b[bit/8] ^= 1 << (bit % 8)
			j, err := journal.Open(c, o)
			var corrupt *journal.CorruptError
			if errors.As(err, &corrupt) {
				continue
			}
			ok(t, err)
			if j.Stats().Quarantine {
				opened++
			}
			for range 2 {
				usable += quarantined(t, j, all, fmt.Sprintf("bit %d of %s", bit, name))
				must(j.Append(background, fmt.Sprintf("another/key/%d", j.Stats().Version), 0, []byte("works")))
				ok(t, j.Close())
				j = must(journal.Open(c, o))
			}
		}
	}
	if opened == 0 || usable < opened*2*2 {
		t.Errorf("%d journals were opened with damage, and twice %d keys of 3 were usable, want 2 in each", opened, usable)
	}
}

// quarantined fails where a key is neither whole nor unusable, and returns how
// many are whole.
func quarantined(t *testing.T, j *journal.Journal, all []wrote, what string) (usable int) {
	t.Helper()
	want := map[string][]wrote{}
	for _, w := range all {
		want[w.key] = append(want[w.key], w)
	}
	for key, list := range want {
		n, damaged := 0, false
		for r, err := range j.Scan(background, key, 0) {
			var corrupt *journal.CorruptError
			if damaged = errors.As(err, &corrupt); damaged {
				break
			}
			ok(t, err)
			if r.Version != list[n].version || !bytes.Equal(r.Payload, list[n].payload) {
				t.Fatalf("%s: %s has version %d, want %d", what, key, r.Version, list[n].version)
			}
			n++
		}
		if !damaged && n != len(list) {
			t.Fatalf("%s: %s has %d records, want %d or an error", what, key, n, len(list))
		}
		if !damaged {
			usable++
		} else {
			_, err := j.Append(background, key, 0, nil)
			var corrupt *journal.CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("%s: append to %s: %v", what, key, err)
			}
		}
	}
	return usable
}

// TestEverySegmentMissing takes all segments away: what has a journal no more must
// not begin a new one beside an INDEX that knows the old one.
func TestEverySegmentMissing(t *testing.T) {
	d, _ := threeSegments(t, true)
	for _, name := range d.Names() {
		if strings.HasSuffix(name, ".rj") {
			ok(t, d.Remove(name))
		}
	}
	for _, readOnly := range []bool{false, true} {
		o := small
		o.ReadOnly = readOnly
		var corrupt *journal.CorruptError
		if j, err := journal.Open(d, o); !errors.As(err, &corrupt) {
			t.Errorf("read-only %t: %v, want a *CorruptError", readOnly, err)
			if err == nil {
				ok(t, j.Close())
			}
		}
	}
	var corrupt *journal.CorruptError
	if _, err := journal.Verify(d); !errors.Is(err, journal.ErrNoJournal) || !errors.As(err, &corrupt) {
		t.Errorf("Verify: %v, want what is damaged", err)
	}
}
