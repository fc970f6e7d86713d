package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// broken returns a journal of three records whose next write or flush failed, and
// what the append of it came to.
func broken(t *testing.T, kind faultfs.Kind) (*faultfs.Disk, *journal.Journal) {
	t.Helper()
	d := faultfs.New(1)
	j := must(journal.Open(d, small))
	for i := range 3 {
		must(j.Append(background, fmt.Sprint("k/", i), 0, []byte("old")))
	}
	hit := false
	d.Inject(func(op faultfs.Op) faultfs.Fault {
		if op.Kind == kind && !hit {
			hit = true
			return faultfs.EIO
		}
		return faultfs.Fault{}
	})
	if _, err := j.Append(background, "dlq/q/0", 0, []byte("first")); !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("append: %v", err)
	}
	return d, j
}

// once fails unless each of these keys has one record, with its name in it, and
// EMERGENCY is gone.
func once(t *testing.T, d *faultfs.Disk, j *journal.Journal, keys ...string) {
	t.Helper()
	for _, key := range keys {
		list := scan(t, j, key)
		if len(list) != 1 || !bytes.Contains(list[0].Payload, []byte(key)) {
			t.Errorf("%s has %d records: %v", key, len(list), list)
		}
	}
	if slices.Contains(d.Names(), "EMERGENCY") {
		t.Error("EMERGENCY is still there")
	}
}

// TestEmergency: what a broken journal does not take waits beside it, and is in it
// when it works again, once, also where the append that failed had been written.
func TestEmergency(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Write, faultfs.Sync} {
		for _, again := range []string{"reopened", "closed", "killed"} {
			t.Run(fmt.Sprint(kind, " ", again), func(t *testing.T) {
				d, j := broken(t, kind)
				ok(t, j.AppendEmergency("dlq/q/0", []byte("dlq/q/0")))
				ok(t, j.AppendEmergency("dlq/q/1", []byte("dlq/q/1")))
				if list := scan(t, j, "dlq/q/1"); len(list) != 0 {
					t.Errorf("it shows before: %v", list)
				}
				switch again {
				case "reopened":
					ok(t, j.Reopen())
				case "closed":
					if err := j.Close(); err == nil {
						t.Error("a broken journal was closed without a word")
					}
					j = must(journal.Open(d, small))
				case "killed":
					d.Freeze()
					d = d.Kill()
					j = must(journal.Open(d, small))
				}
				once(t, d, j, "dlq/q/1")
				if list := scan(t, j, "dlq/q/0"); len(list) != 1 {
					t.Errorf("dlq/q/0 has %d records", len(list))
				}
				if err := j.AppendEmergency("dlq/q/2", nil); !errors.Is(err, journal.ErrNotBroken) {
					t.Errorf("a journal that works: %v", err)
				}
				v := must(j.Append(background, "k/0", 1, []byte("new")))
				if v <= 3 {
					t.Errorf("version %d", v)
				}
				ok(t, j.Close())
			})
		}
	}
}

// TestEmergencyBesideNothing: what was put beside a journal that broke before it had
// anything is of that journal all the same, though no segment tells its id.
func TestEmergencyBesideNothing(t *testing.T) {
	o := small
	o.ID = [16]byte{}
	for _, kind := range []faultfs.Kind{faultfs.Create, faultfs.Write, faultfs.Sync, faultfs.Rename, faultfs.SyncDir} {
		for _, again := range []string{"reopened", "closed", "killed"} {
			d := faultfs.New(1)
			j := must(journal.Open(d, o))
			hit := false
			d.Inject(func(op faultfs.Op) (f faultfs.Fault) {
				if op.Kind == kind && !hit {
					hit, f = true, faultfs.EIO
				}
				return f
			})
			if _, err := j.Append(background, "dlq/q/0", 0, nil); !errors.Is(err, journal.ErrUnavailable) {
				t.Fatalf("%v: %v", kind, err)
			}
			ok(t, j.AppendEmergency("dlq/q/1", []byte("dlq/q/1")))
			switch again {
			case "reopened":
				ok(t, j.Reopen())
			case "closed":
				_ = j.Close() // broken
				j = must(journal.Open(d, o))
			case "killed":
				d.Freeze()
				d = d.Kill()
				j = must(journal.Open(d, o))
			}
			once(t, d, j, "dlq/q/1")
			ok(t, j.Close())
		}
	}
}

