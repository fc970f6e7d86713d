package conformance

import (
	"errors"
	"strings"

	"github.com/resilgen/resilgen/runtime/resilience"
)

var budgetCases = family{
	// One execution and one retry in flight: the floor lets a second retry in.
	"FSG-02": play(NewResilientFSG02,
		"e:hold a:F,hold a? repeated=1 b:F,hold b? repeated=2 c:F,hold c>budget+E refused=1 a!S b!S e!S a>ok b>ok e>ok repeated=0"),
	// Half of the five calls in flight may be repeated, and two are.
	"FSG-03": with(NewResilientFSG03, func(s *session, script string) {
		s.play(script)
		var e *resilience.Error
		if !errors.As(s.last.err, &e) || e.Attempts != 1 || !errors.Is(e, E) {
			s.t.Errorf("got %+v, want one attempt and its error", e)
		}
	}, "e:hold f:hold a:F,hold b:F,hold repeated=2 execs=6 F>budget+E execs=7 refused=1"),
	// One after the other: exhausted and served in turn, as their test has it.
	"GRPC-01": play(NewResilientGRPC01, strings.Repeat("Unavailable,Unavailable,Unavailable,S>ok Unavailable>Unavailable F,S>ok S>ok repeated=0 ", 10)+
		"refused=0 execs=110"),
	"AWS-01": play(NewResilientAWS01,
		"a:F,hold repeated=1 a!S a>ok repeated=0 S>ok repeated=0 a:H,hold +1s repeated=1 a!S a>ok repeated=0 F>E repeated=0 refused=0"),
}
