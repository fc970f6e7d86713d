package conformance

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// checklistCases are what fix commits of breakers were about.
var checklistCases = family{
	"C01": alternates(func(*session, resilience.Event) {}),
	"C02": alternates(func(_ *session, e resilience.Event) { panic(e) }),
	"C03": all(
		alternates(func(_ *session, e resilience.Event) {
			if e.Kind == resilience.BreakerTransition {
				runtime.Goexit()
			}
		}),
		with(NewResilientTwoNever, func(s *session, script string) {
			s.also = func(_ context.Context, e resilience.Event) {
				if e.Kind == resilience.BreakerTransition {
					runtime.Goexit()
				}
			}
			s.play(script)
		}, "F>E F>goexit =OPEN S>open +1s S>goexit execs=2 =HALF_OPEN S>goexit execs=3 =CLOSED S>ok"),
		with(NewResilientEverything, func(s *session, script string) {
			s.also = func(context.Context, resilience.Event) { runtime.Goexit() }
			s.play(script)
			s.mu.Lock()
			s.also = nil
			s.mu.Unlock()
			s.restored()
		}, "F>goexit X>goexit H>goexit P>goexit a:hold a^ a>goexit S>ok")),
	"C04": alternates(func(s *session, e resilience.Event) {
		if e.Kind == resilience.BreakerTransition {
			_, _ = s.do(context.WithValue(context.Background(), callKey{}, &call{plan: []string{"S"}}))
			_ = s.rt.Breaker(s.breaker).Snapshot()
		}
	}),
	"C05": alternates(func(_ *session, e resilience.Event) {
		if e.Kind == resilience.BreakerTransition {
			time.Sleep(time.Minute)
		}
	}),
	"C06": with(NewResilientTwo, func(s *session, script string) {
		if counts := s.together(100, "F/1s"); counts["F"] != 100 {
			s.t.Errorf("got %v", counts)
		}
		s.play(script)
	}, "=OPEN openings=1 transitions=closed-open"),
	"C07": with(NewResilientThriceTimed, func(s *session, script string) {
		s.play("a:F/1s b:F")
		s.update("ThriceTimed", func(p *resilience.Policy) {
			p.Retry.MaxAttempts, p.Retry.Backoff.InitialDelay, p.Timeout.Attempt = 1, 7*time.Second, ms
		})
		s.play(script)
	}, "a>E gaps=1s,2s execs=6 b>E gaps=1s,2s F>E execs=7 H>timeout took=1ms"),
	"C08": play(NewResilientTwoBusy,
		"a:hold F*2>E +1s b:hold S*3>full =HALF_OPEN a!S a>ok S>ok =CLOSED",
		"a:hold F*2>E +1s b:hold S*3>full =HALF_OPEN a!S a>ok F>E =OPEN openings=2 b!S b>ok =OPEN"),
	"C09": with(NewResilientTwo, forced, ""),
	"C10": with(NewResilientTwo, func(s *session, _ string) {
		s.play("F*2>E =OPEN")
		s.update("Two", func(p *resilience.Policy) { p.Breaker.ConsecutiveFailures = 50 })
		s.play("=OPEN S>open")
		s.update("Two", func(p *resilience.Policy) { p.Breaker.OpenDuration = 3 * time.Second })
		s.play("+2999ms S>open +1ms S>ok =CLOSED openings=1")
		s.play("F*49>E =CLOSED F>E =OPEN")
	}, ""),
	"C11": func(t *testing.T) {
		play(NewResilientHundred, "S*43>ok F*56>E =CLOSED F>E =OPEN", "F*57>E S*42>ok =CLOSED S>ok =OPEN", "F*56>E S*44>ok =CLOSED")(t)
		for _, percent := range []int{1, 3, 7, 14, 28, 29, 33, 55, 56, 57, 58, 67, 99, 100} {
			with(NewResilientHundred, func(s *session, script string) {
				s.update("Hundred", func(p *resilience.Policy) { p.Breaker.FailureRateThreshold = float64(percent) })
				s.play(script)
			}, fmt.Sprintf("S*%d>ok F*%d>E =OPEN", 100-percent, percent), fmt.Sprintf("F*%d>E S*%d>ok =CLOSED", percent-1, 101-percent))(t)
		}
	},
	"C12": with(NewResilientWindowed, func(s *session, _ string) {
		for _, pause := range []string{"1h", "1s", "100ms", "950ms", "8760h"} {
			s.play("S>ok +" + pause + " +2s")
			s.together(300, "S")
			s.together(500, "F")
			s.play("calls=800 failures=500")
		}
	}, ""),
	"C14": all(
		play(NewResilientNarrow, "F>E +1h F>E =CLOSED F>E =OPEN +5s S>ok =CLOSED F>E +1ns S>ok =OPEN"),
		generate("interfaces: {Gateway: {circuitBreaker: {window: {type: time, duration: 10s, buckets: 0}}}}", "buckets", "0", "1 to 10000"),
		generate("interfaces: {Gateway: {circuitBreaker: {window: {type: time, duration: 0s}}}}", "duration", "0s", "must be > 0"),
		refusedUpdate(NewResilientWindowed, "Windowed", func(p *resilience.Policy) { p.Breaker.Window.Buckets = math.MinInt })),
	"C15": all(
		generate("interfaces: {Gateway: {idempotent: true, hedge: {percentile: .nan}}}", "percentile", ".nan"),
		generate("interfaces: {Gateway: {adaptive: {k: .nan}}}", "k", ".nan"),
		generate("interfaces: {Gateway: {idempotent: true, retry: {backoff: {multiplier: .nan}}}}", "multiplier", ".nan"),
		generate("interfaces: {Gateway: {idempotent: true, retry: {budget: {ratio: .nan}}}}", "ratio", ".nan"),
		refusedUpdate(NewResilientFSG10, "FSG10", func(p *resilience.Policy) { p.Hedge.Percentile = math.NaN() }),
		refusedUpdate(NewResilientHundred, "Hundred", func(p *resilience.Policy) { p.Breaker.FailureRateThreshold = math.NaN() }),
		refusedUpdate(NewResilientThriceTimed, "ThriceTimed", func(p *resilience.Policy) { p.Retry.Backoff.Multiplier = math.NaN() }),
		refusedUpdate(NewResilientEverything, "Everything", func(p *resilience.Policy) { p.Budget.Ratio = math.NaN() }),
		notOverridden(NewResilientFSG10, "conformance.FSG10: {hedge: {percentile: .nan}}", "percentile")),
	"C16": nothing,
	"C17": beyond32Bits,
	"C18": with(NewResilientJittered, func(s *session, script string) {
		s.play("+1h")
		at := time.Now()
		s.play(script)
		for _, e := range s.events {
			if d := e.Time.Sub(at); d < 0 || d > time.Since(at) || e.Kind != resilience.BreakerTransition && e.Elapsed != d {
				s.t.Errorf("%v: %v after the beginning of the call", e, d)
			}
		}
		if b := s.snapshot(); b.Closed+b.Open+b.HalfOpen != time.Since(s.begun) {
			s.t.Errorf("%+v, want %v in all states", b, time.Since(s.begun))
		}
		minutes := s.rt.Stats().Methods[0].Minutes
		if last := minutes[len(minutes)-1].Begin; time.Since(last) < 0 || time.Since(last) > time.Minute {
			s.t.Errorf("the present minute began at %v, now it is %v", last, time.Now())
		}
	}, "H>timeout =OPEN +300ms =OPEN"),
	"C19": func(t *testing.T) {
		first, second := transcript(t), transcript(t)
		if len(first) < 500 || !slices.Equal(first, second) {
			t.Errorf("%d and %d events, which differ", len(first), len(second))
		}
	},
}

