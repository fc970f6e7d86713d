package resilience

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// JobState is what has become of a job.
type JobState string

// States of jobs.
const (
	JobRunning   JobState = "running"
	JobPaused    JobState = "paused"    // by somebody
	JobStopped   JobState = "stopped"   // too many replays failed; it can be resumed
	JobCancelled JobState = "cancelled" // by somebody, for good
	JobDone      JobState = "done"
)

// over reports whether a job does nothing more, ever.
func (s JobState) over() bool { return s == JobCancelled || s == JobDone }

// What became of a letter in a job, besides the outcomes of replays.
const (
	JobQuarantined = "quarantined" // its replay failed, for the last time that is allowed
	JobSkipped     = "skipped"     // it was not replayed
	JobInDoubt     = "in_doubt"    // its replay began, and nobody knows how it ended
)

// Job is a replay of the letters of a plan.
type Job struct {
	ID      string        `json:"id"`
	Token   string        `json:"token"` // of the plan
	Filter  string        `json:"filter"`
	Options ReplayOptions `json:"options"`
	Apply   ApplyOptions  `json:"apply"`
	State   JobState      `json:"state"`
	Why     string        `json:"why,omitempty"`   // of the state
	Waits   string        `json:"waits,omitempty"` // for what, while it runs: a breaker, the store
	Made    time.Time     `json:"made"`
	Changed time.Time     `json:"changed"` // when the state or a letter changed

	Total       int `json:"total"`
	Succeeded   int `json:"succeeded"`
	Failed      int `json:"failed"`      // dead again
	Quarantined int `json:"quarantined"` // failed for the last time
	Skipped     int `json:"skipped"`
	InDoubt     int `json:"inDoubt"`
	Left        int `json:"left"`

	Rate float64     `json:"rate,omitempty"` // letters a second since it began, in this process
	ETA  time.Time   `json:"eta,omitzero"`
	Log  []JobChange `json:"log,omitempty"`
	Done []JobResult `json:"done,omitempty"` // letter by letter, in the order in which they ended; not in lists
}

// JobChange is a change of the state of a job.
type JobChange struct {
	At  time.Time `json:"at"`
	To  JobState  `json:"to"`
	By  string    `json:"by,omitempty"`
	Why string    `json:"why,omitempty"`
}

// JobResult is what became of a letter.
type JobResult struct {
	At      time.Time `json:"at"`
	Letter  string    `json:"letter"`
	Outcome string    `json:"outcome"` // succeeded, failed, quarantined, skipped or in_doubt
	Why     string    `json:"why,omitempty"`
}

// ApplyOptions are what the one who applies a plan has to know and say.
type ApplyOptions struct {
	By string `json:"by,omitempty"`
	// AllowDuplicates replays letters of methods that are not idempotent: what the
	// first call did may be done again. Queue is the name of their queue, typed by
	// hand.
	AllowDuplicates bool   `json:"allowDuplicates,omitempty"`
	Queue           string `json:"queue,omitempty"`
	// AllowLossy are the groups whose letters are replayed although [PlanGroup].Changes
	// tells of losses.
	AllowLossy []string `json:"allowLossy,omitempty"`
}

// jobRecord is a record under job/<id>: its start, then what becomes of its letters
// and of itself.
type jobRecord struct {
	Start   *Job            `json:"start,omitempty"`
	Letters []plannedLetter `json:"letters,omitempty"`
	Result  *JobResult      `json:"result,omitempty"`
	Change  *JobChange      `json:"change,omitempty"`
}

// ErrNoJob says that there is no job under an id.
var ErrNoJob = errors.New("no such job")

const jobPrefix = "job/"

