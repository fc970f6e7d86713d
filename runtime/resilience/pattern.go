package resilience

import (
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// PatternState is where a pattern is in its life.
type PatternState string

// States of patterns. One is new for a day, then ongoing; resolved when somebody
// says so, and regressed when it comes back.
const (
	PatternNew       PatternState = "new"
	PatternOngoing   PatternState = "ongoing"
	PatternResolved  PatternState = "resolved"
	PatternRegressed PatternState = "regressed"
	PatternMuted     PatternState = "muted" // counted, and nobody is told
)

// LetterPattern are the letters that failed alike.
type LetterPattern struct {
	ID        string       `json:"id"` // "fp1:…", of Letter.Group
	Title     string       `json:"title"`
	State     PatternState `json:"state"`
	Owner     string       `json:"owner,omitempty"`
	Interface string       `json:"interface"`
	Method    string       `json:"method"`
	Reason    Reason       `json:"reason"`
	Errors    string       `json:"errors"` // types of the first letter's
	FirstSeen time.Time    `json:"firstSeen"`
	LastSeen  time.Time    `json:"lastSeen"`
	Total     int64        `json:"total"` // letters ever, and replays that failed like this
	Open      int          `json:"open"`  // letters that wait for somebody

	LastMinute int   `json:"lastMinute"`
	LastHour   int   `json:"lastHour"`
	LastDay    int   `json:"lastDay"`
	Minutes    []int `json:"minutes"` // 60, oldest first; the last one is the present
	Hours      []int `json:"hours"`   // 48, likewise

	// The eight that came first of each, the others under "other".
	Versions map[string]int64 `json:"versions,omitempty"`
	Hosts    map[string]int64 `json:"hosts,omitempty"`
	Policies map[string]int64 `json:"policies,omitempty"`

	FirstLetter string       `json:"firstLetter"`
	LastLetter  string       `json:"lastLetter"`
	Samples     []string     `json:"samples,omitempty"` // three of all
	Notes       []LetterNote `json:"notes,omitempty"`
	// ResolvedIn is the version that mends it: letters of those versions that had it
	// before do not make it regressed, since instances of them may still run.
	ResolvedIn string    `json:"resolvedIn,omitempty"`
	ResolvedAt time.Time `json:"resolvedAt,omitzero"`
}

// OtherPattern is the id of the pattern that counts for those that had to make
// room.
const OtherPattern = "other"

const (
	maxPatterns     = 1000
	maxPatternNames = 8
	maxPatternNotes = 32
	patternSamples  = 3
	newFor          = 24 * time.Hour
	spikeFloor      = 10 // letters a minute
	spikeFactor     = 4  // above the usual rate
)

// pattern counts. The box's mutex guards it.
type pattern struct {
	LetterPattern
	minutes counterRing
	hours   counterRing
	usual   float64       // letters a minute, a moving average
	told    int64         // minute of the spike that was told last
	change  patternChange // what somebody said last
	rev     Version       // of its record
	through string        // the last letter that is in Total
	adopted string        // the last letter that is in a Total that was read from the store
}

// counterRing counts in slots of time.
type counterRing struct {
	Counts []int32 `json:"counts"`
	Slot   int64   `json:"slot"` // number of the present one since 1970
}

// to moves on to the slot of t, of a width.
func (r *counterRing) to(t time.Time, width time.Duration) {
	slot, size := t.UnixNano()/int64(width), int64(len(r.Counts))
	for n := max(r.Slot+1, slot-size+1); n <= slot; n++ {
		r.Counts[n%size] = 0
	}
	r.Slot = max(r.Slot, slot)
}

// add counts what happened at t, which may be some slots ago.
func (r *counterRing) add(t time.Time, width time.Duration) int32 {
	r.to(t, width)
	slot, size := t.UnixNano()/int64(width), int64(len(r.Counts))
	if slot <= r.Slot-size || slot < 0 {
		return 0
	}
	r.Counts[slot%size]++
	return r.Counts[slot%size]
}

// list returns the counts, oldest first.
func (r *counterRing) list() []int {
	size := int64(len(r.Counts))
	out := make([]int, size)
	for i := range out {
		out[i] = int(r.Counts[(r.Slot+1+int64(i))%size])
	}
	return out
}

func newPattern(id string) *pattern {
	return &pattern{
		LetterPattern: LetterPattern{ID: id, State: PatternNew},
		minutes:       counterRing{Counts: make([]int32, 60)}, hours: counterRing{Counts: make([]int32, 48)},
	}
}

// patterns are those of a box, whose mutex guards them.
type patterns struct{ by map[string]*pattern }

func (ps *patterns) find(id string) *pattern {
	if p := ps.by[id]; p != nil {
		return p
	}
	return ps.by[OtherPattern]
}

// get returns a pattern, for which others may have to make room.
func (ps *patterns) get(id string) *pattern {
	if p := ps.by[id]; p != nil {
		return p
	}
	if len(ps.by) >= maxPatterns {
		ps.makeRoom()
	}
	p := newPattern(id)
	ps.by[id] = p
	return p
}

// makeRoom puts the pattern that was seen least recently into the other one, rather
// one that nobody said anything about.
func (ps *patterns) makeRoom() {
	var oldest *pattern
	for _, p := range ps.by {
		if p.ID == OtherPattern {
			continue
		}
		if oldest == nil || p.change.given() != oldest.change.given() && !p.change.given() ||
			p.change.given() == oldest.change.given() && (p.LastSeen.Before(oldest.LastSeen) || p.LastSeen.Equal(oldest.LastSeen) && p.ID < oldest.ID) {
			oldest = p
		}
	}
	delete(ps.by, oldest.ID)
	other := ps.by[OtherPattern]
	if other == nil {
		other = newPattern(OtherPattern)
		other.Title, other.State, other.FirstSeen = "patterns that had to make room", PatternOngoing, oldest.FirstSeen
		ps.by[OtherPattern] = other
	}
	other.Total += oldest.Total
	other.Open += oldest.Open
	if other.LastSeen.Before(oldest.LastSeen) {
		other.LastSeen, other.LastLetter = oldest.LastSeen, oldest.LastLetter
	}
}

// open reports whether a letter waits for somebody.
func (s *LetterSummary) open() bool {
	return s.State != LetterReplayed && s.State != LetterDiscarded && s.State != LetterExpired
}

// tally keeps the number of letters of each pattern that wait.
func (ps *patterns) tally(s *LetterSummary, by int) {
	if s.Group != "" && s.open() {
		if p := ps.find(s.Group); p != nil {
			p.Open += by
		}
	}
}

// patternNews is what became of a pattern that somebody is to be told of.
type patternNews struct {
	id     string
	reason string
}

// count counts a letter that died, and says whether that is news: "new",
// "regressed" or "spike".
func (ps *patterns) count(s *LetterSummary) (news patternNews) {
	if s.Group == "" {
		return news
	}
	p := ps.get(s.Group)
	p.through = max(p.through, s.ID)
	if p.Total == 0 {
		p.begin(s)
		news = patternNews{p.ID, "new"}
	}
	p.Total++
	if p.regresses(s) {
		p.State, p.change.State = PatternRegressed, PatternRegressed
		news = patternNews{p.ID, "regressed"}
	}
	p.sample(s)
	tallyName(&p.Versions, s.Version)
	tallyName(&p.Hosts, s.Host)
	tallyName(&p.Policies, s.Policy)
	if p.LastSeen.Before(s.Last) {
		p.LastSeen, p.LastLetter = s.Last, s.ID
	}
	if p.spikes(s.Last) && news.id == "" {
		news = patternNews{p.ID, "spike"}
	}
	if p.State == PatternMuted {
		return patternNews{}
	}
	return news
}

// begin notes what the first letter says.
func (p *pattern) begin(s *LetterSummary) {
	p.Title = cutText(string(s.Reason)+": "+templated(s.Error), maxSummary)
	p.Interface, p.Method, p.Reason, p.Errors = s.Interface, s.Method, s.Reason, s.ErrorTypes
	p.FirstSeen, p.FirstLetter = s.DeadAt, s.ID
}

// regresses reports whether a letter says that the pattern is not resolved.
func (p *pattern) regresses(s *LetterSummary) bool {
	if p.State != PatternResolved || !s.Last.After(p.ResolvedAt) {
		return false
	}
	_, had := p.Versions[s.Version]
	return p.ResolvedIn == "" || s.Version == p.ResolvedIn || !had
}

// sample keeps three letters of all, each with the same chance (Vitter, "Random
// sampling with a reservoir", 1985, algorithm R). The chance comes from the id, so
// that nobody needs a source of it.
func (p *pattern) sample(s *LetterSummary) {
	if len(p.Samples) < patternSamples {
		p.Samples = append(p.Samples, s.ID)
		return
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.ID)) // never fails
	if at := h.Sum64() % uint64(p.Total); at < patternSamples {
		p.Samples[at] = s.ID
	}
}

