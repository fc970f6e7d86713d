package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
)

// keptOnDisk opens a Runtime with letters in a store on disk, which a process may
// have used before.
func keptOnDisk(t *testing.T, disk *faultfs.Disk) (*Runtime, *notifier) {
	t.Helper()
	rt, _ := onDisk(t, disk)
	t.Cleanup(func() { _ = rt.Close() })
	return rt, notifierTo(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, idempotent, func(context.Context, notifyArgs) error { return errDown })
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
// come while the store is broken, are told to be lost, and kept all the same where the
// disk takes another file: they are listed when the store works again, in this process
// or the next.
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
	rt, n := keptOnDisk(t, disk)
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
		if !errors.As(err, &lost) || errors.Is(err, ErrDeadLettered) || !errors.Is(err, errDown) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	if box.lost != 3 {
		t.Errorf("%d told to be lost", box.lost)
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
