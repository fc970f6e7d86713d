package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	breakerLook = time.Second      // between two looks at a breaker that is not closed
	probeGrace  = 5 * time.Second  // that live calls have to probe a half-open breaker
	storeRetry  = time.Second      // before a write is tried again; it doubles
	storeRest   = 30 * time.Second // up to this
	closeGrace  = 5 * time.Second  // that Close gives to replays that run
	resumeDelay = time.Second      // after the last wrapper was made
	claimGrace  = time.Minute      // that a claim lasts beyond the timeout of its replay
)

// jobBoard are the jobs of a process, and the replays that it makes.
type jobBoard struct {
	mu       sync.Mutex
	attempts map[string]bool // ids of claims whose end is ours to write
	jobs     map[string]*jobRun
	answers  map[string]chan struct{} // of runs, by the letter that is replayed
	closed   bool
	resume   *time.Timer    // nil until a wrapper was made
	resuming sync.WaitGroup // the func of the timer
}

// resumeLater has jobs of former processes go on, when the wrappers of this one are
// made. Of a store that is shared nobody knows whether who runs a job is gone:
// there, [LetterBox.ResumeJob] does it.
func (b *LetterBox) resumeLater() {
	if !b.exclusive() {
		return
	}
	j := &b.board
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
	case j.resume == nil:
		j.resume = time.AfterFunc(resumeDelay, b.resumeJobs)
	default:
		j.resume.Reset(resumeDelay)
	}
}

// resumeJobs starts the jobs that have not ended. Where the store does not answer it
// is tried again.
func (b *LetterBox) resumeJobs() {
	j := &b.board
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return
	}
	j.resuming.Add(1)
	j.mu.Unlock()
	defer j.resuming.Done()
	ctx, cancel := durably(context.Background())
	defer cancel()
	ids, err := b.jobIDs(ctx)
	for _, id := range ids {
		run, failed := b.jobRun(ctx, id)
		switch {
		case failed == nil && !run.state().over():
			j.start(run)
		case awaits(failed):
			err = failed
		}
	}
	if err != nil && !errors.Is(err, ErrClosed) {
		j.mu.Lock()
		j.resume.Reset(storeRest)
		j.mu.Unlock()
	}
}

func (j *jobBoard) begin(attempt string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.attempts == nil {
		j.attempts = map[string]bool{}
	}
	j.attempts[attempt] = true
}

func (j *jobBoard) end(attempt string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.attempts, attempt)
}

func (j *jobBoard) runs(attempt string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.attempts[attempt]
}

// running returns a job that runs here, nil if it does not.
func (j *jobBoard) running(id string) *jobRun {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.jobs[id]
}

// start has a job run here, unless it does.
func (j *jobBoard) start(run *jobRun) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed || j.jobs[run.id] != nil {
		return
	}
	if j.jobs == nil {
		j.jobs = map[string]*jobRun{}
	}
	j.jobs[run.id] = run
	go run.run()
}

func (j *jobBoard) left(run *jobRun) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.jobs, run.id)
}

// close has every job stop, and waits for them: replays that run are cancelled.
func (j *jobBoard) close() {
	j.mu.Lock()
	j.closed = true
	if j.resume != nil {
		j.resume.Stop()
	}
	var runs []*jobRun
	for _, run := range j.jobs {
		runs = append(runs, run)
	}
	j.mu.Unlock()
	j.resuming.Wait()
	for _, run := range runs {
		run.cancel()
	}
	limit := time.NewTimer(closeGrace)
	defer limit.Stop()
	for _, run := range runs {
		select {
		case <-run.ended:
		case <-limit.C: // a delegate that does not listen: its letter will be in doubt
			return
		}
	}
}

// jobRun is a job that runs here, or what was read of one.
type jobRun struct {
	box     *LetterBox
	id      string
	writing sync.Mutex // held while a record is written
	version Version    // of the last one; under writing
	wake    chan struct{}
	ctx     context.Context // of its replays; ends with the Runtime
	cancel  context.CancelFunc
	ended   chan struct{}

	mu      sync.Mutex // of what follows
	job     Job
	letters []plannedLetter
	settled map[string]bool
	waits   string // why nothing happens now
	began   time.Time
	before  int // letters that had ended then

	// Of the goroutine of the job alone:
	waiting  []*replayed
	canaries map[string]canary
	keys     map[string]bool   // order keys of letters on their way
	stuck    map[string]string // order keys of which a letter failed
	window   []bool            // outcomes of the last replays: failed
	inFlight int
	results  chan *replayed
	next     time.Time            // when a replay may begin
	halfOpen map[*Guard]time.Time // since when its breaker is
	turnOf   jobTurn
}