func tallyName(names *map[string]int64, name string) {
	if name == "" {
		return
	}
	if *names == nil {
		*names = map[string]int64{}
	}
	if _, ok := (*names)[name]; !ok && len(*names) >= maxPatternNames {
		name = "other"
	}
	(*names)[name]++
}

// spikes counts what happened at t, and reports whether more of it comes in this
// minute than is usual; once a minute.
func (p *pattern) spikes(t time.Time) bool {
	minute := t.UnixNano() / int64(time.Minute)
	if past := minute - p.minutes.Slot; past > 0 {
		before := float64(p.minutes.Counts[p.minutes.Slot%60])
		p.usual = (p.usual*0.9 + before*0.1) * math.Pow(0.9, float64(min(past-1, 1000)))
	}
	n := p.minutes.add(t, time.Minute)
	p.hours.add(t, time.Hour)
	if float64(n) <= max(spikeFactor*p.usual, spikeFloor) || p.told == minute || p.FirstSeen.Add(time.Hour).After(t) {
		return false
	}
	p.told = minute
	return true
}

// snapshot is p at a time.
func (p *pattern) snapshot(now time.Time) LetterPattern {
	p.minutes.to(now, time.Minute)
	p.hours.to(now, time.Hour)
	out := p.LetterPattern.clone()
	if out.State == PatternNew && now.Sub(out.FirstSeen) >= newFor {
		out.State = PatternOngoing
	}
	out.Minutes, out.Hours = p.minutes.list(), p.hours.list()
	out.LastMinute = out.Minutes[len(out.Minutes)-1]
	out.LastHour, out.LastDay = sum(out.Minutes), sum(out.Hours[len(out.Hours)-24:])
	return out
}

