package journal_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// firstSegment returns the bytes of the first segment of a journal.
func firstSegment(d *faultfs.Disk) []byte {
	for _, name := range d.Names() {
		if strings.HasSuffix(name, ".rj") {
			return d.Bytes(name)
		}
	}
	return nil
}

// TestPayloadsWithBatchesOfAnotherJournal appends what another, longer journal has
// on its disk, at every distance from the alignment of batches, and cuts the power
// at every operation. Were they taken for batches, each torn tail would look like
// damage, since they say that later ones were durable.
func TestPayloadsWithBatchesOfAnotherJournal(t *testing.T) {
	o := options(journal.Always)
	o.SegmentSize = 64 << 10
	other := o
	other.ID[0] = 7
	long := newWorker(faultfs.New(1), other, 1)
	long.disk.Record()
	need(t, long.open())
	for i := range 100 {
		need(t, long.put(fmt.Sprint("k/", i), nil))
	}
	evil := firstSegment(long.disk)[:8<<10]
	for shift := range 8 {
		w := newWorker(faultfs.New(1), o, 1)
		tape := w.disk.Record()
		need(t, w.open())
		need(t, w.put("k/a", []byte("first")))
		first := w.disk.Place()
		for i := range 2 {
			need(t, w.put(fmt.Sprint("k/", i), slices.Concat(make([]byte, shift), evil)))
		}
		for place, d := range tape.Play() {
			for i := 0; i < 8 && place >= first; i++ {
				cut(t, w, d, place, i)
			}
		}
	}
}

// TestReadingTakesLittleMemory reads a journal in the ways there are, and what is
// left of it after a cut, and counts what is allocated.
func TestReadingTakesLittleMemory(t *testing.T) {
	dir := t.TempDir()
	disk, err := journal.OS(dir)
	need(t, err)
	j, err := journal.Open(disk, journal.Options{Sync: journal.Never, Serial: true, SegmentSize: 1 << 20})
	need(t, err)
	for i := range 3000 {
		_, err := j.Append(t.Context(), fmt.Sprint("k/", i), 0, make([]byte, 1000))
		need(t, err)
	}
	size := uint64(j.Stats().SegmentBytes)
	ways := map[string]func() error{
		"killed": func() error { return reopened(disk, journal.Options{ReadOnly: true}) },
		"verify": func() error { _, err := journal.Verify(disk); return err },
		"closed": func() error { return reopened(disk, journal.Options{Serial: true}) },
	}
	for _, name := range []string{"killed", "verify", "closed"} {
		if name == "closed" {
			need(t, j.Close())
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		need(t, ways[name]())
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 2*size+1<<20 {
			t.Errorf("%s: reading %d bytes allocates %d", name, size, n)
		}
	}
}

func reopened(disk journal.FS, o journal.Options) error {
	j, err := journal.Open(disk, o)
	if err != nil {
		return err
	}
	return j.Close()
}
