package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Circuit breakers: MicroProfile Fault Tolerance.
var breakerCases = family{
	"MP-CB-02": play(NewResilientMPCB02, "F*4>E +500ms S>ok =HALF_OPEN S>ok =CLOSED S>ok execs=7"),
	"MP-CB-03": play(NewResilientMPCB03, "F*4>E S>open +2s S>ok =CLOSED calls=0 F*4>E S>open execs=9"),
	"MP-CB-04": play(NewResilientMPCB04, "F*4>E S>open +2s S*2>ok =HALF_OPEN F>E =OPEN S>open execs=7"),
	"MP-CB-05": onPair(NewResilientMPCB05, func(s *session, p Pair) {
		s.method(p.M2, "MPCB05.M2")
		s.play("F*4>E F*3>open execs=4")
		s.method(p.M1, "")
		s.play("F*7>E")
	}),
	"MP-CB-08": play(NewResilientMPCB08, "S>ok F*2>E =CLOSED S>ok =OPEN S>open execs=4"),
	"MP-CB-09": play(NewResilientMPCB08, "S>ok F>E S*2>ok =CLOSED F>E =OPEN S>open execs=5"),
	"MP-CB-10": play(NewResilientMPCB03, "S>ok F*3>E S>open +2s S>ok =CLOSED S>ok F*3>E S>open execs=9"),
	"MP-CB-11": play(NewResilientMPCB03, "F*3>E S>ok =OPEN S>open +2s S>ok =CLOSED F*3>E S>ok =OPEN S>open execs=9"),
	"MP-CB-13": play(NewResilientMPCB13, "S/1s*3>timeout =CLOSED failures=0 calls=2 execs=3"),
	"MP-CB-14": all(
		play(NewResilientMPCB14, "a:hold S*3>full =OPEN S*2>open a!S a>ok"),
		play(NewResilientMPCB14Default, "a:hold S*5>full =CLOSED calls=0 a!S a>ok calls=1")),
	"MP-CB-15": all(
		play(NewResilientMPCB15, "a:hold b:S S*3>full =OPEN calls=3 S*2>open a? b? a!S a>ok b>ok =OPEN"),
		play(NewResilientMPCB16, "a:hold b:S S*5>full a!S a>ok b>ok")),
	"MP-CB-16": play(NewResilientMPCB16, "a:hold b:S S*5>full =CLOSED calls=0 a!S a>ok b>ok"),
	"MP-CB-17": play(NewResilientMPCB17, "F>open+E execs=4 rejected=1"),
	"MP-CB-19": play(NewResilientMPCB19, "H>open+timeout execs=4"),
	"MP-CB-21": play(NewResilientMPCB21, "F*20>E =OPEN S>open took=0s execs=20 rejected=1"),
	"MP-CB-22": play(NewResilientMPCB22, "F*20>E =OPEN S>open took=0s execs=20 rejected=1"),
	"MP-CB-24": hierarchy(NewResilientMPCB24, "E0 E0S", "E1 E1S E2 E2S Exception X F"),
	"MP-CB-26": all(
		hierarchy(NewResilientMPCB26, "", "E0 E0S E1 E1S E2 E2S Exception X F"),
		generate(`interfaces: {Gateway: {circuitBreaker: {recordOn: [ErrBusy], ignoreOn: [ErrBusy]}}}`, "(RG043)")),
	"MP-CB-27": all(
		instances(2, "F>E", "S>open", NewResilientMPCB27, NewResilientMPCB27, NewResilientMPCB27, NewResilientMPCB27),
		instances(2, "F>E", "S>ok", NewResilientMPCB27Default, NewResilientMPCB27Default, NewResilientMPCB27Default, NewResilientMPCB27Default)),
	"MP-CB-28": func(t *testing.T) {
		for _, shared := range []bool{true, false} {
			bubble(t, func(s *session) {
				a, b, then := asService(NewResilientMPCB28A), asService(NewResilientMPCB28B), "S>open"
				if !shared {
					a, b, then = asService(NewResilientMPCB27Default), asService(NewResilientMPCB27Default), "S>ok"
				}
				s.roundRobin(4, "F>E", then, wrap(s, a).Do, wrap(s, b).Do, wrap(s, a).Do, wrap(s, b).Do)
			})
		}
	},
	"MP-CB-29": all(
		onPair(NewResilientMPCB29, func(s *session, p Pair) { s.roundRobin(8, "F>E", "S>open", p.M1, p.M2) }),
		onPair(NewResilientMPCB29Interface, func(s *session, p Pair) { s.roundRobin(4, "F>E", "S>open", p.M1, p.M2) }),
		onPair(NewResilientMPCB29Name, func(s *session, p Pair) { s.roundRobin(4, "F>E", "S>open", p.M1, p.M2) })),
	"MP-CB-30": all(
		play(NewResilientMPCB30, "F*4>E S>open"),
		generate("interfaces: {Wider: {methods: {More: {timeout: {total: 1s}}}}, Gateway: {timeout: {total: 1s}}}", "interfaces.Wider: method Charge has no policy")),
	"MP-CF-09": play(NewResilientMPCF09, "F*2>E S>ok F*3>E S>ok F*2>E =CLOSED F>E =OPEN S>open"),
}

