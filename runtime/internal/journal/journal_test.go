package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

var background = context.Background()

// disk returns the FS of a directory that ends with the test.
func disk(t testing.TB, dir string) FS {
	t.Helper()
	d, err := OS(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func open(t testing.TB, dir string, o Options) *Journal {
	t.Helper()
	j, err := Open(disk(t, dir), o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// crash ends a journal as SIGKILL would: nothing is written any more, and the lock
// is free.
func crash(t testing.TB, j *Journal) {
	t.Helper()
	_ = j.breakOff(errors.New("crash"))
	if err := j.Close(); err == nil {
		t.Fatal("a broken journal closed without an error")
	}
}

func payloads(t testing.TB, j *Journal, key string) []string {
	t.Helper()
	var out []string
	for r, err := range j.Scan(background, key, 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(r.Payload))
	}
	return out
}

func mustAppend(t testing.TB, j *Journal, key string, after uint64, payload string) uint64 {
	t.Helper()
	v, err := j.Append(background, key, after, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustClose(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// model is the obvious journal.
type model struct {
	keys map[string][]Record
}

func (m *model) check(t testing.TB, j *Journal) {
	t.Helper()
	for key, want := range m.keys {
		i := 0
		for r, err := range j.Scan(background, key, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if i == len(want) || r.Version != want[i].Version || !bytes.Equal(r.Payload, want[i].Payload) {
				t.Fatalf("%s: record %d is version %d, want %d records %v", key, i, r.Version, len(want), want)
			}
			i++
		}
		if i != len(want) {
			t.Fatalf("%s has %d records, want %d", key, i, len(want))
		}
	}
	var heads, got []string
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		if list := m.keys[key]; len(list) > 0 {
			heads = append(heads, fmt.Sprintf("%s@%d", key, list[len(list)-1].Version))
		}
	}
	for r, err := range j.Heads(background, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s@%d", r.Key, r.Version))
	}
	if !slices.Equal(got, heads) {
		t.Fatalf("heads are %v, want %v", got, heads)
	}
}

// TestAgainstTheModel plays random histories with clean and unclean ends, in
// every level of Sync, with files so small that they follow one another fast.
func TestAgainstTheModel(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 1))
		o := Options{SegmentSize: 16 << 10, Sync: Sync(seed % 3), Growing: seed%4 == 1, Serial: seed%5 == 2}
		dir, m := t.TempDir(), &model{map[string][]Record{}}
		j := open(t, dir, o)
		for range 400 {
			m.step(t, rng, j)
			if rng.IntN(40) == 0 {
				if rng.IntN(2) == 0 {
					mustClose(t, j)
				} else {
					crash(t, j)
				}
				j = open(t, dir, o)
				m.check(t, j)
			}
		}
		m.check(t, j)
		mustClose(t, j)
	}
}

// step does one random thing to the journal and to the model.
func (m *model) step(t testing.TB, rng *rand.Rand, j *Journal) {
	t.Helper()
	key := fmt.Sprintf("k/%d", rng.IntN(12))
	list := m.keys[key]
	last := uint64(0)
	if len(list) > 0 {
		last = list[len(list)-1].Version
	}
	switch rng.IntN(10) {
	case 0:
		if _, err := j.Append(background, key, last+1, nil); !errors.Is(err, ErrConflict) {
			t.Fatalf("append to %s after %d, the last is %d: %v", key, last+1, last, err)
		}
	case 1:
		through := last
		if len(list) > 1 {
			through = list[rng.IntN(len(list))].Version
		}
		if err := j.Drop(background, key, through); err != nil {
			t.Fatal(err)
		}
		m.keys[key] = slices.DeleteFunc(slices.Clone(list), func(r Record) bool { return r.Version <= through })
	default:
		payload := bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(300))
		v := mustAppend(t, j, key, last, string(payload))
		m.keys[key] = append(list, Record{Key: key, Version: v, Payload: payload})
	}
}

// TestWritersAtTheirKeys has many writers append on a real disk, and looks for all
// that they were told is there.
func TestWritersAtTheirKeys(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{SegmentSize: 64 << 10})
	const writers, each = 64, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			var after uint64
			for i := range each {
				v, err := j.Append(background, fmt.Sprintf("w/%d", w), after, fmt.Appendf(nil, "%d", i))
				if err != nil {
					t.Error(err)
					return
				}
				after = v
			}
		})
	}
	wg.Wait()
	crash(t, j)
	j = open(t, dir, Options{})
	defer mustClose(t, j)
	for w := range writers {
		got := payloads(t, j, fmt.Sprintf("w/%d", w))
		if len(got) != each || got[each-1] != fmt.Sprint(each-1) {
			t.Fatalf("writer %d: %d records, want %d", w, len(got), each)
		}
	}
}

// TestHeadsWhileKeysCome lists keys while others make and drop many: what is there
// all the time is listed once, in order.
func TestHeadsWhileKeysCome(t *testing.T) {
	j := open(t, t.TempDir(), Options{Sync: Never})
	defer mustClose(t, j)
	const n = 3000
	for i := range n {
		mustAppend(t, j, fmt.Sprintf("stays/%05d", i), 0, "")
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range n {
				key := fmt.Sprintf("stays/%05d/%d", i*7919%n, w)
				v := mustAppend(t, j, key, 0, "")
				if i%3 > 0 {
					if err := j.Drop(background, key, v); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			for range 4 {
				got, before := 0, ""
				for r, err := range j.Heads(background, "stays/", "") {
					if err != nil || r.Key <= before {
						t.Errorf("%s after %s: %v", r.Key, before, err)
					}
					if before = r.Key; len(r.Key) == len("stays/00000") {
						got++
					}
				}
				if got != n {
					t.Errorf("%d heads that stay, want %d", got, n)
				}
			}
		})
	}
	wg.Wait()
}
