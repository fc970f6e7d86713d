package conformance

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"

	"conformance/grpc"
)

const ms = time.Millisecond

var retryCases = family{
	"MP-CF-15": with(NewResilientMPRT01, func(s *session, script string) {
		s.play("F>E execs=6")
		s.rt.SetEnabled(false)
		s.play("F>E execs=7")
		s.rt.SetEnabled(true, "conformance.MPRT01")
		s.play("F>E execs=13")
		s.rt.SetEnabled(false, "conformance.MPRT01.Do")
		s.play("F>E execs=14")
		s.rt.SetEnabled(true, "conformance.MPRT01.Do")
		if err := s.rt.Disable([]string{"retry"}); err != nil {
			s.t.Fatal(err)
		}
		s.play("F>E execs=15")
	}, ""),
	"MP-RT-01": with(NewResilientMPRT01, func(s *session, script string) {
		s.play(script)
		var e *resilience.Error
		if !errors.As(s.last.err, &e) || e.Attempts != 6 || !errors.Is(e, E) {
			s.t.Errorf("got %v, want the last error after 6 attempts", s.last.err)
		}
	}, "F>E execs=6"),
	"MP-RT-02": seeds(50, NewResilientMPRT02, "F/100ms", func(s *session, c *call) {
		between(s, "executions", len(c.starts), 4, 10)
		between(s, "time", c.took, 700*ms, 1100*ms)
	}),
	"MP-RT-05": seeds(50, NewResilientMPRT05, "F", func(s *session, c *call) {
		between(s, "executions", len(c.starts), 9, 99)
		between(s, "time", c.took, 0, 3200*ms)
		longest := time.Duration(0)
		for _, gap := range c.gaps() {
			between(s, "gap", gap, 0, 400*ms-1)
			longest = max(longest, gap)
		}
		between(s, "longest gap", longest, 5*ms, 400*ms)
	}),
	"MP-RT-07": seeds(50, NewResilientMPRT07, "F/100ms", func(s *session, c *call) {
		between(s, "executions", len(c.starts), 4, 10)
	}),
	"MP-RT-08": play(NewResilientMPRT08, "F>E execs=4 took=300ms gaps=100ms,100ms,100ms"),
	"MP-RT-09": play(NewResilientMPRT09, "F>E execs=4"),
	"MP-RT-10": play(NewResilientMPRT10, "F>E execs=1"),
	"MP-RT-11": play(NewResilientMPRT11, "Child>Child execs=4"),
	"MP-RT-13": play(NewResilientMPRT13, "F>E execs=4", "Other>Other execs=1"),
	"MP-RT-15": play(NewResilientMPRT15, "a:F a>E execs=3"),
	"MP-RT-17": play(NewResilientMPRT15, "a:F,F,S a>ok execs=3", "a:F,F,S b:F,F,S a>ok b>ok execs=6"),
	"MP-RT-19": play(NewResilientMPRT19, "S/1s>timeout execs=2"),
	"MP-RT-21": play(NewResilientMPRT21, "S/1s>timeout execs=1 took=500ms"),
	"MP-RT-22": play(NewResilientMPRT22, "S/1s>timeout execs=1 took=500ms"),

	"R4J-31": with(NewResilientR4J31, func(s *session, script string) {
		s.play(script)
		var e *resilience.Error
		if !errors.As(s.last.err, &e) || e.Attempts != 3 || e.Elapsed != time.Second || !errors.Is(e, E) {
			s.t.Errorf("got %+v", e)
		}
	}, "F>E execs=3 gaps=500ms,500ms took=1s"),
	"R4J-32": play(NewResilientR4J32, "F,F,S>ok gaps=500ms,1s"),
	"R4J-33": all(
		play(NewResilientR4J33, "-1,-2,-3>-3 execs=3"),
		with(NewResilientR4J33Fail, func(s *session, script string) {
			s.play(script)
			var e *resilience.Error
			if !errors.As(s.last.err, &e) || e.Attempts != 3 || s.last.value != -3 {
				s.t.Errorf("got %d and %v, want the last result and an error after 3 attempts", s.last.value, s.last.err)
			}
		}, "-1,-2,-3>unwanted execs=3")),
	"R4J-35": play(NewResilientR4J35, "a:F +1m a? a^ a>canceled+E execs=1 took=1m"),
	"R4J-36": all(
		func(t *testing.T) {
			bubble(t, func(s *session) {
				wrap(s, NewResilientR4J36)
				for range 10_000 {
					between(s, "gap", s.call("F,S").gaps()[0], 50*ms, 150*ms)
				}
			})
		},
		generate("interfaces: {Gateway: {idempotent: true, retry: {backoff: {jitter: ratio, jitterFactor: 1.5}}}}", "jitterFactor", "1.5", "0 to 1"),
		generate("interfaces: {Gateway: {idempotent: true, retry: {backoff: {jitter: ratio, jitterFactor: -0.1}}}}", "jitterFactor", "-0.1", "0 to 1")),
	"R4J-37": all(
		play(NewResilientR4J37, "F>E gaps=100ms,200ms,400ms"+strings.Repeat(",500ms", 7)),
		seeds(50, NewResilientR4J37Ratio, "F", func(s *session, c *call) {
			for _, gap := range c.gaps() {
				between(s, "gap", gap, 50*ms, 500*ms)
			}
		})),

	"POL-15": with(NewResilientMPRT01, func(s *session, script string) {
		s.limit = 1
		c := s.start("late", "S")
		c.cancel(nil)
		s.play(script)
	}, "late>canceled execs=0"),
	"POL-16": play(NewResilientMPRT01, "C>ok execs=1"),
	"POL-18": play(NewResilientPOL18, "0>0 execs=13"),
	"POL-19": all(
		play(NewResilientPOL19, "F>E execs=2049 gaps=100ms"+strings.Repeat(",123ms", 2047)),
		seeds(5, NewResilientPOL19Max, "F", func(s *session, c *call) {
			between(s, "executions", len(c.starts), 2049, 2049)
			for _, gap := range c.gaps() {
				between(s, "gap", gap, 0, 123*ms)
			}
		})),
	"POL-20": seeds(20, NewResilientPOL20, "after,after:123ms,after:0s", func(s *session, c *call) {
		between(s, "gap without a word", c.gaps()[0], 100*ms, 100*ms)
		between(s, "gap after 123ms", c.gaps()[1], 123*ms, 136*ms)
		between(s, "gap after 0", s.call("after:0s,S").gaps()[0], 0, 0)
	}),
	"POL-21": all(
		play(NewResilientPOL21Constant, "F>E gaps=1s,1s,1s"),
		play(NewResilientPOL21Linear, "F>E gaps=1s,2s,3s"),
		play(NewResilientPOL21Exponential, "F>E gaps=1s,2s,4s")),
	"POL-22": jitterRatio,

	"SMR-04": all(
		play(NewResilientSMR04, "F>E execs=4", "-1,-2,-3,-1>-1 execs=4", "F,F,X>X execs=3"),
		play(NewResilientSMR04Fail, "-1>unwanted execs=4"),
		play(NewResilientSMR04Duration, "F>E execs=2 took=100ms")),
	"SMR-05": all(
		play(NewResilientSMR05Exponential, "F>E gaps=1ms,2ms,4ms,8ms,16ms,32ms,64ms,128ms,256ms,512ms,1.024s"),
		play(NewResilientSMR05Fibonacci, "F>E gaps=1ms,2ms,3ms,5ms,8ms,13ms,21ms,34ms,55ms,89ms,144ms"),
		generate("interfaces: {Gateway: {idempotent: true, retry: {backoff: {initialDelay: 2s, maxDelay: 1s}}}}", "initialDelay", "maxDelay", "(RG016)"),
		generate("interfaces: {Gateway: {idempotent: true, retry: {backoff: {initialDelay: -1s}}}}", "initialDelay", "-1s"),
		generate("interfaces: {Gateway: {idempotent: true, retry: {backoff: {multiplier: 0.9}}}}", "multiplier", "0.9")),
	"CKT-14": all(
		seeds(200, NewResilientCKT14Full, "F", func(s *session, c *call) {
			for n, gap := range c.gaps() {
				between(s, "gap", gap, 0, doubled(100*ms, n, 2*time.Second))
			}
		}),
		seeds(200, NewResilientCKT14Equal, "F", func(s *session, c *call) {
			for n, gap := range c.gaps() {
				d := doubled(100*ms, n, 2*time.Second)
				between(s, "gap", gap, d/2, d)
			}
		}),
		seeds(200, NewResilientCKT14DecorrelatedV2, "F", func(s *session, c *call) {
			for _, gap := range c.gaps() {
				between(s, "gap", gap, 0, 2*time.Second)
			}
		})),
	"GRPC-02": play(overGRPC,
		"Unavailable,Unavailable,Unavailable,S>ok execs=4",
		"Unavailable>Unavailable execs=4",
		"PermissionDenied>PermissionDenied execs=1"),
	"GRPC-04": seeds(20, NewResilientGRPC04, "after:200ms,F,after:-1s", func(s *session, c *call) {
		between(s, "gap after 200ms", c.gaps()[0], 200*ms, 220*ms)
		between(s, "gap that goes on", c.gaps()[1], 200*ms, 200*ms)
		between(s, "gap after a negative one", c.gaps()[2], 0, 0)
		between(s, "gap after garbage", s.call("after,S").gaps()[0], 100*ms, 100*ms)
	}),
	"AWS-03": seeds(200, NewResilientAWS03, "F", func(s *session, c *call) {
		for n, gap := range c.gaps() {
			between(s, "gap", gap, 0, doubled(time.Second, n, 20*time.Second))
		}
	}),
	"MSX-04": seeds(20, NewResilientMSX04, "after:5s,after:-1h,S", func(s *session, c *call) {
		between(s, "gap after 5s", c.gaps()[0], 5*time.Second, 5500*ms)
		between(s, "gap after the past", c.gaps()[1], 0, 0)
	}),
	"MSX-05": onPair(NewResilientMSX05, func(s *session, p Pair) {
		s.play("F>E execs=1")
		s.do = p.M2
		s.play("F>E execs=4")
	}),
	"OUR-04": play(NewResilientOUR04, "H>timeout starts=0s,700ms took=1s"),
}