// resilience4j's state machine and windows.
var r4jBreakerCases = family{
	"R4J-01": play(NewResilientP0, "F*3>E S>ok =CLOSED calls=4 S>ok =OPEN failures=3 calls=5"),
	"R4J-02": play(NewResilientP0, "S*3>ok F*2>E =CLOSED F>E =OPEN"),
	"R4J-03": play(NewResilientP0,
		"S*2>ok S/4001ms*3>ok =OPEN failures=0 slow=3 calls=5",
		"S*2>ok S/4s*3>ok =CLOSED slow=0"),
	"R4J-04": with(NewResilientP0, func(s *session, script string) {
		s.rt.Breaker(s.breaker).ForceOpen()
		s.play(script)
		if text := s.last.err.Error(); !strings.Contains(text, "conformance.P0.Do") || !strings.Contains(text, "circuit open") {
			s.t.Errorf("the error names neither breaker nor state: %s", text)
		}
	}, "S*2>open rejected=2 execs=0"),
	"R4J-05": play(NewResilientP0, "F*5>E =OPEN calls=5 +3s S>open rejected=1 +3s a:hold =HALF_OPEN calls=0 failures=0 slow=0 a!S a>ok calls=1"),
	"R4J-07": play(NewResilientR4J07, "F*5>E +3s S>open +3s F*4>E =OPEN +6s S>open +1499ms S>open +1ms S>ok =HALF_OPEN", "F*5>E +6s F*4>E +11s =HALF_OPEN"),
	"R4J-08": play(NewResilientP0, "F*5>E +6s a:hold b:hold c:hold d:hold S>open rejected=1 execs=9"),
	"R4J-09": play(NewResilientP0, "F*5>E +6s F*2>E S>ok =HALF_OPEN F>E =OPEN +4999ms S>open +1ms S>ok =HALF_OPEN"),
	"R4J-10": play(NewResilientR4J10, "F*5>E +6s S>ok S/4001ms*3>ok =OPEN failures=0 slow=3 calls=4"),
	"R4J-12": play(NewResilientP0, "F*5>E +6s a:hold b:hold c:hold d:hold S>open a^ a>canceled calls=0 e:hold execs=10 S>open"),
	"R4J-13": play(NewResilientP0, "F*5>E +6s S*3>ok =HALF_OPEN calls=3 I>I =HALF_OPEN calls=3 F>E =CLOSED calls=0 failures=0"),
	"R4J-14": play(NewResilientP0, "F*5>E +6s I*4>I =HALF_OPEN S*3>ok =HALF_OPEN S>ok =CLOSED"),
	"R4J-15": with(NewResilientP0, func(s *session, script string) {
		s.rt.Breaker(s.breaker).ForceOpen()
		s.play(script)
		s.rt.Breaker(s.breaker).Close()
		s.play("S>ok =CLOSED")
	}, "S*3>open +1h S*3>open calls=0 execs=0 rejected=6"),
	"R4J-16": with(NewResilientP0, func(s *session, script string) {
		s.rt.Breaker(s.breaker).Disable()
		s.play(script)
	}, "F*100>E =CLOSED calls=0 failures=0 openings=0 execs=100 transitions=closed-disabled(operator)"),
	"R4J-18": func(t *testing.T) {
		breaker := reflect.TypeFor[*resilience.CircuitBreaker]()
		for i := range breaker.NumMethod() {
			if name := breaker.Method(i).Name; strings.Contains(name, "Half") {
				t.Errorf("%s: there is no way into HALF_OPEN but time", name)
			}
		}
	},
	"R4J-20": with(NewResilientP0, func(s *session, script string) {
		s.play(script)
		s.rt.Breaker(s.breaker).Reset()
		s.play("=CLOSED calls=0 failures=0 slow=0 consecutive=0 rejected=0 openings=0 S>ok transitions=closed-open,reset,open-closed(operator)")
	}, "F*5>E S*3>open rejected=3"),
	"R4J-21": play(NewResilientP0, "F*5>E +6s a:hold =HALF_OPEN +999ms =HALF_OPEN +1ms =OPEN S>open +5s b:hold c:hold d:hold e:hold S>open a!F a>E =HALF_OPEN calls=0"),
	"R4J-22": play(NewResilientR4J22, "F*5>E +6s a:hold +999ms =HALF_OPEN +1ms =CLOSED"),
	"R4J-23": all(
		play(NewResilientR4J23Open, "S>open +4999ms S>open +1ms S>ok"),
		play(NewResilientR4J23Shadow, "S>ok", "F*100>E execs=100"),
		play(NewResilientR4J23Closed, "S>ok")),
	"R4J-25": play(NewResilientR4J25, "F>E calls=1 failures=1 S>ok calls=2 failures=1 S>ok calls=3 failures=1 S>ok calls=4 failures=1 S>ok calls=4 failures=0"),
	"R4J-26": with(NewResilientR4J26, func(s *session, script string) {
		s.play(script)
		if b := s.snapshot(); b.SlowFailures != 1 {
			s.t.Errorf("%d slow failures, want 1 of 2 slow calls", b.SlowFailures)
		}
		if l := s.rt.Stats().Methods[0].Latency; l.Count != 5 || !about(l.Mean, 4060*time.Millisecond) {
			s.t.Errorf("mean %v of %d calls, want 4.06s of 5", l.Mean, l.Count)
		}
	}, "S/10s>ok F/10s>E S/100ms*3>ok slow=2 failures=1 calls=5 =CLOSED"),
	"R4J-27": with(NewResilientR4J27, func(s *session, script string) {
		s.align()
		s.play(script)
	}, "S>ok +100ms F>E +700ms S>ok +3200ms calls=3 failures=1 S>ok +1s calls=1 failures=0 +4s calls=0"),
	"R4J-28": generate("interfaces: {Gateway: {circuitBreaker: {window: {type: count, size: 10}, minimumCalls: 100}}}", "(RG022)", "100", "10"),
	"R4J-29": all(
		play(NewResilientR4J29, "X>X calls=1 failures=0 F>E calls=2 failures=1"),
		play(NewResilientR4J29Result, "-1>-1 calls=1 failures=1 S>ok failures=1")),
	"R4J-30": play(NewResilientP0,
		"a:hold F*5>E =OPEN a!F a>E =OPEN openings=1 calls=5",
		"a:hold F*5>E =OPEN a!S a>ok =OPEN openings=1 calls=5"),
}

