package resiliencetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// acquire acquires what must be free.
func (s *stores) acquire(name, owner string, ttl time.Duration) resilience.Lease {
	s.Helper()
	l, err := s.Leases.Acquire(s.ctx, name, owner, ttl)
	if err != nil {
		s.Fatalf("Acquire(%s, %s) = %v, want nil", name, owner, err)
	}
	if l.Name != name || l.Owner != owner || l.Epoch == 0 {
		s.Errorf("Acquire(%s, %s) = %+v", name, owner, l)
	}
	return l
}

// held acquires what somebody else has.
func (s *stores) held(name, owner string) {
	s.Helper()
	_, err := s.Leases.Acquire(s.ctx, name, "other", s.engine.Lease)
	var held *resilience.HeldError
	if !errors.Is(err, resilience.ErrHeld) || !errors.As(err, &held) {
		s.Errorf("Acquire(%s) = %v, want ErrHeld in a *HeldError", name, err)
	} else if held.Owner != owner || held.For <= 0 {
		s.Errorf("Acquire(%s): held by %q for %v, want %q", name, held.Owner, held.For, owner)
	}
}

// isHolder says whether an owner has a name, for a time or a bit less.
func (s *stores) isHolder(name, owner string, ttl time.Duration) {
	s.Helper()
	who, rest, err := s.Leases.Holder(s.ctx, name)
	if err != nil || who != owner || rest > ttl || rest < ttl-s.engine.Lease/2 {
		s.Errorf("Holder(%s) = %q for %v, %v, want %q for %v", name, who, rest, err, owner, ttl)
	}
}

func (s *stores) isFenced(what string, err error) {
	s.Helper()
	if !errors.Is(err, resilience.ErrFenced) {
		s.Errorf("%s = %v, want ErrFenced", what, err)
	}
}

// outlast waits until a lease or a delay of d has ended.
func (s *stores) outlast(d time.Duration) {
	if !s.engine.Bubble {
		d += 200 * time.Millisecond // the clock of the engine is another one
	}
	time.Sleep(d)
}

// await waits for what must come soon.
func (s *stores) await(done <-chan struct{}, what string) {
	s.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		s.Errorf("not within 30 s: %s", what)
	}
}

var leaseRules = []rule{
	{name: "acquire", test: func(s *stores) {
		a, b := s.acquire("a", "me", s.engine.Lease*10), s.acquire("b/c", "me", s.engine.Lease*10)
		if err := errors.Join(s.Leases.Release(s.ctx, a), s.Leases.Release(s.ctx, b)); err != nil {
			s.Errorf("Release = %v", err)
		}
		if again := s.acquire("a", "you", s.engine.Lease); again.Epoch <= a.Epoch {
			s.Errorf("epoch %d after %d", again.Epoch, a.Epoch)
		}
	}},
	{name: "held", test: func(s *stores) {
		s.acquire("a", "me", s.engine.Lease*10)
		s.held("a", "me")
		if _, err := s.Leases.Acquire(s.ctx, "a", "me", s.engine.Lease); !errors.Is(err, resilience.ErrHeld) {
			s.Errorf("the owner acquires it again: %v, want ErrHeld", err)
		}
	}},
	{name: "renew", test: func(s *stores) {
		l := s.acquire("a", "me", s.engine.Lease)
		for range 3 {
			time.Sleep(s.engine.Lease / 2)
			if err := s.Leases.Renew(s.ctx, l, s.engine.Lease); err != nil {
				s.Errorf("Renew = %v", err)
			}
		}
		s.held("a", "me")
	}},
	{name: "fenced", test: func(s *stores) {
		first := s.acquire("a", "me", s.engine.Lease)
		if err := s.Leases.Release(s.ctx, first); err != nil {
			s.Errorf("Release = %v", err)
		}
		s.isFenced("Renew of what was released", s.Leases.Renew(s.ctx, first, s.engine.Lease))
		second := s.acquire("a", "you", s.engine.Lease*10)
		s.isFenced("Renew of a former lease", s.Leases.Renew(s.ctx, first, s.engine.Lease))
		s.isFenced("Release of a former lease", s.Leases.Release(s.ctx, first))
		s.isFenced("Renew of what never was", s.Leases.Renew(s.ctx, resilience.Lease{Name: "never", Owner: "me", Epoch: 1}, s.engine.Lease))
		s.held("a", "you")
		if err := s.Leases.Renew(s.ctx, second, s.engine.Lease); err != nil {
			s.Errorf("Renew = %v", err)
		}
	}},
	{name: "expired", test: func(s *stores) {
		first := s.acquire("a", "me", s.engine.Lease)
		s.outlast(s.engine.Lease)
		second := s.acquire("a", "you", s.engine.Lease*10)
		if second.Epoch <= first.Epoch {
			s.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
		}
		s.isFenced("Renew of a lease that ended", s.Leases.Renew(s.ctx, first, s.engine.Lease))
		s.isFenced("Release of a lease that ended", s.Leases.Release(s.ctx, first))
		s.held("a", "you")
	}},
	{name: "holder", test: func(s *stores) {
		s.isHolder("a", "", 0)
		l := s.acquire("a", "me", s.engine.Lease)
		s.isHolder("a", "me", s.engine.Lease)
		s.isHolder("b", "", 0)
		if err := s.Leases.Renew(s.ctx, l, 10*s.engine.Lease); err != nil {
			s.Errorf("Renew = %v", err)
		}
		s.isHolder("a", "me", 10*s.engine.Lease)
		if err := s.Leases.Release(s.ctx, l); err != nil {
			s.Errorf("Release = %v", err)
		}
		s.isHolder("a", "", 0)
		s.acquire("a", "you", s.engine.Lease)
		s.outlast(s.engine.Lease)
		s.isHolder("a", "", 0)
		s.acquire("a", "other", s.engine.Lease) // nor did asking take it
	}},
	{name: "8 clients are linearizable", test: eightOwners},
	{name: "epoch grows over reopen", end: reopened, test: func(s *stores) { epochGrows(s, false) }},
	{name: "epoch grows after unclean end", end: crashed, test: func(s *stores) { epochGrows(s, true) }},
	{name: "closed store", test: func(s *stores) {
		l := s.acquire("a", "me", s.engine.Lease)
		s.close()
		_, err := s.Leases.Acquire(s.ctx, "b", "me", s.engine.Lease)
		isClosed(s, "Acquire", err)
		isClosed(s, "Renew", s.Leases.Renew(s.ctx, l, s.engine.Lease))
		isClosed(s, "Release", s.Leases.Release(s.ctx, l))
		_, _, err = s.Leases.Holder(s.ctx, "a")
		isClosed(s, "Holder", err)
	}},
}

