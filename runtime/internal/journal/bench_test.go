//go:build unix

package journal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// floor is the least that group commit can cost: files that were filled with
// zeros, one buffer, one lock, fdatasync. It starts again where the file ends, or
// goes on in one that a goroutine made ahead.
type floor struct {
	mu      sync.Mutex
	cond    sync.Cond
	f       File
	ahead   chan File // nil: start again
	size    int64
	off     int64
	buf     []byte
	spare   []byte
	writing bool
	next    uint64
	done    uint64
	err     error
}

func openFloor(b *testing.B, dir string, size int64, rolling bool) *floor {
	b.Helper()
	d := disk(b, dir)
	n := 0
	fill := func() File {
		n++
		f, err := d.Open(fmt.Sprint("floor", n), Create)
		if err == nil {
			err = zero(f, 0, size)
		}
		if err == nil {
			err = f.Sync()
		}
		if err == nil {
			err = d.SyncDir()
		}
		if err != nil {
			b.Error(err)
		}
		return f
	}
	g := &floor{f: fill(), size: size, next: 1}
	g.cond.L = &g.mu
	if rolling {
		g.ahead = make(chan File)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		b.Cleanup(func() { close(stop); wg.Wait() })
		wg.Go(func() {
			for {
				select {
				case g.ahead <- fill():
				case <-stop:
					return
				}
			}
		})
	}
	return g
}

func (g *floor) put(p []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.buf = append(g.buf, p...)
	for mine := g.next; g.done < mine && g.err == nil; {
		if g.writing {
			g.cond.Wait()
			continue
		}
		g.writing = true
		b := g.buf
		g.buf, g.spare = g.spare[:0], b
		g.next++
		g.mu.Unlock()
		err := g.flush(b)
		g.mu.Lock()
		g.spare, g.writing, g.err = b, false, err
		g.done++
		g.cond.Broadcast()
	}
	return g.err
}

func (g *floor) flush(b []byte) error {
	if g.off+int64(len(b)) > g.size {
		g.off = 0
		if g.ahead != nil {
			_ = g.f.Close()
			g.f = <-g.ahead
		}
	}
	_, err := g.f.WriteAt(b, g.off)
	g.off += int64(len(b))
	if err != nil {
		return err
	}
	return g.f.Sync()
}

// cpu is what this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend compares durable appends of 256 bytes with the floor, turn and
// turn about, since the disk is not the same from one second to the next: within
// one file, and rolling over files of 64 MiB that both fill with zeros ahead.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprintf("one/writers=%d", writers), func(b *testing.B) {
			benchmarkAppend(b, writers, openFloor(b, b.TempDir(), 64<<20, false), Options{SegmentSize: 512 << 20})
		})
	}
	for _, writers := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprintf("rolling/writers=%d", writers), func(b *testing.B) {
			benchmarkAppend(b, writers, openFloor(b, b.TempDir(), 64<<20, true), Options{})
		})
	}
}

func benchmarkAppend(b *testing.B, writers int, g *floor, o Options) {
	payload := bytes.Repeat([]byte{'x'}, 256)
	j := open(b, b.TempDir(), o)
	last := make([]uint64, writers)
	keys := make([]string, writers)
	for w := range keys {
		keys[w] = fmt.Sprintf("run/%d", w)
	}
	mustAppend(b, j, "warm", 0, "")
	const rounds = 8
	var took, used [2]time.Duration
	n := int64(b.N)/rounds + 1
	for range rounds {
		for i, f := range []func(w int) error{
			func(int) error { return g.put(payload) },
			func(w int) (err error) {
				last[w], err = j.Append(background, keys[w], last[w], payload)
				return err
			},
		} {
			t, c := time.Now(), cpu()
			share(b, writers, n, f)
			took[i] += time.Since(t)
			used[i] += cpu() - c
		}
	}
	total := float64(n) * rounds
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(total/took[0].Seconds(), "floor/s")
	b.ReportMetric(total/took[1].Seconds(), "appends/s")
	b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "of-floor")
	b.ReportMetric(float64(used[0].Microseconds())/total, "floor-µs-cpu")
	b.ReportMetric(float64(used[1].Microseconds())/total, "µs-cpu")
	mustClose(b, j)
}

// share has writers do n things.
func share(b *testing.B, writers int, n int64, f func(w int) error) {
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(n)
	for w := range writers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := f(w); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkOpen opens a million records of 256 bytes from the cache of the
// system, without INDEX and with it, and a hundred thousand keys with it.
func BenchmarkOpen(b *testing.B) {
	for _, c := range []struct {
		name          string
		records, keys int
		index         bool
	}{{"1e6 records of 1e4 keys", 1e6, 1e4, false}, {"1e6 keys", 1e6, 1e6, false}, {"1e6 keys, INDEX", 1e6, 1e6, true}, {"1e5 keys, INDEX", 1e5, 1e5, true}} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			grow(b, dir, c.records, c.keys)
			for b.Loop() {
				if !c.index {
					_ = os.Remove(filepath.Join(dir, indexName))
				}
				j := open(b, dir, Options{})
				b.StopTimer()
				if s := j.Stats(); s.Records != c.records || s.Indexed != c.index {
					b.Fatalf("%+v", s)
				}
				mustClose(b, j)
				b.StartTimer()
			}
		})
	}
}

// grow fills a journal and closes it.
func grow(b *testing.B, dir string, records, keys int) {
	b.Helper()
	j := open(b, dir, Options{Sync: Never})
	payload := bytes.Repeat([]byte{'x'}, 256)
	last := make([]uint64, keys)
	for i := range records {
		key := i % keys
		last[key] = mustAppend(b, j, fmt.Sprintf("ckpt/example.com/pay.Gateway/Charge/%07d", key), last[key], string(payload))
	}
	mustClose(b, j)
}

// BenchmarkRead scans a key of ten thousand records, among those of others, and
// the heads of a hundred thousand keys, after an open by INDEX.
func BenchmarkRead(b *testing.B) {
	b.Run("scan 1e4 of 1e5", func(b *testing.B) {
		dir := b.TempDir()
		grow(b, dir, 1e5, 10)
		j := open(b, dir, Options{})
		for b.Loop() {
			if n := len(payloads(b, j, "ckpt/example.com/pay.Gateway/Charge/0000003")); n != 1e4 {
				b.Fatalf("%d records", n)
			}
		}
		mustClose(b, j)
	})
	b.Run("1e5 heads", func(b *testing.B) {
		dir := b.TempDir()
		grow(b, dir, 1e5, 1e5)
		for b.Loop() {
			j := open(b, dir, Options{})
			n := 0
			for _, err := range j.Heads(background, "ckpt/", "") {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != 1e5 {
				b.Fatalf("%d heads", n)
			}
			mustClose(b, j)
		}
	})
}
