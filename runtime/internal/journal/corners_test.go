package journal_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

func fails(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

func TestErrors(t *testing.T) {
	d := faultfs.New(1)
	j := must(journal.Open(d, small))
	v := must(j.Append(background, "k", 0, []byte("one")))
	for _, after := range []uint64{0, v - 1, v + 1} {
		_, err := j.Append(background, "k", after, nil)
		if after != v {
			fails(t, err, journal.ErrConflict)
		}
	}
	_, err := j.Append(background, "other", 7, nil)
	fails(t, err, journal.ErrConflict)
	_, err = j.Append(background, "", 0, nil)
	fails(t, err, journal.ErrTooLarge)
	_, err = j.Append(background, strings.Repeat("k", 1<<16), 0, nil)
	fails(t, err, journal.ErrTooLarge)
	_, err = j.Append(background, "large", 0, make([]byte, 1<<10))
	fails(t, err, journal.ErrTooLarge)
	ctx, cancel := context.WithCancel(background)
	cancel()
	_, err = j.Append(ctx, "late", 0, nil)
	fails(t, err, context.Canceled)
	ok(t, j.Drop(background, "nobody", 5))
	ok(t, j.Close())
	ok(t, j.Close())
	_, err = j.Append(background, "k", v, nil)
	fails(t, err, journal.ErrClosed)
	for _, err := range j.Scan(background, "k", 0) {
		fails(t, err, journal.ErrClosed)
	}
	fails(t, j.Reopen(), journal.ErrClosed)
	j = must(journal.Open(d, small))
	if s := j.Stats(); s.Keys != 1 || s.Records != 1 || !s.Indexed {
		t.Errorf("after conflicts: %+v, want one key, one record, opened by INDEX", s)
	}
}

// TestVersionsNeverRepeat drops a key whole and makes it again, over a restart.
func TestVersionsNeverRepeat(t *testing.T) {
	d := faultfs.New(1)
	var last uint64
	for range 5 {
		j := must(journal.Open(d, small))
		v := must(j.Append(background, "k", 0, nil))
		if v <= last {
			t.Fatalf("version %d after %d", v, last)
		}
		last = v
		ok(t, j.Drop(background, "k", last))
		_, err := j.Append(background, "k", last, nil)
		fails(t, err, journal.ErrConflict)
		ok(t, j.Close())
	}
}

func TestDropPart(t *testing.T) {
	j := must(journal.Open(faultfs.New(1), small))
	var v []uint64
	last := uint64(0)
	for range 5 {
		last = must(j.Append(background, "k", last, nil))
		v = append(v, last)
	}
	ok(t, j.Drop(background, "k", v[2]))
	ok(t, j.Drop(background, "k", v[1])) // again, and nothing is there
	if list := scan(t, j, "k"); len(list) != 2 || list[0].Version != v[3] {
		t.Errorf("after a drop through %d: %v", v[2], list)
	}
	must(j.Append(background, "k", last, nil))
	ok(t, j.Drop(background, "k", 1<<63))
	if list := scan(t, j, "k"); len(list) != 0 {
		t.Errorf("after a drop of all: %v", list)
	}
}

// TestNewestOfPrefix: the greatest version of a prefix is that of its newest record, among more
// keys than are looked at under one lock.
func TestNewestOfPrefix(t *testing.T) {
	o := small
	o.Sync = journal.Never
	j := must(journal.Open(faultfs.New(1), o))
	want := map[string]uint64{"none/": 0}
	for i := range 4000 {
		prefix := []string{"a/", "b/", "c"}[i*7%3]
		v := must(j.Append(background, fmt.Sprint(prefix, i*1237%4001), 0, nil))
		want[prefix] = v
	}
	newest := want["b/"]
	want["b/"] = must(j.Append(background, "b/0x", 0, nil))
	for prefix, v := range want {
		if got, err := j.Newest(background, prefix); got != v || err != nil {
			t.Errorf("%q: %d, want %d, %v", prefix, got, v, err)
		}
	}
	if got, err := j.Newest(background, ""); got != want["b/"] || err != nil {
		t.Errorf("of all: %d, want %d, %v", got, want["b/"], err)
	}
	ok(t, j.Drop(background, "b/0x", want["b/"]))
	if got, err := j.Newest(background, "b/"); got != newest || err != nil {
		t.Errorf("after a drop: %d, want %d, %v", got, newest, err)
	}
	ok(t, j.Close())
	if _, err := j.Newest(background, "b/"); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestScanAndHeadsInOrder(t *testing.T) {
	d := faultfs.New(1)
	o := small
	o.SegmentSize = 1 << 20
	j := must(journal.Open(d, o))
	const n = 1500 // more than are looked up at once
	last := uint64(0)
	for i := range n {
		last = must(j.Append(background, "run/1", last, fmt.Append(nil, i)))
		must(j.Append(background, fmt.Sprintf("key/%06d", n-i), 0, fmt.Append(nil, i)))
	}
	for _, o := range []journal.Options{o, {SegmentSize: 1 << 20, ReadOnly: true}} {
		ok(t, j.Close())
		j = must(journal.Open(d, o))
		for i, r := range scan(t, j, "run/1") {
			if string(r.Payload) != fmt.Sprint(i) {
				t.Fatalf("record %d is %s", i, r.Payload)
			}
		}
		i := 100
		for r, err := range j.Heads(background, "key/", "key/000101") {
			ok(t, err)
			if i++; r.Key != fmt.Sprintf("key/%06d", i) || string(r.Payload) != fmt.Sprint(n-i) {
				t.Fatalf("head %d is %s: %s", i, r.Key, r.Payload)
			}
		}
		if i != n {
			t.Fatalf("heads end at %d, want %d", i, n)
		}
	}
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	a, b := must(journal.OS(dir)), must(journal.OS(dir))
	j := must(journal.Open(a, journal.Options{}))
	_ = os.Remove(filepath.Join(dir, "LOCK")) // does not free it
	_, err := journal.Open(b, journal.Options{})
	fails(t, err, journal.ErrBusy)
	ok(t, j.Close())
	j = must(journal.Open(a, journal.Options{}))
	_, err = journal.Open(b, journal.Options{})
	var busy *journal.BusyError
	if !errors.As(err, &busy) || busy.PID != os.Getpid() || busy.Host == "" || time.Since(busy.Since) > time.Minute || busy.Orphan {
		t.Errorf("busy: %+v", busy)
	}
	// Of a process that is gone, somebody who inherited the lock has it.
	ok(t, os.WriteFile(filepath.Join(dir, "LOCK"), fmt.Appendf(nil, "%d %s %s\n", 1<<22+1, busy.Since.Format(time.RFC3339), busy.Host), 0o600))
	_, err = journal.Open(b, journal.Options{})
	if !errors.As(err, &busy) || !busy.Orphan || !strings.Contains(err.Error(), "which has ended") {
		t.Errorf("busy: %v", err)
	}
	ok(t, j.Close())
	j = must(journal.Open(b, journal.Options{}))
	ok(t, j.Close())
}

func TestRemoteIsRefused(t *testing.T) {
	d := faultfs.New(1)
	d.SetRemote("nfs")
	_, err := journal.Open(d, journal.Options{})
	if err == nil || !strings.Contains(err.Error(), "nfs") {
		t.Fatalf("on nfs: %v", err)
	}
	ok(t, must(journal.Open(d, journal.Options{AllowRemote: true})).Close())
}

// TestMovedDirectory moves the directory away under a journal that needs a new
// segment.
func TestMovedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := must(journal.Open(must(journal.OS(dir)), small))
	last := must(j.Append(background, "k", 0, nil))
	ok(t, os.Rename(dir, dir+"-moved"))
	var err error
	for range 20 {
		var v uint64
		if v, err = j.Append(background, "k", last, make([]byte, 800)); err != nil {
			break
		}
		last = v
	}
	if !errors.Is(err, journal.ErrUnavailable) || !strings.Contains(err.Error(), dir) {
		t.Errorf("append into a directory that was moved: %v", err)
	}
	ok(t, os.Rename(dir+"-moved", dir))
	ok(t, j.Reopen())
	must(j.Append(background, "k", last, make([]byte, 800)))
	ok(t, j.Close())
}

func TestNewerFormat(t *testing.T) {
	d := faultfs.New(1)
	j := must(journal.Open(d, small))
	must(j.Append(background, "k", 0, nil))
	table := crc32.MakeTable(crc32.Castagnoli)
	b := d.Bytes("000000000001.rj")
	binary.LittleEndian.PutUint16(b[8:], 2)
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], table))
	c := d.Kill()
	c.Put("000000000001.rj", b)
	_, err := journal.Open(c, small)
	var format *journal.FormatError
	if !errors.As(err, &format) || format.Found != 2 || format.Have != 1 {
		t.Errorf("format 2: %v", err)
	}
}