// update changes the running policy of an interface.
func (s *session) update(name string, f func(*resilience.Policy)) {
	s.t.Helper()
	if err := s.rt.Update("conformance."+name, func(p *resilience.Policy) error { f(p); return nil }); err != nil {
		s.t.Fatal(err)
	}
}

// refusedUpdate is a change that must be refused, and leave everything as it
// was.
func refusedUpdate[W Service](make func(*resilience.Runtime, Service) (W, error), name string, f func(*resilience.Policy)) func(*testing.T) {
	return with(make, func(s *session, _ string) {
		if err := s.rt.Update("conformance."+name, func(p *resilience.Policy) error { f(p); return nil }); err == nil {
			s.t.Errorf("%s: taken", name)
		}
		s.play("S>ok F>E")
	}, "")
}

// alternates has 16 callers drive a breaker through its states at random while
// listen listens. Every transition must be told, once, from the state that the
// one before led to.
func alternates(listen func(*session, resilience.Event)) func(*testing.T) {
	return with(NewResilientTwo, func(s *session, _ string) {
		s.also = func(_ context.Context, e resilience.Event) { listen(s, e) }
		var group sync.WaitGroup
		for i := range 16 {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			group.Go(func() {
				for range 60 {
					c := s.launch("", []string{"S", "F/100ms", "F", "S/50ms", "P", "G"}[random.IntN(6)])
					<-c.done // a listener may end its goroutine
					time.Sleep(time.Duration(random.IntN(700)) * ms)
				}
			})
		}
		group.Wait()
		time.Sleep(10 * time.Hour) // for a listener that is slow
		s.mu.Lock()
		defer s.mu.Unlock()
		state, told := resilience.StateClosed, int64(0)
		for _, e := range s.events {
			if e.Kind != resilience.BreakerTransition {
				continue
			}
			if e.From != state || e.To == state {
				s.t.Fatalf("%v to %v, after one to %v", e.From, e.To, state)
			}
			state, told = e.To, told+1
		}
		b := s.rt.Breaker(s.breaker).Snapshot()
		if told != b.Transitions || told < 20 || s.rt.Observer().Dropped != 0 {
			s.t.Errorf("%d told, %d dropped, %d made", told, s.rt.Observer().Dropped, b.Transitions)
		}
	}, "")
}