// overGRPC wraps in the package that imports gRPC.
func overGRPC(rt *resilience.Runtime, next Service) (*grpc.ResilientGRPC02, error) {
	return grpc.NewResilientGRPC02(rt, next)
}

// seeds makes a call under each of many seeds.
func seeds[W Service](n uint64, make func(*resilience.Runtime, Service) (W, error), plan string, check func(*session, *call)) func(*testing.T) {
	return func(t *testing.T) {
		for seed := range n {
			bubbleSeed(t, seed+1, func(s *session) {
				wrap(s, make)
				check(s, s.call(plan))
			})
		}
	}
}

// between fails unless low ≤ got ≤ high.
func between[T int | time.Duration](s *session, what string, got, low, high T) {
	s.t.Helper()
	if got < low || got > high {
		s.t.Fatalf("%s: got %v, want %v to %v", what, got, low, high)
	}
}

func doubled(d time.Duration, n int, limit time.Duration) time.Duration {
	return min(d<<n, limit)
}

// jitterRatio finds the random numbers by a policy whose delay is r itself:
// under one seed they are the same.
func jitterRatio(t *testing.T) {
	low, high := 1.0, 0.0
	for seed := range uint64(100) {
		r := gapsUnder(t, seed+1, NewResilientPOL22Full)
		constant := gapsUnder(t, seed+1, NewResilientPOL22Constant)
		linear := gapsUnder(t, seed+1, NewResilientPOL22Linear)
		for n := range r {
			want := 0.75 + 0.5*r[n].Seconds()
			near(t, constant[n].Seconds(), want)
			near(t, linear[n].Seconds(), want*float64(n+1))
			low, high = min(low, r[n].Seconds()), max(high, r[n].Seconds())
		}
	}
	if low > 0.05 || high < 0.95 {
		t.Errorf("draws from %v to %v only", low, high)
	}
}

func near(t *testing.T, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-8 {
		t.Fatalf("got a delay of %vs, want %vs", got, want)
	}
}

// gapsUnder are the delays of the first call under a seed.
func gapsUnder[W Service](t *testing.T, seed uint64, make func(*resilience.Runtime, Service) (W, error)) (gaps []time.Duration) {
	bubbleSeed(t, seed, func(s *session) {
		wrap(s, make)
		gaps = s.call("F").gaps()
	})
	return gaps
}
