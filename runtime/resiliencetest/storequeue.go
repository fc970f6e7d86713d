package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

func (s *stores) put(id string, delay time.Duration) {
	s.Helper()
	if err := s.Queue.Put(s.ctx, "q", id, []byte("body of "+id), delay); err != nil {
		s.Fatalf("Put(%s) = %v, want nil", id, err)
	}
}

// claim claims the entry id of the queue q, which must be there.
func (s *stores) claim(id string, deliveries int) resilience.Claim {
	s.Helper()
	c, err := s.Queue.Claim(s.ctx, "q", s.engine.Lease, s.engine.patience())
	if err != nil {
		s.Fatalf("Claim = %v, want %s", err, id)
	}
	if e := c.Entry(); e.ID != id || string(e.Body) != "body of "+id || e.Deliveries != deliveries || e.Enqueued.IsZero() {
		s.Fatalf("Claim = %s %q, delivery %d, enqueued %v; want %s, delivery %d", e.ID, e.Body, e.Deliveries, e.Enqueued, id, deliveries)
	}
	return c
}

// patience is for how long a claim waits for what is there.
func (e Engine) patience() time.Duration {
	if e.Bubble {
		return 0
	}
	return time.Second
}

// empty says whether nothing can be claimed.
func (s *stores) empty() {
	s.Helper()
	if c, err := s.Queue.Claim(s.ctx, "q", s.engine.Lease, 0); !errors.Is(err, resilience.ErrEmpty) {
		if err == nil {
			s.Errorf("Claim = %s, want ErrEmpty", c.Entry().ID)
			return
		}
		s.Errorf("Claim = %v, want ErrEmpty", err)
	}
}

var queueRules = []rule{
	{name: "put twice is one", test: func(s *stores) {
		s.put("a", 0)
		s.put("a", 0)
		c := s.claim("a", 1)
		s.empty()
		s.put("a", 0) // while it is claimed
		s.empty()
		s.done("Ack", c.Ack(s.ctx))
		s.empty()
	}},
	{name: "put after ack is another entry", test: func(s *stores) {
		for range 3 {
			s.put("a", 0)
			s.done("Ack", s.claim("a", 1).Ack(s.ctx))
		}
	}},
	{name: "queues are apart", test: func(s *stores) {
		s.done("Put", s.Queue.Put(s.ctx, "other", "a", nil, 0))
		s.empty()
		s.put("a", 0)
		s.claim("a", 1)
	}},
	{name: "put with a delay", test: func(s *stores) {
		s.put("a", s.engine.Lease)
		s.empty()
		s.outlast(s.engine.Lease)
		s.claim("a", 1)
	}},
	{name: "put again hastens", test: func(s *stores) {
		s.put("a", 4*s.engine.Lease)
		s.put("a", s.engine.Lease)
		s.put("a", 8*s.engine.Lease) // nor does it delay
		s.empty()
		s.outlast(s.engine.Lease)
		c := s.claim("a", 1)
		s.put("a", 0) // while it is claimed
		s.empty()
		s.done("Nack", c.Nack(s.ctx, 4*s.engine.Lease))
		s.empty()
		s.put("a", 0)
		s.done("Ack", s.claim("a", 2).Ack(s.ctx))
		s.empty()
	}},
	{name: "claim order", test: func(s *stores) {
		s.put("first", 0)
		c := s.claim("first", 1)
		for i := range 5 {
			s.put(fmt.Sprint("fresh", i), 0)
		}
		s.done("Nack", c.Nack(s.ctx, 0))
		s.claim("first", 2)
	}},
	{name: "redelivery first", test: func(s *stores) {
		s.put("first", 0)
		s.claim("first", 1)
		for i := range 5 {
			s.put(fmt.Sprint("fresh", i), 0)
		}
		s.outlast(s.engine.Lease)
		s.claim("first", 2)
	}},
	{name: "extend", test: func(s *stores) {
		s.put("a", 0)
		c := s.claim("a", 1)
		for range 3 {
			time.Sleep(s.engine.Lease / 2)
			s.done("Extend", c.Extend(s.ctx))
		}
		s.empty()
		s.done("Ack", c.Ack(s.ctx))
	}},
	{name: "nack delay", test: func(s *stores) {
		s.put("a", 0)
		s.done("Nack", s.claim("a", 1).Nack(s.ctx, 2*s.engine.Lease))
		s.outlast(s.engine.Lease)
		s.empty()
		s.outlast(s.engine.Lease)
		s.claim("a", 2)
	}},
	{name: "fenced", test: func(s *stores) {
		s.put("a", 0)
		old := s.claim("a", 1)
		s.outlast(s.engine.Lease)
		c := s.claim("a", 2)
		s.isFenced("Extend", old.Extend(s.ctx))
		s.isFenced("Nack", old.Nack(s.ctx, 0))
		s.isFenced("Ack", old.Ack(s.ctx))
		s.empty()
		s.done("Extend", c.Extend(s.ctx))
		s.done("Ack", c.Ack(s.ctx))
		s.isFenced("Extend after Ack", c.Extend(s.ctx))
		s.isFenced("Ack after Ack", c.Ack(s.ctx))
	}},
	{name: "ack after done", test: func(s *stores) {
		s.put("a", 0)
		s.put("b", 0)
		got := map[string]bool{}
		for range 2 {
			c, err := s.Queue.Claim(s.ctx, "q", s.engine.Lease, s.engine.patience())
			if err != nil {
				s.Fatalf("Claim = %v", err)
			}
			got[c.Entry().ID] = true
			s.done("Ack", c.Ack(s.ctx))
		}
		if !got["a"] || !got["b"] {
			s.Errorf("claimed %v, want a and b", got)
		}
		s.outlast(2 * s.engine.Lease)
		s.empty()
	}},
	{name: "claim waits", test: claimWaits},
	{name: "context cancelled", test: func(s *stores) {
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		if err := s.Queue.Put(ctx, "q", "a", nil, 0); !errors.Is(err, context.Canceled) {
			s.Errorf("Put = %v, want context.Canceled", err)
		}
		if _, err := s.Queue.Claim(ctx, "q", s.engine.Lease, 0); !errors.Is(err, context.Canceled) {
			s.Errorf("Claim = %v, want context.Canceled", err)
		}
		s.empty()
	}},
	{name: "8 workers", test: eightWorkers},
	{name: "entries outlive a reopening", end: reopened, test: func(s *stores) { entriesOutlive(s, false) }},
	{name: "entries outlive an unclean end", end: crashed, test: func(s *stores) { entriesOutlive(s, true) }},
	{name: "closed store", test: func(s *stores) {
		s.put("a", 0)
		c := s.claim("a", 1)
		s.close()
		isClosed(s, "Put", s.Queue.Put(s.ctx, "q", "b", nil, 0))
		_, err := s.Queue.Claim(s.ctx, "q", s.engine.Lease, 0)
		isClosed(s, "Claim", err)
		isClosed(s, "Extend", c.Extend(s.ctx))
		isClosed(s, "Nack", c.Nack(s.ctx, 0))
		isClosed(s, "Ack", c.Ack(s.ctx))
	}},
}

