package workflow

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// maxSteps is how many steps a state remembers one by one.
const maxSteps = 1000

// state is how a run stands: the fold of its records by apply, which alone changes
// it. It is what a snapshot holds. One goroutine uses it at a time.
type state struct {
	ID       string     `json:"id"`
	Graph    *GraphInfo `json:"graph"`
	Input    Value      `json:"input,omitzero"`
	Priority string     `json:"priority,omitempty"`
	Queue    string     `json:"queue,omitempty"` // that Start put it into
	PerKey   string     `json:"perKey,omitempty"`
	Parent   string     `json:"parent,omitempty"`
	Fork     *ForkInfo  `json:"fork,omitempty"`

	Status Status `json:"status"`
	Err    string `json:"err,omitempty"`
	// Refused: who tried last could not go on with it.
	Refused *RunRefusal `json:"refused,omitempty"`
	Started time.Time   `json:"started"`
	Updated time.Time   `json:"updated"`          // time of the last record
	Stepped time.Time   `json:"stepped,omitzero"` // of the last step
	Owner   string      `json:"owner,omitempty"`  // for people: who has the run, or had it last
	Token   string      `json:"token"`            // of the owner, one for each time that it is taken
	// Owns is how often somebody took the run since its last step.
	Owns int `json:"owns,omitempty"`
	// Epoch is the version of the record with which the owner took the run.
	Epoch resilience.Version `json:"epoch,omitempty"`

	Seq     uint64                `json:"seq"`               // of the last message
	Pending map[string]*message   `json:"pending,omitempty"` // that are not done, by id
	Again   map[string]*held      `json:"again,omitempty"`   // letters that are to run again, by invocation
	Joins   map[string]*joinCount `json:"joins,omitempty"`
	Outputs []*message            `json:"outputs,omitempty"`
	Letters map[string]*held      `json:"letters,omitempty"` // that are open, by invocation

	Memory map[string]map[string]string `json:"memory,omitempty"` // by node
	Saved  map[string]Value             `json:"saved,omitempty"`  // by invocation

	Steps    []Step         `json:"steps,omitempty"` // the last ones
	room     []Step         // where they are, once there were many
	Count    int            `json:"count"` // of all steps
	Failures map[string]int `json:"failures,omitempty"`
	Cost     float64        `json:"cost,omitempty"`
	Busy     time.Duration  `json:"busy,omitempty"`

	Inbox resilience.Version `json:"inbox,omitempty"` // up to which the inbox is taken
	mailbox

	// Where the log stands; not in a snapshot.
	version   resilience.Version // of the last record
	crc       uint32             // of its bytes
	snap      resilience.Version // of the last snapshot
	snapStep  int                // Count at it
	snapSize  int                // of it, in bytes
	sinceSnap int                // bytes of the records behind it
	marks     []mark             // snapshots that are known to be in the log
}

// joinCount counts what came to a join. The messages of each edge are paired by the
// order in which they arrive: the n-th of each make the n-th set.
type joinCount struct {
	// Name is what the node was called first, where it was renamed: the keys of its
	// invocations stay what they were.
	Name  string         `json:"name,omitempty"`
	Fired int            `json:"fired"`          // sets that were consumed
	Came  map[string]int `json:"came,omitempty"` // by node they came from: messages consumed or dropped
}

// held is an invocation that finally failed, with all that is needed to run it
// again.
type held struct {
	Node     string     `json:"node"`
	Letter   string     `json:"letter,omitempty"` // id
	Err      string     `json:"err,omitempty"`
	At       time.Time  `json:"at"`
	Messages []*message `json:"messages"`

	// Of one that runs again.
	Replay int             `json:"replay,omitempty"` // number of the replay of its letter
	Args   json.RawMessage `json:"args,omitempty"`   // other ones than the messages have
	Key    string          `json:"key,omitempty"`    // idempotency key, where it is another one
}

// newState returns the state before the first record.
func newState() *state {
	return &state{Pending: map[string]*message{}, Joins: map[string]*joinCount{}}
}

// fill makes the maps that JSON leaves out.
func (s *state) fill() {
	if s.Pending == nil {
		s.Pending = map[string]*message{}
	}
	if s.Joins == nil {
		s.Joins = map[string]*joinCount{}
	}
}

// apply makes s the state after r. It is pure: the same records make the same
// state, whoever applies them and when. An error says that r does not belong there,
// and then s must not be used any more.
func (s *state) apply(r *record) error {
	s.Updated = r.At
	for _, id := range r.Settled { // before: what the record itself owes is to be told yet
		delete(s.Owed, id)
	}
	var err error
	switch r.Kind {
	case kindStart:
		err = s.begin(r)
	case kindOwn:
		s.Refused = nil
		s.own(r)
	case kindStep:
		err = s.step(r)
	case kindSave:
		err = s.save(r.Save)
	case kindMigrate:
		s.migrate(r.Migrate)
	}
	if err != nil {
		return err
	}
	s.ride(r)
	return nil
}

