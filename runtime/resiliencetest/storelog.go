package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/resilgen/resilgen/runtime/resilience"
)

var appendRules = []rule{
	{name: "append at 0", test: func(s *stores) {
		s.append("k", 0, "a")
		s.append("other", 0, "b")
		s.shows("k", 0, "a")
		s.shows("other", 0, "b")
	}},
	{name: "append at last", test: func(s *stores) {
		s.appendAll("k", "a", "b", "c")
		s.append("other", 0, "x")
		s.shows("k", 0, "a", "b", "c")
	}},
	{name: "conflict below", test: func(s *stores) {
		at := s.appendAll("k", "a", "b", "c")
		for _, after := range []resilience.Version{0, at[0], at[1]} {
			s.refused("k", after)
		}
	}},
	{name: "conflict above", test: func(s *stores) {
		at := s.appendAll("k", "a", "b")
		for _, after := range []resilience.Version{at[1] + 1, at[1] + 1000} {
			s.refused("k", after)
		}
		s.refused("never", 1)
		s.refused("never", at[1])
	}},
	{name: "conflict leaves no trace", test: func(s *stores) {
		at := s.appendAll("k", "a", "b")
		s.refused("k", 0)
		s.refused("k", at[0])
		s.refused("k", at[1]+1)
		s.refused("never", 7)
		s.shows("k", 0, "a", "b")
		s.shows("never", 0)
		s.leads("", "", "k=b")
		s.append("k", at[1], "c")
		s.append("never", 0, "d")
	}},
	{name: "append after a version that was dropped", test: func(s *stores) {
		at := s.appendAll("k", "a", "b", "c")
		s.drop("k", at[0])
		s.refused("k", at[0])
		s.append("k", at[2], "d")
		s.shows("k", 0, "b", "c", "d")
	}},
	{name: "two writers, one wins each version", test: twoWriters},
	{name: "8 clients are linearizable", test: eightClients},
	{name: "a body may be changed after the append", test: func(s *stores) {
		body := []byte("before")
		if _, err := s.Log.Append(s.ctx, "k", 0, body); err != nil {
			s.Fatal(err)
		}
		copy(body, "after!")
		s.shows("k", 0, "before")
	}},
}

// twoWriters has two append after the same version, again and again.
func twoWriters(s *stores) {
	var want []string
	last := resilience.Version(0)
	for i := range 100 {
		var group sync.WaitGroup
		var versions [2]resilience.Version
		var errs [2]error
		for w := range 2 {
			group.Go(func() {
				versions[w], errs[w] = s.Log.Append(s.ctx, "k", last, fmt.Appendf(nil, "%d by %d", i, w))
			})
		}
		group.Wait()
		won := 0
		if errs[0] != nil {
			won = 1
		}
		if errs[won] != nil || !errors.Is(errs[1-won], resilience.ErrConflict) {
			s.Fatalf("two appends after version %d: %v and %v, want nil and ErrConflict", last, errs[0], errs[1])
		}
		last = versions[won]
		want = append(want, fmt.Sprintf("%d by %d", i, won))
	}
	s.shows("k", 0, want...)
}

// eightClients append to and drop three keys at random, and their histories are
// checked. The state of a key is its last version and the largest that it had.
func eightClients(s *stores) {
	type state struct{ last, most resilience.Version }
	histories := map[string]*history[state]{"a": {}, "b": {}, "c/d": {}}
	keys := slices.Sorted(maps.Keys(histories))
	var group sync.WaitGroup
	for client := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(client)))
			known := map[string]resilience.Version{}
			for range 60 {
				key := keys[random.IntN(len(keys))]
				after := known[key]
				if random.IntN(8) == 0 {
					histories[key].do(func() (string, func(state) (state, bool)) {
						err := s.Log.Drop(s.ctx, key, after)
						return fmt.Sprintf("Drop(%d) = %v", after, err), func(st state) (state, bool) {
							if st.last <= after {
								st.last = 0
							}
							return st, err == nil
						}
					})
				} else {
					histories[key].do(func() (string, func(state) (state, bool)) {
						v, err := s.Log.Append(s.ctx, key, after, []byte{byte(client)})
						return fmt.Sprintf("Append(%d) = %d, %v", after, v, err), func(st state) (state, bool) {
							if err != nil {
								return st, errors.Is(err, resilience.ErrConflict) && st.last != after
							}
							return state{v, v}, st.last == after && v > st.most
						}
					})
				}
				known[key] = 0
				for r, err := range s.Log.Scan(s.ctx, key, 0) {
					if err == nil {
						known[key] = r.Version
					}
				}
			}
		})
	}
	group.Wait()
	for _, key := range keys {
		if text := histories[key].check(state{}); text != "" {
			s.Errorf("key %s: %s", key, text)
		}
	}
}

