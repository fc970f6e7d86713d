package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// ticking are schedulers over one set of stores, and the runs that they start, each
// of which takes as long as takes says.
type ticking struct {
	t      *testing.T
	stores resilience.Stores
	takes  time.Duration

	mu     sync.Mutex
	begun  map[string]time.Time
	order  []string
	told   []string
	forget bool // runs are not in the log
	refuse int  // starts that fail
}

func newTicking(t *testing.T) *ticking {
	return &ticking{t: t, stores: resilience.MemoryStores(), begun: map[string]time.Time{}}
}

// worker runs a scheduler until the func that it returns is called.
func (c *ticking) worker(owner string, schedules ...Schedule) (stop func()) {
	for i := range schedules {
		if schedules[i].Input == nil {
			schedules[i].Input = func() (Value, error) { return Value{}, nil }
		}
	}
	if err := checkSchedules(schedules); err != nil {
		c.t.Fatal(err)
	}
	s := &scheduler{
		workflow: "test.Nightly", schedules: schedules, stores: c.stores, owner: owner, lease: 30 * time.Second, retention: time.Hour,
		now: time.Now, start: c.start, over: c.over, tell: c.tell,
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(ctx)
	}()
	return func() { cancel(); <-ended }
}

func (c *ticking) start(_ context.Context, id string, _ Value) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse > 0 {
		c.refuse--
		return errors.New("no room")
	}
	if _, there := c.begun[id]; !there {
		c.begun[id] = time.Now()
		c.order = append(c.order, id)
	}
	return nil
}

func (c *ticking) over(_ context.Context, id string) (known, over bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, known := c.begun[id]
	return known && !c.forget, known && !c.forget && time.Since(at) >= c.takes, nil
}

func (c *ticking) tell(reason, schedule string, n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, fmt.Sprintf("%s %s %d %v", reason, schedule, n, err))
}

func (c *ticking) started() []string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.order)
}

// inBubble runs a test at midnight of the first of January 2000, UTC.
func inBubble(t *testing.T, test func(c *ticking)) {
	synctest.Test(t, func(t *testing.T) { test(newTicking(t)) })
}

// atTicks are the ids of runs of ticks so long after the bubble began.
func atTicks(name string, after ...time.Duration) (ids []string) {
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, d := range after {
		ids = append(ids, (&Schedule{Name: name}).runID(begin.Add(d)))
	}
	return ids
}

func (c *ticking) want(ids []string) {
	c.t.Helper()
	if got := c.started(); !slices.Equal(got, ids) {
		c.t.Errorf("started %v, want %v", got, ids)
	}
}

func TestScheduleTicksAreOneRunEach(t *testing.T) {
	inBubble(t, func(c *ticking) {
		every := Schedule{Name: "s", Every: 10 * time.Second, Overlap: OverlapAllow, CatchUp: CatchUpAll}
		var stops []func()
		for i := range 3 {
			stops = append(stops, c.worker(fmt.Sprint("w", i), every))
		}
		time.Sleep(time.Minute + time.Second)
		stops[0]() // whoever leads among them, the others go on within a lease
		time.Sleep(time.Minute)
		stops[1]()
		time.Sleep(time.Minute)
		stops[2]()
		var want []time.Duration
		for d := 10 * time.Second; d <= 181*time.Second; d += 10 * time.Second {
			want = append(want, d)
		}
		c.want(atTicks("s", want...))
	})
}

// TestScheduleTwoLeaders has both believe that they lead: there are no leases.
func TestScheduleTwoLeaders(t *testing.T) {
	inBubble(t, func(c *ticking) {
		c.stores.Leases = nil
		every := Schedule{Name: "s", Every: 10 * time.Second, Overlap: OverlapAllow, CatchUp: CatchUpAll}
		defer c.worker("a", every)()
		defer c.worker("b", every)()
		time.Sleep(61 * time.Second)
		c.want(atTicks("s", 10*time.Second, 20*time.Second, 30*time.Second, 40*time.Second, 50*time.Second, time.Minute))
		records := 0
		for r, err := range c.stores.Log.Scan(t.Context(), resilience.StoreKey("schedule", "test.Nightly", "s"), 0) {
			if err != nil || len(r.Body) == 0 {
				t.Fatal(r, err)
			}
			records++
		}
		if records != 1 {
			t.Errorf("%d records of the schedule are kept, want the last one", records)
		}
	})
}