func newJobRun(b *LetterBox, id string) *jobRun {
	r := &jobRun{box: b, id: id, settled: map[string]bool{}, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// canary is what is known of a pattern.
type canary uint8

const (
	canaryNone canary = iota
	canaryFlies
	canaryLives
	canaryDied
)

// replayed is a letter of a job on its way.
type replayed struct {
	plannedLetter
	group, key string
	m          *letterMethod
	carried    bool // see [NodeNow]
	canary     bool // it goes ahead
	result     JobResult
	failed     bool          // the replay was made and failed
	same       bool          // with the fingerprint that it had
	again      bool          // it was not admitted, and comes again
	after      time.Duration // not before this
}

// rouse has the job look at its state.
func (r *jobRun) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run is the goroutine of a job.
func (r *jobRun) run() {
	defer close(r.ended)
	defer r.box.board.left(r)
	defer r.cancel()
	defer r.yield()
	r.prepare()
	for r.step() {
	}
	for r.inFlight > 0 {
		r.take(<-r.results)
	}
}

// prepare looks up what the order of the letters depends on.
func (r *jobRun) prepare() {
	_ = r.try(func() error { return r.box.current(r.ctx) })
	r.mu.Lock()
	r.began, r.before = time.Now(), len(r.job.Done)
	letters, o := r.letters, r.job.Options
	r.mu.Unlock()
	r.canaries, r.keys, r.stuck = map[string]canary{}, map[string]bool{}, map[string]string{}
	r.results = make(chan *replayed, o.Concurrency)
	for _, l := range letters {
		if r.isSettled(l.ID) {
			continue
		}
		w := &replayed{plannedLetter: l}
		if s, ok := r.box.summaryOf(l.ID); ok {
			w.group = s.Group
			if s.OrderKey != "" {
				w.key = s.Interface + "." + s.Method + s.Instance + "\x00" + s.OrderKey
			}
		}
		r.waiting = append(r.waiting, w)
	}
}

// step does the next thing. It reports false at the end.
func (r *jobRun) step() bool {
	mine := r.mine() // and so it hears what others wrote
	state := r.state()
	switch {
	case r.ctx.Err() != nil || state.over():
		return false
	case !mine:
		r.rest(jobLook)
		return true
	case len(r.waiting) == 0 && r.inFlight == 0:
		return !r.surely(func() error { return r.finish(JobDone, "") })
	case state != JobRunning || r.inFlight == r.job.Options.Concurrency:
		r.rest(r.idle())
		return true
	}
	at := r.pick()
	if at < 0 { // all that is left waits for what is in flight
		r.rest(r.idle())
		return true
	}
	if wait := r.hold(r.waiting[at]); wait > 0 {
		r.rest(r.atMost(wait))
		return true
	}
	w := r.waiting[at]
	r.waiting = slices.Delete(r.waiting, at, at+1)
	if why := r.banned(w); why != "" {
		w.result = JobResult{Outcome: JobSkipped, Why: why}
		r.conclude(w)
		return true
	}
	r.launch(w)
	return true
}

// finish says that a job ended by itself.
func (r *jobRun) finish(to JobState, why string) error {
	if r.state() == to {
		return nil
	}
	return r.append(r.ctx, jobRecord{Change: &JobChange{At: time.Now().Round(0).UTC(), To: to, Why: why}})
}

// rest waits until a replay ends, somebody wants something, or for a time.
func (r *jobRun) rest(limit time.Duration) {
	var over <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		over = t.C
	}
	select {
	case w := <-r.results:
		r.take(w)
	case <-r.wake:
	case <-over:
	case <-r.ctx.Done():
	}
}

// pick returns the place of the oldest letter that may be replayed now, -1 if there
// is none: of an order key one is on its way at a time, and the first of a pattern
// goes ahead.
func (r *jobRun) pick() int {
	behind := map[string]bool{} // order keys of letters that wait for their pattern
	for i, w := range r.waiting {
		switch {
		case r.banned(w) != "":
			return i
		case w.key != "" && (r.keys[w.key] || behind[w.key]):
		case r.canaries[w.group] == canaryFlies:
			behind[w.key] = true
		default:
			return i
		}
	}
	return -1
}

// banned says why a letter is not replayed any more.
func (r *jobRun) banned(w *replayed) string {
	if by := r.stuck[w.key]; w.key != "" && by != "" {
		return "it comes after letter " + by + " of its order key, whose replay failed"
	}
	if r.canaries[w.group] == canaryDied {
		return "another letter of its pattern was tried, and failed in the same way"
	}
	return ""
}

// launch has a letter replayed.
func (r *jobRun) launch(w *replayed) {
	o := &r.job.Options
	if w.key != "" {
		r.keys[w.key] = true
	}
	if !o.NoCanary && r.canaries[w.group] == canaryNone {
		r.canaries[w.group], w.canary = canaryFlies, true
	}
	r.inFlight++
	r.next = time.Now().Add(time.Duration(float64(time.Second) / o.Rate))
	go func() {
		r.replay(w)
		r.results <- w
	}()
}

// take notes how a letter on its way ended.
func (r *jobRun) take(w *replayed) {
	r.inFlight--
	delete(r.keys, w.key)
	if w.canary {
		w.canary = false
		r.canaries[w.group] = w.fate()
	}
	if w.again {
		r.waiting = append([]*replayed{w}, r.waiting...)
		r.next = later(r.next, time.Now().Add(w.after))
		return
	}
	if w.key != "" && (w.failed || w.result.Outcome == JobInDoubt) {
		r.stuck[w.key] = w.ID
	}
	r.conclude(w)
	if w.failed || w.result.Outcome == ReplaySucceeded {
		r.judge(w.failed)
	}
}

// conclude writes what became of a letter.
func (r *jobRun) conclude(w *replayed) {
	w.result.At, w.result.Letter = time.Now().Round(0).UTC(), w.ID
	r.surely(func() error { return r.note(w.result) })
}

// fate is what the first letter of a pattern tells of the others.
func (w *replayed) fate() canary {
	switch {
	case w.failed && w.same:
		return canaryDied
	case w.failed || w.result.Outcome == ReplaySucceeded:
		return canaryLives
	}
	return canaryNone
}

// note writes what became of a letter, unless that is there.
func (r *jobRun) note(res JobResult) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	for try := 0; ; try++ {
		if r.isSettled(res.Letter) {
			return nil
		}
		err := r.write(r.ctx, jobRecord{Result: &res})
		if !errors.Is(err, ErrConflict) || try == mostConflicts { // what another one wrote is known by now
			return err
		}
	}
}

