package workflow

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Runs looks at the runs of all workflows in the stores of a Runtime, and moves them,
// without the code that they run: from their records alone. It is for tools. Runs is
// safe for concurrent use.
type Runs struct{ rt *resilience.Runtime }

// RunsOf returns the runs in the stores of rt.
func RunsOf(rt *resilience.Runtime) *Runs { return &Runs{rt} }

// Most runs of a page.
const (
	pageRuns    = 100
	maxPageRuns = 1000
)

// found is a run as a list finds it.
type found struct {
	key     string
	summary RunSummary
	whole   bool // the summary says all
}

// List returns a page of runs. It reads the last record of each run there is, a bit
// more of those that have not ended, and what is in the queues: a run that nobody has
// begun yet is [Pending], and Started is when it was put there. A run that cannot be
// read is in it, Waiting for the reason.
func (rs *Runs) List(ctx context.Context, q RunQuery) (RunPage, error) {
	after, err := cursorOf(q.Cursor)
	if err != nil {
		return RunPage{}, err
	}
	log, err := rs.log()
	if err != nil {
		return RunPage{}, err
	}
	stores, err := rs.rt.Stores()
	if err != nil {
		return RunPage{}, err
	}
	o := &onlooker{stores: stores, now: rs.rt.Now()}
	list, err := o.find(ctx, log, q)
	if err != nil {
		return RunPage{}, err
	}
	order := func(a, b found) int {
		c := cmp.Or(a.summary.Started.Compare(b.summary.Started), strings.Compare(a.key, b.key))
		if !q.OldestFirst {
			return -c
		}
		return c
	}
	slices.SortFunc(list, order)
	if q.Cursor != "" {
		at := found{key: after.Key, summary: RunSummary{Started: after.Started}}
		n, _ := slices.BinarySearchFunc(list, at, order)
		list = slices.DeleteFunc(list[n:], func(f found) bool { return order(f, at) == 0 })
	}
	return o.page(ctx, log, list, q)
}

// page fills the first of a list in.
func (o *onlooker) page(ctx context.Context, log resilience.Log, list []found, q RunQuery) (RunPage, error) {
	limit := min(cmp.Or(max(q.Limit, 0), pageRuns), maxPageRuns)
	p := RunPage{Runs: []RunSummary{}}
	for i, f := range list {
		if len(p.Runs) == limit {
			p.Next = cursor{list[i-1].summary.Started, list[i-1].key}.text()
			break
		}
		if err := ctx.Err(); err != nil {
			return RunPage{}, err
		}
		if !f.whole {
			f = o.fill(ctx, log, f)
		}
		p.Runs = append(p.Runs, f.summary)
	}
	return p, nil
}

// cursor is the last run of a page.
type cursor struct {
	Started time.Time `json:"s"`
	Key     string    `json:"k"`
}

