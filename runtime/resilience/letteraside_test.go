package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
)

// keptOnDisk opens a Runtime with letters in a store on disk, which a process may
// have used before.
func keptOnDisk(t *testing.T, disk *faultfs.Disk) (*Runtime, *notifier) {
	t.Helper()
	rt, n, _ := keptAndHeard(t, disk)
	return rt, n
}

// keptAndHeard is keptOnDisk, and returns who hears the events.
func keptAndHeard(t *testing.T, disk *faultfs.Disk) (*Runtime, *notifier, *listener) {
	t.Helper()
	rt, l := onDisk(t, disk)
	t.Cleanup(func() { _ = rt.Close() })
	n := notifierTo(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, idempotent, func(context.Context, notifyArgs) error { return errDown })
	return rt, n, l
}

// customers returns those of the letters, sorted.
func customers(t *testing.T, box *LetterBox) (list []string) {
	t.Helper()
	for _, s := range summaries(t, box) {
		l, err := box.Get(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.Trim(string(l.Call.Args[0].JSON), `"`))
	}
	slices.Sort(list)
	return list
}

// TestLettersBesideABrokenStore: a letter whose write or flush fails, and those that
// come while the store is broken, are kept where the disk takes another file, and the
// calls say so: they are listed when the store works again, in this process or the next.
func TestLettersBesideABrokenStore(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Write, faultfs.Sync} {
		for _, end := range []string{"mended", "closed", "killed"} {
			t.Run(fmt.Sprint(kind, " ", end), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { besideABrokenStore(t, kind, end) })
			})
		}
	}
}

func besideABrokenStore(t *testing.T, kind faultfs.Kind, end string) {
	disk, ctx := faultfs.New(1), context.Background()
	rt, n, news := keptAndHeard(t, disk)
	box := rt.DeadLetters()
	_ = n.call(ctx, notifyArgs{CustomerID: "0"})
	if got := customers(t, box); !slices.Equal(got, []string{"0"}) {
		t.Fatalf("letters of %v", got)
	}
	synctest.Wait() // a segment is made ahead
	disk.Inject(func(op faultfs.Op) faultfs.Fault {
		if op.Kind == kind && strings.HasSuffix(op.Name, ".rj") { // the segments are on a bad place
			return faultfs.EIO
		}
		return faultfs.Fault{}
	})
	for i := range 3 {
		var lost *WriteError
		err := n.call(ctx, notifyArgs{CustomerID: fmt.Sprint(i + 1)})
		if errors.As(err, &lost) || !errors.Is(err, ErrDeadLettered) || !errors.Is(err, errDown) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	synctest.Wait()
	news.mu.Lock()
	kept, lost := len(news.of(LetterKept)), len(news.of(LetterLost))
	news.mu.Unlock()
	if box.lost != 0 || kept != 4 || lost != 0 {
		t.Errorf("%d letters are lost, the events say %d kept and %d lost", box.lost, kept, lost)
	}
	switch end {
	case "mended":
		disk.Inject(nil)
		time.Sleep(mostMend + time.Second)
	case "closed":
		_ = rt.Close()
		disk.Inject(nil)
		rt, _ = keptOnDisk(t, disk)
	case "killed":
		disk.Freeze()
		killed := disk.Kill()
		_ = rt.Close()
		rt, _ = keptOnDisk(t, killed)
	}
	box = rt.DeadLetters()
	if got := customers(t, box); !slices.Equal(got, []string{"0", "1", "2", "3"}) {
		t.Errorf("letters of %v", got)
	}
}

// TestLettersLostForEver: where nothing can be written at all, each letter is told.
func TestLettersLostForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, ctx := faultfs.New(1), context.Background()
		rt, n := keptOnDisk(t, disk)
		_ = n.call(ctx, notifyArgs{CustomerID: "0"})
		disk.Inject(func(op faultfs.Op) faultfs.Fault {
			if op.Kind == faultfs.Write || op.Kind == faultfs.Create {
				return faultfs.EIO
			}
			return faultfs.Fault{}
		})
		var lost *WriteError
		for range 3 {
			if err := n.call(ctx, notifyArgs{CustomerID: "1"}); !errors.As(err, &lost) || errors.Is(err, ErrDeadLettered) || !errors.Is(err, errDown) {
				t.Error(err)
			}
		}
		if n := rt.DeadLetters().lost; n != 3 {
			t.Errorf("%d lost", n)
		}
	})
}

// TestLargeLetterBesideABrokenStore: of a letter that the store writes in pieces it may
// have some, and then does not take it in: it is told to be lost, whether it is or not.
func TestLargeLetterBesideABrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, ctx := faultfs.New(1), context.Background()
		rt, n := keptOnDisk(t, disk)
		_ = n.call(ctx, notifyArgs{CustomerID: "0"})
		synctest.Wait()
		var writes atomic.Int32 // the journal writes on when it is opened again
		disk.Inject(func(op faultfs.Op) faultfs.Fault {
			if op.Kind == faultfs.Write && strings.HasSuffix(op.Name, ".rj") {
				if writes.Add(1) == 2 { // of the second piece
					return faultfs.EIO
				}
			}
			return faultfs.Fault{}
		})
		large := strings.Repeat("x", wholeUpTo+pieceSize)
		var lost *WriteError
		if err := n.call(ctx, notifyArgs{CustomerID: large}); !errors.As(err, &lost) || errors.Is(err, ErrDeadLettered) || !errors.Is(err, errDown) {
			t.Errorf("%.100v", err)
		}
		box := rt.DeadLetters()
		if n := writes.Load(); n < 2 || box.lost != 1 {
			t.Errorf("%d writes, %d told to be lost", n, box.lost)
		}
		time.Sleep(mostMend + time.Second)
		if got := customers(t, box); !slices.Equal(got, []string{"0"}) {
			t.Errorf("letters of %.100q: then it could be told to be kept", got)
		}
	})
}
