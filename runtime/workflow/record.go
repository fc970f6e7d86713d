package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// recordFormat is the version of the records of runs.
const recordFormat = 1

// Kinds of records.
const (
	kindStart    = "start"    // the first of a run
	kindOwn      = "own"      // somebody runs it from here on
	kindStep     = "step"     // an invocation of a node is done
	kindSave     = "save"     // a node that runs saved something
	kindNote     = "note"     // nothing but what may ride on the others
	kindMigrate  = "migrate"  // the graph is another one from here on
	kindSnapshot = "snapshot" // the state after all records before
)

// record is one append to the log of a run. What is in it is what happened; how a
// run stands is what [state.apply] makes of them all.
type record struct {
	V    int    `json:"v"`
	Kind string `json:"k"`
	// Prev is the version of the record before and CRC the Castagnoli sum of its
	// bytes: a log from which something is missing is not believed.
	Prev resilience.Version `json:"prev,omitempty"`
	CRC  uint32             `json:"crc,omitempty"`
	By   string             `json:"by"` // the owner: one token for each time that somebody runs a run
	At   time.Time          `json:"at"`
	// Snap is the version of the last snapshot, from which the run can be read.
	Snap resilience.Version `json:"snap,omitempty"`
	// Queue is the one that Start put the run into; who tells the run something puts
	// it there again.
	Queue string `json:"queue,omitempty"`

	Start    *startRecord   `json:"start,omitempty"`
	Own      *ownRecord     `json:"own,omitempty"`
	Step     *stepRecord    `json:"step,omitempty"`
	Save     *saveRecord    `json:"save,omitempty"`
	Migrate  *migrateRecord `json:"migrate,omitempty"`
	Snapshot *state         `json:"snapshot,omitempty"`

	// These may ride on every kind.
	Taken   []inboxEntry       `json:"taken,omitempty"`   // from the inbox
	Inbox   resilience.Version `json:"inbox,omitempty"`   // up to which it is taken
	Dropped []string           `json:"dropped,omitempty"` // messages that came too late for their join
	Settled []string           `json:"settled,omitempty"` // invocations whose letters know what became of them
	Busy    time.Duration      `json:"busy,omitempty"`    // since the record before, in which a message could run
	Refused *RunRefusal        `json:"refused,omitempty"` // somebody could not go on with it
	End     *endRecord         `json:"end,omitempty"`     // the run ends, or parks, with this record
}

// startRecord says what a run is to do.
type startRecord struct {
	ID       string     `json:"id"`
	Owner    string     `json:"owner,omitempty"` // for people: host, process and worker
	Graph    *GraphInfo `json:"graph"`
	Input    Value      `json:"input,omitzero"`
	Priority string     `json:"priority,omitempty"`
	PerKey   string     `json:"perKey,omitempty"` // the key whose runs take turns
	Parent   string     `json:"parent,omitempty"` // of a child: key of the inbox that waits for it
	// Fork is the run that this one goes on from, and State how that stood.
	Fork  *ForkInfo `json:"fork,omitempty"`
	State *state    `json:"state,omitempty"`

	graphText []byte // Graph as JSON, where it is known
}

// ForkInfo says where a forked run comes from.
type ForkInfo struct {
	Run string             `json:"run"`
	At  resilience.Version `json:"at"`
}

// ownRecord says that the run goes on under another owner.
type ownRecord struct {
	Owner string `json:"owner,omitempty"` // for people: host, process and worker
	// Released: nobody runs it any more, though it may go on. It undoes one taking.
	Released bool `json:"released,omitempty"`
}

// stepRecord is what an invocation came to.
type stepRecord struct {
	Step
	// Consumed are the messages of a join; of any other node it is the one that
	// Message names.
	Consumed []string          `json:"consumed,omitempty"`
	Join     bool              `json:"join,omitempty"`
	Again    bool              `json:"again,omitempty"` // it was a letter before
	Value    Value             `json:"value,omitzero"`  // of the sends that have none
	Sends    []*message        `json:"sends,omitempty"`
	Memory   map[string]string `json:"memory,omitempty"` // of the node: what was set
	Forgot   []string          `json:"forgot,omitempty"` // of the node: what was deleted
	Letter   string            `json:"letter,omitempty"` // id of the letter that keeps it
	Body     json.RawMessage   `json:"body,omitempty"`   // that letter, which is not seen before this record
	Signal   string            `json:"signal,omitempty"` // id of the signal that it got
	Stages   []RunStage        `json:"stages,omitempty"` // of a pipeline
}

// saveRecord is what a node saved before it was done.
type saveRecord struct {
	Message string `json:"message"`
	Value   Value  `json:"value"`
}

// migrateRecord says that the run goes on in another graph.
type migrateRecord struct {
	Graph   *GraphInfo        `json:"graph"`
	Replace []*message        `json:"replace,omitempty"` // under their ids
	Drop    []string          `json:"drop,omitempty"`
	Rename  map[string]string `json:"rename,omitempty"`  // nodes: what they are called now
	Changes []string          `json:"changes,omitempty"` // for people
}

// endRecord says how a run ended. What lists runs reads no more than this.
type endRecord struct {
	Status   Status    `json:"status"`
	Err      string    `json:"err,omitempty"`
	By       string    `json:"by,omitempty"` // who cancelled it
	Workflow string    `json:"workflow"`
	ID       string    `json:"id"`
	Started  time.Time `json:"started"`
	Steps    int       `json:"steps"`
	Failures int       `json:"failures,omitempty"`
	Cost     float64   `json:"cost,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sumOf(body []byte) uint32 { return crc32.Checksum(body, castagnoli) }

// errDamaged says that the records of a run are not what was written.
var errDamaged = errors.New("records of the run are damaged or missing")

// decodeRecord reads a record, and nothing that is not one.
func decodeRecord(body []byte) (*record, error) {
	r := &record{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, fmt.Errorf("%w: %v", errDamaged, err)
	}
	if r.V != recordFormat {
		return nil, fmt.Errorf("record of format %d, this version knows %d", r.V, recordFormat)
	}
	return r, r.check()
}

// check refuses a record without what its kind needs.
func (r *record) check() error {
	whole := true
	switch r.Kind {
	case kindStart:
		whole = r.Start != nil && r.Start.Graph != nil && (r.Start.State == nil || r.Start.State.whole())
	case kindOwn:
		whole = r.Own != nil
	case kindStep:
		whole = r.Step != nil && !slices.Contains(r.Step.Sends, nil)
	case kindSave:
		whole = r.Save != nil
	case kindMigrate:
		whole = r.Migrate != nil && r.Migrate.Graph != nil && !slices.Contains(r.Migrate.Replace, nil)
	case kindSnapshot:
		whole = r.Snapshot != nil && r.Snapshot.Graph != nil && r.Snapshot.whole()
	case kindNote:
	default:
		return fmt.Errorf("record of kind %q, which this version does not know", r.Kind)
	}
	if !whole {
		return fmt.Errorf("%w: a %s without its body", errDamaged, r.Kind)
	}
	return nil
}

// whole reports whether a state that was read has no holes where others look.
func (s *state) whole() bool {
	for _, m := range s.Pending {
		if m == nil {
			return false
		}
	}
	for _, o := range s.Owed {
		if o == nil {
			return false
		}
	}
	for _, list := range []map[string]*held{s.Again, s.Letters, s.Discarded} {
		for _, h := range list {
			if h == nil || len(h.Messages) == 0 || slices.Contains(h.Messages, nil) {
				return false
			}
		}
	}
	return !slices.Contains(s.Outputs, nil)
}
