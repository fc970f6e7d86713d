package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// TestWatchersSeeChanges watches two of three cells: what is there, then what
// comes, the latest at least.
func TestWatchersSeeChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ctx := newLogCells(newMemoryLog()), context.Background()
		a, _ := c.Set(ctx, "x/a", 0, []byte("1"))
		_, _ = c.Set(ctx, "y", 0, []byte("not watched"))
		var got []string
		watching, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for cell, err := range c.Watch(watching, "x/") {
				got = append(got, fmt.Sprint(cell.Key, " ", string(cell.Value), " ", err))
			}
		}()
		synctest.Wait()
		a, _ = c.Set(ctx, "x/a", a, []byte("2"))
		synctest.Wait()
		_, _ = c.Set(ctx, "x/b", 0, []byte("3"))
		_, _ = c.Set(ctx, "x/a", a, []byte("4"))
		synctest.Wait()
		stop()
		<-ended
		if want := []string{"x/a 1 <nil>", "x/a 2 <nil>", "x/b 3 <nil>", "x/a 4 <nil>"}; !slices.Equal(got, want) {
			t.Errorf("seen %q, want %q", got, want)
		}
	})
}

func TestWatchersSeeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ended := newLogCells(newMemoryLog()), make(chan error, 1)
		go func() {
			for _, err := range c.Watch(context.Background(), "") {
				ended <- err
			}
			close(ended)
		}()
		synctest.Wait()
		_ = c.Close()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err, more := <-ended; more {
			t.Errorf("goes on after the end: %v", err)
		}
	})
}

// TestCellsOfAFormerProcess reads what another one set, and fills the log with the
// last values only.
func TestCellsOfAFormerProcess(t *testing.T) {
	log, ctx, long := newMemoryLog(), context.Background(), strings.Repeat("k", maxKey)
	c, last := newLogCells(log), Version(0)
	for i := range 5 {
		last, _ = c.Set(ctx, long, last, fmt.Append(nil, i))
	}
	again := newLogCells(log)
	if value, v, err := again.Get(ctx, long); err != nil || v != last || string(value) != "4" {
		t.Errorf("%q, version %d, %v; want version %d", value, v, err, last)
	}
	if n := len(log.keys[cellKey(long)]); n != 1 {
		t.Errorf("%d records are kept", n)
	}
}

// TestSetWhoseOutcomeIsNotKnown shows a value that was written although its set
// failed, and what beat one that lost.
func TestSetWhoseOutcomeIsNotKnown(t *testing.T) {
	log, ctx := &lyingLog{memoryLog: newMemoryLog()}, context.Background()
	c := newLogCells(log)
	first, _ := c.Set(ctx, "k", 0, []byte("1"))
	log.lie = true
	if _, err := c.Set(ctx, "k", first, []byte("2")); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	log.lie = false
	value, second, err := c.Get(ctx, "k")
	if err != nil || string(value) != "2" {
		t.Errorf("%q, %v", value, err)
	}
	if _, err := newLogCells(log).Set(ctx, "k", second, []byte("3")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Set(ctx, "k", second, []byte("lost")); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	if value, _, _ := c.Get(ctx, "k"); string(value) != "3" {
		t.Errorf("who lost is shown %q", value)
	}
}

func FuzzUnpackCell(f *testing.F) {
	f.Add(packCell("key", []byte("value")))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, value, err := unpackCell(b)
		if err == nil && string(packCell(key, value)) != string(b) {
			t.Errorf("%x is not what it says", b)
		}
	})
}