// TestFlushFails makes a flush fail, and every other one would succeed: what it
// may have lost is not believed, and Reopen writes it again.
func TestFlushFails(t *testing.T) {
	d := faultfs.New(1)
	var events []journal.EventKind
	o := small
	o.OnEvent = func(e journal.Event) { events = append(events, e.Kind) }
	j := must(journal.Open(d, o))
	v := must(j.Append(background, "k", 0, []byte("durable")))
	d.Inject(failOnce(faultfs.Sync))
	_, err := j.Append(background, "k", v, []byte("perhaps"))
	fails(t, err, journal.ErrUnavailable)
	fails(t, err, syscall.EIO)
	flushes := 0
	d.Inject(func(op faultfs.Op) faultfs.Fault {
		if op.Kind.Changes() {
			flushes++
		}
		return faultfs.Fault{}
	})
	_, err = j.Append(background, "other", 0, nil)
	fails(t, err, journal.ErrUnavailable)
	fails(t, j.Drop(background, "k", v), journal.ErrUnavailable)
	if flushes > 0 {
		t.Errorf("a broken journal changed the disk %d times", flushes)
	}
	if list := scan(t, j, "k"); len(list) != 1 || string(list[0].Payload) != "durable" {
		t.Errorf("a broken journal shows %v", list)
	}
	if !j.Stats().Poisoned {
		t.Error("it does not say that it is broken")
	}
	ok(t, j.Reopen())
	list := scan(t, j, "k")
	if len(list) == 2 { // the cache had it: then it must be on the disk now
		j = must(journal.Open(d.Cut(rand.New(rand.NewPCG(1, 1)), faultfs.Lost), small))
		if again := scan(t, j, "k"); len(again) != 2 {
			t.Errorf("%d records after the cut, 2 were shown", len(again))
		}
	}
	must(j.Append(background, "k", list[len(list)-1].Version, []byte("goes on")))
	want := []journal.EventKind{journal.Poisoned, journal.Reopened}
	if fmt.Sprint(events) != fmt.Sprint(want) {
		t.Errorf("events are %v, want %v", events, want)
	}
}

