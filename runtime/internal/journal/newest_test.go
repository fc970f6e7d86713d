package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// TestNewest reads beside a process that writes: with Newest a reader sees every
// append that has returned, without it at most the last one less, and what is torn
// at the end is no damage to either.
func TestNewest(t *testing.T) {
	dir := t.TempDir()
	j := must(journal.Open(must(journal.OS(dir)), journal.Options{SegmentSize: 1 << 20}))
	look := func(newest bool) int {
		r := must(journal.Open(must(journal.ExistingOS(dir)), journal.Options{ReadOnly: true, Newest: newest}))
		list := scan(t, r, "k")
		for i := range list {
			if string(list[i].Payload) != fmt.Sprint(i) {
				t.Errorf("record %d is %s", i, list[i].Payload)
			}
		}
		ok(t, r.Close())
		return len(list)
	}
	defer func() { _ = j.Close() }() // its last batch is torn by then
	last := uint64(0)
	for n := 1; n < 20; n++ {
		last = must(j.Append(background, "k", last, []byte(fmt.Sprint(n-1))))
		if all, durable := look(true), look(false); all != n || durable != n-1 {
			t.Errorf("of %d records a reader sees %d, %d certainly durable ones", n, all, durable)
		}
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for seen := 19; ; {
				n := look(true)
				if n < seen {
					t.Errorf("%d records, and there were %d before", n, seen)
				}
				seen = n
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for n := 19; n < 200; n++ {
		last = must(j.Append(background, "k", last, []byte(fmt.Sprint(n))))
	}
	close(done)
	readers.Wait()
	if n := look(true); n != 200 {
		t.Errorf("%d records in the end", n)
	}
	// A byte of the last batch is not there yet.
	tearLast(t, dir, "199")
	if n := look(true); n != 199 {
		t.Errorf("%d records before one that is torn", n)
	}
}

// tearLast changes the last place in the files where text is.
func tearLast(t *testing.T, dir, text string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.rj"))
	ok(t, err)
	for i := len(names) - 1; i >= 0; i-- {
		data, err := os.ReadFile(names[i])
		ok(t, err)
		if at := bytes.LastIndex(data, []byte(text)); at >= 0 {
			data[at] ^= 1
			ok(t, os.WriteFile(names[i], data, 0o600))
			return
		}
	}
	t.Fatalf("%q is nowhere", text)
}
