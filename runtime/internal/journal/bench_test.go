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

// floor is the least that group commit can cost: a file that was filled with
// zeros, one buffer, one lock, fdatasync. It starts again where the file ends.
type floor struct {
	mu      sync.Mutex
	cond    sync.Cond
	f       File
	size    int64
	off     int64
	buf     []byte
	spare   []byte
	writing bool
	next    uint64
	done    uint64
	err     error
}

func openFloor(b *testing.B, dir string, size int64) *floor {
	b.Helper()
	f, err := disk(b, dir).Open("floor", Create)
	if err == nil {
		err = zero(f, 0, size)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		b.Fatal(err)
	}
	g := &floor{f: f, size: size, next: 1}
	g.cond.L = &g.mu
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
// turn about, since the disk is not the same from one second to the next.
func BenchmarkAppend(b *testing.B) {
	payload := bytes.Repeat([]byte{'x'}, 256)
	for _, writers := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			dir := b.TempDir()
			g := openFloor(b, dir, 64<<20)
			j := open(b, filepath.Join(dir, "journal"), Options{SegmentSize: 512 << 20})
			last := make([]uint64, writers)
			keys := make([]string, writers)
			for w := range keys {
				keys[w] = fmt.Sprintf("run/%d", w)
			}
			_ = mustAppend(b, j, "warm", 0, "")
			var took, used [2]time.Duration
			n := int64(b.N)
			round := func(i int, n int64, f func(w int) error) {
				t, c := time.Now(), cpu()
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
				took[i] += time.Since(t)
				used[i] += cpu() - c
			}
			const rounds = 8
			for range rounds {
				round(0, n/rounds+1, func(int) error { return g.put(payload) })
				round(1, n/rounds+1, func(w int) (err error) {
					last[w], err = j.Append(background, keys[w], last[w], payload)
					return err
				})
			}
			total := float64(n/rounds+1) * rounds
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(total/took[0].Seconds(), "floor/s")
			b.ReportMetric(total/took[1].Seconds(), "appends/s")
			b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "of-floor")
			b.ReportMetric(float64(used[0].Microseconds())/total, "floor-µs-cpu")
			b.ReportMetric(float64(used[1].Microseconds())/total, "µs-cpu")
			mustClose(b, j)
			_ = os.RemoveAll(dir)
		})
	}
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