// Polly, Hystrix and SmallRye.
var pollyBreakerCases = family{
	// The fifth pair, 2 of 11, cannot be reached call by call: it was open
	// before.
	"POL-01": play(NewResilientPOL01, "S*10>ok =CLOSED", "S*9>ok F>E =OPEN", "F>E S*8>ok F>E =OPEN", "S*8>ok F>E =CLOSED calls=9"),
	"POL-02": with(NewResilientPOL02, func(s *session, script string) {
		s.play(script)
		s.rt.Breaker(s.breaker).ForceOpen()
		s.play("c!F c>E S>open")
	}, "a:hold b:hold c:hold F>E calls=1 failures=1 F*3>E =OPEN a!F a>E =OPEN calls=4 openings=1 +1s S>ok =HALF_OPEN b!F b>E =HALF_OPEN calls=1 failures=0"),
	"POL-05": play(NewResilientPOL05, "F*20>E =OPEN +2s F>E =OPEN +1999ms S>open +1ms S>ok =CLOSED"),
	"POL-06": all(
		play(NewResilientPOL05, "S>ok =CLOSED transitions=", "a:hold F*20>E =OPEN a!S a>ok =OPEN transitions=closed-open",
			"F*20>E +2s S>ok =CLOSED transitions=closed-open,open-half_open,half_open-closed"),
		with(NewResilientPOL05, func(s *session, script string) {
			s.play("a:hold")
			s.rt.Breaker(s.breaker).ForceOpen()
			s.play(script)
		}, "a!S a>ok S>open transitions=closed-forced_open(operator)")),
	"POL-09": play(NewResilientPOL09, "F*20>E =OPEN S>open +1h S>open +1000000h =OPEN S>open"),
	"POL-10": onPair(NewResilientMPCB29Name, func(s *session, p Pair) {
		s.play("a:hold")
		s.breaker = "both"
		s.rt.Breaker(s.breaker).ForceOpen()
		s.play("S>open a!S a>ok S>open")
		s.do = p.M2
		s.play("S>open")
		s.rt.Breaker(s.breaker).Close()
		s.play("=CLOSED S>ok")
	}),
	"POL-11": play(NewResilientPOL11, "F*20>E +5s a:hold a^ a>canceled =HALF_OPEN calls=0 S>ok =CLOSED"),
	"POL-12": with(NewResilientPOL12, func(s *session, script string) {
		s.align()
		s.play(script)
	}, "F>E S>ok +2s calls=2 failures=1 F>E S>ok +2s calls=4 failures=2 S*2>ok +2s calls=6 failures=2 S*2>ok +2s calls=8 failures=2 S*2>ok +2s calls=8 failures=1 +2s calls=6 failures=0"),
	"POL-13": with(NewResilientPOL12, func(s *session, script string) {
		s.align()
		s.play(script)
	}, strings.Repeat("S>ok +1s ", 10)+"calls=9 +1s calls=8"),
	"POL-14": play(NewResilientPOL12, "S*2>ok calls=2 +10s calls=0", "S*2>ok +10001ms calls=0"),
	"HYX-01": play(NewResilientHystrix, "S*4>ok =CLOSED F*3>E =CLOSED F>E =OPEN"),
	"HYX-03": play(NewResilientHystrix, "S*5>ok F*3>E =CLOSED calls=8 failures=3"),
	"HYX-04": play(NewResilientHystrixTimeout, "H*4>timeout =OPEN", "S>ok H>timeout S>ok =CLOSED H>timeout =OPEN"),
	"HYX-05": play(NewResilientHystrix, "F*4>E +1s a:hold S>open a!S a>ok =CLOSED"),
	"HYX-08": play(NewResilientHYX08, "F*4>E =CLOSED"),
	"HYX-09": play(NewResilientHystrix,
		"F*4>E +1s a:hold a^ a>canceled =HALF_OPEN S>ok =CLOSED",
		"F*4>E +1s a:hold a^ a>canceled =HALF_OPEN +2s =HALF_OPEN S>ok =CLOSED"),
	"HYX-10": play(NewResilientHystrix, "F*4>E +1s a:hold S*10>open a!S a>ok =CLOSED calls=0 failures=0"),
	"SMR-03": all(
		play(NewResilientMPCB08, "S>ok F*2>E S>ok =OPEN", "S>ok F>E S*2>ok F>E =OPEN"),
		twoOfFour),
	"SMR-10": all(
		play(NewResilientSMR10, "F,F,S>ok calls=3 failures=2 =CLOSED", "F,F,F,F,F,S>ok =CLOSED execs=6"),
		play(NewResilientSMR10Minute, "F,F,F,F,F,S>open+E failures=5 rejected=6 execs=5"),
		play(NewResilientSMR10Default, "F,F,F,F,F,S>open+E failures=5 rejected=1 execs=5")),
	"SMR-12": play(NewResilientSMR12, "WF>E calls=1 failures=1 WI>I calls=1"),
}

