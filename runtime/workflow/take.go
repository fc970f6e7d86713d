package workflow

import (
	"context"
	"errors"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// job is an entry that a worker has claimed.
type job struct {
	workQueue
	claim resilience.Claim
}

const (
	claimWait  = 30 * time.Second       // for an entry, before all queues are asked again
	claimAgain = 100 * time.Millisecond // after an error; doubled up to claimLast
	claimLast  = 5 * time.Second
)

// claim takes an entry of the most urgent queue that has one, waiting for one until
// ctx ends. An error says that there will be none any more.
func (s *session) claim(ctx context.Context) (*job, error) {
	again := claimAgain
	for ctx.Err() == nil {
		j, err := s.first(ctx)
		if j == nil && err == nil {
			j, err = s.await(ctx)
		}
		switch {
		case j != nil:
			return j, nil
		case errors.Is(err, resilience.ErrClosed):
			return nil, err
		case err != nil && ctx.Err() == nil:
			s.w.counts.claimErrors.Add(1)
			sleep(ctx, again)
			again = min(2*again, claimLast)
		}
	}
	return nil, nil
}

// first takes what is there, without waiting. Queues of one rank have turns at being
// asked first.
func (s *session) first(ctx context.Context) (*job, error) {
	var failed error
	s.next++
	for _, rank := range s.ranks {
		for i := range rank {
			j, err := take(ctx, rank[(s.next+i)%len(rank)], s.lease, 0)
			if j != nil || errors.Is(err, resilience.ErrClosed) {
				return j, err
			}
			if err != nil {
				failed = err // others may have something
			}
		}
	}
	return nil, failed
}

// take claims an entry. Without one it returns nil.
func take(ctx context.Context, q workQueue, lease, wait time.Duration) (*job, error) {
	c, err := q.stores.Queue.Claim(ctx, q.name, lease, wait)
	switch {
	case err == nil:
		q.source.claimed(nil)
		return &job{q, c}, nil
	case errors.Is(err, resilience.ErrEmpty):
		q.source.claimed(nil)
		return nil, nil
	case ctx.Err() == nil:
		q.source.claimed(err)
	}
	return nil, err
}

// taken is what a claim came to.
type taken struct {
	job *job
	err error
}

// await waits on all queues at once until one has an entry. Where several do, the
// others' are served if there are slots, and else given back.
func (s *session) await(ctx context.Context) (*job, error) {
	all, cancel := context.WithCancel(ctx)
	defer cancel()
	came, n := make(chan taken), 0
	for _, rank := range s.ranks {
		for _, q := range rank {
			n++
			go func() {
				j, err := take(all, q, s.lease, claimWait)
				came <- taken{j, err}
			}()
		}
	}
	var won taken
	for range n {
		t := <-came
		cancel() // the first one ends the waiting of the others
		switch {
		case t.job == nil && won.job == nil && won.err == nil:
			won.err = t.err
		case t.job != nil && won.job == nil:
			won = t
		case t.job != nil:
			s.surplus(t.job)
		}
	}
	return won.job, won.err
}

// surplus deals with an entry that came together with another one.
func (s *session) surplus(j *job) {
	select {
	case s.slots <- struct{}{}:
		s.begin(j)
	default:
		settle(func(ctx context.Context) error { return j.claim.Nack(ctx, 0) })
	}
}

// settle does what is to be done with a claim whatever became of the caller's context,
// once: where it fails the entry comes again.
func settle(do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	_ = do(ctx)
}
