package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

var background = context.Background()

// small makes segments follow one another fast, and what the disk sees a function
// of the calls.
var small = journal.Options{SegmentSize: 4 << 10, Serial: true, ID: [16]byte{1}}

// wrote is an append that was asked for, and the place of the tape where it was
// answered; 0 says never.
type wrote struct {
	key     string
	version uint64
	payload []byte
	acked   int
}

// workload appends, drops, closes and opens again. It returns what was written to
// keys that were not dropped.
func workload(t *testing.T, d *faultfs.Disk, o journal.Options, seed uint64) []wrote {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	var all []wrote
	last := map[string]uint64{}
	j := must(journal.Open(d, o))
	for i := range 60 {
		switch rng.IntN(12) {
		case 0:
			ok(t, j.Close())
			j = must(journal.Open(d, o))
		case 1:
			v := must(j.Append(background, fmt.Sprintf("gone/%d", i), 0, []byte("x")))
			ok(t, j.Drop(background, fmt.Sprintf("gone/%d", i), v))
		default:
			w := wrote{key: fmt.Sprintf("k/%d", rng.IntN(4)), payload: bytes.Repeat([]byte{byte(i)}, rng.IntN(600))}
			w.version = must(j.Append(background, w.key, last[w.key], w.payload))
			last[w.key], w.acked = w.version, d.Place()
			all = append(all, w)
		}
	}
	return all
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scan returns what a key holds.
func scan(t testing.TB, j *journal.Journal, key string) []journal.Record {
	t.Helper()
	var list []journal.Record
	for r, err := range j.Scan(background, key, 0) {
		ok(t, err)
		list = append(list, r)
	}
	return list
}

// judge compares a journal with what was written: what was acknowledged is there,
// what was not is there whole or not at all, and nothing is missing before it.
func judge(t testing.TB, j *journal.Journal, all []wrote, place int) {
	t.Helper()
	got := map[string][]journal.Record{}
	for r, err := range j.Heads(background, "k/", "") {
		ok(t, err)
		got[r.Key] = scan(t, j, r.Key)
	}
	for _, w := range all {
		list := got[w.key]
		if len(list) == 0 {
			if w.acked <= place {
				t.Fatalf("%s version %d was acknowledged and is lost", w.key, w.version)
			}
			continue
		}
		if r := list[0]; r.Version != w.version || !bytes.Equal(r.Payload, w.payload) {
			t.Fatalf("%s has version %d where %d was written", w.key, r.Version, w.version)
		}
		got[w.key] = list[1:]
	}
	for key, list := range got {
		if len(list) > 0 {
			t.Fatalf("%s has %d records that were not written", key, len(list))
		}
	}
}

// TestPowerCuts cuts the power after each operation of a workload.
func TestPowerCuts(t *testing.T) {
	for _, fate := range []faultfs.Fate{faultfs.Kept, faultfs.Lost, faultfs.Mixed} {
		t.Run(fate.String(), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				d := faultfs.New(seed)
				tape := d.Record()
				all := workload(t, d, small, seed)
				rng := rand.New(rand.NewPCG(seed, 3))
				for place, at := range tape.Play() {
					c := at.Cut(rng, fate)
					j, err := journal.Open(c, small)
					if err != nil {
						t.Fatalf("seed %d, place %d: %v", seed, place, err)
					}
					judge(t, j, all, place)
					must(j.Append(background, "after", 0, []byte("it works")))
					c = c.Cut(rng, faultfs.Lost) // a second one at once
					j = must(journal.Open(c, small))
					judge(t, j, all, place)
					if n := len(scan(t, j, "after")); n != 1 {
						t.Fatalf("seed %d, place %d: %d records after the cut, want 1", seed, place, n)
					}
					ok(t, j.Close())
				}
			}
		})
	}
}

// TestEveryFault fails every operation that changes the disk in turn, once or from
// then on, evicts the cache, and opens again.
func TestEveryFault(t *testing.T) {
	faults := map[string]faultfs.Fault{"EIO": faultfs.EIO, "no room": faultfs.NoRoom, "short": faultfs.Short(faultfs.EIO.Err, 100), "short, no room": faultfs.Short(faultfs.NoRoom.Err, 100)}
	for name, fault := range faults {
		for _, ever := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, ever), func(t *testing.T) {
				t.Parallel()
				for n := 0; ; n++ {
					d := faultfs.New(uint64(n))
					fired := false
					fail := faultfs.At(n, fault, ever)
					d.Inject(func(op faultfs.Op) faultfs.Fault {
						f := fail(op)
						if !op.Kind.Changes() {
							return faultfs.Fault{}
						}
						fired = fired || f.Err != nil
						return f
					})
					all := struggle(t, d)
					if d.Ops() < n {
						return
					}
					_ = fired
					d.Inject(nil)
					c := d.Cut(rand.New(rand.NewPCG(uint64(n), 4)), faultfs.Mixed)
					j, err := journal.Open(c, small)
					if err != nil {
						t.Fatalf("operation %d: %v", n, err)
					}
					settle(t, n, j, all)
				}
			})
		}
	}
}

// tried is an append and what it returned.
type tried struct {
	key     string
	payload string
	err     error
}

// struggle appends whatever happens, and reopens what broke.
func struggle(t *testing.T, d *faultfs.Disk) (all []tried) {
	t.Helper()
	j, err := journal.Open(d, small)
	if err != nil {
		return nil
	}
	for i := range 24 {
		w := tried{key: fmt.Sprintf("k/%d", i), payload: fmt.Sprintf("%d %s", i, bytes.Repeat([]byte{'x'}, 400))}
		_, w.err = j.Append(background, w.key, 0, []byte(w.payload))
		all = append(all, w)
		shown := scan(t, j, w.key)
		if w.err == nil && len(shown) != 1 || w.err != nil && len(shown) != 0 {
			t.Fatalf("append %d returned %v, and %d records show", i, w.err, len(shown))
		}
		if errors.Is(w.err, journal.ErrUnavailable) {
			d.Evict()
			if j.Reopen() == nil {
				all = known(t, j, all)
			}
		}
		if i == 12 {
			if err := j.Close(); err != nil {
				d.Evict()
			}
			next, err := journal.Open(d, small)
			if err != nil {
				return all
			}
			j = next
			all = known(t, j, all)
		}
	}
	_ = j.Close()
	return all
}

// known settles the outcomes that were unknown, and makes sure of the others.
func known(t *testing.T, j *journal.Journal, all []tried) []tried {
	t.Helper()
	all = slices.Clone(all)
	for i := range all {
		list := scan(t, j, all[i].key)
		switch {
		case len(list) == 1 && string(list[0].Payload) == all[i].payload:
			if all[i].err != nil && !errors.Is(all[i].err, journal.ErrUnavailable) {
				t.Fatalf("append %d failed with %v, and is there", i, all[i].err)
			}
			all[i].err = nil
		case len(list) == 0:
			if all[i].err == nil {
				t.Fatalf("append %d was acknowledged, or seen, and is lost", i)
			}
			all[i].err = errors.New("not there, and will not come")
		default:
			t.Fatalf("append %d: %d records", i, len(list))
		}
	}
	return all
}

func settle(t *testing.T, n int, j *journal.Journal, all []tried) {
	t.Helper()
	known(t, j, all)
	if err := j.Close(); err != nil {
		t.Fatalf("operation %d: %v", n, err)
	}
}
