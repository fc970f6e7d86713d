package workflow

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Checkpoint are the points of one run that can be looked at, and from which another
// one can go on: each of its records, back to the oldest that its graph keeps.
type Checkpoint struct {
	log      resilience.Log
	err      error // why there is no log
	workflow string
	id       string
}

// Checkpoint returns the points of a run, which need not exist.
func (e *Engine[In, Out]) Checkpoint(id string) Checkpoint {
	stores, err := e.e.rt.Stores()
	c := OpenCheckpoint(stores, e.e.g.storeName(), id)
	c.err = err
	return c
}

// OpenCheckpoint returns the points of a run of a workflow, "example.com/app.Research",
// without its code.
func OpenCheckpoint(stores resilience.Stores, workflow, id string) Checkpoint {
	c := Checkpoint{workflow: workflow, id: id}
	if stores.Log == nil {
		c.err = resilience.ErrNoStore
		return c
	}
	c.log = resilience.Large(stores.Log)
	return c
}

// Point is a point of a run: how it stood after a record.
type Point struct {
	Version uint64    `json:"version"` // of the record
	At      time.Time `json:"at"`
	Steps   int       `json:"steps"`          // that were done
	Node    string    `json:"node,omitempty"` // of the step that the record is of; "" for the start
	Message string    `json:"message,omitempty"`
	Outcome string    `json:"outcome,omitempty"`
}

// PointState is how a run stood at a point.
type PointState struct {
	Point
	Workflow string                       `json:"workflow"`
	Run      string                       `json:"run"`
	Status   Status                       `json:"status"`
	Input    json.RawMessage              `json:"input,omitempty"`
	Pending  []PointMessage               `json:"pending,omitempty"` // in the order of their arrival
	Outputs  []json.RawMessage            `json:"outputs,omitempty"`
	Memory   map[string]map[string]string `json:"memory,omitempty"` // by node
	Cost     float64                      `json:"cost,omitempty"`
	Letters  []string                     `json:"letters,omitempty"`
}

// PointMessage is a message that was on its way.
type PointMessage struct {
	ID    string          `json:"id"`
	From  string          `json:"from,omitempty"`
	To    string          `json:"to"`
	Due   time.Time       `json:"due,omitzero"`
	Value json.RawMessage `json:"value,omitempty"`
}

func (c Checkpoint) key() string { return resilience.StoreKey("run", c.workflow, c.id) }

// Exists reports whether there is a run.
func (c Checkpoint) Exists(ctx context.Context) (bool, error) {
	_, err := c.Load(ctx, 0)
	if errors.Is(err, ErrRunUnknown) {
		return false, nil
	}
	return err == nil, err
}

// List returns the points that there are, the oldest first.
func (c Checkpoint) List(ctx context.Context) ([]Point, error) {
	var list []Point
	_, err := c.walk(ctx, func(s *state, r *record) bool {
		if r.Kind == kindStart || r.Kind == kindStep {
			list = append(list, s.point(r))
		}
		return true
	})
	return list, err
}

// Load returns how the run stood at a version, of those that List tells; 0 is the
// last one. [resilience.ErrNoCheckpoint]: there is none with that version.
func (c Checkpoint) Load(ctx context.Context, at uint64) (PointState, error) {
	s, last, err := c.at(ctx, at)
	if err != nil {
		return PointState{}, err
	}
	p := PointState{
		Point: last, Workflow: c.workflow, Run: c.id, Status: s.Status, Input: s.Input.raw,
		Memory: s.Memory, Cost: s.Cost, Letters: s.letterIDs(),
	}
	for _, m := range slices.SortedFunc(maps.Values(s.Pending), byArrival) {
		p.Pending = append(p.Pending, PointMessage{m.ID, m.From, m.To, m.Due, m.Value.raw})
	}
	slices.SortFunc(s.Outputs, byLine)
	for _, m := range s.Outputs {
		p.Outputs = append(p.Outputs, m.Value.raw)
	}
	return p, nil
}

