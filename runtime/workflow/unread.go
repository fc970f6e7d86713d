package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// UnreadEntry is something in the inbox of a run that this version could not read: no
// JSON, or of a kind that it does not know. It was put aside, so that what came after it
// was heard.
type UnreadEntry struct {
	ID   string    `json:"id"`   // "unread/" and its version in the inbox
	At   time.Time `json:"at"`   // when it was put aside
	Why  string    `json:"why"`  // what is wrong with it
	Size int       `json:"size"` // in bytes
	Body []byte    `json:"body"` // as it came, at most the first MiB
}

// maxUnread is how much of an entry that cannot be read is kept.
const maxUnread = 1 << 20

// readEntry reads an entry of an inbox. One that it cannot read is of kind unread.
func readEntry(rec resilience.Record) inboxEntry {
	var e inboxEntry
	err := json.Unmarshal(rec.Body, &e)
	switch {
	case err != nil:
	case e.ID == "":
		err = errors.New("it has no id")
	case !e.isKnown():
		err = fmt.Errorf("kind %.100q is not known", e.Kind)
	default:
		return e
	}
	body := rec.Body
	if len(body) > maxUnread {
		body = body[:maxUnread:maxUnread]
	}
	return inboxEntry{ID: fmt.Sprintf("unread/%d", rec.Version), Kind: inboxUnread, Why: err.Error(), Body: body, Size: len(rec.Body)}
}

// isKnown reports whether e is of a kind that others write.
func (e *inboxEntry) isKnown() bool {
	switch e.Kind {
	case inboxCancel, inboxSignal, inboxReplay, inboxDiscard, inboxChild:
		return true
	}
	return false
}

// mostUnread is how many entries that could not be read a run keeps: the last ones.
const mostUnread = 100

// putAside keeps an entry that could not be read, and counts the one that it forgets for
// that.
func (s *state) putAside(e *inboxEntry, at time.Time) {
	kept := s.Unread
	if n := len(kept) - mostUnread + 1; n > 0 {
		kept = kept[n:]
		s.UnreadForgotten += n
	}
	s.Unread = append(slices.Clip(kept), UnreadEntry{e.ID, at, e.Why, e.Size, e.Body})
}

// tellForgotten tells that entries are kept no longer that were put aside.
func (r *run) tellForgotten(n int) {
	if n == 0 {
		return
	}
	r.tell(resilience.Event{
		Kind: resilience.MessageNoted, Value: strconv.Itoa(n), Reason: "forgotten",
		Err: fmt.Errorf("%d entries of the inbox that could not be read are forgotten: more than %d were put aside", n, mostUnread),
	})
}

// tellEntry tells of an entry that was taken.
func (r *run) tellEntry(e *inboxEntry) {
	told := resilience.Event{Kind: resilience.MessageNoted, Value: e.Message, Reason: e.Kind, By: e.By}
	if e.Kind == inboxUnread {
		r.e.counts.unread.Add(1)
		told.Value, told.Err = e.ID, fmt.Errorf("an entry of the inbox of %d bytes cannot be read: %s", e.Size, e.Why)
	}
	r.tell(told)
}
