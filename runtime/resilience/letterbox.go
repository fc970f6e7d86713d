package resilience

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrNoLetter says that there is no letter under an id.
var ErrNoLetter = errors.New("no such letter")

// LetterBox are the dead letters of a [Runtime], whichever method they are of. It
// is safe for concurrent use.
type LetterBox struct {
	rt       *Runtime
	o        LetterOptions
	instance string // of this process
	hashKey  []byte
	ids      idSource
	scrubber scrubber
	broken   error // what is wrong with the options
	board    jobBoard

	// gate is held, shared, from the append of a letter to its entry in the index,
	// and alone while that is read from the store.
	gate    sync.RWMutex
	loaded  bool // under gate
	indexed bool // the store has an index that has to go before anything changes; under gate

	news     *news      // nil if nobody listens
	saying   sync.Mutex // held by who writes of a pattern
	sweeping sync.Mutex // held by who drops letters

	mu       sync.Mutex
	letters  map[string]*LetterSummary
	byID     []*LetterSummary // sorted
	methods  map[string]*letterMethod
	queues   map[string]*letterQueue
	patterns patterns
	room     chan struct{} // closed when a letter is gone
	swept    time.Time
	held     map[string]bool // letters that OnExpire keeps until the next sweep
	lost     int64
	lostAt   time.Time
	losses   map[string]*lossLine // by queue
	doubts   map[string]string    // keys of letters of which the index may not be right, by id

	outlook outlook // at a store that is shared

	workflows map[string]*NodeMethod // one node of each, by its name; under mu
}

// LetterSummary is what is known of a letter without reading it.
type LetterSummary struct {
	ID           string      `json:"id"`
	Queue        string      `json:"queue"`
	State        LetterState `json:"state"`
	Reason       Reason      `json:"reason"`
	Interface    string      `json:"interface"`
	Method       string      `json:"method"`
	Instance     string      `json:"instance,omitempty"`
	Sig          string      `json:"sig"`
	Group        string      `json:"group"`
	Error        string      `json:"error,omitempty"`      // begin of the text of the outermost one
	ErrorTypes   string      `json:"errorTypes,omitempty"` // of all, joined by ">"
	DeadAt       time.Time   `json:"deadAt"`
	Last         time.Time   `json:"last"`
	AttemptCount int         `json:"attemptCount"`
	ReplayCount  int         `json:"replayCount,omitempty"`
	EditCount    int         `json:"editCount,omitempty"`
	OrderKey     string      `json:"orderKey,omitempty"`
	ArgsHash     string      `json:"argsHash"`
	NeedsEdit    bool        `json:"needsEdit,omitempty"`
	Sealed       bool        `json:"sealed,omitempty"`
	Tags         []string    `json:"tags,omitempty"`
	TraceID      string      `json:"traceID,omitempty"`
	Host         string      `json:"host,omitempty"`
	Version      string      `json:"version,omitempty"`
	Policy       string      `json:"policy,omitempty"`
	MovedAt      time.Time   `json:"movedAt,omitzero"`
	Size         int         `json:"size"`
	Rev          Version     `json:"rev"`
	Claim        LetterClaim `json:"-"` // of a letter that is claimed or in doubt
}

// LetterQuery asks for a page of letters.
type LetterQuery struct {
	Filter      string // see [ParseFilter]; "" is all
	Cursor      string // [LetterPage].Next of the page before
	Limit       int    // default and at most 500
	OldestFirst bool
}

// LetterPage is an answer to a [LetterQuery].
type LetterPage struct {
	Letters []LetterSummary `json:"letters"`
	Next    string          `json:"next,omitempty"` // "" at the end
}

const maxPage = 500

// DeadLetters returns the letters of rt. Without a store there are none, and what
// asks for them returns [ErrNoStore].
func (rt *Runtime) DeadLetters() *LetterBox {
	root, _ := rt.root()
	root.lettersMade.Do(root.makeLetters)
	return root.letters.(*LetterBox)
}

func (rt *Runtime) makeLetters() {
	o := rt.letterOptions
	b := &LetterBox{rt: rt, o: o, instance: newLetterID(time.Now()), room: make(chan struct{}),
		letters: map[string]*LetterSummary{}, methods: map[string]*letterMethod{}, queues: map[string]*letterQueue{}, patterns: patterns{map[string]*pattern{}}, outlook: newOutlook()}
	if rt.observer != nil {
		b.news = &news{to: rt.observer}
	}
	b.hashKey, b.broken = o.hashKey()
	b.scrubber.email = o.ScrubEmail
	rt.letters = b
	defer b.register() // when rt.mu is free
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.replayTries, rt.letterHealth = replayTries, b.component
	rt.closeLetters = func(ctx context.Context) error {
		b.board.close()
		return b.close(ctx)
	}
}

