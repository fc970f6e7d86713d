package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// inboxEntry is what somebody who does not own a run tells it. It stands in the
// inbox of the run until the owner takes it, with a record that names the version up
// to which it did: so nobody but an owner writes to the log of the run, and an entry
// is taken once.
type inboxEntry struct {
	ID      string          `json:"id"` // the same one twice is one
	Kind    string          `json:"kind"`
	Name    string          `json:"name,omitempty"`    // of a signal
	Message string          `json:"message,omitempty"` // invocation that it is about
	Value   Value           `json:"value,omitzero"`    // of a signal, or what a child came to
	Err     string          `json:"err,omitempty"`     // why a child came to nothing
	Letter  string          `json:"letter,omitempty"`
	Replay  int             `json:"replay,omitempty"` // of the letter, from 1
	Args    json.RawMessage `json:"args,omitempty"`   // of a replay: other ones than the messages have
	Key     string          `json:"key,omitempty"`    // of a replay: idempotency key
	By      string          `json:"by,omitempty"`
	Why     string          `json:"why,omitempty"`
	At      time.Time       `json:"at"`
	Body    []byte          `json:"body,omitempty"` // of one that could not be read: as it came
	Size    int             `json:"size,omitempty"` // of that, in bytes
}

// Kinds of entries.
const (
	inboxCancel  = "cancel"  // the run ends
	inboxSignal  = "signal"  // a node waits for it, or will
	inboxReplay  = "replay"  // a letter is to run again
	inboxDiscard = "discard" // a letter is not to run again
	inboxChild   = "child"   // a child has ended
	inboxUnread  = "unread"  // what could not be read; nobody writes that, but in a record it is one
)

// cancelEntry is the id of the entry that has a run end: twice is once.
const cancelEntry = "cancel"

// childEntry is what the id of an entry that says how a child ended begins with.
const childEntry = "child/"

// mailbox is the part of a state that entries of the inbox change.
type mailbox struct {
	CancelledBy string `json:"cancelledBy,omitempty"` // who wants the run to end
	// Heard are the ids of the entries that were taken: what comes once more is one that
	// somebody sent again.
	Heard  heardIDs      `json:"heard,omitempty"`
	Unread []UnreadEntry `json:"unread,omitempty"` // that were put aside, the last ones
	// UnreadForgotten is how many more were put aside before those.
	UnreadForgotten int                     `json:"unreadForgotten,omitempty"`
	Signals         []signal                `json:"signals,omitempty"` // that no node has taken, in order of arrival
	Results         map[string]*childResult `json:"results,omitempty"` // of children, by invocation, until their step
	// Discarded are letters that are not to run again; somebody may change his mind.
	Discarded map[string]*held `json:"discarded,omitempty"`
	// ParkedChildren are invocations whose children have parked.
	ParkedChildren map[string]bool `json:"parkedChildren,omitempty"`
	// Owed is what letters have yet to be told, by invocation.
	Owed map[string]*owedLetter `json:"owed,omitempty"`
}

// signal is one that arrived.
type signal struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Value Value  `json:"value,omitzero"`
	// After is when the last step before it was recorded: waits that ended by then had
	// ended without it.
	After time.Time `json:"after,omitzero"`
}

// take applies an entry that was taken at a time.
func (s *state) take(e *inboxEntry, at time.Time) {
	if e.Kind == inboxUnread {
		s.putAside(e, at)
		return
	}
	if s.heard(e.ID) {
		return
	}
	s.hears(e.ID, at)
	switch e.Kind {
	case inboxCancel:
		s.cancel(e)
	case inboxSignal:
		s.Signals = append(s.Signals, signal{e.ID, e.Name, e.Value, s.Stepped})
	case inboxReplay:
		s.replay(e, at)
	case inboxDiscard:
		s.discard(e)
	case inboxChild:
		s.result(e, at)
	}
}

func (s *state) cancel(e *inboxEntry) {
	if s.CancelledBy != "" || s.Status.Ended() {
		return
	}
	s.Status = Running // it goes on, to its end
	s.discardAll("the run was cancelled")
	if s.CancelledBy = e.By; e.By == "" {
		s.CancelledBy = "somebody"
	}
}