func failOnce(kind faultfs.Kind) func(faultfs.Op) faultfs.Fault {
	done := false
	return func(op faultfs.Op) faultfs.Fault {
		if op.Kind == kind && !done {
			done = true
			return faultfs.EIO
		}
		return faultfs.Fault{}
	}
}

// TestFull fills a disk: reads go on, what is urgent and drops use the reserve,
// and when there is room again all goes on.
func TestFull(t *testing.T) {
	for size := int64(12 << 10); size < 80<<10; size += 4 << 10 {
		d := faultfs.New(1)
		d.SetSize(size)
		var kinds []journal.EventKind
		o := small
		o.SegmentSize = 16 << 10
		o.OnEvent = func(e journal.Event) { kinds = append(kinds, e.Kind) }
		j := must(journal.Open(d, o))
		var last uint64
		var err error
		n := 0
		for ; n < 100; n++ {
			var v uint64
			if v, err = j.Append(background, "k", last, make([]byte, 1000)); err != nil {
				break
			}
			last = v
		}
		fails(t, err, journal.ErrFull)
		_, err = j.Append(background, "another", 0, make([]byte, 3000))
		fails(t, err, journal.ErrFull)
		if len(scan(t, j, "k")) != n {
			t.Fatalf("%d bytes: %d records, want %d", size, len(scan(t, j, "k")), n)
		}
		if n > 0 {
			urgent := 0
			for ; urgent < 8; urgent++ {
				if _, err := j.AppendUrgent(background, fmt.Sprintf("letter/%d", urgent), 0, make([]byte, 900)); err != nil {
					fails(t, err, journal.ErrFull)
					break
				}
			}
			if urgent < 3 {
				t.Errorf("%d bytes: %d urgent records fit, want 3 at least", size, urgent)
			}
			_, err = j.Append(background, "k", last, make([]byte, 10))
			fails(t, err, journal.ErrFull)
		}
		d.SetSize(0)
		must(j.Append(background, "k", last, make([]byte, 1000)))
		if s := j.Stats(); s.Full || !s.Reserve {
			t.Errorf("%d bytes: with room again: %+v", size, s)
		}
		ok(t, j.Close())
		j = must(journal.Open(d, o))
		if len(scan(t, j, "k")) != n+1 {
			t.Fatalf("%d bytes: %d records after opening, want %d", size, len(scan(t, j, "k")), n+1)
		}
		if text := fmt.Sprint(kinds); !strings.Contains(text, fmt.Sprint(int(journal.Full))) || !strings.Contains(text, fmt.Sprint(int(journal.RoomAgain))) {
			t.Errorf("events are %v", kinds)
		}
	}
}