// List returns a page of letters, newest first. An error of the filter is a
// [*FilterError].
func (b *LetterBox) List(ctx context.Context, q LetterQuery) (LetterPage, error) {
	f, err := ParseFilter(q.Filter)
	if err != nil {
		return LetterPage{}, err
	}
	limit := q.Limit
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	var page LetterPage
	for s, err := range b.matching(ctx, f, q.Cursor, q.OldestFirst) {
		if err != nil {
			return LetterPage{}, err
		}
		if len(page.Letters) == limit {
			page.Next = page.Letters[limit-1].ID
			break
		}
		page.Letters = append(page.Letters, s)
	}
	return page, nil
}

// from yields the letters behind the one of a cursor. b.mu is held.
func (b *LetterBox) from(cursor string, oldestFirst bool) func(func(*LetterSummary) bool) {
	at, found := b.place(cursor)
	return func(yield func(*LetterSummary) bool) {
		step := -1
		switch {
		case oldestFirst:
			step = 1
			if found {
				at++
			}
		case cursor == "":
			at = len(b.byID) - 1
		default:
			at--
		}
		for ; at >= 0 && at < len(b.byID); at += step {
			if !yield(b.byID[at]) {
				return
			}
		}
	}
}

func (b *LetterBox) place(id string) (int, bool) {
	return slices.BinarySearchFunc(b.byID, id, func(s *LetterSummary, id string) int { return cmp.Compare(s.ID, id) })
}

// Get returns a letter.
func (b *LetterBox) Get(ctx context.Context, id string) (Letter, error) {
	l, err := b.get(ctx, id)
	if err != nil {
		return Letter{}, fmt.Errorf("letter %.40q: %w", id, err)
	}
	return l, nil
}

func (b *LetterBox) get(ctx context.Context, id string) (Letter, error) {
	if err := b.load(ctx); err != nil {
		return Letter{}, err
	}
	v, err := b.rt.values()
	if err != nil {
		return Letter{}, err
	}
	s, ok := b.summaryOf(id) // a copy: it is written anew as the letter changes
	if !ok && b.shared() {   // one that is known is read anew all the same
		if err := b.current(ctx); err != nil {
			return Letter{}, err
		}
		s, ok = b.summaryOf(id)
	}
	if !ok {
		return Letter{}, ErrNoLetter
	}
	l, err := readLetter(ctx, v, letterKey(s.Queue, id))
	l.State = b.presentState(l.State, l.Claim)
	return l, err
}

// load reads the letters that the store has, unless that was done.
func (b *LetterBox) load(ctx context.Context) error {
	b.gate.RLock()
	loaded := b.loaded
	b.gate.RUnlock()
	if loaded {
		b.settleDoubts(ctx)
		return nil
	}
	v, err := b.rt.values()
	if err == nil {
		err = b.outlook.take(ctx)
	}
	if err != nil {
		return err
	}
	defer b.outlook.leave()
	b.gate.Lock()
	defer b.gate.Unlock()
	if b.loaded {
		return nil
	}
	b.forget()
	if err := b.read(ctx, v); err != nil {
		b.forget()
		return fmt.Errorf("dead letters: %w", err)
	}
	b.loaded = true
	return nil
}

// forget empties the index.
func (b *LetterBox) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byID = nil
	clear(b.letters)
	clear(b.patterns.by)
	for _, q := range b.queues {
		q.letters, q.bytes = nil, 0
	}
}

// read reads the letters, from the index if there is one to be believed, and puts
// them into an index of its own.
func (b *LetterBox) read(ctx context.Context, v values) error {
	if b.shared() {
		return b.readShared(ctx, v)
	}
	list, patterns, err := b.readIndex(ctx, v)
	switch {
	case err == nil:
		b.restore(patterns)
	case errors.Is(err, errNoIndex):
		if list, err = readLetters(ctx, v, nil); err != nil {
			return err
		}
	default:
		return err
	}
	b.indexed = b.dropIndex(ctx, v) != nil // also what is not believed; who only reads has no need
	if err := errors.Join(b.loadPatterns(ctx, v), b.loadTombstones(ctx, v)); err != nil {
		return err
	}
	b.fill(list)
	return nil
}