// cockatiel, gobreaker, failsafe-go and our own.
var otherBreakerCases = family{
	"CKT-01": play(NewResilientCKT01, "F*2>E =CLOSED F>E =OPEN +1ms S>ok =CLOSED F*2>E =CLOSED F>E =OPEN"),
	"CKT-02": play(NewResilientCKT02, "F*2>E =OPEN +1s F>E =OPEN +1s S>open +1s =HALF_OPEN S>ok =CLOSED"),
	"CKT-05": play(NewResilientCKT05,
		"F*20>E +5s F*3>E S*6>ok =HALF_OPEN S>ok =CLOSED",
		"F*20>E +5s F*9>E =HALF_OPEN F>E =OPEN"),
	"CKT-06": play(NewResilientCKT06, "F*20>E +5s a:hold b:hold S>open a!S a>ok =HALF_OPEN b!S b>ok =CLOSED"),
	"CKT-07": all(
		generate("interfaces: {Gateway: {circuitBreaker: {halfOpen: {permittedCalls: 0}}}}", "permittedCalls", "0"),
		generate("interfaces: {Gateway: {circuitBreaker: {failureRateThreshold: -0.1}}}", "failureRateThreshold", "-0.1", "(0,100]"),
		generate("interfaces: {Gateway: {circuitBreaker: {failureRateThreshold: 0}}}", "failureRateThreshold", "0", "(0,100]"),
		generate("interfaces: {Gateway: {circuitBreaker: {failureRateThreshold: 0.5}}}", "failureRateThreshold", "(RG020)"),
		generate("interfaces: {Gateway: {circuitBreaker: {failureRateThreshold: 101}}}", "failureRateThreshold", "101", "(0,100]"),
		generate("interfaces: {Gateway: {circuitBreaker: {failureRateThreshold: .nan}}}", "failureRateThreshold", ".nan"),
		generate("interfaces: {Gateway: {circuitBreaker: {failureRateThreshold: 1}}}"),
		play(NewResilientBreaker, "S*11>ok F*10>E =CLOSED F>E =OPEN")),
	"CKT-09": play(NewResilientCKT09, "F*20>E +5s a:hold S>open =HALF_OPEN a!S a>ok =CLOSED"),
	"CKT-10": play(NewResilientCKT10, "F*49>E =CLOSED", "S*25>ok F*24>E =CLOSED F>E =OPEN", "S*24>ok F*25>E =CLOSED F>E =OPEN"),
	"CKT-11": play(NewResilientCKT10, "F*50>E F*50>open =OPEN +5s S>ok =CLOSED calls=0 failures=0 F>E =CLOSED"),
	"CKT-12": with(NewResilientCKT12, func(s *session, script string) {
		s.align()
		s.play(script)
	}, strings.Repeat("F>E +500ms ", 20)+"=CLOSED",
		strings.Repeat("F>E +334ms ", 14)+"=CLOSED calls=14 F>E =OPEN",
		"F>E +1s F>E +1s F>E calls=3 +3s calls=2 +1s calls=1 +1s calls=0"),
	"CKT-13": func(t *testing.T) {
		play(NewResilientBreaker, "F*20>E =OPEN")(t)
		play(NewResilientBreaker, "=CLOSED calls=0 S>ok")(t)
	},
	"GOB-01": play(NewResilientGOB01, "F*5>E =CLOSED S>ok consecutive=0 F*5>E =CLOSED F>E =OPEN +59999ms =OPEN +1s =HALF_OPEN F>E =OPEN +60s S>ok =CLOSED calls=0 failures=0 consecutive=0"),
	"GOB-03": play(NewResilientGOB03,
		"a:hold F*5>E =OPEN a!F a>E calls=5",
		"a:hold +10s a!F a>E calls=1 +24s calls=1 +6s calls=0"),
	"GOB-05": play(NewResilientGOB05, "F*5>E calls=5 failures=0", "I*3>I S*3>ok X*2>X calls=5 failures=2"),
	"GOB-06": inParallel,
	"FSG-05": all(
		play(NewResilientFSG05, "F>open+E execs=1 rejected=2"),
		play(NewResilientFSG05Default, "F>open+E execs=1 rejected=1")),
	"OUR-02": func(t *testing.T) {
		bubble(t, func(s *session) {
			wrap(s, NewResilientBreaker)
			for i := range 100 {
				s.play(fmt.Sprintf("c%d:hold", i))
			}
			for i := range 100 {
				s.play(fmt.Sprintf("c%[1]d^ c%[1]d>canceled", i))
			}
			s.play("=CLOSED calls=0 failures=0 execs=100")
		})
	},
	"OUR-03": all(
		with(NewResilientOUR03, impatient, "S/100ms*20>deadline =CLOSED calls=0"),
		with(NewResilientOUR03Record, impatient, "S/100ms*20>deadline =OPEN calls=20 failures=20")),
}

