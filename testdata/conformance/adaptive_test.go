package conformance

import (
	"fmt"
	"time"
)

var adaptiveCases = family{
	"FSG-11": all(
		with(NewResilientFSG11, ratioAfter(95, 5, "0.000"), ""),
		with(NewResilientFSG11, ratioAfter(90, 30, "0.165"), "")),
	"SRE-01": with(NewResilientSRE01, ratioAfter(40, 60, "0.198"), ""),
	"AWS-04": all(
		// No rate, and nothing happens at the first throttle.
		with(NewResilientSRE01, ratioAfter(10, 5, "0.000"), ""),
		with(NewResilientAWS04, byLatency, "")),
}

// ratioAfter makes calls that the peer accepts, then ones that it does not or
// that are rejected, and looks at the share that is rejected from then on.
func ratioAfter(accepted, refused int, want string) func(*session, string) {
	return func(s *session, _ string) {
		for range accepted {
			s.call("S")
		}
		for range refused {
			s.call("F")
		}
		l := s.rt.AdaptiveLimits()[0]
		if got := fmt.Sprintf("%.3f", l.RejectionRatio); got != want || l.Requests != accepted+refused || l.Accepts != accepted {
			s.t.Errorf("%+v, want %s", l, want)
		}
	}
}

// byLatency has a peer that becomes slower, and then as fast as it was.
func byLatency(s *session, _ string) {
	limit := func() int { return s.rt.AdaptiveLimits()[0].Limit }
	load := func(d time.Duration) {
		for range 20 {
			for i := range 15 {
				s.start(fmt.Sprint(i), "S/"+d.String())
			}
			for i := range 15 {
				<-s.calls[fmt.Sprint(i)].done
			}
		}
	}
	load(10 * time.Millisecond)
	before := limit()
	load(50 * time.Millisecond)
	slow := limit()
	load(10 * time.Millisecond)
	if after := limit(); before <= 20 || slow >= before/2 || after <= slow {
		s.t.Errorf("limits %d, %d, %d", before, slow, after)
	}
}