// own applies what says who runs it.
func (s *state) own(r *record) {
	if r.Own.Released {
		s.Owns = max(s.Owns-1, 0)
		return
	}
	s.Owner, s.Token = r.Own.Owner, r.By
	s.Owns++
}

// begin applies a start.
func (s *state) begin(r *record) error {
	if s.Graph != nil {
		return fmt.Errorf("%w: a second start", errDamaged)
	}
	b := r.Start
	if b.State != nil {
		*s = *b.State
		s.fill()
		s.Updated = r.At
	} else {
		s.send(r.At, &message{ID: firstMessage, To: b.Graph.Entry, Value: b.Input})
	}
	s.ID, s.Graph, s.Input, s.Fork = b.ID, b.Graph, b.Input, b.Fork
	s.Priority, s.Queue, s.PerKey, s.Parent = b.Priority, r.Queue, b.PerKey, b.Parent
	s.Status, s.Started, s.Owner, s.Token = Running, r.At, b.Owner, r.By
	return nil
}

// send puts m into the queue, or among the outputs.
func (s *state) send(at time.Time, m *message) {
	s.Seq++
	m.Seq, m.At = s.Seq, at
	if m.To == end {
		s.Outputs = append(s.Outputs, m)
		return
	}
	s.Pending[m.ID] = m
}

// step applies a step: its messages are done, and what it sent is there.
func (s *state) step(r *record) error {
	step := r.Step
	s.Owns = 0
	s.Stepped = r.At
	s.Status = Running
	if err := s.consume(r); err != nil {
		return err
	}
	for _, m := range step.Sends {
		m.From = step.Node
		if m.Value.IsZero() {
			m.Value = step.Value
		}
		s.send(r.At, m)
	}
	if !step.Again {
		s.settles(step, nil)
	}
	if step.Signal != "" {
		s.takeSignal(step.Signal)
	}
	delete(s.Results, step.Message)
	s.remember(step.Node, step.Memory, step.Forgot)
	if s.Saved != nil {
		delete(s.Saved, step.Message)
	}
	s.count(&step.Step)
	return nil
}

// consume takes the messages of a step out of the queue; those of one that failed
// are held.
func (s *state) consume(r *record) error {
	step := r.Step
	if step.Again {
		h := s.Again[step.Message]
		if h == nil {
			return fmt.Errorf("%w: a step of invocation %s, which is not pending", errDamaged, step.Message)
		}
		delete(s.Again, step.Message)
		s.hold(r, h.Messages)
		s.settles(step, h)
		return nil
	}
	if len(step.Consumed) == 0 {
		m := s.Pending[step.Message]
		if m == nil {
			return fmt.Errorf("%w: a step of message %s, which is not pending", errDamaged, step.Message)
		}
		s.drop(m, step.Join)
		if step.Outcome == OutcomeFailed {
			s.hold(r, []*message{m})
		}
		return nil
	}
	list := make([]*message, len(step.Consumed))
	for i, id := range step.Consumed {
		if list[i] = s.Pending[id]; list[i] == nil {
			return fmt.Errorf("%w: a step of message %s, which is not pending", errDamaged, id)
		}
		s.drop(list[i], step.Join)
	}
	if step.Join {
		s.joined(step.Node).Fired++
	}
	s.hold(r, list)
	return nil
}

// drop takes m out of the queue; at a join it has come.
func (s *state) drop(m *message, join bool) {
	delete(s.Pending, m.ID)
	if join {
		s.joined(m.To).Came[m.From]++
	}
}

// joined returns the counts of a join.
func (s *state) joined(node string) *joinCount {
	c := s.Joins[node]
	if c == nil {
		c = &joinCount{}
		s.Joins[node] = c
	}
	if c.Came == nil {
		c.Came = map[string]int{}
	}
	return c
}

// hold keeps the messages of an invocation that finally failed.
func (s *state) hold(r *record, messages []*message) {
	step := r.Step
	if step.Outcome != OutcomeFailed {
		return
	}
	if s.Letters == nil {
		s.Letters = map[string]*held{}
	}
	s.Letters[step.Message] = &held{Node: step.Node, Letter: step.Letter, Err: step.Err, At: r.At, Messages: messages}
}