// forced has calls in flight and time try to move what an operator forced.
func forced(s *session, _ string) {
	b := s.rt.Breaker(s.breaker)
	s.play("a:hold b:hold")
	b.ForceOpen()
	s.play("a!S a>ok b!F b>E S>open +1h S>open")
	b.Close()
	s.play("=CLOSED consecutive=0 c:hold d:hold")
	b.Disable()
	s.play("c!F d!F c>E d>E F*10>E =CLOSED openings=0")
	b.ForceOpen()
	s.play("S>open")
	b.Reset()
	s.play("=CLOSED openings=0 rejected=0 F*2>E =OPEN +1s e:hold =HALF_OPEN")
	b.ForceOpen()
	s.play("e!S e>ok S>open +1h S>open")
	b.Close()
	s.play("S>ok =CLOSED F*2>E =OPEN")
	b.Disable()
	s.play("S*5>ok F*5>E")
	b.Close()
	s.play("=CLOSED consecutive=0 F>E =CLOSED F>E =OPEN")
}

// nothing gives nil where there should be something.
func nothing(t *testing.T) {
	rt := &resilience.Runtime{}
	works := doFunc(func(context.Context) (int, error) { return 1, nil })
	_, err1 := NewResilientOne(rt, nil)
	_, err2 := NewResilientSpare(rt, nil, standIn{answerTo})
	_, err3 := NewResilientSpare(&resilience.Runtime{}, works, nil)
	_, err4 := NewResilientOrders(rt, &orders{}, OrdersSecondary{})
	for i, err := range []error{err1, err2, err3, err4} {
		if err == nil {
			t.Errorf("constructor %d takes nil", i+1)
		}
	}
	w, err := NewResilientOne(nil, works)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Do(t.Context()); n != 1 || err != nil {
		t.Errorf("under a nil Runtime: %d, %v", n, err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Update takes a nil func")
			}
		}()
		_ = rt.Update("conformance.Spare", nil)
	}()
	rt.SetEnabled(true) // it died without a lock
}

// narrow are the types, and fields, of 32 bits and less in what outlives a call,
// and why they do not run over.
var narrow = map[string]string{
	"Kind":              "a set",
	"holding":           "a set",
	"histogram":         "of one minute, which is too short for 2^32 calls",
	"slice":             "of one minute at most",
	"plan.learned":      "ends at 64",
	"plan.attempts":     "of the policy",
	"latencies.buckets": "halved before they are many",
	"place.seg":         "of the files that are there, which are 4 MiB and more",
	"place.off":         "in a file, which is 1 GiB at most",
	"place.size":        "of a record, which is 512 KiB at most",
	"removed.crc":       "a checksum",
	"segment.sum":       "a checksum",
	"chain.crc":         "a checksum",
	"segment.refs":      "of those who read at this moment",
}

// beyond32Bits looks at every number that a generated wrapper keeps: what counts
// calls has 64 bits. (What happens beyond 2^32 is played inside the runtime, whose
// counters nobody else can wind forward.)
func beyond32Bits(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var look func(path string, of reflect.Type)
	look = func(path string, of reflect.Type) {
		if load, ok := reflect.PointerTo(of).MethodByName("Load"); ok && of.PkgPath() == "sync/atomic" {
			look(path, load.Type.Out(0))
			return
		}
		if narrow[of.Name()] != "" {
			return
		}
		switch of.Kind() {
		case reflect.Int32, reflect.Uint32, reflect.Int16, reflect.Uint16, reflect.Float32:
			if narrow[path] == "" {
				t.Errorf("%s has %d bits", path, of.Bits())
			}
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			look(path, of.Elem())
		case reflect.Struct:
			if seen[of] || !strings.Contains(of.PkgPath(), "resilgen") {
				return
			}
			seen[of] = true
			for i := range of.NumField() {
				look(of.Name()+"."+of.Field(i).Name, of.Field(i).Type)
			}
		}
	}
	look("", reflect.TypeFor[ResilientEverything]())
	look("", reflect.TypeFor[resilience.Guard]())
	look("", reflect.TypeFor[resilience.Stats]())
	if len(seen) < 30 {
		t.Errorf("%d types seen", len(seen))
	}
}

// transcript is everything that is told of a long script, with its times.
func transcript(t *testing.T) (list []string) {
	bubbleSeed(t, 42, func(s *session) {
		wrap(s, NewResilientJittered)
		random := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			s.call([]string{"S", "F,S", "F,F,F,S", "F", "H,S", "X/100ms"}[random.IntN(6)])
			time.Sleep(time.Duration(random.IntN(1000)) * ms)
		}
		for _, e := range s.events {
			list = append(list, fmt.Sprint(e.Time.Sub(s.begun), e.Elapsed, e.Delay, e))
		}
		list = append(list, fmt.Sprintf("%+v", s.snapshot()))
	})
	return list
}