// epochGrows ends the stores again and again: the lease of a name has a larger epoch
// each time.
func epochGrows(s *stores, kill bool) {
	last := uint64(0)
	for range 3 {
		l := s.acquire("a", "me", s.engine.Lease)
		if l.Epoch <= last {
			s.Errorf("epoch %d after %d", l.Epoch, last)
		}
		last = l.Epoch
		if err := s.Leases.Release(s.ctx, l); err != nil {
			s.Errorf("Release = %v", err)
		}
		s.again(kill)
	}
}

// eightOwners acquire, renew and release one name, and their history is checked. Each
// releases in the end what it has, and one of them goes on alone: however the scheduler
// had them meet, some leases are held that nobody else asks for.
func eightOwners(s *stores) {
	var h history[tenure]
	var group sync.WaitGroup
	for client := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(client)))
			mine := resilience.Lease{Name: "a", Owner: fmt.Sprint(client), Epoch: 1}
			for range 30 {
				switch random.IntN(4) {
				case 0:
					s.renews(&h, mine)
				case 1:
					s.releases(&h, mine)
				default:
					mine = s.acquires(&h, mine)
				}
			}
			s.releases(&h, mine)
		})
	}
	group.Wait()
	mine := resilience.Lease{Name: "a", Owner: "0"}
	for range 5 {
		mine = s.acquires(&h, mine)
		s.renews(&h, mine)
		s.releases(&h, mine)
	}
	if text := h.check(tenure{}); text != "" {
		s.Error(text)
	}
}

// tenure is the epoch of who has a name, 0 if nobody, and the largest that was.
type tenure struct{ now, most uint64 }

// acquires is a call of Acquire in a history. It returns the lease if there is one,
// else mine.
func (s *stores) acquires(h *history[tenure], mine resilience.Lease) resilience.Lease {
	h.do(func() (string, func(tenure) (tenure, bool)) {
		l, err := s.Leases.Acquire(s.ctx, mine.Name, mine.Owner, time.Hour)
		if err == nil {
			mine = l
		}
		return fmt.Sprintf("Acquire = %d, %v", l.Epoch, err), func(st tenure) (tenure, bool) {
			if err != nil {
				return st, outcomeIs(err, resilience.ErrHeld, st.now == 0)
			}
			return tenure{l.Epoch, l.Epoch}, st.now == 0 && l.Epoch > st.most
		}
	})
	return mine
}

func (s *stores) renews(h *history[tenure], mine resilience.Lease) {
	h.do(func() (string, func(tenure) (tenure, bool)) {
		err, e := s.Leases.Renew(s.ctx, mine, time.Hour), mine.Epoch
		return fmt.Sprintf("Renew(%d) = %v", e, err), func(st tenure) (tenure, bool) {
			return st, outcomeIs(err, resilience.ErrFenced, st.now == e)
		}
	})
}

func (s *stores) releases(h *history[tenure], mine resilience.Lease) {
	h.do(func() (string, func(tenure) (tenure, bool)) {
		err, e := s.Leases.Release(s.ctx, mine), mine.Epoch
		return fmt.Sprintf("Release(%d) = %v", e, err), func(st tenure) (tenure, bool) {
			if st.now != e {
				return st, outcomeIs(err, resilience.ErrFenced, false)
			}
			return tenure{0, st.most}, err == nil
		}
	})
}

// outcomeIs reports whether err is nil where ok, else the one that is to be.
func outcomeIs(err, want error, ok bool) bool {
	if ok {
		return err == nil
	}
	return errors.Is(err, want)
}
