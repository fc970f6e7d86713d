package appraisal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// A service appraises an item, ends, and is started again.
func Example() {
	dir, err := os.MkdirTemp("", "appraisal")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	expert := &Expert{Name: "Erna"}
	for start := range 2 {
		rt, err := resilience.Open(resilience.Options{Dir: dir})
		if err != nil {
			panic(err)
		}
		appraiser, err := NewResilientAppraiser(rt, expert)
		if err != nil {
			panic(err)
		}
		a, err := appraiser.Appraise(context.Background(), Item{"17", "a clock"})
		fmt.Printf("start %d: %+v, %v; paid %d times\n", start+1, a, err, expert.Paid.Load())
		_, err = appraiser.Appraise(context.Background(), Item{"17", "another clock"})
		fmt.Println(err)
		if err := rt.Close(); err != nil {
			panic(err)
		}
	}
	// Output:
	// start 1: {ItemID:17 Cents:701 By:Erna}, <nil>; paid 1 times
	// appraisal.Appraiser.Appraise: key "17": checkpoint of other arguments
	// start 2: {ItemID:17 Cents:701 By:Erna}, <nil>; paid 1 times
	// appraisal.Appraiser.Appraise: key "17": checkpoint of other arguments
}

func TestFailuresAreNoCheckpoints(t *testing.T) {
	rt, err := resilience.Open(resilience.Options{Stores: resilience.MemoryStores()})
	if err != nil {
		t.Fatal(err)
	}
	expert := &Expert{}
	appraiser, err := NewResilientAppraiser(rt, expert)
	if err != nil {
		t.Fatal(err)
	}
	for want := int64(1); want < 3; want++ {
		if _, err := appraiser.Appraise(t.Context(), Item{ID: "1"}); err == nil || expert.Paid.Load() != want {
			t.Errorf("%v after %d calls, want %d", err, expert.Paid.Load(), want)
		}
	}
}

func TestWithoutAStore(t *testing.T) {
	rt, err := resilience.Open(resilience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewResilientAppraiser(rt, &Expert{}); !errors.Is(err, resilience.ErrNoStore) {
		t.Errorf("%v, want the constructor to say that there is no store", err)
	}
}
