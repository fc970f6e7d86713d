package resilience

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ReplayOptions say how letters are replayed. The zero value is the default.
type ReplayOptions struct {
	Rate        float64       `json:"rate,omitempty"`        // replays that begin in a second; default 5
	Concurrency int           `json:"concurrency,omitempty"` // replays at a time; default 1
	Max         int           `json:"max,omitempty"`         // letters, the oldest ones; default 1000, at most 100,000
	Attempts    int           `json:"attempts,omitempty"`    // of the policy in each replay; default 1
	Timeout     time.Duration `json:"timeout,omitempty"`     // of each replay, in nanoseconds; default 1 minute
	Direct      bool          `json:"direct,omitempty"`      // call the implementation past the policy
	NoCanary    bool          `json:"noCanary,omitempty"`    // do not try one letter of each pattern before the others
	StopErrors  float64       `json:"stopErrors,omitempty"`  // percent of the last StopWindow replays; default 20, None: never
	StopWindow  int           `json:"stopWindow,omitempty"`  // default 20
}

// planValid is how long a plan may be applied, jobsKept how long one that is over is
// told of, and maxReplayed how many letters a plan may have.
const (
	planValid   = 15 * time.Minute
	jobsKept    = 30 * 24 * time.Hour
	maxReplayed = 100_000
)

func (o ReplayOptions) withDefaults() ReplayOptions {
	fill(&o.Rate, 5)
	fill(&o.Concurrency, 1)
	fill(&o.Max, 1000)
	fill(&o.Attempts, 1)
	fill(&o.Timeout, time.Minute)
	fill(&o.StopErrors, 20)
	fill(&o.StopWindow, 20)
	return o
}

// check refuses what makes no sense. o has its defaults.
func (o ReplayOptions) check() error {
	var list complaints
	list.refuse(!(o.Rate > 0 && o.Rate <= 1e6), "rate: must be in (0,1000000]")
	list.refuse(o.Concurrency < 1 || o.Concurrency > 1000, "concurrency: must be in [1,1000]")
	list.refuse(o.Max < 1 || o.Max > maxReplayed, "max: must be in [1,100000]")
	list.refuse(o.Attempts < 1, "attempts: must be at least 1")
	list.refuse(o.Timeout <= 0, "timeout: must be > 0")
	list.refuse(!(o.StopErrors == None || o.StopErrors > 0 && o.StopErrors <= 100), "stopErrors: must be in (0,100], or None")
	list.refuse(o.StopWindow < 1, "stopWindow: must be at least 1")
	if list != nil {
		return fmt.Errorf("replay: %w: %w", ErrInvalid, errors.Join(list...))
	}
	return nil
}

// Plan is what a replay would do. Its Token, given to [LetterBox.Apply], does it,
// and only that: a letter that comes later is not touched, one that has changed is
// skipped and named.
type Plan struct {
	Token   string        `json:"token"` // a hash of the letters, their revisions and the options
	Filter  string        `json:"filter"`
	Options ReplayOptions `json:"options"` // every default filled in
	Made    time.Time     `json:"made"`
	Until   time.Time     `json:"until"` // when the token ends

	Count   int         `json:"count"`            // letters that will be replayed
	Beyond  int         `json:"beyond,omitempty"` // that match, too, and are more than Max
	ByGroup []PlanGroup `json:"byGroup,omitempty"`
	BySig   PlanSig     `json:"bySig"`
	Queues  []string    `json:"queues,omitempty"`
	// NeedsEdit and InDoubt count letters that match and will not be replayed: their
	// arguments are not whole, or it is not known whether a replay succeeded and a
	// second one might do the work twice. Left names them, and others.
	NeedsEdit int        `json:"needsEdit,omitempty"`
	InDoubt   int        `json:"inDoubt,omitempty"`
	Left      []PlanLeft `json:"left,omitempty"`
	Sealed    int        `json:"sealed,omitempty"`
	// NonIdempotent counts letters of methods that are not idempotent: to replay them
	// wants [ApplyOptions].AllowDuplicates.
	NonIdempotent int           `json:"nonIdempotent,omitempty"`
	EstDuration   time.Duration `json:"estDuration"` // at Options.Rate
	First         time.Time     `json:"first,omitzero"`
	Last          time.Time     `json:"last,omitzero"` // deaths of the oldest and the youngest letter
}