var scanRules = []rule{
	{name: "empty key scan", test: func(s *stores) {
		s.append("k", 0, "a")
		s.shows("never", 0)
		s.shows("never", 7)
		s.shows("k/below", 0)
	}},
	{name: "scan from the middle", test: func(s *stores) {
		at := s.appendAll("k", "a", "b", "c")
		s.append("other", 0, "x")
		s.shows("k", at[0], "b", "c")
		s.shows("k", at[1], "c")
		s.shows("k", at[2])
		s.shows("k", at[2]+100)
		s.shows("k", at[0]-1, "a", "b", "c")
	}},
	{name: "scan while appending shows a durable prefix", test: scanWhileAppending},
	{name: "scan after drop", test: func(s *stores) {
		at := s.appendAll("k", "a", "b", "c")
		s.drop("k", at[1])
		s.shows("k", 0, "c")
		s.shows("k", at[0], "c")
		s.drop("k", at[2])
		s.shows("k", 0)
	}},
	{name: "a scan may be left, and calls made within", test: func(s *stores) {
		at := s.appendAll("k", "a", "b")
		for r := range s.Log.Scan(s.ctx, "k", 0) {
			s.append("other", 0, string(r.Body))
			s.shows("k", 0, "a", "b")
			break
		}
		for r := range s.Log.Heads(s.ctx, "k", "") {
			s.append(r.Key, at[1], "c")
			break
		}
		s.shows("k", 0, "a", "b", "c")
		s.shows("other", 0, "a")
	}},
	{name: "heads by prefix, from, in order", test: headsInOrder},
}

// scanWhileAppending scans a key to which somebody appends: what each scan shows is
// a beginning of what is written. The writer waits for a scan after every tenth
// record, and each reader scans three times more when all is written: else a
// scheduler that favours the writer would leave hardly a scan to look at.
func scanWhileAppending(s *stores) {
	const most = 200
	var group sync.WaitGroup
	written, scanned := make(chan struct{}), make(chan struct{}, 1)
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()
	group.Go(func() {
		defer close(written)
		last := resilience.Version(0)
		for i := range most {
			var err error
			if last, err = s.Log.Append(s.ctx, "k", last, []byte(fmt.Sprint(i))); err != nil {
				s.Errorf("Append = %v, want nil", err)
				return
			}
			if i%10 == 9 {
				select {
				case <-scanned:
				case <-ctx.Done():
				}
			}
		}
	})
	for range 3 {
		group.Go(func() {
			for more := 3; more > 0; {
				select {
				case <-written:
					more--
				default:
				}
				if !s.showsPrefix("k") {
					stop()
					return
				}
				select {
				case scanned <- struct{}{}:
				default:
				}
			}
		})
	}
	group.Wait()
}

// showsPrefix reports whether a scan of key shows 0, 1, 2 and so on, in order.
func (s *stores) showsPrefix(key string) bool {
	list, err := collect(s.Log.Scan(s.ctx, key, 0))
	if err != nil || !slices.IsSortedFunc(list, byVersion) {
		s.Errorf("Scan: %v, or out of order", err)
		return false
	}
	for i, r := range list {
		if string(r.Body) != fmt.Sprint(i) {
			s.Errorf("record %d of a scan is %q", i, r.Body)
			return false
		}
	}
	return true
}

func headsInOrder(s *stores) {
	for _, key := range []string{"b", "a/c", "a", "a/b", "a-b", "a/b/c"} {
		s.appendAll(key, "first", key)
	}
	s.drop("gone", s.appendAll("gone", "x", "y")[1])
	s.drop("half", s.appendAll("half", "x", "y")[0])
	s.leads("", "", "a=a", "a-b=a-b", "a/b=a/b", "a/b/c=a/b/c", "a/c=a/c", "b=b", "half=y")
	s.leads("a/", "", "a/b=a/b", "a/b/c=a/b/c", "a/c=a/c")
	s.leads("a/", "a/b/c", "a/b/c=a/b/c", "a/c=a/c")
	s.leads("a/", "a/b0", "a/c=a/c")
	s.leads("a/", "b")
	s.leads("a/b", "", "a/b=a/b", "a/b/c=a/b/c")
	s.leads("x", "")
}

