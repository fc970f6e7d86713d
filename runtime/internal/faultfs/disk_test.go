package faultfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// ones returns n sectors full of b.
func ones(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n*Sector) }

func made(t *testing.T, d *Disk, name string) journal.File {
	t.Helper()
	f, err := d.Open(name, journal.Create)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, f journal.File, p []byte, off int64) {
	t.Helper()
	if n, err := f.WriteAt(p, off); n != len(p) || err != nil {
		t.Fatalf("write of %d: %d, %v", len(p), n, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// durable returns a disk with a flushed file "a" of four sectors of 1.
func durable(t *testing.T) (*Disk, journal.File) {
	t.Helper()
	d := New(1)
	f := made(t, d, "a")
	write(t, f, ones(1, 4), 0)
	must(t, f.Sync())
	must(t, d.SyncDir())
	return d, f
}

func dice(i int) *rand.Rand { return rand.New(rand.NewPCG(uint64(i), 9)) }

// outcomes returns what a file is after many power cuts, a letter a sector, "-"
// where it is gone.
func outcomes(d *Disk, name string, fate Fate) []string {
	seen := map[string]bool{}
	for i := range 300 {
		b := d.Cut(dice(i), fate).Bytes(name)
		s := "-"
		if b != nil {
			s = ""
			for c := range slices.Chunk(b, Sector) {
				s += fmt.Sprint(c[0])
				if !bytes.Equal(c, bytes.Repeat(c[:1], len(c))) {
					s += "torn"
				}
			}
		}
		seen[s] = true
	}
	return slices.Sorted(func(yield func(string) bool) {
		for s := range seen {
			if !yield(s) {
				return
			}
		}
	})
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestFlushedFileOfFlushedNameSurvives(t *testing.T) {
	d, _ := durable(t)
	for _, fate := range []Fate{Kept, Lost, Mixed} {
		want(t, fate.String(), outcomes(d, "a", fate), "1111")
	}
}

func TestUnflushedSectorsAreAnyVersion(t *testing.T) {
	d, f := durable(t)
	write(t, f, ones(2, 2), Sector)
	write(t, f, ones(3, 1), Sector)
	want(t, "kept", outcomes(d, "a", Kept), "1321")
	want(t, "lost", outcomes(d, "a", Lost), "1111")
	want(t, "mixed", outcomes(d, "a", Mixed), "1111", "1121", "1211", "1221", "1311", "1321")
	if got := d.Bytes("a")[Sector]; got != 3 {
		t.Errorf("a reader sees %d, want what was written last", got)
	}
}

func TestUnflushedSizeIsAnyOne(t *testing.T) {
	d, f := durable(t)
	write(t, f, ones(2, 1), 4*Sector)
	want(t, "mixed", outcomes(d, "a", Mixed), "1111", "11110", "11112")
}

func TestUnflushedNames(t *testing.T) {
	d, _ := durable(t)
	f := made(t, d, "b")
	write(t, f, ones(2, 1), 0)
	must(t, f.Sync())
	want(t, "made", outcomes(d, "b", Mixed), "-", "2")
	must(t, d.Rename("b", "a"))
	want(t, "renamed over", outcomes(d, "a", Mixed), "1111", "2")
	must(t, d.SyncDir())
	must(t, d.Remove("a"))
	want(t, "removed", outcomes(d, "a", Mixed), "-", "2")
	want(t, "kept", outcomes(d, "a", Kept), "-")
	want(t, "lost", outcomes(d, "a", Lost), "2")
}

func TestKilledProcessLosesNothingAndFlushesNothing(t *testing.T) {
	d, f := durable(t)
	write(t, f, ones(2, 1), 0)
	made(t, d, "b")
	d.Freeze()
	if _, err := f.WriteAt(ones(3, 1), 0); !errors.Is(err, ErrFrozen) {
		t.Errorf("write after the freeze: %v", err)
	}
	k := d.Kill()
	if got := k.Names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("names %q", got)
	}
	g, err := k.Open("a", journal.ReadWrite)
	must(t, err)
	p := make([]byte, 1)
	if _, err := g.ReadAt(p, 0); err != nil || p[0] != 2 {
		t.Errorf("reads %d, %v, want 2", p[0], err)
	}
	want(t, "power cut after the kill", outcomes(k, "a", Mixed), "1111", "2111")
	write(t, g, ones(4, 1), 0)
	if d.Bytes("a")[0] != 2 {
		t.Error("the copy writes to the original")
	}
}

func TestFailedFlushIsNotMendedByAnother(t *testing.T) {
	lost := 0
	for seed := range 20 {
		d, f := durable(t)
		d.rand = New(uint64(seed)).rand
		write(t, f, ones(2, 1), 0)
		d.Inject(At(d.Ops(), EIO, false))
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		must(t, f.Sync())
		if d.Bytes("a")[0] != 2 {
			t.Fatal("the cache forgot")
		}
		after := d.Cut(dice(1), Kept).Bytes("a")[0]
		d.Evict()
		if got := d.Bytes("a")[0]; got != after {
			t.Fatalf("evicted: %d, power cut: %d", got, after)
		}
		if after == 1 {
			lost++
		}
		write(t, f, ones(2, 1), 0)
		must(t, f.Sync())
		want(t, "written again", outcomes(d, "a", Mixed), "2111")
	}
	if lost < 3 || lost > 17 {
		t.Errorf("lost %d of 20", lost)
	}
}

func TestEvictKeepsWhatIsNotFlushed(t *testing.T) {
	d, f := durable(t)
	write(t, f, ones(2, 3), 2*Sector)
	before := d.Bytes("a")
	d.Evict()
	if !bytes.Equal(d.Bytes("a"), before) {
		t.Error("forgot what is dirty")
	}
}

func TestFailedFlushOfTheDirectory(t *testing.T) {
	seen := map[bool]bool{}
	for seed := range 20 {
		d := New(uint64(seed))
		made(t, d, "a")
		d.Inject(At(d.Ops(), EIO, false))
		if err := d.SyncDir(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		seen[d.Cut(dice(1), Lost).Bytes("a") != nil] = true
		must(t, d.SyncDir())
		if d.Cut(dice(1), Lost).Bytes("a") == nil {
			t.Error("lost after a flush that succeeded")
		}
	}
	if len(seen) != 2 {
		t.Errorf("after a failed flush the name is there: %v, want both", seen)
	}
}

func TestFaults(t *testing.T) {
	d, f := durable(t)
	d.Inject(At(d.Ops(), Short(syscall.EIO, 700), false))
	if n, err := f.WriteAt(ones(2, 2), 0); n != 700 || !errors.Is(err, syscall.EIO) {
		t.Errorf("short write: %d, %v", n, err)
	}
	if b := d.Bytes("a"); b[699] != 2 || b[700] != 1 {
		t.Error("a short write wrote another part")
	}
	write(t, f, ones(3, 1), 0)
	d.Inject(At(d.Ops()+1, NoRoom, true))
	write(t, f, ones(4, 1), 0)
	for range 3 {
		if _, err := f.WriteAt(ones(5, 1), 0); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("for ever: %v", err)
		}
	}
	must(t, f.Sync())
	want(t, "failed writes", outcomes(d, "a", Mixed), "42torn11")
}

func TestRoomEndsInBlocks(t *testing.T) {
	d := New(1)
	d.SetSize(3 * block)
	f := made(t, d, "a")
	if n, err := f.WriteAt(make([]byte, 5*block), 100); n != 3*block-100 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d, %v", n, err)
	}
	write(t, f, ones(1, 1), 0)
	g := made(t, d, "b")
	if n, err := g.WriteAt([]byte{1}, 0); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d, %v", n, err)
	}
	must(t, d.Remove("a"))
	write(t, g, []byte{1}, 0)
	if d.Used() != block {
		t.Errorf("used %d", d.Used())
	}
}

func TestLock(t *testing.T) {
	d := New(1)
	l, err := d.Lock()
	must(t, err)
	if _, err := d.Lock(); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	if _, err := d.Kill().Lock(); err != nil {
		t.Errorf("after the process was killed: %v", err)
	}
	must(t, l.Close())
	_, err = d.Lock()
	must(t, err)
}

func TestDirectory(t *testing.T) {
	d, _ := durable(t)
	if _, err := d.Open("a", journal.Create); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create twice: %v", err)
	}
	if _, err := d.Open("b", journal.Read); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	if err := d.Remove("b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove: %v", err)
	}
	if err := d.Rename("b", "c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rename: %v", err)
	}
}

