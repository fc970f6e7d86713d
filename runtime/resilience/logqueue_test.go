package resilience

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestClaimWaitsForAnEntry has claims wait for what is put, for what is delayed, for
// the end of a lease, for a nack and for the end of the store.
func TestClaimWaitsForAnEntry(t *testing.T) {
	for name, c := range map[string]struct {
		before, meanwhile func(q *logQueue)
		after             time.Duration
		want              error
	}{
		"put": {meanwhile: func(q *logQueue) { _ = q.Put(t.Context(), "q", "a", nil, 0) }, after: time.Second},
		"put with a delay": {before: func(q *logQueue) { _ = q.Put(t.Context(), "q", "a", nil, 7*time.Second) },
			meanwhile: func(*logQueue) {}, after: 7 * time.Second},
		"an earlier one": {before: func(q *logQueue) { _ = q.Put(t.Context(), "q", "b", nil, 7*time.Second) },
			meanwhile: func(q *logQueue) { _ = q.Put(t.Context(), "q", "a", nil, 2*time.Second) }, after: 3 * time.Second},
		"the end of a lease": {before: func(q *logQueue) {
			_ = q.Put(t.Context(), "q", "a", nil, 0)
			_, _ = q.Claim(t.Context(), "q", 5*time.Second, 0)
		}, meanwhile: func(*logQueue) {}, after: 5 * time.Second},
		"another queue": {meanwhile: func(q *logQueue) { _ = q.Put(t.Context(), "other", "a", nil, 0) }, after: time.Minute, want: ErrEmpty},
		"close":         {meanwhile: func(q *logQueue) { _ = q.Close() }, after: time.Second, want: ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newLogQueue(newMemoryLog())
				if c.before != nil {
					c.before(q)
				}
				begun := time.Now()
				time.AfterFunc(time.Second, func() { c.meanwhile(q) })
				claim, err := q.Claim(context.Background(), "q", time.Second, time.Minute)
				if !errors.Is(err, c.want) || err == nil && claim.Entry().ID != "a" {
					t.Errorf("claim: %v, want %v", err, c.want)
				}
				if got := time.Since(begun); got != c.after {
					t.Errorf("after %v, want %v", got, c.after)
				}
			})
		})
	}
}

func TestClaimEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := newLogQueue(newMemoryLog()).Claim(ctx, "q", time.Second, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// TestQueueOfAFormerProcess reads the entries that another queue left in the log:
// nothing is claimed, delays go on and are not lengthened by a wall clock that was
// set back.
func TestQueueOfAFormerProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, ctx := newMemoryLog(), context.Background()
		q := newLogQueue(log)
		for _, id := range []string{"b", "a", "c"} {
			_ = q.Put(ctx, "q/Ü", id, []byte("body of "+id), 0)
		}
		_ = q.Put(ctx, "q/Ü", "late", nil, 10*time.Second)
		first, _ := q.Claim(ctx, "q/Ü", time.Hour, 0)
		if err := first.Ack(ctx); err != nil {
			t.Fatal(err)
		}
		_, _ = q.Claim(ctx, "q/Ü", time.Hour, 0)
		time.Sleep(4 * time.Second)
		begun, again := time.Now(), newLogQueue(log)
		var got []string
		for range 3 {
			c, err := again.Claim(ctx, "q/Ü", time.Hour, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %q after %v", c.Entry().ID, c.Entry().Body, time.Since(begun)))
		}
		if want := []string{`a "body of a" after 0s`, `c "body of c" after 0s`, `late "" after 6s`}; !slices.Equal(got, want) {
			t.Errorf("claimed %q, want %q", got, want)
		}
	})
	e := packedEntry{due: time.Now().Add(time.Hour).UnixNano(), delay: int64(time.Minute)}
	if got := e.remaining(time.Now()); got != time.Minute {
		t.Errorf("%v remain of a minute", got)
	}
}

// TestPutWhoseOutcomeIsNotKnown takes an entry that was written although its put
// failed, once somebody asks again.
func TestPutWhoseOutcomeIsNotKnown(t *testing.T) {
	log := &lyingLog{memoryLog: newMemoryLog()}
	q, ctx := newLogQueue(log), context.Background()
	if _, err := q.Claim(ctx, "q", time.Second, 0); !errors.Is(err, ErrEmpty) {
		t.Fatal(err)
	}
	log.lie = true
	if err := q.Put(ctx, "q", "a", nil, 0); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	log.lie = false
	if c, err := q.Claim(ctx, "q", time.Second, 0); err != nil || c.Entry().ID != "a" {
		t.Errorf("claim: %v", err)
	}
}

// lyingLog does what it says it may not have done.
type lyingLog struct {
	*memoryLog
	lie bool
}

func (l *lyingLog) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	v, err := l.memoryLog.Append(ctx, key, after, body)
	if l.lie {
		return 0, ErrUnavailable
	}
	return v, err
}