func impatient(s *session, script string) {
	s.limit = 50 * time.Millisecond
	s.play(script)
}

// onPair is a case with two methods.
func onPair[W Pair](make func(*resilience.Runtime, Pair) (W, error), f func(*session, Pair)) func(*testing.T) {
	return func(t *testing.T) {
		bubble(t, func(s *session) { f(s, wrapPair(s, make)) })
	}
}

// method has scripts go to another method.
func (s *session) method(do func(context.Context) (int, error), breaker string) {
	s.do, s.breaker = do, "conformance."+breaker
}

// roundRobin plays script rounds times on each method, then once more another.
func (s *session) roundRobin(rounds int, script, then string, methods ...func(context.Context) (int, error)) {
	s.t.Helper()
	for range rounds {
		for _, s.do = range methods {
			s.play(script)
		}
	}
	for _, s.do = range methods {
		s.play(then)
	}
}

// instances are several wrappers under one policy.
func instances[W Service](rounds int, script, then string, makers ...func(*resilience.Runtime, Service) (W, error)) func(*testing.T) {
	return func(t *testing.T) {
		bubble(t, func(s *session) {
			var methods []func(context.Context) (int, error)
			for _, make := range makers {
				methods = append(methods, wrap(s, make).Do)
			}
			s.roundRobin(rounds, script, then, methods...)
		})
	}
}