// pollEvery is how often a run looks into its inbox for what other processes put
// there; what this one does wakes it.
const pollEvery = time.Second

// maxTaken is how many bytes of entries one record takes, but for the first of them.
const maxTaken = 1 << 20

// inbox is the log that everybody but the owner of a run writes to.
type inbox struct {
	log resilience.Log
	key string
}

func (r *run) inbox() inbox { return inbox{r.log.log, r.e.g.inboxKey(r.id)} }

// since returns the next entries after a version, and the version of the last one; 0
// if there is none. What cannot be read is among them, as one that is put aside.
func (b inbox) since(ctx context.Context, after resilience.Version) (list []inboxEntry, last resilience.Version, more bool, err error) {
	size := 0
	for rec, err := range b.log.Scan(ctx, b.key, after) {
		if err != nil {
			return nil, 0, false, fmt.Errorf("%s: %w", b.key, err)
		}
		if size += len(rec.Body); size > maxTaken && last > 0 {
			return list, last, true, nil
		}
		list, last = append(list, readEntry(rec)), rec.Version
	}
	return list, last, false, nil
}

// listen has the run look into its inbox now, and whenever something may be there,
// until stop is called.
func (r *run) listen() (stop func()) {
	r.stir()
	if r.log == nil {
		r.e.inMemory.Store(r.id, r)
		return func() { r.e.inMemory.CompareAndDelete(r.id, r) }
	}
	unlisten := r.e.rt.Listen(r.e.g.inboxKey(r.id), r.stir)
	r.polling = time.AfterFunc(pollEvery, r.stir)
	return func() {
		unlisten()
		r.polling.Stop()
	}
}

// pollLater has the run look into its inbox in a while, if another process may put
// something there without a word, or if the store gave no answer.
func (r *run) pollLater(failed bool) {
	if failed || !r.e.exclusive() {
		r.polling.Reset(pollEvery)
	}
}

// exclusive reports whether nobody but this process writes to the store.
func (e *engine) exclusive() bool {
	stores, err := e.rt.Stores()
	owned, ok := stores.Log.(interface{ Exclusive() bool })
	return err == nil && ok && owned.Exclusive()
}

// stir has the run look into its inbox.
func (r *run) stir() {
	r.stirred.Store(true)
	r.poke()
}

// collect takes what is in the inbox, if there may be something, and acts on it.
func (r *run) collect() error {
	for r.stirred.Load() && r.stirred.Swap(false) {
		list, at, more, err := r.unheard()
		if err != nil {
			r.pollLater(true)
			return nil
		}
		forgotten := r.s.UnreadForgotten
		if len(list) > 0 {
			rec := r.record(kindNote)
			rec.Taken, rec.Inbox = list, at
			if err := r.commit(rec); err != nil {
				return r.fail(err)
			}
		}
		if r.log != nil {
			r.clearInbox(at)
			r.pollLater(false)
		}
		if more {
			r.stirred.Store(true)
		}
		if len(list) > 0 {
			r.heed(list)
			r.tellForgotten(r.s.UnreadForgotten - forgotten)
		}
	}
	return nil
}

// unheard returns the next entries that were not taken before.
func (r *run) unheard() (list []inboxEntry, at resilience.Version, more bool, err error) {
	if r.log == nil {
		r.mu.Lock()
		list, r.posted = r.posted, nil
		r.mu.Unlock()
	} else if list, at, more, err = r.inbox().since(r.caller, max(r.s.Inbox, r.seen)); err != nil {
		return nil, 0, false, err
	}
	seen := map[string]bool{}
	fresh := list[:0]
	for _, e := range list {
		if !r.s.heard(e.ID) && !seen[e.ID] {
			seen[e.ID] = true
			fresh = append(fresh, e)
		}
	}
	return fresh, at, more, nil
}

