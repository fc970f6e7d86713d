package workflow

import (
	"context"
	"time"
)

// inboxEntry is what somebody who does not own a run tells it. It stands in the
// inbox of the run until the owner takes it, with its next record.
type inboxEntry struct {
	ID      string    `json:"id"`   // the same one twice is one
	Kind    string    `json:"kind"` // inboxCancel …
	Name    string    `json:"name,omitempty"`
	Message string    `json:"message,omitempty"` // invocation that it is about
	Value   Value     `json:"value,omitzero"`
	Err     string    `json:"err,omitempty"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at"`
}

// Kinds of entries.
const inboxCancel = "cancel" // the run ends

// mailbox is the part of a state that entries of the inbox change.
type mailbox struct {
	CancelledBy string `json:"cancelledBy,omitempty"` // who wants the run to end
}

// take applies an entry.
func (s *state) take(e *inboxEntry) {
	if e.Kind == inboxCancel && s.CancelledBy == "" {
		s.CancelledBy = e.By
		if e.By == "" {
			s.CancelledBy = "somebody"
		}
	}
}

// hasNews reports whether the inbox holds what the run has not taken yet.
func (*run) hasNews(context.Context) bool { return false }