// TestDropWhenFull empties a full journal.
func TestDropWhenFull(t *testing.T) {
	d := faultfs.New(1)
	d.SetSize(40 << 10)
	o := small
	o.SegmentSize = 16 << 10
	j := must(journal.Open(d, o))
	last := uint64(0)
	for {
		v, err := j.Append(background, "k", last, make([]byte, 1000))
		if err != nil {
			break
		}
		last = v
	}
	ok(t, j.Drop(background, "k", last))
	if n := len(scan(t, j, "k")); n > 0 {
		t.Errorf("%d records after the drop", n)
	}
}

// TestSyncLevels says what a crash of the system may take, and that a killed
// process loses nothing.
func TestSyncLevels(t *testing.T) {
	for _, level := range []journal.Sync{journal.Always, journal.Interval, journal.Never} {
		synctest.Test(t, func(t *testing.T) {
			d := faultfs.New(1)
			o := journal.Options{SegmentSize: 64 << 10, Sync: level, SyncInterval: 50 * time.Millisecond}
			j := must(journal.Open(d, o))
			v := must(j.Append(background, "k", 0, []byte("first")))
			time.Sleep(60 * time.Millisecond)
			synctest.Wait()
			must(j.Append(background, "k", v, []byte("second")))
			synctest.Wait()
			if n := len(scan(t, j, "k")); n != 2 {
				t.Errorf("%v: %d records show, want 2", level, n)
			}
			want := map[journal.Sync]int{journal.Always: 2, journal.Interval: 1, journal.Never: 0}[level]
			for _, next := range []struct {
				what string
				d    *faultfs.Disk
				n    int
			}{{"kill", d.Kill(), 2}, {"cut", d.Cut(rand.New(rand.NewPCG(1, 1)), faultfs.Lost), want}} {
				j := must(journal.Open(next.d, small))
				if n := len(scan(t, j, "k")); n != next.n {
					t.Errorf("%v, %s: %d records, want %d", level, next.what, n, next.n)
				}
			}
			ok(t, j.Close())
			j = must(journal.Open(d.Cut(rand.New(rand.NewPCG(1, 1)), faultfs.Lost), o))
			if n := len(scan(t, j, "k")); n != 2 {
				t.Errorf("%v, closed: %d records, want 2", level, n)
			}
			ok(t, j.Close())
		})
	}
}