// readLetters reads every letter. Which it has seen it notes in heads, unless that is
// nil.
func readLetters(ctx context.Context, v values, heads map[string]letterHead) ([]LetterSummary, error) {
	var list []LetterSummary
	for head, err := range v.heads(ctx, letterPrefix, "") {
		if err != nil {
			return nil, err
		}
		s, err := summaryAt(ctx, v, head)
		switch {
		case errors.Is(err, ErrNoLetter): // dropped since
		case err != nil:
			return nil, err
		default:
			list = append(list, s)
			if heads != nil {
				heads[head.Key] = letterHead{id: s.ID, queue: s.Queue, rev: s.Rev}
			}
		}
	}
	return list, nil
}

// summaryAt is what the index has of the letter of a key whose last record is head.
func summaryAt(ctx context.Context, v values, head Record) (LetterSummary, error) {
	l, err := letterAt(ctx, v, head)
	switch {
	case errors.Is(err, errBadLetter):
		return unreadable(head, err), nil
	case err != nil:
		return LetterSummary{}, err
	}
	return l.summary(), nil
}

// letterAt returns the letter of a key whose last record is head, which most often
// is the only one.
func letterAt(ctx context.Context, v values, head Record) (Letter, error) {
	r, err := decodeLetterRecord(head.Body)
	if err != nil || r.Letter == nil || letterKey(r.Letter.Queue, r.Letter.ID) != head.Key {
		return readLetter(ctx, v, head.Key)
	}
	l := *r.Letter
	l.Rev, l.Size = head.Version, len(head.Body)
	return l, nil
}

// restore puts patterns of the index of the store in their place.
func (b *LetterBox) restore(list []keptPattern) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range list {
		p := newPattern(k.Pattern.ID)
		p.LetterPattern, p.usual, p.through = k.Pattern, k.Usual, k.Through
		p.Open = 0 // counted with the letters
		if len(k.Minutes.Counts) == len(p.minutes.Counts) && len(k.Hours.Counts) == len(p.hours.Counts) {
			p.minutes, p.hours = k.Minutes, k.Hours
		}
		b.patterns.by[p.ID] = p
	}
}

// fill puts what was read into the index.
func (b *LetterBox) fill(list []LetterSummary) {
	slices.SortFunc(list, func(a, b LetterSummary) int { return cmp.Compare(a.ID, b.ID) })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byID = make([]*LetterSummary, 0, len(list))
	b.letters = make(map[string]*LetterSummary, len(list))
	for i := range list {
		s := &list[i]
		if b.letters[s.ID] != nil {
			continue // the same id in two queues: whoever put it there
		}
		b.letters[s.ID] = s
		b.byID = append(b.byID, s)
		q := b.queue(s.Queue)
		q.letters = append(q.letters, s)
		q.bytes += int64(s.Size)
		if p := b.patterns.by[s.Group]; p == nil || s.ID > p.through {
			b.patterns.count(s)
		}
		b.patterns.tally(s, 1)
	}
}

// close writes the index, unless nothing was read.
func (b *LetterBox) close(ctx context.Context) error {
	b.gate.Lock()
	defer b.gate.Unlock()
	v, err := b.rt.values()
	if err != nil || !b.loaded || b.shared() || b.indexed || v.waiting() || len(b.takeDoubts()) > 0 { // the next one reads every letter
		return nil
	}
	b.loaded = false
	if err = b.dropIndex(ctx, v); err == nil {
		err = b.saveIndex(ctx, v)
	}
	if err != nil && !errors.Is(err, ErrReadOnly) {
		return fmt.Errorf("dead letters: index: %w", err)
	}
	return nil
}

// unreadable stands for what is there and cannot be read.
func unreadable(head Record, why error) LetterSummary {
	parts := strings.Split(strings.TrimPrefix(head.Key, letterPrefix), "/")
	return LetterSummary{
		ID: parts[len(parts)-1], Queue: parts[0], State: LetterQuarantined, Reason: ReasonDecode,
		DeadAt: head.At, Error: why.Error(), Size: len(head.Body), Rev: head.Version,
	}
}

// enter puts a summary into the index, in place of one with its id. died says that
// its call has just failed; of one that was there the time of its last failure tells,
// where the store did not say that it had written that.
func (b *LetterBox) enter(ctx context.Context, s LetterSummary, died bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q, again := b.queue(s.Queue), false
	if old := b.letters[s.ID]; old != nil {
		if old.Rev >= s.Rev {
			return // who read it was overtaken, or somebody else has just read it
		}
		again = s.Last.After(old.Last)
		b.patterns.tally(old, -1)
		q.bytes += int64(s.Size - old.Size)
		*old = s
	} else {
		b.letters[s.ID] = &s
		b.byID = insertLetter(b.byID, &s)
		q.letters = insertLetter(q.letters, &s)
		q.bytes += int64(s.Size)
	}
	b.noteWritten(&s)
	switch {
	case died, again && !b.shared():
		b.tellPattern(ctx, &s, b.patterns.count(&s))
	case again:
		b.countForeign(ctx, &s)
	}
	b.patterns.tally(&s, 1)
}