// clone returns p with nothing that goes on counting.
func (p LetterPattern) clone() LetterPattern {
	p.Versions, p.Hosts, p.Policies = maps.Clone(p.Versions), maps.Clone(p.Hosts), maps.Clone(p.Policies)
	p.Samples, p.Notes = slices.Clone(p.Samples), slices.Clone(p.Notes)
	return p
}

func sum(list []int) (n int) {
	for _, i := range list {
		n += i
	}
	return n
}

// PatternChange is what somebody says of a pattern. Fields that are empty leave
// what is there.
type PatternChange struct {
	State      PatternState `json:"state,omitempty"` // ongoing, resolved or muted
	ResolvedIn string       `json:"resolvedIn,omitempty"`
	Owner      string       `json:"owner,omitempty"`
	Note       string       `json:"note,omitempty"`
	By         string       `json:"by,omitempty"`
}

// patternChange is what is written under the key of a pattern: what people said,
// and what was counted of letters that are gone, neither of which can be counted
// again.
type patternChange struct {
	ID         string        `json:"id"`
	Counted    *patternCount `json:"counted,omitempty"`
	State      PatternState  `json:"state,omitempty"`
	Owner      string        `json:"owner,omitempty"`
	Notes      []LetterNote  `json:"notes,omitempty"`
	ResolvedIn string        `json:"resolvedIn,omitempty"`
	ResolvedAt time.Time     `json:"resolvedAt,omitzero"`
}

// patternCount is what a pattern counted up to a letter.
type patternCount struct {
	Through string        `json:"through"`
	Pattern LetterPattern `json:"pattern"`
}

// given reports whether people said something.
func (c *patternChange) given() bool {
	return c.State != "" || c.Owner != "" || len(c.Notes) > 0
}

// say puts what was said into p, and what was counted, unless p has counted as many
// itself.
func (p *pattern) say(c patternChange) {
	p.change = c
	if n := c.Counted; n != nil && n.Pattern.Total > p.Total {
		open := p.Open
		p.LetterPattern, p.through, p.adopted = n.Pattern.clone(), n.Through, n.Through // n is written again as it is
		p.ID, p.Open, p.Minutes, p.Hours = c.ID, open, nil, nil
	}
	if c.State != "" {
		p.State = c.State
	}
	p.Owner, p.Notes, p.ResolvedIn, p.ResolvedAt = c.Owner, c.Notes, c.ResolvedIn, c.ResolvedAt
}

// with returns c after a change.
func (c patternChange) with(id string, o PatternChange, now time.Time) patternChange {
	c.ID = id
	fillFrom(&c.Owner, o.Owner)
	if o.State != "" {
		c.State = o.State
		c.ResolvedIn, c.ResolvedAt = "", time.Time{}
		if o.State == PatternResolved {
			c.ResolvedIn, c.ResolvedAt = o.ResolvedIn, now
		}
	}
	if o.Note != "" {
		c.Notes = append(slices.Clone(c.Notes), LetterNote{At: now, By: o.By, Text: cutText(o.Note, maxErrText)})
		c.Notes = c.Notes[max(len(c.Notes)-maxPatternNotes, 0):]
	}
	return c
}

func fillFrom(field *string, value string) {
	if value != "" {
		*field = value
	}
}

// fits reports whether a text of a list of patterns names p: its id, its title or
// the types of its errors.
func (p *LetterPattern) fits(text string) bool {
	if text == "" {
		return true
	}
	return p.ID == text || strings.Contains(p.Title, text) || strings.Contains(p.Errors, text) || strings.Contains(p.Interface+"."+p.Method, text) || string(p.State) == text
}