func (c cursor) text() string {
	text, err := json.Marshal(c)
	if err != nil { // a time of a record: cannot be
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func cursorOf(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		return c, fmt.Errorf("%w: cursor %.40q", resilience.ErrInvalid, text)
	}
	return c, nil
}

// log returns that of the stores.
func (rs *Runs) log() (resilience.Log, error) {
	stores, err := rs.rt.Stores()
	if err != nil {
		return nil, err
	}
	return resilience.Large(stores.Log), nil
}

// find returns the runs that q asks for. The queues are looked at first: a run that is
// begun meanwhile is in the log then.
func (o *onlooker) find(ctx context.Context, log resilience.Log, q RunQuery) ([]found, error) {
	if err := o.look(ctx); err != nil {
		return nil, err
	}
	var list []found
	begun := map[string]bool{}
	for head, err := range log.Heads(ctx, "run/", "") {
		if err != nil {
			return nil, err
		}
		if _, queued := o.queued[head.Key]; queued {
			begun[head.Key] = true
		}
		f := glance(ctx, log, head)
		if isCalled(f.summary.Workflow, q.Workflow) && q.Status != "" && !f.whole {
			f = o.fill(ctx, log, f)
		}
		if q.wants(&f.summary) {
			list = append(list, f)
		}
	}
	for key, run := range o.queued {
		f := found{key: key, summary: run.summary(), whole: true}
		if (run.New || run.wrong != nil) && !begun[key] && q.wants(&f.summary) {
			list = append(list, f)
		}
	}
	return list, nil
}

// wants reports whether q asks for a run.
func (q *RunQuery) wants(s *RunSummary) bool {
	return isCalled(s.Workflow, q.Workflow) && (q.Status == "" || s.Status == q.Status)
}

// isCalled reports whether a workflow is meant by a name: its whole name, or what
// stands behind the last dot of it.
func isCalled(workflow, name string) bool {
	return name == "" || workflow == name || !strings.ContainsAny(name, "./") && strings.HasSuffix(workflow, "."+name)
}

// glance makes of the last record of a run what it says: all of one that has ended,
// what it is of others.
func glance(ctx context.Context, log resilience.Log, head resilience.Record) found {
	f := found{key: head.Key, summary: RunSummary{ID: head.Key}}
	last, err := decodeRecord(head.Body)
	if err != nil {
		return f.unreadable(err)
	}
	f.summary.Updated = last.At
	if e := last.End; e != nil {
		f.whole = true
		f.summary = RunSummary{
			Workflow: e.Workflow, ID: e.ID, Status: e.Status, Started: e.Started, Updated: last.At,
			Steps: e.Steps, Failures: e.Failures, Cost: e.Cost,
		}
		if e.Status.Ended() {
			f.summary.Ended = last.At
		} else {
			f.summary.Waiting = e.Err
		}
		return f
	}
	return f.begun(ctx, log)
}

// begun adds what the first record of a run says.
func (f found) begun(ctx context.Context, log resilience.Log) found {
	for r, err := range log.Scan(ctx, f.key, 0) {
		var first *record
		if err == nil {
			first, err = decodeRecord(r.Body)
		}
		switch {
		case err != nil:
			return f.unreadable(err)
		case first.Kind == kindSnapshot && first.Snapshot.Graph != nil:
			f.summary.Workflow, f.summary.ID, f.summary.Started = first.Snapshot.Graph.Workflow, first.Snapshot.ID, first.Snapshot.Started
		case first.Kind == kindStart:
			f.summary.Workflow, f.summary.ID, f.summary.Started = first.Start.Graph.Workflow, first.Start.ID, first.At
		default:
			return f.unreadable(fmt.Errorf("%w: it begins with a %s", ErrLogWentBack, first.Kind))
		}
		return f
	}
	return f.unreadable(ErrRunUnknown) // dropped meanwhile
}

// unreadable says why a run cannot be looked at.
func (f found) unreadable(err error) found {
	f.whole = true
	f.summary.Waiting = "cannot be read: " + err.Error()
	return f
}

// fill reads a run that has not ended.
func (o *onlooker) fill(ctx context.Context, log resilience.Log, f found) found {
	_, v, err := o.read(ctx, &runLog{log: log, key: f.key})
	if err != nil {
		return f.unreadable(err)
	}
	f.whole, f.summary = true, v
	return f
}

// resolve returns the key of the run that is meant by a workflow, as a query names
// it, and an id.
func (rs *Runs) resolve(ctx context.Context, log resilience.Log, workflow, id string) (string, error) {
	if err := checkID(id); err != nil {
		return "", err
	}
	if strings.ContainsAny(workflow, "./") {
		return resilience.StoreKey("run", workflow, id), nil
	}
	var keys, names []string
	for head, err := range log.Heads(ctx, "run/", "") {
		if err != nil {
			return "", err
		}
		f := glance(ctx, log, head)
		if f.summary.ID == id && isCalled(f.summary.Workflow, workflow) {
			keys, names = append(keys, head.Key), append(names, f.summary.Workflow)
		}
	}
	switch len(keys) {
	case 0:
		return "", fmt.Errorf("%w: %s", ErrRunUnknown, id)
	case 1:
		return keys[0], nil
	}
	return "", severalRuns(id, names)
}

// open returns the log and the state of a run.
func (rs *Runs) open(ctx context.Context, workflow, id string) (*runLog, *state, error) {
	log, err := rs.log()
	if err != nil {
		return nil, nil, err
	}
	key, err := rs.resolve(ctx, log, workflow, id)
	if err != nil {
		return nil, nil, err
	}
	l := &runLog{log: log, key: key}
	s, err := l.read(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("run %s: %w", id, err)
	}
	return l, s, nil
}

// Export yields the records of a run as they are, oldest first. One that nobody has
// begun has none.
func (rs *Runs) Export(ctx context.Context, workflow, id string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		l, _, err := rs.open(ctx, workflow, id)
		if errors.Is(err, ErrRunUnknown) {
			if _, err = rs.inQueue(ctx, workflow, id, err); err == nil {
				return
			}
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for r, err := range l.log.Scan(ctx, l.key, 0) {
			if !yield(r.Body, err) || err != nil {
				return
			}
		}
	}
}

// Resume has a worker take a run that has not ended, if one is there for it, now or
// later. [ErrRunOver]: it has ended.
func (rs *Runs) Resume(ctx context.Context, workflow, id string) error {
	s, err := rs.moving(ctx, workflow, id)
	switch {
	case errors.Is(err, ErrRunUnknown):
		_, err = rs.inQueue(ctx, workflow, id, err) // where it is, it is to be taken
		return err
	case err != nil:
		return err
	}
	return rs.nudge(ctx, s)
}

// nudge puts a run into the queue from which workers take it.
func (rs *Runs) nudge(ctx context.Context, s *state) error {
	stores, err := rs.rt.Stores()
	if err != nil {
		return err
	}
	queue := s.Queue
	if queue == "" { // it was begun by Run: workers take it all the same
		queue = queueOf(s.Graph.Workflow, s.Priority)
	}
	put := entry{ID: s.ID, Workflow: s.Graph.Workflow, Priority: s.Priority, Key: s.PerKey}
	return put.put(ctx, stores.Queue, queue, 0)
}