func TestScheduleCatchesUp(t *testing.T) {
	for _, c := range []struct {
		catchUp CatchUp
		down    time.Duration
		want    []time.Duration
	}{
		{CatchUpSkip, 3*time.Hour + 30*time.Second, []time.Duration{time.Hour, 4 * time.Hour}}, // half a minute late is on time
		{CatchUpSkip, 3*time.Hour + 5*time.Minute, []time.Duration{time.Hour}},
		{CatchUpOne, 3*time.Hour + 5*time.Minute, []time.Duration{time.Hour, 4 * time.Hour}},
		{CatchUpAll, 3*time.Hour + 5*time.Minute, []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour}},
	} {
		t.Run(fmt.Sprint(c.catchUp, c.down), func(t *testing.T) {
			inBubble(t, func(k *ticking) {
				s := Schedule{Name: "s", Cron: "0 * * * *", CatchUp: c.catchUp, Overlap: OverlapAllow}
				stop := k.worker("a", s)
				time.Sleep(time.Hour + time.Millisecond)
				stop()
				time.Sleep(c.down)
				stop = k.worker("a", s)
				time.Sleep(time.Second)
				stop()
				k.want(atTicks("s", c.want...))
			})
		})
	}
}

func TestScheduleCatchesUpWithAThousandAtMost(t *testing.T) {
	inBubble(t, func(c *ticking) {
		s := Schedule{Name: "s", Every: time.Second, CatchUp: CatchUpAll, Overlap: OverlapAllow}
		stop := c.worker("a", s)
		time.Sleep(time.Millisecond)
		stop()
		time.Sleep(24 * time.Hour)
		defer c.worker("a", s)()
		if got := c.started(); len(got) != catchUpLimit || got[0] != atTicks("s", 24*time.Hour-999*time.Second)[0] {
			t.Errorf("%d runs from %s, want the latest %d", len(got), got[0], catchUpLimit)
		}
		if want := []string{fmt.Sprintf("missed s %d <nil>", 86400-catchUpLimit)}; !slices.Equal(c.told, want) {
			t.Errorf("told %v, want %v", c.told, want)
		}
	})
}

func TestScheduleOverlaps(t *testing.T) {
	for _, c := range []struct {
		overlap Overlap
		want    []string
	}{
		{OverlapSkip, atTicks("s", 10*time.Second, 40*time.Second)},
		{OverlapQueue, atTicks("s", 10*time.Second, 20*time.Second)}, // its run begins at 35 s
		{OverlapAllow, atTicks("s", 10*time.Second, 20*time.Second, 30*time.Second, 40*time.Second)},
	} {
		t.Run(string(c.overlap), func(t *testing.T) {
			inBubble(t, func(k *ticking) {
				k.takes = 25 * time.Second
				stop := k.worker("a", Schedule{Name: "s", Every: 10 * time.Second, Overlap: c.overlap})
				time.Sleep(45 * time.Second)
				stop()
				k.want(c.want)
				if c.overlap == OverlapQueue {
					if at := k.begun[c.want[1]].Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); at < 35*time.Second || at > 36*time.Second {
						t.Errorf("the one that waited began after %v, want 35 s", at)
					}
				}
			})
		})
	}
}

func TestScheduleQueuesAThousandAtMost(t *testing.T) {
	s := &Schedule{Name: "s", Overlap: OverlapQueue}
	var ticks []time.Time
	for i := range catchUpLimit + 5 {
		ticks = append(ticks, time.Unix(int64(i), 0))
	}
	start, next, skipped := s.decide(ticked{Running: "r"}, ticks, time.Unix(0, 0), false)
	if len(start) != 0 || len(next.Queued) != catchUpLimit || skipped != 5 || !next.Queued[0].Equal(ticks[5]) {
		t.Errorf("%d start, %d wait, %d are dropped; want none, %d and the 5 oldest", len(start), len(next.Queued), skipped, catchUpLimit)
	}
}

