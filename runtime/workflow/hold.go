package workflow

import (
	"context"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// runTTL is the lease of a run that Run or Resume executes.
const runTTL = 30 * time.Second

// live are the owners that have a run in this process.
var live owners

type owners struct{ tokens sync.Map }

func (o *owners) has(token string) bool {
	_, ok := o.tokens.Load(token)
	return ok
}

// hold makes it known that the run is executed here: in this process, and by a lease
// where others share the log. It returns [ErrRunBusy] if somebody else has it. The
// lease only says when one may try: what keeps two from going on is the log.
func (r *run) hold(ctx context.Context) (release func(), err error) {
	live.tokens.Store(r.token, true)
	release = func() { live.tokens.Delete(r.token) }
	if r.leases == nil {
		return release, nil
	}
	l, err := holdRun(ctx, r.leases, r.e.g.storeName(), r.id, r.owner+"/"+r.token, runTTL)
	if err != nil {
		release()
		return nil, err
	}
	p := beat(runTTL, r.lose, l.renew)
	r.late = p.late
	return func() {
		p.stop()
		l.release()
		live.tokens.Delete(r.token)
	}, nil
}

// lose has the run stop: its lease is somebody else's.
func (r *run) lose(err error) {
	r.mu.Lock()
	r.lost = err
	r.mu.Unlock()
	r.poke()
}

// share has the run held by a lease where others use its log, too.
func (r *run) share(s resilience.Stores) {
	owned, ok := s.Log.(interface{ Exclusive() bool })
	if !ok || !owned.Exclusive() {
		r.leases = s.Leases
	}
}
