package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// TestKeptIsListed: whichever two operations of the disk fail, one after another, each
// letter of which a call was told that it is kept is listed when the store works again,
// and by the next process, after a power cut or a clean end. The store has the index of
// a clean end, which knows none of these letters.
func TestKeptIsListed(t *testing.T) {
	whole := faultfs.New(1)
	synctest.Test(t, func(t *testing.T) {
		small, err := journal.Open(whole, journal.Options{SegmentSize: 64 << 10}) // a file that is read quickly
		if err != nil {
			t.Fatal(err)
		}
		_, _ = small.Append(context.Background(), "k", 0, nil)
		_ = small.Close()
		rt, calls := keptOnDisk(t, whole)
		_ = calls.call(context.Background(), notifyArgs{CustomerID: "before"})
		_ = rt.Close()
	})
	for _, gap := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12} {
		for n, hit := 0, true; hit; n++ {
			synctest.Test(t, func(t *testing.T) { hit = keptThroughTwo(t, whole.Kill(), n, n+gap) })
		}
	}
}

// keptThroughTwo fails two operations of four calls, and reports whether there were so
// many.
func keptThroughTwo(t *testing.T, disk *faultfs.Disk, first, second int) (hit bool) {
	ctx := context.Background()
	at, failed := 0, []faultfs.Op{}
	rt, calls := keptOnDisk(t, disk)
	disk.Inject(func(op faultfs.Op) faultfs.Fault {
		n := at
		at++
		if n != first && n != second {
			return faultfs.Fault{}
		}
		failed = append(failed, op)
		hit = hit || n == second
		return faultfs.EIO
	})
	told := []string{"before"}
	for i := range 4 {
		id := fmt.Sprint(i)
		if err := calls.call(ctx, notifyArgs{CustomerID: id}); errors.Is(err, ErrDeadLettered) {
			told = append(told, id)
		}
		if i == 1 {
			time.Sleep(firstMend + time.Millisecond)
		}
	}
	disk.Inject(nil)
	cut := disk.Kill()
	for i, fate := range []faultfs.Fate{faultfs.Lost, faultfs.Mixed} {
		next, _ := keptOnDisk(t, cut.Cut(rand.New(rand.NewPCG(uint64(first), uint64(i))), fate))
		lists(t, fmt.Sprintf("%v failed, cut (%v)", failed, fate), next.DeadLetters(), told)
	}
	time.Sleep(2 * mostMend)
	lists(t, fmt.Sprintf("%v failed, mended", failed), rt.DeadLetters(), told)
	_ = rt.Close()
	next, _ := keptOnDisk(t, disk)
	lists(t, fmt.Sprintf("%v failed, closed", failed), next.DeadLetters(), told)
	return hit
}

// lists fails unless box has a letter of each of these customers.
func lists(t *testing.T, when string, box *LetterBox, told []string) {
	t.Helper()
	got := customers(t, box)
	for _, id := range told {
		if !slices.Contains(got, id) {
			t.Errorf("%s: letters of %v, kept were %v", when, got, told)
			return
		}
	}
}