var dropRules = []rule{
	{name: "drop part", test: func(s *stores) {
		at := s.appendAll("k", "a", "b", "c", "d")
		s.append("other", 0, "x")
		s.drop("k", at[1])
		s.shows("k", 0, "c", "d")
		s.shows("other", 0, "x")
		s.drop("k", at[1]) // again
		s.drop("k", 0)
		s.shows("k", 0, "c", "d")
		s.append("k", at[3], "e")
	}},
	{name: "drop all", test: func(s *stores) {
		at := s.appendAll("k", "a", "b")
		s.append("other", 0, "x")
		s.drop("k", at[1])
		s.shows("k", 0)
		s.leads("", "", "other=x")
		s.drop("k", at[1])
		s.drop("never", at[1])
		s.drop("other", ^resilience.Version(0)>>1)
		s.leads("", "")
	}},
	{name: "append after drop keeps growing versions", test: func(s *stores) {
		last := resilience.Version(0)
		for range 5 {
			at := s.append("k", 0, "a")
			if at <= last {
				s.Errorf("version %d after %d", at, last)
			}
			last = s.append("k", at, "b")
			s.drop("k", last)
		}
	}},
	{name: "a late writer cannot revive a dropped key", test: func(s *stores) {
		at := s.appendAll("k", "a", "b")
		s.drop("k", at[1])
		s.refused("k", at[0])
		s.refused("k", at[1])
		again := s.append("k", 0, "c")
		s.refused("k", at[1])
		s.append("k", again, "d")
		s.shows("k", 0, "c", "d")
	}},
}

var keyRules = []rule{
	{name: "record of 0 bytes", test: func(s *stores) {
		last := resilience.Version(0)
		for _, body := range []string{"", "a", ""} {
			last = s.append("k", last, body)
		}
		s.shows("k", 0, "", "a", "")
		s.leads("", "", "k=")
	}},
	{name: "record of the limit", test: func(s *stores) {
		random := rand.New(rand.NewPCG(2, 2))
		body := make([]byte, resilience.MaxRecord)
		for i := range body {
			body[i] = byte(random.Uint32())
		}
		s.append("k", s.append("k", 0, string(body)), "b")
		s.shows("k", 0, string(body), "b")
	}},
	{name: "record over the limit", test: func(s *stores) {
		_, err := s.Log.Append(s.ctx, "k", 0, make([]byte, resilience.MaxRecord+1))
		if !errors.Is(err, resilience.ErrTooLarge) {
			s.Errorf("Append = %v, want ErrTooLarge", err)
		}
		s.shows("k", 0)
		s.append("k", 0, "a")
	}},
	{name: "escaped keys with every byte", test: everyByte},
	{name: "key at the limit", test: func(s *stores) {
		one, two := strings.Repeat("k", 200), strings.Repeat("k", 199)+"l"
		s.append(one, 0, "a")
		s.append(two, 0, "b")
		s.leads("", "", one+"=a", two+"=b")
	}},
	{name: "key that is none", test: func(s *stores) {
		for _, key := range []string{"", strings.Repeat("k", 201), "A", "a.b", "/a", "a/", "a//b", "../a", "a\x00b", "ä"} {
			if _, err := s.Log.Append(s.ctx, key, 0, nil); err == nil || errors.Is(err, resilience.ErrConflict) {
				s.Errorf("Append(%.20q) = %v, want an error that is no conflict", key, err)
			}
		}
		s.leads("", "")
	}},
	{name: "10,000 keys", test: manyKeys},
}

func everyByte(s *stores) {
	want := map[string]bool{}
	for b := range 256 {
		key := resilience.StoreKey("bytes", string([]byte{byte(b)}))
		s.append(key, 0, key)
		want[key+"="+key] = true
	}
	if len(want) != 256 {
		s.Errorf("%d keys of 256", len(want))
	}
	s.leads("bytes/", "", slices.Sorted(maps.Keys(want))...)
}

func manyKeys(s *stores) {
	const keys, writers = 10_000, 64
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := w; i < keys; i += writers {
				key := fmt.Sprintf("k/%05d", i)
				if _, err := s.Log.Append(s.ctx, key, 0, []byte(key)); err != nil {
					s.Errorf("Append(%s) = %v", key, err)
				}
			}
		})
	}
	group.Wait()
	var want []string
	for i := range keys {
		key := fmt.Sprintf("k/%05d", i)
		want = append(want, key+"="+key)
	}
	s.leads("k/", "", want...)
	s.leads("k/", "k/09998", want[9998:]...)
	s.shows("k/07777", 0, "k/07777")
}

