package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	jobLease = 30 * time.Second // for which a process has a job of a store that is shared
	jobLook  = time.Second      // between two looks at what others wrote of it
)

// jobTurn is whether a process has a job. It belongs to the goroutine of the job.
type jobTurn struct {
	lease  Lease
	held   bool
	again  time.Time // when it is asked for again
	looked time.Time
}

// mine reports whether this process is to go on with the job. In a store that is shared
// one does, and others that were asked to stand by until its lease ends. Without leases
// all do: what keeps them from each other is the claim of each letter.
func (r *jobRun) mine() bool {
	if !r.box.shared() {
		return true
	}
	if now := time.Now(); now.Sub(r.turnOf.looked) >= jobLook {
		r.turnOf.looked = now
		r.listen(r.ctx)
		r.waiting = slices.DeleteFunc(r.waiting, func(w *replayed) bool { return r.isSettled(w.ID) })
	}
	leases := r.box.leases()
	return leases == nil || r.seize(leases)
}

// seize gets or keeps the lease of the job.
func (r *jobRun) seize(leases Leases) bool {
	t, now := &r.turnOf, time.Now()
	if now.Before(t.again) {
		return t.held
	}
	var err error
	if t.held {
		err = leases.Renew(r.ctx, t.lease, jobLease)
	} else {
		t.lease, err = leases.Acquire(r.ctx, StoreKey("letters", "job", r.id), r.box.instance, jobLease)
	}
	t.held, t.again = err == nil, now.Add(jobLook)
	var other *HeldError
	switch {
	case err == nil:
		t.again = now.Add(jobLease / 3)
		r.wait("")
		r.turnOf.looked = time.Time{}
	case errors.As(err, &other):
		r.wait(fmt.Sprintf("for process %s, which runs it", other.Owner))
	default:
		r.wait("for the store: " + err.Error())
	}
	return t.held
}

// yield gives the job to those that stand by.
func (r *jobRun) yield() {
	if !r.turnOf.held {
		return
	}
	ctx, cancel := durably(context.Background())
	defer cancel()
	_ = r.box.leases().Release(ctx, r.turnOf.lease) // else it ends by itself
}

// idle is how long a job rests that waits for others of this process: where the store is
// shared, others may have something to say.
func (r *jobRun) idle() time.Duration {
	if r.box.shared() {
		return jobLook
	}
	return 0
}

// atMost is how long a job rests that may go on after wait.
func (r *jobRun) atMost(wait time.Duration) time.Duration {
	if most := r.idle(); most > 0 {
		return min(wait, most)
	}
	return wait
}

// alone has no other process replay a letter for as long as a claim of this job may
// last, whatever its clock says. It returns what gives that up.
func (r *jobRun) alone(letter string) (release func(), err error) {
	ttl := r.job.Options.Timeout + claimGrace
	err = r.try(func() (err error) {
		release, err = r.box.own(r.ctx, StoreKey("letters", "replay", letter), ttl)
		return err
	})
	return release, err
}