func (r *jobRun) isSettled(letter string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settled[letter]
}

// judge stops the job if too many of the last replays failed.
func (r *jobRun) judge(failed bool) {
	o := &r.job.Options
	r.window = append(r.window, failed)
	if len(r.window) > o.StopWindow {
		r.window = r.window[1:]
	}
	n := 0
	for _, failed := range r.window {
		if failed {
			n++
		}
	}
	if o.StopErrors == None || len(r.window) < o.StopWindow || float64(n)*100 < o.StopErrors*float64(len(r.window)) {
		return
	}
	r.window = nil
	if r.state() == JobRunning {
		r.surely(func() error {
			return r.finish(JobStopped, fmt.Sprintf("%d of the last %d replays failed", n, o.StopWindow))
		})
	}
}

// surely does what must be written, until it is: it reports false if the Runtime is
// closed before. The next process then does it.
func (r *jobRun) surely(write func() error) bool {
	for rest := storeRetry; ; rest = min(2*rest, storeRest) {
		err := write()
		if !awaits(err) {
			r.wait("")
			return err == nil
		}
		r.wait("for the store: " + err.Error())
		t := time.NewTimer(rest)
		select {
		case <-t.C:
		case <-r.ctx.Done():
			t.Stop()
			return false
		}
	}
}

// awaits reports whether err is one of a store that may be mended.
func awaits(err error) bool {
	var wrong *LetterStateError
	return err != nil && !errors.Is(err, ErrLetterChanged) && !errors.Is(err, ErrNoLetter) && !errors.Is(err, errBadLetter) &&
		!errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrHeld) && !errors.As(err, &wrong)
}

// wait says for what the job waits; "" for nothing.
func (r *jobRun) wait(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits = what
}