// asService hides the type that a constructor returns.
func asService[W Service](make func(*resilience.Runtime, Service) (W, error)) func(*resilience.Runtime, Service) (Service, error) {
	return func(rt *resilience.Runtime, next Service) (Service, error) { return make(rt, next) }
}

// hierarchy calls once with each error, then looks whether the breaker opened.
func hierarchy[W Service](make func(*resilience.Runtime, Service) (W, error), opens, stays string) func(*testing.T) {
	return func(t *testing.T) {
		for _, e := range strings.Fields(opens) {
			play(make, fmt.Sprintf("%[1]s>%[1]s %[1]s>open", e))(t)
		}
		for _, e := range strings.Fields(stays) {
			play(make, fmt.Sprintf("%[1]s>%[1]s %[1]s>%[1]s =CLOSED", e))(t)
		}
	}
}

// align waits for the beginning of a bucket: a call of a moment ago leaves the
// window with its bucket.
func (s *session) align() {
	s.play("S>ok")
	for s.snapshot().Calls > 0 {
		time.Sleep(time.Millisecond)
	}
}

// twoOfFour compares the window with one that is kept as a list.
func twoOfFour(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	for range 200 {
		bubble(t, func(s *session) {
			wrap(s, NewResilientMPCB08)
			var failed []int
			for range 40 {
				f := random.IntN(5) / 4
				s.play([]string{"S>ok", "F>E"}[f])
				failed = append(failed, f)
				sum := 0
				for _, f := range failed[max(len(failed)-4, 0):] {
					sum += f
				}
				if len(failed) >= 4 && sum >= 2 {
					s.play("=OPEN S>open")
					return
				}
				s.play("=CLOSED")
			}
		})
	}
}

// inParallel is played without a script, for speed.
func inParallel(t *testing.T) {
	rt, err := resilience.Open(resilience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewResilientGOB06(rt, alternating{})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for i := range 10_000 {
				_, err := w.Do(context.WithValue(context.Background(), callKey{}, i))
				if (i%2 == 1) != errors.Is(err, I) {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
	b := rt.Breaker("conformance.GOB06.Do").Snapshot()
	if b.Calls != 50_000 || b.Failures != 0 || b.State != resilience.StateClosed {
		t.Errorf("got %+v, want 50000 calls, no failure, closed", b)
	}
}

type alternating struct{}

func (alternating) Do(ctx context.Context) (int, error) {
	if ctx.Value(callKey{}).(int)%2 == 1 {
		return 0, I
	}
	return 1, nil
}