// TestEmergencyNeverComesBack: what was taken in and dropped stays away, whatever
// a power cut does at any moment after.
func TestEmergencyNeverComesBack(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Write, faultfs.Sync} {
		d, j := broken(t, kind)
		tape := d.Record()
		ok(t, j.AppendEmergency("dlq/q/1", []byte("dlq/q/1")))
		kept := d.Place()
		ok(t, j.AppendEmergency("dlq/q/2", []byte("dlq/q/2")))
		ok(t, j.Reopen())
		once(t, d, j, "dlq/q/1", "dlq/q/2")
		dropping := d.Place()
		ok(t, j.Drop(background, "dlq/q/1", 1<<40))
		dropped := d.Place()
		ok(t, j.Close())
		for place, disk := range tape.Play() {
			for i, fate := range []faultfs.Fate{faultfs.Kept, faultfs.Lost, faultfs.Mixed, faultfs.Mixed, faultfs.Mixed} {
				cut := disk.Cut(rand.New(rand.NewPCG(uint64(place), uint64(i))), fate)
				j := must(journal.Open(cut, small))
				got := len(scan(t, j, "dlq/q/1"))
				switch {
				case got > 1:
					t.Errorf("%v: cut (%v) at %d: it is there %d times", kind, fate, place, got)
				case got == 0 && place >= kept && place <= dropping:
					t.Errorf("%v: cut (%v) at %d: it is lost", kind, fate, place)
				case got == 1 && place >= dropped:
					t.Errorf("%v: cut (%v) at %d: it came back", kind, fate, place)
				}
				ok(t, j.Close())
			}
		}
	}
}

// TestEmergencyFails: where every operation of a kind fails for ever the caller is
// told, and what was told to be kept is there when the disk is well again.
func TestEmergencyFails(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Create, faultfs.Write, faultfs.Sync, faultfs.Rename, faultfs.SyncDir, faultfs.Open, faultfs.Read, faultfs.Remove} {
		for after := range 12 {
			d, j := broken(t, faultfs.Write)
			n := 0
			d.Inject(func(op faultfs.Op) faultfs.Fault {
				if op.Kind == kind {
					if n++; n > after {
						return faultfs.EIO
					}
				}
				return faultfs.Fault{}
			})
			var told []string
			for i := range 3 {
				key := fmt.Sprint("dlq/q/", i)
				if err := j.AppendEmergency(key, []byte(key)); err == nil {
					told = append(told, key)
				}
				_ = j.Reopen()
				_ = j.Reopen()
			}
			d.Inject(nil)
			ok(t, j.Reopen())
			once(t, d, j, told...)
			for i := range 3 {
				if n := len(scan(t, j, fmt.Sprint("dlq/q/", i))); n > 1 {
					t.Errorf("%v after %d: %d times", kind, after, n)
				}
			}
			ok(t, j.Close())
		}
	}
}

// TestEmergencyThroughTwoFaults: whichever two operations fail, one after another,
// what was told to be kept is there after a power cut at the end, and when the disk is
// well again.
func TestEmergencyThroughTwoFaults(t *testing.T) {
	for gap := range 16 {
		for n, hit := 0, true; hit; n++ {
			var failed []faultfs.Op
			d, j := broken(t, faultfs.Write)
			at := 0
			d.Inject(func(op faultfs.Op) (f faultfs.Fault) {
				if at == n || at == n+gap {
					failed, f = append(failed, op), faultfs.EIO
				}
				at++
				return f
			})
			told := keptBeside(j)
			d.Inject(nil)
			hit = at > n+gap
			cut := d.Kill()
			for _, fate := range []faultfs.Fate{faultfs.Kept, faultfs.Lost, faultfs.Mixed} {
				c := cut.Cut(rand.New(rand.NewPCG(uint64(n), uint64(gap))), fate)
				again := must(journal.Open(c, small))
				once(t, c, again, told...)
				ok(t, again.Close())
			}
			ok(t, j.Reopen())
			once(t, d, j, told...)
			if ok(t, j.Close()); t.Failed() {
				t.Fatalf("%v failed", failed)
			}
		}
	}
}

// keptBeside tries to keep six records beside a broken journal, which is opened again
// after every second one if that succeeds, and returns which were told to be kept.
func keptBeside(j *journal.Journal) (told []string) {
	for i := range 6 {
		key := fmt.Sprint("dlq/q/", i)
		err := j.AppendEmergency(key, []byte(key))
		if errors.Is(err, journal.ErrNotBroken) {
			_, err = j.Append(background, key, 0, []byte(key))
		}
		if err == nil {
			told = append(told, key)
		}
		if i%2 == 1 {
			_ = j.Reopen()
		}
	}
	return told
}