func compareLetters(a, b *LetterSummary) int { return cmp.Compare(a.ID, b.ID) }

func insertLetter(list []*LetterSummary, s *LetterSummary) []*LetterSummary {
	at, _ := slices.BinarySearchFunc(list, s, compareLetters)
	return slices.Insert(list, at, s)
}

func removeLetter(list []*LetterSummary, s *LetterSummary) []*LetterSummary {
	at, found := slices.BinarySearchFunc(list, s, compareLetters)
	if !found {
		return list
	}
	return slices.Delete(list, at, at+1)
}

// remove takes a letter out of the index.
func (b *LetterBox) remove(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.letters[id]
	if s != nil {
		b.takeOut(s)
	}
	if b.shared() {
		b.outlook.dropped[id] = true
	}
}

// takeOut takes a letter out of the index. b.mu is held.
func (b *LetterBox) takeOut(s *LetterSummary) {
	delete(b.letters, s.ID)
	b.byID = removeLetter(b.byID, s)
	q := b.queue(s.Queue)
	q.letters = removeLetter(q.letters, s)
	q.bytes -= int64(s.Size)
	b.patterns.tally(s, -1)
	b.makeRoom()
}

// maxSummary is how much of a text of an error a summary has.
const maxSummary = 200

func (l *Letter) summary() LetterSummary {
	s := LetterSummary{
		ID: l.ID, Queue: l.Queue, State: l.State, Reason: l.Reason, Interface: l.Call.Interface, Method: l.Call.Method,
		Instance: l.Call.Instance, Sig: l.Call.Sig, Group: l.Group, Error: cutText(l.Err(), maxSummary), DeadAt: l.DeadAt, Last: l.Last,
		AttemptCount: l.AttemptCount, ReplayCount: len(l.Replays), EditCount: len(l.Edits), OrderKey: l.Call.OrderKey,
		ArgsHash: l.Call.ArgsHash, NeedsEdit: l.NeedsEdit(), Tags: l.Tags, TraceID: traceID(l.Trace.Parent),
		Host: l.Origin.Host, Version: l.Origin.Version, Policy: l.Policy.Name, MovedAt: l.MovedAt, Claim: l.Claim, Size: l.Size, Rev: l.Rev,
	}
	s.Sealed = slices.ContainsFunc(l.Call.Args, func(a LetterArg) bool { return a.Sealed != nil })
	types := make([]string, len(l.Errors))
	for i, e := range l.Errors {
		types[i] = e.Type
	}
	s.ErrorTypes = strings.Join(types, ">")
	return s
}

// traceID is the second part of a traceparent.
func traceID(parent string) string {
	parts := strings.Split(parent, "-")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// change appends a record to a letter whose last version is after, and returns
// what it makes of it. [ErrConflict]: the letter has changed since.
func (b *LetterBox) change(ctx context.Context, l Letter, r letterRecord) (Letter, error) {
	v, err := b.rt.values()
	if err != nil {
		return l, err
	}
	r.Kind = r.kind()
	body, err := json.Marshal(r)
	if err != nil {
		return l, err
	}
	ctx, cancel := durably(ctx)
	defer cancel()
	if err := b.unindex(ctx, v); err != nil {
		return l, err
	}
	written := b.writes(l.ID)
	defer written()
	b.gate.RLock()
	defer b.gate.RUnlock()
	died := r.Letter != nil && l.Rev == 0 || r.Transition != nil && r.Transition.Failure != nil
	key := letterKey(l.Queue, l.ID)
	version, err := v.urgent().append(ctx, key, l.Rev, body)
	if err != nil {
		b.doubt(l.ID, key, err)
		return l, err
	}
	defer b.decide(ctx, v) // afterwards: what is entered here is not in doubt
	if err := l.fold(r, version); err != nil {
		return l, err
	}
	if r.Letter != nil {
		l.Size = len(body)
	}
	if b.loaded {
		b.enter(ctx, l.summary(), died)
	}
	return l, nil
}

// unindex takes away the index of the store before anything changes, if it could
// not be when it was read.
func (b *LetterBox) unindex(ctx context.Context, v values) error {
	b.gate.RLock()
	indexed := b.indexed
	b.gate.RUnlock()
	if !indexed {
		return nil
	}
	b.gate.Lock()
	defer b.gate.Unlock()
	if err := b.dropIndex(ctx, v); err != nil {
		return fmt.Errorf("index of letters: %w", err)
	}
	b.indexed = false
	return nil
}