// TestReaders read a journal while another process writes, without its lock, and
// change nothing.
func TestReaders(t *testing.T) {
	dir := t.TempDir()
	j := must(journal.Open(must(journal.OS(dir)), journal.Options{SegmentSize: 16 << 10}))
	const n = 400
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			seen := 0
			for last := false; !last; {
				select {
				case <-done:
					last = true
				default:
				}
				r := must(journal.Open(must(journal.ExistingOS(dir)), journal.Options{ReadOnly: true}))
				list := scan(t, r, "k")
				for i := range list {
					if string(list[i].Payload) != fmt.Sprint(i, strings.Repeat("x", i)) {
						t.Errorf("record %d is %s", i, list[i].Payload)
					}
				}
				if len(list) < seen {
					t.Errorf("%d records, and there were %d before", len(list), seen)
				}
				seen = len(list)
				_, err := r.Append(background, "k", 0, nil)
				fails(t, err, journal.ErrReadOnly)
				ok(t, r.Close())
			}
			if seen < n-1 {
				t.Errorf("%d records at the end, want %d or one less", seen, n)
			}
		})
	}
	last := uint64(0)
	for i := range n {
		last = must(j.Append(background, "k", last, []byte(fmt.Sprint(i, strings.Repeat("x", i)))))
	}
	close(done)
	wg.Wait()
	ok(t, j.Close())
	before := names(t, dir)
	r := must(journal.Open(must(journal.ExistingOS(dir)), journal.Options{ReadOnly: true}))
	if got := len(scan(t, r, "k")); got != n {
		t.Errorf("%d records after a clean end, want %d", got, n)
	}
	ok(t, r.Close())
	if after := names(t, dir); after != before {
		t.Errorf("a reader changed %s to %s", before, after)
	}
}

func names(t testing.TB, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	ok(t, err)
	var b bytes.Buffer
	for _, e := range list {
		info, err := e.Info()
		ok(t, err)
		fmt.Fprintln(&b, e.Name(), info.Size(), info.ModTime(), info.Mode())
	}
	return b.String()
}

// TestWaiters leave by their context where somebody else writes their batch.
func TestWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.New(1)
		slow := make(chan struct{})
		j := must(journal.Open(slowDisk{d, slow}, journal.Options{Serial: true}))
		results := make(chan error, 3)
		ctx, cancel := context.WithCancel(background)
		appendTo := func(ctx context.Context, key string) {
			_, err := j.Append(ctx, key, 0, nil)
			results <- err
		}
		go appendTo(ctx, "leads") // in its flush
		synctest.Wait()
		go appendTo(ctx, "next") // leads the next batch
		synctest.Wait()
		go appendTo(ctx, "waits") // in the next batch
		synctest.Wait()
		cancel()
		synctest.Wait()
		fails(t, <-results, journal.ErrUnknown)
		// A conflict with what is in flight is told when that is durable.
		conflict := make(chan error, 1)
		go func() {
			_, err := j.Append(background, "waits", 0, nil)
			conflict <- err
		}()
		synctest.Wait()
		select {
		case err := <-conflict:
			t.Errorf("a conflict with what may never be: %v", err)
		default:
		}
		close(slow)
		synctest.Wait()
		ok(t, <-results)
		ok(t, <-results)
		fails(t, <-conflict, journal.ErrConflict)
		if n := len(scan(t, j, "waits")); n != 1 {
			t.Errorf("%d records of who left, want 1", n)
		}
		ok(t, j.Close())
	})
}