// TestEmergencyWhileReopening: records are kept beside a journal while it breaks and is
// opened again, over and over, and each that was told to be kept is there.
func TestEmergencyWhileReopening(t *testing.T) {
	d, j := broken(t, faultfs.Write)
	var told []string
	var kept sync.WaitGroup
	end := make(chan struct{})
	kept.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			key := fmt.Sprint("dlq/q/", i)
			if err := j.AppendEmergency(key, []byte(key)); err == nil {
				told = append(told, key)
			}
		}
	})
	var fails atomic.Bool
	d.Inject(func(op faultfs.Op) (f faultfs.Fault) {
		if op.Kind == faultfs.Sync && op.Name != "EMERGENCY" && fails.Load() {
			f = faultfs.EIO
		}
		return f
	})
	for i := range 30 {
		ok(t, j.Reopen())
		fails.Store(true)
		if _, err := j.Append(background, fmt.Sprint("n/", i), 0, nil); !errors.Is(err, journal.ErrUnavailable) {
			t.Errorf("an append whose flush failed: %v", err)
		}
		fails.Store(false)
	}
	close(end)
	kept.Wait()
	ok(t, j.Reopen())
	once(t, d, j, told...)
	ok(t, j.Close())
}

// TestEmergencyHasAnEnd: the file holds no more than one batch, and says so.
func TestEmergencyHasAnEnd(t *testing.T) {
	d, j := broken(t, faultfs.Write)
	var told []string
	for i := 0; ; i++ {
		key := fmt.Sprint("dlq/q/", i)
		err := j.AppendEmergency(key, []byte(strings.Repeat(key+" ", 10)))
		if errors.Is(err, journal.ErrFull) {
			break
		}
		ok(t, err)
		told = append(told, key)
	}
	if len(told) < 3 {
		t.Errorf("only %d", len(told))
	}
	ok(t, j.Reopen())
	once(t, d, j, told...)
	ok(t, j.Close())
}

// TestEmergencyOnAFullDisk: what finds no room waits for the next time.
func TestEmergencyOnAFullDisk(t *testing.T) {
	d, j := broken(t, faultfs.Write)
	ok(t, j.AppendEmergency("dlq/q/1", []byte("dlq/q/1")))
	d.Inject(func(op faultfs.Op) faultfs.Fault {
		if op.Kind == faultfs.Write && op.Name != "EMERGENCY" || op.Kind == faultfs.Create {
			return faultfs.NoRoom
		}
		return faultfs.Fault{}
	})
	_ = j.Reopen()
	d.Inject(nil)
	if err := j.Reopen(); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	j = must(journal.Open(d, small))
	once(t, d, j, "dlq/q/1")
	ok(t, j.Close())
}

// TestEmergencyOfSomebodyElse is told, and left alone.
func TestEmergencyOfSomebodyElse(t *testing.T) {
	d, j := broken(t, faultfs.Write)
	ok(t, j.AppendEmergency("dlq/q/1", []byte("dlq/q/1")))
	theirs := d.Bytes("EMERGENCY")
	_ = j.Close()
	for name, content := range map[string][]byte{
		"another journal": theirs, "nothing": {}, "cut": theirs[:40], "text": []byte(strings.Repeat("letters ", 100)),
		"a flipped bit": append([]byte{theirs[0] ^ 1}, theirs[1:]...),
	} {
		d := faultfs.New(1)
		o := small
		o.ID = [16]byte{2}
		must(journal.Open(d, o)).Close()
		d.Put("EMERGENCY", content)
		told := 0
		o.OnEvent = func(e journal.Event) {
			if e.Kind == journal.EmergencyIgnored {
				told++
			}
		}
		j, err := journal.Open(d, o)
		if err != nil || told != 1 || !bytes.Equal(d.Bytes("EMERGENCY"), content) {
			t.Errorf("%s: %v, told %d times", name, err, told)
			continue
		}
		ok(t, j.Close())
	}
}

// TestEmergencyCut: of records that were cut or damaged those before are taken in,
// and the rest is told.
func TestEmergencyCut(t *testing.T) {
	d, j := broken(t, faultfs.Write)
	var ends []int
	for i := range 3 {
		key := fmt.Sprint("dlq/q/", i)
		ok(t, j.AppendEmergency(key, []byte(key)))
		ends = append(ends, len(d.Bytes("EMERGENCY")))
	}
	_ = j.Close()
	whole := d.Bytes("EMERGENCY")
	for at := 64; at < len(whole); at++ {
		for _, flip := range []bool{false, true} {
			c := d.Kill()
			content := slices.Clone(whole[:at])
			if flip {
				content = slices.Clone(whole)
				content[at] ^= 4
			}
			c.Put("EMERGENCY", content)
			j := must(journal.Open(c, small))
			for i, end := range ends {
				want := 0
				if end <= at {
					want = 1
				}
				if n := len(scan(t, j, fmt.Sprint("dlq/q/", i))); n != want && !(flip && n > want && n == 1 && padding(whole, at)) {
					t.Fatalf("at %d (flipped %v): letter %d is there %d times, want %d", at, flip, i, n, want)
				}
			}
			ok(t, j.Close())
		}
	}
}

