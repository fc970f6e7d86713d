package conformance

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"

	"conformance/grpc"
)

// counted plays a script and compares the statistics of its method.
func counted[W Service](make func(*resilience.Runtime, Service) (W, error), script string, want resilience.Counters) func(*testing.T) {
	return with(make, func(s *session, script string) {
		s.play(script)
		s.counts(want)
	}, script)
}

// counts compares the statistics of the one method.
func (s *session) counts(want resilience.Counters) resilience.MethodStats {
	s.t.Helper()
	m := s.rt.Stats().Methods[0]
	if m.Total != want {
		s.t.Errorf("got %+v\nwant %+v", m.Total, want)
	}
	return m
}

var metricsCases = family{
	"MP-MX-13": units,
	"MP-MX-01": with(NewResilientMPMX01, func(s *session, script string) {
		s.play(script)
		m := s.counts(resilience.Counters{Success: 2, Failure: 4, Rejected: 1, Attempts: 6, Rejections: 1})
		if want := (resilience.Verdicts{Success: 3, Failure: 2, Ignored: 1}); m.Breaker != want {
			s.t.Errorf("the breaker was told %+v, want %+v", m.Breaker, want)
		}
		if b := s.snapshot(); b.Closed <= 0 || b.Open != time.Second || b.HalfOpen != 500*time.Millisecond {
			s.t.Errorf("closed %v, open %v, half-open %v", b.Closed, b.Open, b.HalfOpen)
		}
	}, "+1s F>E openings=0 F>E openings=1 S>open rejected=1 +1500ms S*2>ok X>X I>I"),
	"MP-MX-02": counted(NewResilientMPMX02, "S>ok", resilience.Counters{Success: 1, Attempts: 1}),
	"MP-MX-03": counted(NewResilientMPMX02, "F,F,F,S>ok", resilience.Counters{Success: 1, SuccessRetried: 1, Attempts: 4, Retries: 3}),
	"MP-MX-07": with(NewResilientMPMX07, func(s *session, script string) {
		s.play(script)
		m := s.counts(resilience.Counters{Success: 1, Failure: 2, Attempts: 3, Timeouts: 2})
		if l := m.Latency; l.Count != 3 || l.P50 != l.Max || !about(l.Max, time.Second) {
			s.t.Errorf("%+v, want three calls, and none longer than the timeout", l)
		}
	}, "S/2s*2>timeout S/10ms>ok"),
	"MP-MX-08": with(NewResilientMPMX08, func(s *session, script string) {
		s.play(script)
		s.bulkhead(2, 0)
		s.play("a!S b!S a>ok b>ok")
		s.bulkhead(0, 0)
		s.counts(resilience.Counters{Success: 2, Rejected: 1, Attempts: 2, Rejections: 1})
	}, "a:hold b:hold S>full"),
	"MP-MX-09": with(NewResilientMPMX09, func(s *session, script string) {
		s.play(script)
		s.bulkhead(2, 2)
		s.play("a!S b!S a>ok b>ok c>ok d>ok")
		s.bulkhead(0, 0)
		if m := s.counts(resilience.Counters{Success: 4, Rejected: 1, Attempts: 4, Rejections: 1}); m.Latency.Count != 4 {
			s.t.Errorf("%d durations, want those of the accepted calls", m.Latency.Count)
		}
	}, "a:hold b:hold c:S d:S S>full"),
	"MP-MX-11": func(t *testing.T) {
		bubble(t, func(s *session) {
			rt, err := resilience.Open(resilience.Options{DisableStats: true})
			if err != nil {
				t.Fatal(err)
			}
			s.rt = rt
			wrap(s, NewResilientMPMX02)
			s.play("F,S>ok")
			if m := rt.Stats().Methods; len(m) != 0 {
				t.Errorf("kept %+v", m)
			}
		})
	},
	"MP-MX-12": func(t *testing.T) {
		bubble(t, func(s *session) {
			wrap(s, NewResilientGRPC02)
			s.play("S>ok")
			if _, err := grpc.NewResilientGRPC02(s.rt, s); err != nil {
				t.Fatal(err)
			}
			w := wrapPair(s, NewResilientMPMX12)
			s.play("S*2>ok")
			s.do = w.M2
			s.play("F>E")
			var got []string
			for _, m := range s.rt.Stats().Methods {
				got = append(got, fmt.Sprint(m.Name, m.Total.Success, m.Total.Failure))
			}
			if want := "[conformance.GRPC02.Do1 0 conformance.MPMX12.M12 0 conformance.MPMX12.M20 1 grpc.GRPC02.Do0 0]"; fmt.Sprint(got) != want {
				t.Errorf("got %v, want %s", got, want)
			}
		})
	},
}

// about allows for the error of the histogram.
func about(got, want time.Duration) bool { return (got - want).Abs() <= want/64 }

// bulkhead compares what the bulkhead tells.
func (s *session) bulkhead(running, waiting int64) {
	s.t.Helper()
	synctest.Wait()
	if b := s.rt.Stats().Bulkheads[0]; b.InFlight != running || b.Waiting != waiting {
		s.t.Errorf("got %+v, want %d and %d", b, running, waiting)
	}
}

// units looks at every number of the statistics: what lasts is a time.Duration,
// whose unit is its type, a share or a ratio is between 0 and 1 or called one, and
// all others count.
func units(t *testing.T) {
	durations := 0
	var look func(path string, of reflect.Type)
	look = func(path string, of reflect.Type) {
		switch {
		case of == reflect.TypeFor[time.Duration]():
			durations++
		case of == reflect.TypeFor[time.Time]():
		case of.Kind() == reflect.Slice || of.Kind() == reflect.Map:
			look(path, of.Elem())
		case of.Kind() == reflect.Struct:
			for i := range of.NumField() {
				look(path+"."+of.Field(i).Name, of.Field(i).Type)
			}
		case of.Kind() == reflect.Float32 || of.Kind() == reflect.Float64:
			if !strings.HasSuffix(path, "Ratio") {
				t.Errorf("%s: nobody knows its unit", path)
			}
		default:
			for _, unit := range []string{"Nanos", "Micros", "Millis", "Seconds", "Latency", "Time", "After", "P50", "Mean"} {
				if name := path[strings.LastIndex(path, ".")+1:]; strings.Contains(name, unit) && name != "Timeouts" {
					t.Errorf("%s: a time that is a %v", path, of)
				}
			}
		}
	}
	look("Stats", reflect.TypeFor[resilience.Stats]())
	look("AdaptiveSnapshot", reflect.TypeFor[resilience.AdaptiveSnapshot]())
	look("CacheSnapshot", reflect.TypeFor[resilience.CacheSnapshot]())
	if durations < 10 {
		t.Errorf("%d durations", durations)
	}
}
