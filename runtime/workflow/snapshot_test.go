package workflow

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// longRun is a chain of n steps; each node that is called counts in calls, and the
// context ends at step cut.
func longRun(n, cut int, calls *int, cancel context.CancelFunc) Graph {
	g := graph(routes("A", func(_ context.Context, in string) (string, Route, error) {
		*calls++
		if *calls == cut {
			cancel()
		}
		if *calls == n {
			return in, End, nil
		}
		return fmt.Sprint(*calls), To(Target[string]("A")), nil
	}, "A", end))
	return g
}

// TestLongRunIsReadFromItsSnapshot holds the records that are there to what the
// checkpoints need, and the result of a resumed run to that of one that was not.
func TestLongRunIsReadFromItsSnapshot(t *testing.T) {
	const steps, cut = 2000, 1500
	stores := resilience.MemoryStores()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	e := opened(t, &stores, longRun(steps, cut, &calls, cancel))
	if _, err := e.Run(ctx, "in", Options{ID: "r"}); !errors.Is(err, context.Canceled) || calls != cut {
		t.Fatalf("%d calls, %v", calls, err)
	}
	records, snapshots := 0, 0
	for r, err := range resilience.Large(stores.Log).Scan(t.Context(), e.e.g.runKey("r"), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if rec, err := decodeRecord(r.Body); err == nil && rec.Kind == kindSnapshot {
			snapshots++
		}
		records++
	}
	if records > 8*snapshotEvery || snapshots == 0 {
		t.Errorf("%d records with %d snapshots are left of %d steps", records, snapshots, cut)
	}
	got, err := e.Resume(t.Context(), "r")
	if err != nil || calls != steps || got.Output != fmt.Sprint(steps-1) || got.StepCount != steps {
		t.Errorf("%d calls, %d steps, %v", calls, got.StepCount, err)
	}
}

func TestSnapshotThatIsTooLargeIsLeftOut(t *testing.T) {
	stores := resilience.MemoryStores()
	stores.Log = &smallLog{stores.Log}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	e := opened(t, &stores, longRun(600, 500, &calls, cancel))
	_, _ = e.Run(ctx, "in", Options{ID: "r"})
	if got, err := e.Resume(t.Context(), "r"); err != nil || calls != 600 || got.StepCount != 600 {
		t.Errorf("%d calls, %d steps, %v", calls, got.StepCount, err)
	}
}

// smallLog takes small records only.
type smallLog struct{ resilience.Log }

func (l *smallLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	if len(body) > 2000 {
		return 0, resilience.ErrTooLarge
	}
	return l.Log.Append(ctx, key, after, body)
}

func TestSaved(t *testing.T) {
	for _, autosave := range []time.Duration{0, time.Minute} {
		ways(t, func(t *testing.T, stores *resilience.Stores) {
			synctest.Test(t, func(t *testing.T) {
				var seen []int
				ctx, cancel := context.WithCancel(t.Context())
				g := graph(works("A", func(c context.Context, in string) (string, error) {
					n, ok, err := Saved[int](c)
					if err != nil || ok != (n > 0) {
						t.Errorf("%d, %v, %v", n, ok, err)
					}
					seen = append(seen, n)
					for n++; n <= 10; n++ {
						if err := Save(c, n); err != nil {
							return "", err
						}
						if n == 5 && ctx.Err() == nil {
							cancel()
							return "", c.Err()
						}
						time.Sleep(30 * time.Second)
					}
					return in, nil
				}, "B"), works("B", func(c context.Context, in string) (string, error) {
					if _, ok, _ := Saved[int](c); ok {
						t.Error("B has what A saved")
					}
					return in, nil
				}, end))
				g.Checkpoint.Autosave = autosave
				e := opened(t, stores, g)
				_, err := e.Run(ctx, "in", Options{ID: "r"})
				if stores == nil {
					return
				}
				got, err2 := e.Resume(t.Context(), "r")
				// With an interval of 60s and a Save every 30s, what was saved at 120s is 5.
				if !errors.Is(err, context.Canceled) || err2 != nil || got.Status != Completed || len(seen) != 2 || seen[1] != 5 && autosave == 0 || seen[1] < 3 {
					t.Errorf("saw %v, %v, %v", seen, err, err2)
				}
			})
		})
	}
	if err := Save(t.Context(), 1); err == nil {
		t.Error("saved for nobody")
	}
}

// TestSnapshotsAreNotMostOfWhatIsWritten has a run with very many messages that wait.
func TestSnapshotsAreNotMostOfWhatIsWritten(t *testing.T) {
	log := &weighingLog{Log: resilience.MemoryStores().Log}
	stores := resilience.Stores{Log: log}
	g := graph(routes("A", func(_ context.Context, in string) (string, Route, error) { return in, many(1000), nil }, "B"), says("B", "C"), says("C"))
	if got, _ := opened(t, &stores, g).Run(t.Context(), "in", Options{ID: "r"}); got.StepCount != 2001 {
		t.Fatalf("%d steps", got.StepCount)
	}
	if log.snapshots == 0 || log.snapshots > 2*log.others {
		t.Errorf("%d bytes of snapshots, %d of other records", log.snapshots, log.others)
	}
}

// weighingLog weighs what is written.
type weighingLog struct {
	resilience.Log
	snapshots, others int
}

func (l *weighingLog) Append(ctx context.Context, key string, after resilience.Version, body []byte) (resilience.Version, error) {
	if r, err := decodeRecord(body); err == nil && r.Kind != kindSnapshot {
		l.others += len(body)
	} else {
		l.snapshots += len(body)
	}
	return l.Log.Append(ctx, key, after, body)
}