// Apply makes a job of a plan and begins it. The job is durable: where the process
// ends, the next one that has the wrappers goes on with it. A plan is applied once;
// [ErrPlanApplied] comes with the job that was made of it.
func (b *LetterBox) Apply(ctx context.Context, token string, o ApplyOptions) (Job, error) {
	r, last, err := b.readPlan(ctx, token)
	if err != nil {
		return Job{}, fmt.Errorf("plan %.40q: %w", token, err)
	}
	if r.Job != "" {
		j, err := b.Job(ctx, r.Job)
		if !errors.Is(err, ErrNoJob) {
			return j, errors.Join(fmt.Errorf("plan %s is job %s: %w", token, r.Job, ErrPlanApplied), err)
		} // else the process died between the two records
	}
	if err := r.Plan.permits(o); err != nil {
		return Job{}, err
	}
	if r.Job == "" {
		if r.Job, err = b.markApplied(ctx, token, last); err != nil {
			return Job{}, err
		}
	}
	run, err := b.makeJob(ctx, r, o)
	if err != nil {
		b.resumeLater() // if it was written all the same, it is to go on here
		return Job{}, err
	}
	b.board.start(run)
	return run.present(true), nil
}

// permits refuses what the plan says to be told, and was not.
func (p *Plan) permits(o ApplyOptions) error {
	switch {
	case time.Now().After(p.Until):
		return fmt.Errorf("plan %s ended at %s: %w", p.Token, p.Until.Format(time.RFC3339), ErrNoPlan)
	case p.Count == 0:
		return fmt.Errorf("plan %s has no letters that can be replayed: %w", p.Token, ErrInvalid)
	case p.NonIdempotent > 0 && !o.AllowDuplicates:
		return fmt.Errorf("%d letters are of methods that are not idempotent: a replay may do again what the first call did; allow duplicates and name the queue: %w", p.NonIdempotent, ErrNotPermitted)
	case p.NonIdempotent > 0 && len(p.Queues) > 1:
		return fmt.Errorf("duplicates are allowed for one queue at a time, and these are letters of %s: %w", strings.Join(p.Queues, ", "), ErrNotPermitted)
	case p.NonIdempotent > 0 && o.Queue != p.Queues[0]:
		return fmt.Errorf("the letters are in queue %s: %.100q was typed: %w", p.Queues[0], o.Queue, ErrNotPermitted)
	}
	return nil
}

// markApplied decides who of two applies a plan, before there is a job.
func (b *LetterBox) markApplied(ctx context.Context, token string, last Version) (job string, err error) {
	v, err := b.rt.values()
	if err != nil {
		return "", err
	}
	job = newLetterID(time.Now())
	body, err := json.Marshal(planRecord{Job: job})
	for err == nil {
		_, err = v.append(ctx, StoreKey("plan", token), last, body)
		if !errors.Is(err, ErrConflict) {
			break
		}
		var r planRecord
		if r, last, err = b.readPlan(ctx, token); err == nil && r.Job != "" { // else the same plan was made again
			err = ErrPlanApplied
		}
	}
	if err != nil {
		err = fmt.Errorf("plan %s: %w", token, err)
	}
	return job, err
}

// makeJob writes the first record of a job.
func (b *LetterBox) makeJob(ctx context.Context, r planRecord, o ApplyOptions) (*jobRun, error) {
	now := time.Now().Round(0).UTC()
	j := Job{ID: r.Job, Token: r.Plan.Token, Filter: r.Plan.Filter, Options: r.Plan.Options, Apply: o, State: JobRunning,
		Made: now, Changed: now, Total: len(r.Letters), Log: []JobChange{{At: now, To: JobRunning, By: o.By}}}
	run := newJobRun(b, j.ID)
	if err := run.append(ctx, jobRecord{Start: &j, Letters: r.Letters}); err != nil {
		return nil, fmt.Errorf("job %s: %w", j.ID, err)
	}
	return run, nil
}