// clearInbox drops what was taken. Where that fails, what stays is known to be taken.
func (r *run) clearInbox(at resilience.Version) {
	if at == 0 {
		return
	}
	r.seen = at
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.caller), settleTime)
	defer cancel()
	_ = r.log.log.Drop(ctx, r.e.g.inboxKey(r.id), at)
}

// heed acts on entries that the state has taken.
func (r *run) heed(list []inboxEntry) {
	for i := range list {
		e := &list[i]
		r.tellEntry(e)
		if h := r.s.Again[e.Message]; e.Kind == inboxReplay && h != nil && !r.hasAgain(e.Message) {
			r.queueAgain(e.Message, h)
		}
	}
	r.obey()
	r.match()
}

// obey ends the run if somebody wants that.
func (r *run) obey() {
	if r.s.CancelledBy != "" && !r.s.Status.Ended() && !r.stopping {
		r.stop(ErrCancelled)
	}
}

// hasNews reports whether the inbox holds something for the run that it has not
// taken. One that has ended has use for little.
func (r *run) hasNews(ctx context.Context) bool {
	if r.log == nil {
		return false
	}
	for after := r.s.Inbox; ; {
		list, last, more, err := r.inbox().since(ctx, after)
		for i := range list {
			if r.s.matters(&list[i]) {
				return true
			}
		}
		if err != nil || !more {
			return false
		}
		after = last
	}
}

// matters reports whether an entry would change anything.
func (s *state) matters(e *inboxEntry) bool {
	switch {
	case s.heard(e.ID):
		return false
	case s.Status.Ended():
		return e.Kind == inboxReplay && s.mayReopen()
	}
	return true
}

// post puts an entry into the inbox of a run, and sees to it that somebody looks.
func (e *engine) post(ctx context.Context, id string, entry inboxEntry) error {
	if err := checkID(id); err != nil {
		return err
	}
	entry.At = time.Now().Round(0).UTC()
	if r, ok := e.inMemory.Load(id); ok {
		r.(*run).hand(entry)
		return nil
	}
	if _, err := e.rt.Stores(); err != nil {
		return err
	}
	body, err := json.Marshal(entry)
	if err == nil {
		err = e.rt.Post(ctx, e.g.inboxKey(id), entry.ID, body)
	}
	return err
}

// hand gives an entry to a run in memory.
func (r *run) hand(e inboxEntry) {
	r.mu.Lock()
	r.posted = append(r.posted, e)
	r.mu.Unlock()
	r.stir()
}

// head returns the last record of a run, or [ErrRunUnknown].
func (e *engine) head(ctx context.Context, id string) (*record, error) {
	return lastRecord(ctx, e.rt, e.g.storeName(), id)
}

func lastRecord(ctx context.Context, rt *resilience.Runtime, workflow, id string) (*record, error) {
	stores, err := rt.Stores()
	if err != nil {
		return nil, err
	}
	key := resilience.StoreKey("run", workflow, id)
	for rec, err := range resilience.Large(stores.Log).Heads(ctx, key, key) {
		if err != nil {
			return nil, err
		}
		if rec.Key != key {
			break
		}
		return decodeRecord(rec.Body)
	}
	return nil, ErrRunUnknown
}

// rouse has somebody go on with a run in whose inbox something was put: its owner in
// this process was woken by that, one elsewhere looks by himself, and a run of a
// worker is in a queue.
func (e *engine) rouse(ctx context.Context, id string) error {
	return rouseRun(ctx, e.rt, e.g.storeName(), id)
}

func rouseRun(ctx context.Context, rt *resilience.Runtime, workflow, id string) error {
	last, err := lastRecord(ctx, rt, workflow, id)
	if errors.Is(err, ErrRunUnknown) {
		return nil // whoever begins it looks
	}
	if err != nil || last.Queue == "" {
		return err
	}
	stores, err := rt.Stores()
	if err != nil || stores.Queue == nil {
		return err
	}
	put := entry{ID: id, Workflow: workflow} // with it the one that is there comes at once
	return put.put(ctx, stores.Queue, last.Queue, 0)
}
