package resilience

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// unsure is a log that writes an append and says that it does not know.
type unsure struct {
	*memoryLog
	left atomic.Int64 // appends until then
}

func (l *unsure) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	v, err := l.memoryLog.Append(ctx, key, after, body)
	if err == nil && l.left.Add(-1) == 0 {
		return 0, fmt.Errorf("no answer: %w", ErrUnavailable)
	}
	return v, err
}

// TestIndexAfterAnUnknownAppend has the store give no answer to each append in turn
// that letters and their replay make, and write it. What the next process finds in
// the index is what lies in the store.
func TestIndexAfterAnUnknownAppend(t *testing.T) {
	for at := int64(1); ; at++ {
		reached := false
		synctest.Test(t, func(t *testing.T) { reached = unknownAppend(t, at) })
		if !reached {
			if at < 10 {
				t.Errorf("only %d appends", at)
			}
			return
		}
		if t.Failed() {
			t.Fatalf("no answer to append %d", at)
		}
	}
}

func unknownAppend(t *testing.T, at int64) (reached bool) {
	memory := MemoryStores()
	log := &unsure{memoryLog: memory.Log.(*memoryLog)}
	log.left.Store(at)
	rt, err := Open(Options{Stores: Stores{Log: log}})
	if err != nil {
		t.Fatal(err)
	}
	down := true
	n := notifierTo(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, idempotent, func(context.Context, notifyArgs) error {
		if down {
			return errDown
		}
		return nil
	})
	for i := range 3 {
		_ = n.call(t.Context(), notifyArgs{CustomerID: fmt.Sprint(i)})
	}
	down = false
	box := rt.DeadLetters()
	if p, err := box.Plan(t.Context(), "", ReplayOptions{Rate: 1e6}); err == nil {
		if _, err := box.Apply(t.Context(), p.Token, ApplyOptions{}); err == nil {
			synctest.Wait()
			for jobs, _ := box.Jobs(t.Context()); jobs[0].State != JobDone; jobs, _ = box.Jobs(t.Context()) {
				time.Sleep(storeRetry)
			}
		}
	}
	running := summaries(t, box)
	reached = log.left.Load() <= 0
	if err := rt.Close(); err != nil && !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	next := openLetters(t, Options{Stores: memory}) // by the index, where there is one
	found := summaries(t, next.DeadLetters())
	if err := next.DeadLetters().dropIndex(t.Context(), values{memory.Log}); err != nil {
		t.Fatal(err)
	}
	lies := summaries(t, reopened(t, memory))
	if !reflect.DeepEqual(found, lies) {
		t.Errorf("the next process finds\n%+v\nin the store lies\n%+v", found, lies)
	}
	if !reflect.DeepEqual(running, lies) {
		t.Errorf("the index in memory was\n%+v\nin the store lies\n%+v", running, lies)
	}
	return reached
}

// TestReplayWithoutAnAnswerCounts has the store give no answer when it is to write that
// a replay failed: its pattern counts that once, whether it was written or not.
func TestReplayWithoutAnAnswerCounts(t *testing.T) {
	for _, alone := range []bool{false, true} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("alone %v, written %v", alone, written), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { replayWithoutAnAnswer(t, alone, written) })
			})
		}
	}
}

func replayWithoutAnAnswer(t *testing.T, alone, written bool) {
	log := &stubborn{memoryLog: newMemoryLog()}
	stores := Stores{Log: log}
	if !alone {
		stores.Log = shared{log}
	}
	rt, _, to := letters(t, Options{Stores: stores}, Policy{}, 1, idempotent)
	to.heal(func(notifyArgs) error { log.set(true, written); return errDown })
	j := apply(t, rt, "", ReplayOptions{Rate: 1}, ApplyOptions{})
	time.Sleep(10 * time.Second)
	log.set(false, false)
	if j = awaitJob(t, rt, j.ID); j.Failed != 1 {
		t.Error(jobText(j))
	}
	list, err := rt.DeadLetters().Patterns(t.Context(), "")
	if err != nil || len(list) != 1 || list[0].Total != 2 || list[0].Open != 1 {
		t.Errorf("%+v, %v; want one pattern of two calls", list, err)
	}
}