// TestScheduleForgottenRun has the run of the last tick be in no log: first it may
// wait in the queue, later it has ended and been dropped.
func TestScheduleForgottenRun(t *testing.T) {
	inBubble(t, func(c *ticking) {
		c.forget = true
		stop := c.worker("a", Schedule{Name: "s", Cron: "*/20 * * * *"})
		time.Sleep(110 * time.Minute)
		stop()
		c.want(atTicks("s", 20*time.Minute, 100*time.Minute)) // more than the hour that ended runs are kept for
	})
}

// TestScheduleClockSetBack has a tick not come again.
func TestScheduleClockSetBack(t *testing.T) {
	inBubble(t, func(c *ticking) {
		s := Schedule{Name: "s", Every: time.Minute, Overlap: OverlapAllow}
		stop := c.worker("a", s)
		time.Sleep(5*time.Minute + time.Second)
		stop()
		c.mu.Lock()
		clear(c.begun)
		c.order = nil
		c.mu.Unlock()
		back := &scheduler{workflow: "test.Nightly", schedules: []Schedule{s}, stores: c.stores, owner: "b", lease: time.Minute,
			now:   func() time.Time { return time.Now().Add(-3 * time.Minute) },
			start: c.start, over: c.over, tell: c.tell}
		back.schedules[0].Input = func() (Value, error) { return Value{}, nil }
		for range 5 {
			if _, err := back.pass(t.Context(), &back.schedules[0]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		c.want(atTicks("s", 6*time.Minute)) // at 9:01, which this clock takes for 6:01
	})
}

func TestScheduleInputFails(t *testing.T) {
	inBubble(t, func(c *ticking) {
		fails := 2
		s := Schedule{Name: "s", Every: time.Minute, Input: func() (Value, error) {
			if fails--; fails >= 0 {
				return Value{}, errors.New("no rates yet")
			}
			return Value{}, nil
		}}
		c.refuse = 1
		stop := c.worker("a", s)
		time.Sleep(70 * time.Second)
		stop()
		c.want(atTicks("s", time.Minute))
		if len(c.told) != 3 || !strings.Contains(c.told[0], "no rates yet") || !strings.Contains(c.told[2], "no room") {
			t.Errorf("told %v, want the three errors", c.told)
		}
	})
}

func TestScheduleRefuses(t *testing.T) {
	in := func() (Value, error) { return Value{}, nil }
	for _, c := range []struct {
		schedule  Schedule
		complaint string
	}{
		{Schedule{Every: time.Hour, Input: in}, "no name"},
		{Schedule{Name: "s", Input: in}, "want either every or cron"},
		{Schedule{Name: "s", Every: time.Hour, Cron: "@daily", Input: in}, "want either every or cron"},
		{Schedule{Name: "s", Every: time.Hour}, "has no input"},
		{Schedule{Name: "s", Every: time.Millisecond, Input: in}, "at least 1s"},
		{Schedule{Name: "s", Every: time.Hour, TimeZone: "UTC", Input: in}, "timeZone is about cron"},
		{Schedule{Name: "s", Cron: "@daily", TimeZone: "Local", Input: in}, "Local"},
		{Schedule{Name: "s", Cron: "@daily", TimeZone: "Europe/Bonn", Input: in}, "Europe/Bonn"},
		{Schedule{Name: "s", Cron: "daily", Input: in}, "1 fields"},
		{Schedule{Name: "s", Cron: "@daily", CatchUp: CatchUpAll, Input: in}, "wants overlap queue or allow"},
		{Schedule{Name: "twice", Every: time.Hour, Input: in}, "twice is there twice"},
	} {
		list := []Schedule{{Name: "twice", Every: time.Hour, Input: in}, c.schedule}
		if err := checkSchedules(list); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%+v: %v, want one with %q", c.schedule, err, c.complaint)
		}
	}
}
