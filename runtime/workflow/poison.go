package workflow

import "errors"

// A node that kills its process leaves a run with nothing but records of those who
// took it. After aloneAfter of them without a step between, the run goes one message
// at a time, so that the guilty one is known: it is the first in the queue. After
// letterAfter of them, that one becomes a letter without being tried again, and the
// run goes on.
const (
	aloneAfter  = 3
	letterAfter = 5
)

// errPoison is why a message became a letter that nobody could try to the end.
var errPoison = errors.New("each of the last 5 processes that took the run ended before this node returned")

// entryDeliveries is how often an entry of a queue is taken before its run is in the
// log at all. Then it becomes a letter, unless the run has a key, for which it may have
// waited.
const entryDeliveries = 20

// goesAlone reports whether a run that was taken so often goes one message at a time.
func (s *state) goesAlone() bool { return s.Owns >= aloneAfter }

// isPoisoned reports whether the first message of the run is to become a letter.
func (s *state) isPoisoned() bool { return s.Owns >= letterAfter }