// padding reports whether nothing looks at the byte there: the last word of the header
// of a batch.
func padding(b []byte, at int) bool {
	for off := 64; off < len(b); {
		length := 40 + int(uint32(b[off])|uint32(b[off+1])<<8|uint32(b[off+2])<<16)
		if at >= off+36 && at < off+40 {
			return true
		}
		off += length
	}
	return false
}

// TestEmergencyIsCopied: who verifies sees it, and who copies or repairs takes it along.
func TestEmergencyIsCopied(t *testing.T) {
	d, j := broken(t, faultfs.Write)
	ok(t, j.AppendEmergency("dlq/q/1", []byte("dlq/q/1")))
	ok(t, j.AppendEmergency("dlq/q/2", []byte("dlq/q/2")))
	d.Freeze()
	d = d.Kill()
	if r := must(journal.Verify(d)); r.Waiting != 2 || len(r.Damage) != 0 {
		t.Errorf("verify: %+v", r)
	}
	for name, copy := range map[string]func(from, to journal.FS, o journal.Options) (journal.Report, error){"copy": journal.Copy, "repair": journal.Repair} {
		to := faultfs.New(2)
		if r, err := copy(d.Kill(), to, small); err != nil || r.Keys != 5 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		j := must(journal.Open(to, small))
		once(t, to, j, "dlq/q/1", "dlq/q/2")
		ok(t, j.Close())
	}
}

// TestEmergencyAlone: where the file is all there is of a journal, who verifies and who
// reads sees what is in it, and who copies or repairs takes it along; without it there is
// no journal.
func TestEmergencyAlone(t *testing.T) {
	d, j := broken(t, faultfs.Write)
	ok(t, j.AppendEmergency("dlq/q/1", []byte("dlq/q/1")))
	ok(t, j.AppendEmergency("dlq/q/2", []byte("dlq/q/2")))
	d.Freeze()
	d = d.Kill()
	whole := d.Bytes("EMERGENCY")
	for _, name := range d.Names() {
		ok(t, d.Remove(name))
	}
	if _, err := journal.Verify(d); !errors.Is(err, journal.ErrNoJournal) {
		t.Errorf("nothing: %v", err)
	}
	d.Put("EMERGENCY", whole[:30])
	var corrupt *journal.CorruptError
	if _, err := journal.Verify(d); !errors.Is(err, journal.ErrNoJournal) || !errors.As(err, &corrupt) {
		t.Errorf("cut: %v", err)
	}
	d.Put("EMERGENCY", whole)
	var keys []string
	r, err := journal.Dump(d, func(e journal.Entry) error {
		if keys = append(keys, e.Key); e.Kind != "waiting" || e.File != "EMERGENCY" || e.Offset < 64 || string(e.Payload) != e.Key {
			t.Errorf("entry %+v", e)
		}
		return nil
	})
	if err != nil || r.Waiting != 2 || r.Keys != 0 || len(r.Damage) != 0 || !slices.Equal(keys, []string{"dlq/q/1", "dlq/q/2"}) {
		t.Errorf("dump of %q: %+v, %v", keys, r, err)
	}
	o := small
	o.ReadOnly = true
	reader := must(journal.Open(d, o))
	if s := reader.Stats(); s.Beside != 2 || s.Keys != 0 {
		t.Errorf("a reader sees %d beside %d", s.Beside, s.Keys)
	}
	ok(t, reader.Close())
	for name, copy := range map[string]func(from, to journal.FS, o journal.Options) (journal.Report, error){"copy": journal.Copy, "repair": journal.Repair} {
		to := faultfs.New(2)
		if r, err := copy(d.Kill(), to, small); err != nil || r.Keys != 2 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		j := must(journal.Open(to, small))
		once(t, to, j, "dlq/q/1", "dlq/q/2")
		ok(t, j.Close())
	}
}

// TestEmergencyReadOnly: who only reads leaves the file where it is.
func TestEmergencyReadOnly(t *testing.T) {
	d, j := broken(t, faultfs.Write)
	ok(t, j.AppendEmergency("dlq/q/1", []byte("dlq/q/1")))
	d.Freeze()
	d = d.Kill()
	before := d.Bytes("EMERGENCY")
	o := small
	o.ReadOnly = true
	r := must(journal.Open(d, o))
	if err := r.AppendEmergency("dlq/q/2", nil); err == nil {
		t.Error("a reader wrote")
	}
	ok(t, r.Close())
	if !bytes.Equal(d.Bytes("EMERGENCY"), before) {
		t.Error("a reader changed the file")
	}
}
