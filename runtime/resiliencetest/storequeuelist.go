package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// listRules are those of [resilience.Queue.Entries].
var listRules = []rule{
	{name: "entries by when they are due", test: func(s *stores) {
		s.put("late", 4*s.engine.Lease)
		s.put("now", 0)
		s.put("soon", 2*s.engine.Lease)
		s.lists("q", "now in 0 leases", "soon in 2 leases", "late in 4 leases")
		s.put("late", s.engine.Lease)
		s.lists("q", "now in 0 leases", "late in 1 leases", "soon in 2 leases")
	}},
	{name: "entries that are claimed", test: func(s *stores) {
		s.put("a", 0)
		s.claim("a", 1)
		s.lists("q", "a in 1 leases, delivery 1, claimed")
		s.outlast(s.engine.Lease)
		s.lists("q", "a in 0 leases, delivery 1")
		c := s.claim("a", 2)
		s.lists("q", "a in 1 leases, delivery 2, claimed")
		s.done("Nack", c.Nack(s.ctx, 3*s.engine.Lease))
		s.lists("q", "a in 3 leases, delivery 2")
		s.put("a", 0)
		s.lists("q", "a in 0 leases, delivery 2")
		s.done("Ack", s.claim("a", 3).Ack(s.ctx))
		s.lists("q")
	}},
	{name: "entries of a prefix", test: func(s *stores) {
		for _, queue := range []string{"qa", "p", "q/b"} {
			s.done("Put", s.Queue.Put(s.ctx, queue, "in "+queue, []byte("body of in "+queue), 0))
			s.outlast(10 * time.Millisecond)
		}
		s.lists("q", "in qa in 0 leases", "in q/b in 0 leases")
		s.lists("", "in qa in 0 leases", "in p in 0 leases", "in q/b in 0 leases")
		s.lists("none")
	}},
	{name: "entries change nothing", test: func(s *stores) {
		s.put("a", 0)
		s.put("b", s.engine.Lease)
		for range 3 {
			s.lists("q", "a in 0 leases", "b in 1 leases")
		}
		c := s.claim("a", 1)
		s.lists("q", "a in 1 leases, delivery 1, claimed", "b in 1 leases")
		s.empty()
		s.done("Extend", c.Extend(s.ctx))
	}},
	{name: "entries in part", test: func(s *stores) {
		for i := range 5 {
			s.put(fmt.Sprint(i), 0)
		}
		n := 0
		for _, err := range s.Queue.Entries(s.ctx, "q") {
			s.done("Entries", err)
			if n++; n == 2 {
				break
			}
		}
		s.claim("0", 1)
	}},
	{name: "entries after a reopening", end: reopened, test: func(s *stores) { entriesListed(s, false) }},
	{name: "entries after an unclean end", end: crashed, test: func(s *stores) { entriesListed(s, true) }},
	{name: "entries that fail", test: func(s *stores) {
		s.put("a", 0)
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		if err := s.listError(ctx); !errors.Is(err, context.Canceled) {
			s.Errorf("Entries = %v, want context.Canceled", err)
		}
		s.close()
		isClosed(s, "Entries", s.listError(s.ctx))
	}},
}

// entriesListed ends the stores, and looks at what was put and not acknowledged. For
// how long a claim lasts then is not said.
func entriesListed(s *stores, kill bool) {
	s.put("done", 0)
	s.done("Ack", s.claim("done", 1).Ack(s.ctx))
	s.put("waiting", 8*s.engine.Lease)
	s.again(kill)
	s.lists("q", "waiting in 8 leases")
}

// lists says whether the queues with a prefix have these entries, in the order of
// their time, to a fifth of a lease.
func (s *stores) lists(prefix string, want ...string) {
	s.Helper()
	s.soon(func() string {
		var got []string
		for e, err := range s.Queue.Entries(s.ctx, prefix) {
			if err != nil {
				return fmt.Sprintf("Entries(%q): %v", prefix, err)
			}
			if e.Enqueued.IsZero() || string(e.Body) != "body of "+e.ID || e.Queue == "" {
				return fmt.Sprintf("Entries(%q) has %s in %q, put at %v, with %q", prefix, e.ID, e.Queue, e.Enqueued, e.Body)
			}
			got = append(got, s.listed(&e))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprintf("Entries(%q) = %q, want %q", prefix, got, want)
		}
		return ""
	})
}

// listed is an entry in words.
func (s *stores) listed(e *resilience.QueueEntry) string {
	leases := max(time.Until(e.Due)+s.engine.Lease/5, 0) / s.engine.Lease
	if off := time.Until(e.Due) - leases*s.engine.Lease; leases > 0 && off.Abs() > s.engine.Lease/5 {
		return fmt.Sprintf("%s in %v", e.ID, time.Until(e.Due))
	}
	text := fmt.Sprintf("%s in %d leases", e.ID, leases)
	if e.Deliveries > 0 {
		text += fmt.Sprint(", delivery ", e.Deliveries)
	}
	if e.Claimed {
		text += ", claimed"
	}
	return text
}

// listError is what ends a list.
func (s *stores) listError(ctx context.Context) (err error) {
	for _, err = range s.Queue.Entries(ctx, "") {
		if err != nil {
			return err
		}
	}
	return nil
}