// PlanGroup is the part of a plan that is of one pattern.
type PlanGroup struct {
	Group string `json:"group"`
	Error string `json:"error,omitempty"` // of its oldest letter
	Count int    `json:"count"`
	// Lossy counts letters whose types are others by now, so that something is lost
	// or new: to replay them wants the group in [ApplyOptions].AllowLossy. Changes are
	// those of the first of them.
	Lossy   int          `json:"lossy,omitempty"`
	Letter  string       `json:"letter,omitempty"`
	Changes []PlanChange `json:"changes,omitempty"`
}

// PlanChange is a place in the arguments of a letter that a replay would change.
// From and To are JSON, "" where it is not there; of arguments with secrets neither
// is told.
type PlanChange struct {
	Pointer string `json:"pointer"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
}

// PlanSig counts letters by how well they fit the types that methods have now.
type PlanSig struct {
	Same        int `json:"same"`
	Convertible int `json:"convertible"` // by an [Upcast], or nothing is lost
	Lossy       int `json:"lossy"`
	Unknown     int `json:"unknown"` // will not be replayed: see Left
}

// PlanLeft are letters that match and will not be replayed.
type PlanLeft struct {
	Why     string   `json:"why"`
	Count   int      `json:"count"`
	Letters []string `json:"letters"` // ids of the first 10
}

// plannedLetter is a letter of a plan as it was looked at.
type plannedLetter struct {
	ID    string  `json:"id"`
	Rev   Version `json:"rev"`
	Lossy bool    `json:"lossy,omitempty"`
}

// planRecord is a record under plan/<token>: the plan, then the job that was made
// of it.
type planRecord struct {
	Plan    *Plan           `json:"plan,omitempty"`
	Letters []plannedLetter `json:"letters,omitempty"`
	Job     string          `json:"job,omitempty"`
}

// ErrNoPlan says that there is no plan with a token, or not any more.
var ErrNoPlan = errors.New("no such plan: plan again")

const planPrefix = "plan/"

// Plan says what a replay of the letters that a filter chooses would do, and does
// nothing. The plan is kept, so that another process may apply it. Letters that are
// dead are replayed; also those in doubt whose method is idempotent.
func (b *LetterBox) Plan(ctx context.Context, filter string, o ReplayOptions) (Plan, error) {
	o = o.withDefaults()
	f, err := ParseFilter(filter)
	if err == nil {
		err = o.check()
	}
	if err != nil {
		return Plan{}, err
	}
	now := time.Now().Round(0).UTC()
	d := draft{b: b, plan: Plan{Filter: f.String(), Options: o, Made: now, Until: now.Add(planValid)}}
	for s, err := range b.matching(ctx, f, "", true) {
		if err == nil {
			err = d.add(ctx, &s)
		}
		if err != nil {
			return Plan{}, err
		}
	}
	d.finish()
	return d.plan, b.writePlan(ctx, &d.plan, d.letters)
}

// draft is a plan that is being made.
type draft struct {
	b       *LetterBox
	plan    Plan
	letters []plannedLetter
	groups  map[string]*PlanGroup
	order   []*PlanGroup // by their oldest letter
	left    map[string]*PlanLeft
	why     []*PlanLeft
}

// add adds a letter that matches.
func (d *draft) add(ctx context.Context, s *LetterSummary) error {
	if s.State != LetterDead && s.State != LetterInDoubt {
		d.leave(s, fmt.Sprintf("it is %s", s.State))
		return nil
	}
	m, why := d.b.methodOfListed(ctx, s)
	switch {
	case s.State == LetterInDoubt && (m == nil || !m.idempotent):
		d.plan.InDoubt++
		d.leave(s, "it is in doubt: find out whether its replay succeeded, then resolve it")
		return nil
	case s.NeedsEdit:
		d.plan.NeedsEdit++
		d.leave(s, ErrNeedsEdit.Error())
		return nil
	case why != nil:
		d.plan.BySig.Unknown++
		d.leave(s, why.Error())
		return nil
	case len(d.letters) == d.plan.Options.Max:
		d.plan.Beyond++
		return nil
	}
	f := fitted{fit: fitSame}
	if s.Sig != m.sig {
		var err error
		if f, err = d.fit(ctx, s); err != nil {
			return err
		}
	}
	if f.fit != fitUnknown {
		d.take(s, m, f)
	}
	return nil
}

// fit looks at a letter whose types are others by now.
func (d *draft) fit(ctx context.Context, s *LetterSummary) (fitted, error) {
	l, err := d.b.Get(ctx, s.ID)
	if errors.Is(err, ErrNoLetter) {
		return fitted{}, nil
	}
	if err != nil {
		return fitted{}, err
	}
	var f fitted
	m, carried, err := d.b.methodOf(ctx, &l)
	if err == nil {
		f, err = d.b.fitArgs(ctx, m, &l, carried)
	}
	if err != nil {
		d.plan.BySig.Unknown++
		d.leave(s, err.Error())
		return fitted{}, nil
	}
	if g := d.group(s); f.fit == fitLossy && g.Lossy == 0 {
		g.Letter, g.Changes = s.ID, shownChanges(f.changes, &l)
	}
	return f, nil
}

// shownChanges is what may be shown of changes.
func shownChanges(changes []jsonChange, l *Letter) (list []PlanChange) {
	secret := map[string]bool{}
	for _, a := range l.Call.Args {
		secret[a.Name] = len(a.Redacted) > 0 || a.Sealed != nil
	}
	text := func(c jsonChange, n *jsonNode) string {
		switch {
		case n == nil:
			return ""
		case len(c.at) == 0 || secret[c.at[0]]:
			return "(redacted)"
		}
		return cutText(string(n.encode(nil)), maxSummary)
	}
	for _, c := range changes[:min(len(changes), 50)] {
		list = append(list, PlanChange{c.at.String(), text(c, c.from), text(c, c.to)})
	}
	return list
}

// take counts a letter that will be replayed.
func (d *draft) take(s *LetterSummary, m *letterMethod, f fitted) {
	p := &d.plan
	d.letters = append(d.letters, plannedLetter{s.ID, s.Rev, f.fit == fitLossy})
	g := d.group(s)
	g.Count++
	switch f.fit {
	case fitSame:
		p.BySig.Same++
	case fitConvertible:
		p.BySig.Convertible++
	default:
		p.BySig.Lossy++
		g.Lossy++
	}
	if s.Sealed {
		p.Sealed++
	}
	if !m.idempotent {
		p.NonIdempotent++
	}
	if !slices.Contains(p.Queues, s.Queue) {
		p.Queues = append(p.Queues, s.Queue)
	}
	if p.First.IsZero() {
		p.First = s.DeadAt
	}
	p.Last = s.DeadAt
}

func (d *draft) group(s *LetterSummary) *PlanGroup {
	if g := d.groups[s.Group]; g != nil {
		return g
	}
	if d.groups == nil {
		d.groups = map[string]*PlanGroup{}
	}
	g := &PlanGroup{Group: s.Group, Error: s.Error}
	d.groups[s.Group], d.order = g, append(d.order, g)
	return g
}

// leave counts a letter that will not be replayed.
func (d *draft) leave(s *LetterSummary, why string) {
	if d.left == nil {
		d.left = map[string]*PlanLeft{}
	}
	left := d.left[why]
	if left == nil {
		left = &PlanLeft{Why: why}
		d.left[why], d.why = left, append(d.why, left)
	}
	if left.Count++; left.Count <= 10 {
		left.Letters = append(left.Letters, s.ID)
	}
}

// finish sums up.
func (d *draft) finish() {
	p := &d.plan
	p.Count = len(d.letters)
	for _, g := range d.order {
		if g.Count > 0 {
			p.ByGroup = append(p.ByGroup, *g)
		}
	}
	for _, left := range d.why {
		p.Left = append(p.Left, *left)
	}
	slices.Sort(p.Queues)
	p.EstDuration = time.Duration(float64(max(p.Count-1, 0)) / p.Options.Rate * float64(time.Second))
	p.Token = tokenOf(d.letters, p.Options)
}

// tokenOf is the same for the same letters, revisions and options.
func tokenOf(letters []plannedLetter, o ReplayOptions) string {
	text, _ := json.Marshal(struct {
		Options ReplayOptions
		Letters []plannedLetter
	}{o, letters}) // of strings and numbers: it never fails
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// writePlan keeps a plan, and drops those that have ended.
func (b *LetterBox) writePlan(ctx context.Context, p *Plan, letters []plannedLetter) error {
	v, err := b.rt.values()
	if err != nil {
		return err
	}
	if err := b.forgetPlans(ctx, v, p.Made); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	kept := *p
	kept.ByGroup = slices.Clone(p.ByGroup)
	for i := range kept.ByGroup {
		kept.ByGroup[i].Changes = nil // they show arguments
	}
	body, err := json.Marshal(planRecord{Plan: &kept, Letters: letters})
	if err != nil {
		return err
	}
	for {
		_, last, err := b.readPlan(ctx, p.Token)
		if err != nil && !errors.Is(err, ErrNoPlan) {
			return err
		}
		_, err = v.append(ctx, StoreKey("plan", p.Token), last, body)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, ErrConflict) || ctx.Err() != nil: // a conflict: somebody made the same plan meanwhile
			return fmt.Errorf("plan: %w", err)
		}
	}
}

// forgetPlans drops plans that have ended, and jobs that ended long ago.
func (b *LetterBox) forgetPlans(ctx context.Context, v values, now time.Time) error {
	for head, err := range v.heads(ctx, planPrefix, "") {
		if err == nil && head.At.Before(now.Add(-2*planValid)) {
			err = v.drop(ctx, head.Key, head.Version)
		}
		if err != nil {
			return err
		}
	}
	for head, err := range v.heads(ctx, jobPrefix, "") {
		if err == nil && head.At.Before(now.Add(-jobsKept)) {
			err = b.forgetJob(ctx, v, head)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *LetterBox) forgetJob(ctx context.Context, v values, head Record) error {
	run, err := b.readJob(ctx, strings.TrimPrefix(head.Key, jobPrefix))
	if err == nil && run.state().over() {
		err = v.drop(ctx, head.Key, head.Version)
	}
	return err
}

// readPlan folds the records of a plan. last is the version of the last one.
func (b *LetterBox) readPlan(ctx context.Context, token string) (r planRecord, last Version, err error) {
	v, err := b.rt.values()
	if err != nil {
		return r, 0, err
	}
	for rec, err := range v.scan(ctx, StoreKey("plan", token), 0) {
		if err != nil {
			return r, 0, fmt.Errorf("plan: %w", err)
		}
		var next planRecord
		if err := decodeListed(rec.Body, &next); err != nil {
			return r, 0, fmt.Errorf("plan %.40s: %w", token, err)
		}
		if last = rec.Version; next.Plan != nil {
			r = next
		} else {
			r.Job = next.Job
		}
	}
	if last == 0 || r.Plan == nil || !strings.EqualFold(r.Plan.Token, token) {
		return r, last, ErrNoPlan
	}
	return r, last, nil
}