// TestWritersShareFlushes has all writers but one come while the disk flushes what
// that one wrote: one more flush carries them all.
func TestWritersShareFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.New(1)
		slow := make(chan struct{})
		j := must(journal.Open(slowDisk{d, slow}, journal.Options{Serial: true}))
		const writers, rounds = 64, 10
		var last [writers]uint64
		for round := range rounds {
			var wg sync.WaitGroup
			for i := range writers {
				w := (round + i) % writers
				wg.Go(func() {
					last[w] = must(j.Append(background, fmt.Sprint("w/", w), last[w], fmt.Append(nil, round)))
				})
				if i == 0 {
					synctest.Wait() // it is in its flush
				}
			}
			synctest.Wait() // the others stand in the queue
			slow <- struct{}{}
			slow <- struct{}{}
			wg.Wait()
		}
		if s := j.Stats(); s.Appends != rounds*writers || s.Batches != rounds*2 || s.Flushes != rounds*2 {
			t.Errorf("%d appends in %d batches and %d flushes, want %d, and two of each a round", s.Appends, s.Batches, s.Flushes, rounds*writers)
		}
		after := must(journal.Open(d.Cut(rand.New(rand.NewPCG(1, 1)), faultfs.Lost), small))
		for w := range writers {
			list := scan(t, after, fmt.Sprint("w/", w))
			if len(list) != rounds || string(list[rounds-1].Payload) != fmt.Sprint(rounds-1) {
				t.Errorf("writer %d: %d records after a power cut, want %d", w, len(list), rounds)
			}
		}
		ok(t, after.Close())
		close(slow)
		ok(t, j.Close())
	})
}

// slowDisk flushes a batch when wait yields.
type slowDisk struct {
	*faultfs.Disk
	wait chan struct{}
}

func (d slowDisk) Open(name string, mode journal.Mode) (journal.File, error) {
	f, err := d.Disk.Open(name, mode)
	return &slowFile{File: f, wait: d.wait}, err
}

type slowFile struct {
	journal.File
	wait  chan struct{}
	flush int
}

func (f *slowFile) Sync() error {
	if f.flush++; f.flush > 1 { // the first one is of the zeros
		<-f.wait
	}
	return f.File.Sync()
}

// TestClock moves the wall clock about, as far as a journal sees it.
func TestTimesNeverGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.New(1)
		j := must(journal.Open(d, small))
		last := must(j.Append(background, "k", 0, nil))
		time.Sleep(48 * time.Hour)
		must(j.Append(background, "k", last, nil))
		before := j.Now()
		ok(t, j.Close())
		j = must(journal.Open(d, small))
		list := scan(t, j, "k")
		if got := time.Duration(list[1].Time - list[0].Time); got != 48*time.Hour {
			t.Errorf("%v between the records, want 48h", got)
		}
		if j.Now() < before {
			t.Errorf("the time is %d after %d", j.Now(), before)
		}
		ok(t, j.Close())
	})
}

// TestDropAndAppendInOneBatch makes a key again in the batch that drops it.
func TestDropAndAppendInOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.New(1)
		slow := make(chan struct{})
		j := must(journal.Open(slowDisk{d, slow}, journal.Options{Serial: true}))
		var wg sync.WaitGroup
		begin := func(f func() error) {
			wg.Go(func() { ok(t, f()) })
			synctest.Wait()
		}
		var v uint64
		begin(func() (err error) { v, err = j.Append(background, "k", 0, []byte("first")); return err })
		begin(func() error { return j.Drop(background, "k", 1) })
		begin(func() (err error) { _, err = j.Append(background, "k", 0, []byte("second")); return err })
		close(slow)
		wg.Wait()
		if list := scan(t, j, "k"); v != 1 || len(list) != 1 || string(list[0].Payload) != "second" {
			t.Errorf("%v, want the second record", list)
		}
		ok(t, j.Close())
		j = must(journal.Open(d.Kill(), small))
		if list := scan(t, j, "k"); len(list) != 1 {
			t.Errorf("opened again: %v, want one record", list)
		}
	})
}