// claimWaits has a claim wait in vain, and one for what is put meanwhile.
func claimWaits(s *stores) {
	begun := time.Now()
	if _, err := s.Queue.Claim(s.ctx, "q", s.engine.Lease, s.engine.Lease/2); !errors.Is(err, resilience.ErrEmpty) {
		s.Errorf("Claim = %v, want ErrEmpty", err)
	}
	if waited := time.Since(begun); waited < s.engine.Lease/2 || waited > s.engine.Lease+time.Second {
		s.Errorf("ErrEmpty after %v, want %v", waited, s.engine.Lease/2)
	}
	claimed := make(chan struct{})
	go func() {
		defer close(claimed)
		if c, err := s.Queue.Claim(s.ctx, "q", s.engine.Lease, 20*time.Second); err != nil || c.Entry().ID != "a" {
			s.Errorf("Claim = %v, want a", err)
		}
	}()
	time.Sleep(s.engine.Lease / 2)
	s.put("a", 0)
	s.await(claimed, "a claim that waits gets what is put")
}

// eightWorkers take what eight others put: each entry comes, and none after its ack.
func eightWorkers(s *stores) {
	const each = 25
	var mu sync.Mutex
	var group sync.WaitGroup
	acked := map[string]bool{}
	for w := range 8 {
		group.Go(func() {
			for i := range each {
				s.done("Put", s.Queue.Put(s.ctx, "q", fmt.Sprint(w, "-", i), nil, 0))
			}
		})
		group.Go(func() {
			for {
				c, err := s.Queue.Claim(s.ctx, "q", time.Minute, time.Second)
				if errors.Is(err, resilience.ErrEmpty) {
					return
				}
				if err != nil {
					s.Errorf("Claim = %v", err)
					return
				}
				id := c.Entry().ID
				mu.Lock()
				again := acked[id]
				mu.Unlock()
				if again {
					s.Errorf("%s comes again after its ack", id)
				}
				s.done("Ack", c.Ack(s.ctx))
				mu.Lock()
				acked[id] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(acked) != 8*each {
		s.Errorf("%d of %d entries came", len(acked), 8*each)
	}
}

// entriesOutlive ends the stores while one entry is claimed, one was acknowledged and
// one waits: the first and the last come, within a lease and a second.
func entriesOutlive(s *stores, kill bool) {
	s.put("done", 0)
	s.done("Ack", s.claim("done", 1).Ack(s.ctx))
	s.put("claimed", 0)
	s.claim("claimed", 1)
	s.put("waiting", 0)
	s.again(kill)
	got := map[string]bool{}
	for range 2 {
		c, err := s.Queue.Claim(s.ctx, "q", s.engine.Lease*10, s.engine.Lease+time.Second)
		if err != nil {
			s.Fatalf("Claim = %v after %v came", err, got)
		}
		if e := c.Entry(); string(e.Body) != "body of "+e.ID {
			s.Errorf("Claim = %s %q", e.ID, e.Body)
		}
		got[c.Entry().ID] = true
	}
	if !got["claimed"] || !got["waiting"] {
		s.Errorf("claimed %v, want what was claimed and what waited", got)
	}
	s.empty()
}