var contextRules = []rule{
	{name: "context cancelled before", test: func(s *stores) {
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		if _, err := s.Log.Append(ctx, "k", 0, []byte("a")); !errors.Is(err, context.Canceled) {
			s.Errorf("Append = %v, want context.Canceled", err)
		}
		s.shows("k", 0)
		at := s.append("k", 0, "b")
		if err := s.Log.Drop(ctx, "k", at); !errors.Is(err, context.Canceled) {
			s.Errorf("Drop = %v, want context.Canceled", err)
		}
		s.shows("k", 0, "b")
		if _, err := collect(s.Log.Scan(ctx, "k", 0)); !errors.Is(err, context.Canceled) {
			s.Errorf("Scan yields %v, want context.Canceled", err)
		}
		if _, err := collect(s.Log.Heads(ctx, "k", "")); !errors.Is(err, context.Canceled) {
			s.Errorf("Heads yields %v, want context.Canceled", err)
		}
	}},
	{name: "context cancelled during", test: func(s *stores) { impatient(s, 8) }},
	{name: "the last waiter leaves", test: func(s *stores) { impatient(s, 1) }},
	{name: "unknown outcome settled by rescan", test: settled},
}

// impatient has writers with keys of their own append while their contexts end: what
// was answered is so, what was not is settled, and the store goes on.
func impatient(s *stores, writers int) {
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			key, want, last := fmt.Sprint("k", w), []string(nil), resilience.Version(0)
			for i := range 50 {
				body := fmt.Sprint(i)
				ctx, cancel := hurried(s.ctx, i*i)
				v, err := s.Log.Append(ctx, key, last, []byte(body))
				cancel()
				if errors.Is(err, resilience.ErrUnavailable) {
					v, err = s.settle(key, last, body)
				}
				if err == nil {
					last, want = v, append(want, body)
				} else if !errors.Is(err, context.Canceled) {
					s.Errorf("Append = %v, want nil or context.Canceled", err)
				}
			}
			_, err := s.Log.Append(s.ctx, key, last, []byte("end"))
			s.done("Append", err)
			s.shows(key, 0, append(want, "end")...)
		})
	}
	group.Wait()
}

// hurried ends a context after a while, which is counted in turns of the scheduler
// since time stands still in a bubble.
func hurried(parent context.Context, turns int) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		for range turns {
			runtime.Gosched()
		}
		cancel()
	}()
	return ctx, cancel
}

// settled appends every record until it is there, whatever the store answers: it is
// there once.
func settled(s *stores) {
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			key, want, last := fmt.Sprint("k", w), []string(nil), resilience.Version(0)
			for i := range 50 {
				body := fmt.Sprint(i)
				want = append(want, body)
				ctx, cancel := hurried(s.ctx, i*i)
				v, err := s.Log.Append(ctx, key, last, []byte(body))
				cancel()
				if err != nil {
					v, err = s.settle(key, last, body)
				}
				if last = v; err != nil {
					s.Errorf("Append = %v, want nil", err)
					return
				}
			}
			s.shows(key, 0, want...)
		})
	}
	group.Wait()
}

var endRules = []rule{
	{name: "reopen sees all", end: reopened, test: func(s *stores) { seesAll(s, false) }},
	{name: "reopen after unclean end", end: crashed, test: func(s *stores) { seesAll(s, true) }},
	{name: "closed store", test: func(s *stores) {
		at := s.append("k", 0, "a")
		s.close()
		_, err := s.Log.Append(s.ctx, "k", at, nil)
		isClosed(s, "Append", err)
		isClosed(s, "Drop", s.Log.Drop(s.ctx, "k", at))
		_, err = collect(s.Log.Scan(s.ctx, "k", 0))
		isClosed(s, "Scan", err)
		_, err = collect(s.Log.Heads(s.ctx, "", ""))
		isClosed(s, "Heads", err)
	}},
}

func isClosed(s *stores, what string, err error) {
	s.Helper()
	if !errors.Is(err, resilience.ErrClosed) {
		s.Errorf("%s = %v, want ErrClosed", what, err)
	}
}

// seesAll ends the stores again and again: what was acknowledged is there, what was
// dropped is not, and no version comes twice.
func seesAll(s *stores, kill bool) {
	var want []string
	last, gone := resilience.Version(0), resilience.Version(0)
	s.append("zero", 0, "")
	for round := range 4 {
		for i := range 10 {
			want = append(want, fmt.Sprint(round, " ", i))
			last = s.append("k", last, want[len(want)-1])
		}
		at := s.append("gone", 0, "x")
		if at <= gone {
			s.Errorf("version %d of a key that was dropped, %d before", at, gone)
		}
		gone = s.append("gone", at, "y")
		s.drop("gone", gone)
		s.again(kill)
		s.shows("k", 0, want...)
		s.shows("k", last-1, want[len(want)-1])
		s.shows("gone", 0)
		s.refused("gone", gone)
		s.refused("k", last+1)
		s.leads("", "", "k="+want[len(want)-1], "zero=")
	}
}
