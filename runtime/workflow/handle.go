package workflow

import (
	"context"
	"errors"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Handle is a run that somebody else may do, see Engine.Start and Engine.Get. It is
// good in every process that has the store. The zero Handle is none.
type Handle[Out any] struct {
	e   *engine
	id  string
	put bool // it was put into a queue: it exists, though it may not be in the log
}

// ID returns the id of the run.
func (h Handle[Out]) ID() string { return h.id }

// Between looks at a run that somebody else does.
const (
	watchFirst = 5 * time.Millisecond
	watchLast  = time.Second
)

// Result waits until the run ends or parks, and returns what it came to, as
// Engine.Run does: an output comes without an error. [ErrRunUnknown]: there is no
// such run, unless the handle is that of Start. Of a run in this process it learns at
// once, else within a second.
func (h Handle[Out]) Result(ctx context.Context) (Result[Out], error) {
	w, err := h.watch()
	if err != nil {
		return Result[Out]{ID: h.id}, err
	}
	defer w.stop()
	err = w.until(ctx, func(s Status) bool { return s.Ended() || s == Parked })
	if err == nil {
		err = w.r.endError()
	}
	return resultOf[Out](w.r, w.r.wrap(err))
}

// Status returns how the run stands: [Pending] where it is in a queue and nobody has begun
// it. [ErrRunUnknown]: there is no such run.
func (h Handle[Out]) Status(ctx context.Context) (Status, error) {
	w, err := h.watch()
	if err != nil {
		return "", err
	}
	defer w.stop()
	status, err := w.status(ctx)
	if errors.Is(err, ErrRunUnknown) {
		if h.put {
			return Pending, nil
		}
		status, err = w.pending(ctx, err)
	}
	return status, w.r.wrap(err)
}

// pending is how a run stands that is not in the log, by what is in the queues. Somebody
// may have begun it meanwhile, and even ended it, so that it is in none any more.
func (w *watcher) pending(ctx context.Context, unknown error) (Status, error) {
	_, err := RunsOf(w.r.e.rt).inQueue(ctx, w.r.e.g.storeName(), w.r.id, unknown)
	switch {
	case err == nil:
		return Pending, nil
	case errors.Is(err, ErrRunUnknown):
		return w.status(ctx)
	}
	return "", err
}

// status looks how the run stands. It looks again at one that nobody has: who had it
// may have done something just before he gave it up.
func (w *watcher) status(ctx context.Context) (status Status, err error) {
	stores, err := w.r.e.rt.Stores()
	if err != nil {
		return "", err
	}
	for range looks {
		last := w.r.s.version
		if err := w.look(ctx); err != nil {
			return "", err
		}
		if status.isLeft() && last == w.r.s.version {
			break
		}
		if status = w.r.s.stands(w.r.e.rt.Now()); status != Running {
			break
		}
		held, err := isHeld(ctx, stores, w.r.s)
		if err != nil {
			return "", err
		}
		if held {
			break
		}
		if status = w.r.s.left(); !status.isLeft() {
			break
		}
	}
	return status, nil
}

// watch returns a watcher of the run.
func (h Handle[Out]) watch() (*watcher, error) {
	if h.e == nil {
		return nil, ErrRunUnknown
	}
	r := h.e.newRun(Options{})
	r.id = h.id
	stores, err := h.e.rt.Stores()
	if err == nil {
		err = checkID(h.id)
	}
	if err != nil {
		return nil, r.wrap(err)
	}
	r.log = newRunLog(stores.Log, h.e.g.runKey(h.id))
	w := &watcher{r: r, put: h.put, woken: make(chan struct{}, 1)}
	w.stop = h.e.endings.listen(h.id, w.woken)
	return w, nil
}

// watcher follows the log of a run that somebody else may write.
type watcher struct {
	r     *run
	put   bool
	woken chan struct{}
	stop  func()
}

// look reads what the log has that was not read yet.
func (w *watcher) look(ctx context.Context) error {
	r := w.r
	if r.s.version == 0 {
		return r.load(ctx)
	}
	for rec, err := range r.log.log.Scan(ctx, r.log.key, r.s.version) {
		if err == nil {
			err = r.s.fold(rec)
		}
		if errors.Is(err, ErrLogWentBack) { // dropped up to a snapshot meanwhile
			return r.load(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// until looks again and again until the status of the run is enough.
func (w *watcher) until(ctx context.Context, enough func(Status) bool) error {
	for pause := watchFirst; ; pause = min(2*pause, watchLast) {
		err := w.look(ctx)
		if err != nil && !(w.put && errors.Is(err, ErrRunUnknown)) && !errors.Is(err, resilience.ErrUnavailable) {
			return err
		}
		if err == nil && enough(w.r.s.Status) {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-w.woken:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// stands returns how a run stands that has not ended, by what is in its records: it
// waits if no message of it can run now. Whether somebody has it they do not tell.
func (s *state) stands(now time.Time) Status {
	switch {
	case s.Status != Running:
		return s.Status
	case s.Refused != nil:
		return Refused
	case len(s.Again) > 0:
		return Running
	}
	came := map[string]map[string]bool{}
	for _, m := range s.Pending {
		n := s.Graph.node(m.To)
		switch {
		case m.Due.After(now) || n != nil && n.Kind != "":
		case n == nil || len(n.WaitFor) == 0:
			return Running
		default:
			if came[m.To] == nil {
				came[m.To] = map[string]bool{}
			}
			came[m.To][m.From] = true
		}
	}
	for name, from := range came {
		if n := s.Graph.node(name); n.Any || len(from) == len(n.WaitFor) {
			return Running
		}
	}
	return Waiting
}