// TestTapeIsTheDisk does random operations, some of which fail, and compares the
// disk with its tape: what a reader sees, and what power cuts leave.
func TestTapeIsTheDisk(t *testing.T) {
	for seed := range 30 {
		r := dice(seed)
		d, _ := durable(t)
		d.Inject(func(Op) Fault {
			if r.IntN(10) == 0 {
				return Short(syscall.EIO, 600)
			}
			return Fault{}
		})
		tape := d.Record()
		var seen []*Disk
		for range 60 {
			for len(seen) < d.Place()+1 {
				seen = append(seen, d.Kill())
			}
			anything(d, r)
		}
		for len(seen) < d.Place()+1 {
			seen = append(seen, d.Kill())
		}
		for place, got := range tape.Play() {
			compare(t, fmt.Sprintf("seed %d, place %d", seed, place), got, seen[place])
		}
	}
}

func anything(d *Disk, r *rand.Rand) {
	name := string(rune('a' + r.IntN(3)))
	f, err := d.Open(name, journal.ReadWrite)
	if err != nil {
		_, _ = d.Open(name, journal.Create)
		return
	}
	switch r.IntN(8) {
	case 0:
		_ = d.Rename(name, string(rune('a'+r.IntN(3))))
	case 1:
		_ = d.Remove(name)
	case 2:
		_ = d.SyncDir()
	case 3:
		_ = f.Sync()
	default:
		_, _ = f.WriteAt(bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(2000)), r.Int64N(3000))
	}
}

func compare(t *testing.T, what string, got, want *Disk) {
	t.Helper()
	if !slices.Equal(got.Names(), want.Names()) {
		t.Fatalf("%s: names %q, want %q", what, got.Names(), want.Names())
	}
	for i := range 4 {
		g, w := got.Kill(), want.Kill()
		if i > 0 {
			g, w = g.Cut(dice(i), Fate(i-1)), w.Cut(dice(i), Fate(i-1))
		}
		for _, name := range w.Names() {
			if !bytes.Equal(g.Bytes(name), w.Bytes(name)) {
				t.Fatalf("%s: %s differs after cut %d", what, name, i)
			}
		}
	}
}