// remember changes the memory of a node. The map that was there stays as it is:
// nodes that run read it.
func (s *state) remember(node string, set map[string]string, forgot []string) {
	if len(set) == 0 && len(forgot) == 0 {
		return
	}
	next := maps.Clone(s.Memory[node])
	if next == nil {
		next = map[string]string{}
	}
	for _, key := range forgot {
		delete(next, key)
	}
	maps.Copy(next, set)
	if s.Memory == nil {
		s.Memory = map[string]map[string]string{}
	}
	s.Memory[node] = next
}

// count counts a step.
func (s *state) count(step *Step) {
	s.Count++
	s.Cost += step.Cost
	if step.Outcome == OutcomeFailed {
		if s.Failures == nil {
			s.Failures = map[string]int{}
		}
		s.Failures[step.Node]++
	}
	if len(s.Steps) == maxSteps {
		s.forgetSteps()
	}
	s.Steps = append(s.Steps, *step)
}

// forgetSteps forgets the oldest quarter of the steps. They stay where they are, in
// room for twice as many, until that is used up: moved each time, each of them would
// be so three times.
func (s *state) forgetSteps() {
	s.Steps = s.Steps[maxSteps/4:]
	if cap(s.Steps) >= maxSteps {
		return
	}
	if s.room == nil {
		s.room = make([]Step, 2*maxSteps)
	}
	s.Steps = s.room[:copy(s.room, s.Steps)]
}

func (s *state) save(r *saveRecord) error {
	if s.Saved == nil {
		s.Saved = map[string]Value{}
	}
	s.Saved[r.Message] = r.Value
	return nil
}

// migrate puts the run into another graph: messages get other values or targets, or
// are gone.
func (s *state) migrate(r *migrateRecord) {
	s.Graph = r.Graph
	s.rename(r.Rename)
	for _, m := range r.Replace {
		if s.Pending[m.ID] != nil {
			s.Pending[m.ID] = m
		}
		for i := range s.Outputs {
			if s.Outputs[i].ID == m.ID {
				s.Outputs[i] = m
			}
		}
		replaceHeld(s.Again, m)
		replaceHeld(s.Letters, m)
		replaceHeld(s.Discarded, m)
	}
	for _, id := range r.Drop {
		delete(s.Pending, id)
	}
	for id, h := range s.Again {
		if slices.ContainsFunc(h.Messages, func(m *message) bool { return slices.Contains(r.Drop, m.ID) }) {
			delete(s.Again, id)
			s.owe(id, &owedLetter{Letter: h.Letter, Discarded: true, Why: "the graph has changed"})
		}
	}
}

// rename gives what is known of nodes to those that are called otherwise now, also
// where one is called as another one was.
func (s *state) rename(names map[string]string) {
	for was, now := range names {
		if n := s.Graph.node(now); n != nil && len(n.WaitFor) > 0 {
			c := s.joined(was)
			c.Name = cmp.Or(c.Name, was)
		}
	}
	s.Joins = renamedKeys(s.Joins, names)
	for _, c := range s.Joins {
		c.Came = renamedKeys(c.Came, names)
	}
	s.Memory = renamedKeys(s.Memory, names)
}

// renamedKeys returns m under other keys. Where two become one, a renamed one stays.
func renamedKeys[V any](m map[string]V, names map[string]string) map[string]V {
	if len(names) == 0 || m == nil {
		return m
	}
	next := make(map[string]V, len(m))
	for key, v := range m {
		if _, moves := names[key]; !moves {
			next[key] = v
		}
	}
	for _, was := range slices.Sorted(maps.Keys(names)) {
		if v, ok := m[was]; ok {
			next[names[was]] = v
		}
	}
	return next
}

func replaceHeld(list map[string]*held, m *message) {
	for _, h := range list {
		for i := range h.Messages {
			if h.Messages[i] != nil && h.Messages[i].ID == m.ID {
				h.Messages[i] = m
				h.Node = m.To
			}
		}
	}
}

// ride applies what may be on every record.
func (s *state) ride(r *record) {
	for i := range r.Taken {
		s.take(&r.Taken[i], r.At)
	}
	if r.Inbox > 0 {
		s.Inbox = r.Inbox
	}
	for _, id := range r.Dropped {
		if m := s.Pending[id]; m != nil {
			s.drop(m, true)
		}
	}
	s.Busy += r.Busy
	if r.Refused != nil {
		s.Refused = r.Refused
	}
	if r.End != nil {
		s.Status, s.Err = r.End.Status, r.End.Err
	}
}

// failures is how many invocations finally failed.
func (s *state) failures() int {
	n := 0
	for _, k := range s.Failures {
		n += k
	}
	return n
}