// fold adds a record to a job.
func (r *jobRun) fold(rec jobRecord, version Version) error {
	switch {
	case (rec.Start == nil) == (r.version == 0):
		return fmt.Errorf("record %d is out of place", version)
	case rec.Start != nil:
		r.job, r.letters = *rec.Start, rec.Letters
	case rec.Result != nil:
		r.count(*rec.Result)
	case rec.Change != nil:
		r.job.State, r.job.Why, r.job.Changed = rec.Change.To, rec.Change.Why, rec.Change.At
		r.job.Log = append(r.job.Log, *rec.Change)
	}
	r.version = version
	return nil
}

func (r *jobRun) count(res JobResult) {
	if r.settled[res.Letter] {
		return
	}
	r.settled[res.Letter] = true
	r.job.Done, r.job.Changed = append(r.job.Done, res), res.At
	switch res.Outcome {
	case ReplaySucceeded:
		r.job.Succeeded++
	case ReplayFailed:
		r.job.Failed++
	case JobQuarantined:
		r.job.Quarantined++
	case JobInDoubt:
		r.job.InDoubt++
	default:
		r.job.Skipped++
	}
}

// readJob folds the records of a job.
func (b *LetterBox) readJob(ctx context.Context, id string) (*jobRun, error) {
	v, err := b.rt.values()
	if err != nil {
		return nil, err
	}
	run := newJobRun(b, id)
	for rec, err := range v.scan(ctx, StoreKey("job", id), 0) {
		var next jobRecord
		if err == nil {
			err = decodeListed(rec.Body, &next)
		}
		if err == nil {
			err = run.fold(next, rec.Version)
		}
		if err != nil {
			return nil, fmt.Errorf("job %.40s: %w", id, err)
		}
	}
	if run.version == 0 || run.job.ID != id {
		return nil, fmt.Errorf("job %.40q: %w", id, ErrNoJob)
	}
	return run, nil
}

// Job returns a job with what became of each letter.
func (b *LetterBox) Job(ctx context.Context, id string) (Job, error) {
	run, err := b.jobRun(ctx, id)
	if err != nil {
		return Job{}, err
	}
	return run.present(true), nil
}

// jobRun returns the job that runs here, or what is known of it.
func (b *LetterBox) jobRun(ctx context.Context, id string) (*jobRun, error) {
	if run := b.board.running(id); run != nil {
		if b.shared() {
			run.listen(ctx)
		}
		return run, nil
	}
	return b.readJob(ctx, id)
}

// Jobs returns all jobs, the youngest first.
func (b *LetterBox) Jobs(ctx context.Context) ([]Job, error) {
	ids, err := b.jobIDs(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Job, 0, len(ids))
	for _, id := range ids {
		run, err := b.jobRun(ctx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, run.present(false))
	}
	slices.SortFunc(list, func(a, b Job) int { return cmp.Or(b.Made.Compare(a.Made), strings.Compare(b.ID, a.ID)) })
	return list, nil
}

// jobIDs lists the jobs that the store has.
func (b *LetterBox) jobIDs(ctx context.Context) (ids []string, err error) {
	v, err := b.rt.values()
	if err != nil {
		return nil, err
	}
	for head, err := range v.heads(ctx, jobPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
		ids = append(ids, strings.TrimPrefix(head.Key, jobPrefix))
	}
	return ids, nil
}

// present returns a copy of what is known of a job now.
func (r *jobRun) present(whole bool) Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.job
	j.Log, j.Done = slices.Clone(j.Log), nil
	if whole {
		j.Done = slices.Clone(r.job.Done)
	}
	j.Left = j.Total - j.Succeeded - j.Failed - j.Quarantined - j.Skipped - j.InDoubt
	if j.State == JobRunning {
		j.Waits = r.waits
		now := time.Now()
		if took, n := now.Sub(r.began), len(r.job.Done)-r.before; !r.began.IsZero() && took > 0 && n > 0 {
			j.Rate = float64(n) / took.Seconds()
			j.ETA = now.Add(time.Duration(float64(j.Left) / j.Rate * float64(time.Second))).Round(time.Second).UTC()
		}
	}
	return j
}

