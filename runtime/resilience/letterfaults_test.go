package resilience

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
)

// TestLettersThroughEachFault: whichever operation of the disk fails once, each letter
// is listed when the store works again, and by the next process after a power cut,
// since what the store does not take goes into a file beside it.
func TestLettersThroughEachFault(t *testing.T) {
	for _, fault := range []faultfs.Fault{faultfs.EIO, faultfs.Short(faultfs.EIO.Err, 1<<20)} {
		for n, hit := 0, true; hit; n++ {
			synctest.Test(t, func(t *testing.T) { hit = throughFault(t, n, fault) })
		}
	}
}

// throughFault fails the nth operation of six calls, and reports whether there were
// so many.
func throughFault(t *testing.T, n int, fault faultfs.Fault) (hit bool) {
	disk, ctx := faultfs.New(uint64(n)), context.Background()
	rt, calls := keptOnDisk(t, disk)
	at := 0
	var failed faultfs.Op
	disk.Inject(func(op faultfs.Op) faultfs.Fault {
		if at++; at == n+1 {
			hit, failed = true, op
			return fault
		}
		return faultfs.Fault{}
	})
	for i := range 6 {
		_ = calls.call(ctx, notifyArgs{CustomerID: fmt.Sprint(i)})
		if i%2 == 1 {
			time.Sleep(firstMend + time.Millisecond)
		}
	}
	disk.Inject(nil)
	cut := disk.Kill()
	for i, fate := range []faultfs.Fate{faultfs.Kept, faultfs.Lost, faultfs.Mixed, faultfs.Mixed} {
		next, _ := keptOnDisk(t, cut.Cut(rand.New(rand.NewPCG(uint64(n), uint64(i))), fate))
		holds(t, fmt.Sprintf("%v failed, cut (%v)", failed, fate), next.DeadLetters())
	}
	time.Sleep(2 * mostMend)
	holds(t, fmt.Sprintf("%v failed, mended", failed), rt.DeadLetters())
	_ = rt.Close()
	next, _ := keptOnDisk(t, disk)
	holds(t, fmt.Sprintf("%v failed, closed", failed), next.DeadLetters())
	return hit
}

// holds fails unless box has a letter of each of the six calls.
func holds(t *testing.T, when string, box *LetterBox) {
	t.Helper()
	if got := customers(t, box); !slices.Equal(got, []string{"0", "1", "2", "3", "4", "5"}) {
		t.Errorf("%s: letters of %v", when, got)
	}
}