// TestDropThatFails while the append before it succeeds leaves the record.
func TestDropThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.New(1)
		slow := make(chan struct{})
		j := must(journal.Open(slowDisk{d, slow}, journal.Options{Serial: true}))
		results := make(chan error, 2)
		go func() {
			_, err := j.Append(background, "k", 0, []byte("stays"))
			results <- err
		}()
		synctest.Wait()
		go func() { results <- j.Drop(background, "k", 1) }()
		synctest.Wait()
		d.Inject(func(op faultfs.Op) faultfs.Fault {
			if op.Kind == faultfs.Write || op.Kind == faultfs.Create {
				return faultfs.NoRoom
			}
			return faultfs.Fault{}
		})
		close(slow)
		synctest.Wait()
		ok(t, <-results)
		fails(t, <-results, journal.ErrFull)
		if list := scan(t, j, "k"); len(list) != 1 || string(list[0].Payload) != "stays" {
			t.Errorf("%v, want the record that was not dropped", list)
		}
		d.Inject(nil)
		ok(t, j.Drop(background, "k", 1))
		if list := scan(t, j, "k"); len(list) != 0 {
			t.Errorf("%v after the drop", list)
		}
		ok(t, j.Close())
	})
}

// TestFlushFailsBehind who was told that the system has it: what is not known to
// be durable is not shown until Reopen has written it again.
func TestFlushFailsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.New(1)
		j := must(journal.Open(d, journal.Options{SegmentSize: 64 << 10, Sync: journal.Interval}))
		v := must(j.Append(background, "k", 0, []byte("flushed")))
		time.Sleep(time.Second)
		d.Inject(failOnce(faultfs.Sync))
		v = must(j.Append(background, "k", v, []byte("perhaps")))
		time.Sleep(time.Second)
		_, err := j.Append(background, "k", v, nil)
		fails(t, err, journal.ErrUnavailable)
		if list := scan(t, j, "k"); len(list) != 1 {
			t.Errorf("%d records show after a flush that failed, want 1", len(list))
		}
		ok(t, j.Reopen())
		want := len(scan(t, j, "k"))
		c := must(journal.Open(d.Cut(rand.New(rand.NewPCG(1, 1)), faultfs.Lost), small))
		if n := len(scan(t, c, "k")); n != want {
			t.Errorf("%d records after a power cut, %d were shown", n, want)
		}
		ok(t, j.Close())
	})
}

// TestSegmentThatGrows fills a disk without preallocation: a write that came short
// leaves nothing behind.
func TestSegmentThatGrows(t *testing.T) {
	d := faultfs.New(1)
	o := small
	o.Growing, o.SegmentSize = true, 64<<10
	j := must(journal.Open(d, o))
	last := must(j.Append(background, "k", 0, nil))
	n := 1
	d.SetSize(40 << 10)
	for {
		v, err := j.Append(background, "k", last, make([]byte, 3000))
		if err != nil {
			fails(t, err, journal.ErrFull)
			break
		}
		last = v
		n++
	}
	must(j.AppendUrgent(background, "letter", 0, make([]byte, 3000)))
	c := must(journal.Open(d.Cut(rand.New(rand.NewPCG(1, 1)), faultfs.Mixed), o))
	if got := len(scan(t, c, "k")); got != n {
		t.Errorf("%d records after a power cut, want %d", got, n)
	}
	if got := len(scan(t, c, "letter")); got != 1 {
		t.Errorf("%d letters after a power cut, want 1", got)
	}
	d.SetSize(0)
	must(j.Append(background, "k", last, make([]byte, 3000)))
	ok(t, j.Close())
}