// Fork makes another run that goes on from a version of this one, 0 for the last,
// under an id, "" for a new one, which it returns. It has other idempotency keys:
// what the new run does is not taken for what the old one did. Letters that were open
// are tried again. Nobody runs it yet: Resume does.
func (c Checkpoint) Fork(ctx context.Context, at uint64, id string) (string, error) {
	if id == "" {
		id = strings.ToLower(rand.Text())
	}
	if err := checkID(id); err != nil {
		return "", err
	}
	s, last, err := c.at(ctx, at)
	if err != nil {
		return "", err
	}
	now := time.Now().Round(0)
	if now.Before(s.Updated) {
		now = s.Updated
	}
	rec := &record{V: recordFormat, Kind: kindStart, By: rand.Text()[:16], At: now, Start: &startRecord{
		ID: id, Graph: s.Graph, Input: s.Input, Priority: s.Priority, PerKey: s.PerKey,
		Fork: &ForkInfo{Run: c.id, At: resilience.Version(last.Version)}, State: s.forked(now),
	}}
	body, err := json.Marshal(rec)
	if err != nil {
		return "", fmt.Errorf("fork run %s: %w", c.id, err)
	}
	log := &runLog{log: c.log, key: resilience.StoreKey("run", c.workflow, id)}
	switch err := log.append(ctx, body); {
	case errors.Is(err, errKnown):
		return "", fmt.Errorf("fork run %s as %s: %w", c.id, id, ErrRunExists)
	case err != nil:
		return "", fmt.Errorf("fork run %s: %w", c.id, err)
	}
	return id, nil
}

// forked is the state of a run that goes on from s, made at a time: waits of which
// letters were open begin then, as with a replay.
func (s *state) forked(at time.Time) *state {
	f := *s
	f.Status, f.Err, f.Owns, f.Epoch, f.Inbox, f.CancelledBy = Running, "", 0, 0, 0, ""
	f.Queue, f.Parent, f.Unread, f.UnreadForgotten, f.Refused = "", "", nil, 0, nil // nobody has tried this one
	f.Heard = maps.Clone(s.Heard)
	delete(f.Heard, cancelEntry) // it was about the other one
	f.Again = maps.Clone(s.Again)
	if f.Again == nil {
		f.Again = map[string]*held{}
	}
	for id, h := range s.Letters {
		f.Again[id] = &held{Node: h.Node, At: at, Messages: h.Messages}
	}
	f.Letters = nil
	return &f
}

// point is the point after a record that was applied.
func (s *state) point(r *record) Point {
	p := Point{Version: uint64(s.version), At: r.At, Steps: s.Count}
	if r.Step != nil {
		p.Node, p.Message, p.Outcome = r.Step.Node, r.Step.Message, r.Step.Outcome
	}
	return p
}

// at returns the state at a version, 0 for the last one.
func (c Checkpoint) at(ctx context.Context, at uint64) (*state, Point, error) {
	var last Point
	s, err := c.walk(ctx, func(s *state, r *record) bool {
		last = s.point(r)
		return at == 0 || last.Version < at
	})
	if err == nil && at != 0 && last.Version != at {
		err = fmt.Errorf("version %d of run %s: %w", at, c.id, resilience.ErrNoCheckpoint)
	}
	return s, last, err
}

// walk applies the records of the run in order, and has visit look at the state after
// each, until it reports false.
func (c Checkpoint) walk(ctx context.Context, visit func(*state, *record) bool) (*state, error) {
	if c.err != nil {
		return nil, c.err
	}
	s := newState()
	for rec, err := range c.log.Scan(ctx, c.key(), 0) {
		if err != nil {
			return nil, err
		}
		r, err := decodeRecord(rec.Body)
		if err == nil {
			err = s.foldIn(r, rec)
		}
		if err != nil {
			return nil, fmt.Errorf("run %s: version %d: %w", c.id, rec.Version, err)
		}
		if !visit(s, r) {
			break
		}
	}
	if s.version == 0 {
		return nil, fmt.Errorf("run %s: %w", c.id, ErrRunUnknown)
	}
	return s, nil
}