// PauseJob has a job begin no replay until it is resumed; those that run go on.
func (b *LetterBox) PauseJob(ctx context.Context, id, by, why string) (Job, error) {
	return b.turn(ctx, id, JobChange{To: JobPaused, By: by, Why: why}, JobRunning)
}

// ResumeJob has a job go on that was paused, or that stopped because too many
// replays failed.
func (b *LetterBox) ResumeJob(ctx context.Context, id, by, why string) (Job, error) {
	return b.turn(ctx, id, JobChange{To: JobRunning, By: by, Why: why}, JobPaused, JobStopped)
}

// CancelJob ends a job; replays that run go on, and the letters that are left stay as
// they are.
func (b *LetterBox) CancelJob(ctx context.Context, id, by, why string) (Job, error) {
	return b.turn(ctx, id, JobChange{To: JobCancelled, By: by, Why: why}, JobRunning, JobPaused, JobStopped)
}

// turn changes the state of a job that is in one of some.
func (b *LetterBox) turn(ctx context.Context, id string, c JobChange, from ...JobState) (Job, error) {
	run, err := b.jobRun(ctx, id)
	if err != nil {
		return Job{}, err
	}
	if err := run.turn(ctx, c, from...); err != nil {
		return run.present(false), fmt.Errorf("job %s: %w", id, err)
	}
	if !c.To.over() && (c.To == JobRunning || !b.shared()) { // another one may have it, and hears what is written
		b.board.start(run) // if it does not run
	}
	if now := b.board.running(id); now != nil && now != run { // began meanwhile
		now.refresh(ctx)
	}
	return run.present(false), nil
}

func (r *jobRun) turn(ctx context.Context, c JobChange, from ...JobState) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	defer r.rouse()
	for try := 0; ; try++ {
		state := r.state()
		if !slices.Contains(from, state) {
			return &clash{fmt.Sprintf("it is %s, and cannot become %s", state, c.To)}
		}
		c.At = time.Now().Round(0).UTC()
		err := r.write(ctx, jobRecord{Change: &c})
		if !errors.Is(err, ErrConflict) || try == mostConflicts { // what another process wrote is known by now
			return err
		}
	}
}

func (r *jobRun) state() JobState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.job.State
}

// append writes a record of a job.
func (r *jobRun) append(ctx context.Context, rec jobRecord) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	err := r.write(ctx, rec)
	if errors.Is(err, ErrConflict) { // what another one wrote is known by now
		err = r.write(ctx, rec)
	}
	return err
}

// write appends a record after the last one that is known. Where another one wrote,
// or the store gave no answer, it then reads what is there. r.writing is held.
func (r *jobRun) write(ctx context.Context, rec jobRecord) error {
	v, err := r.box.rt.values()
	if err != nil {
		return err
	}
	body, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	ctx, cancel := durably(ctx)
	defer cancel()
	version, err := v.append(ctx, StoreKey("job", r.id), r.version, body)
	if err == nil {
		return r.learn(rec, version)
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrUnavailable) {
		r.catchUp(ctx, v)
	}
	return err
}

// learn folds a record that is there.
func (r *jobRun) learn(rec jobRecord, version Version) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fold(rec, version)
}

// refresh has the job look at what another one has written.
func (r *jobRun) refresh(ctx context.Context) {
	r.listen(ctx)
	r.rouse()
}

// listen reads what another one has written.
func (r *jobRun) listen(ctx context.Context) {
	if v, err := r.box.rt.values(); err == nil {
		r.writing.Lock()
		r.catchUp(ctx, v)
		r.writing.Unlock()
	}
}

// catchUp reads records that are there and not known. r.writing is held.
func (r *jobRun) catchUp(ctx context.Context, v values) {
	for rec, err := range v.scan(ctx, StoreKey("job", r.id), r.version) {
		var next jobRecord
		if err != nil || decodeListed(rec.Body, &next) != nil || r.learn(next, rec.Version) != nil {
			return // the next write sees it
		}
	}
}