// TestQueueAgainstAModel plays random histories on a queue and on a list that is
// looked through from its beginning.
func TestQueueAgainstAModel(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) { playQueue(t, rand.New(rand.NewPCG(4, seed))) })
	}
}

// slowEntry is an entry of the model.
type slowEntry struct {
	id         string
	due        time.Time
	deliveries int
	held       int // number of the claim; 0 is none
	order      int
}

func playQueue(t *testing.T, random *rand.Rand) {
	q, ctx := newLogQueue(newMemoryLog()), context.Background()
	model, claims, number := map[string]*slowEntry{}, []Claim{nil}, 0
	next := func() (best *slowEntry) {
		for _, e := range model {
			if e.due.After(time.Now()) {
				continue
			}
			if best == nil || (e.deliveries > 0) != (best.deliveries > 0) && e.deliveries > 0 ||
				(e.deliveries > 0) == (best.deliveries > 0) && (e.due.Before(best.due) || e.due.Equal(best.due) && e.order < best.order) {
				best = e
			}
		}
		return best
	}
	for range 300 {
		time.Sleep(time.Duration(random.IntN(3)) * time.Second)
		id, delay := fmt.Sprint(random.IntN(20)), time.Duration(random.IntN(4))*time.Second
		held := random.IntN(len(claims))
		var owned *slowEntry
		if held > 0 {
			owned = model[claims[held].Entry().ID]
			if owned != nil && owned.held != held {
				owned = nil
			}
		}
		fenced := func(what string, err error) {
			if owned != nil && err != nil || owned == nil && !errors.Is(err, ErrFenced) {
				t.Fatalf("%s of claim %d: %v, held %t", what, held, err, owned != nil)
			}
		}
		switch kind := random.IntN(6); {
		case kind < 2:
			number++
			if e, due := model[id], time.Now().Add(delay); e == nil {
				model[id] = &slowEntry{id: id, due: due, order: number}
			} else if e.held == 0 && due.Before(e.due) {
				e.due = due
			}
			if err := q.Put(ctx, "q", id, nil, delay); err != nil {
				t.Fatal(err)
			}
		case kind < 3 || held == 0:
			c, err := q.Claim(ctx, "q", 5*time.Second, 0)
			e := next()
			if (e == nil) != errors.Is(err, ErrEmpty) {
				t.Fatalf("claim: %v, model %v", err, e)
			}
			if e == nil {
				continue
			}
			e.deliveries++
			e.due, e.held = time.Now().Add(5*time.Second), len(claims)
			claims = append(claims, c)
			if got := c.Entry(); got.ID != e.id || got.Deliveries != e.deliveries {
				t.Fatalf("claimed %+v, want %+v", got, e)
			}
		case kind < 4:
			fenced("extend", claims[held].Extend(ctx))
			if owned != nil {
				owned.due = time.Now().Add(5 * time.Second)
			}
		case kind < 5:
			fenced("nack", claims[held].Nack(ctx, delay))
			if owned != nil {
				owned.due, owned.held = time.Now().Add(delay), 0
			}
		default:
			fenced("ack", claims[held].Ack(ctx))
			if owned != nil {
				delete(model, owned.id)
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(q.queues["q"].byID)), slices.Sorted(maps.Keys(model)); !slices.Equal(got, want) {
		t.Errorf("%v are left, want %v", got, want)
	}
}

// TestManyWorkersTakeEachEntryOnce puts, claims and acknowledges from many
// goroutines.
func TestManyWorkersTakeEachEntryOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, ctx := newLogQueue(newMemoryLog()), context.Background()
		var mu sync.Mutex
		var group sync.WaitGroup
		taken := map[string]int{}
		for w := range 8 {
			group.Go(func() {
				for i := range 50 {
					_ = q.Put(ctx, "q", fmt.Sprint(w, i), nil, 0)
				}
			})
			group.Go(func() {
				for {
					c, err := q.Claim(ctx, "q", time.Minute, time.Second)
					if errors.Is(err, ErrEmpty) {
						return
					}
					mu.Lock()
					taken[c.Entry().ID]++
					mu.Unlock()
					if err := c.Ack(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		for id, n := range taken {
			if n != 1 {
				t.Errorf("%s was taken %d times", id, n)
			}
		}
		if len(taken) != 400 {
			t.Errorf("%d of 400 were taken", len(taken))
		}
	})
}

func FuzzUnpackEntry(f *testing.F) {
	f.Add(packEntry("q", "id", time.Now(), time.Second, []byte("body")))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := unpackEntry(b)
		if err == nil && string(packEntry(e.queue, e.id, time.Unix(0, e.due), time.Duration(e.delay), e.body)) != string(b) {
			t.Errorf("%x is not what it says", b)
		}
	})
}
