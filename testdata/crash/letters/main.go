// Command letters makes calls that fail, and replays the letters that were kept of
// them when their peer is healed. The runs of a directory share its store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/testdata/crash/speak"
)

//go:generate go run github.com/resilgen/resilgen/cmd/resilgen generate

// Notice is what somebody is told.
type Notice struct {
	ID  string `json:"id"`
	Run string `json:"run"`
}

// Notifier tells somebody something.
type Notifier interface {
	Notify(ctx context.Context, notice Notice) error
}

var errDown = errors.New("nobody answers")

// peer is a Notifier who says what he does, once he is up.
type peer struct{ up atomic.Bool }

func (p *peer) Notify(ctx context.Context, notice Notice) error {
	if !p.up.Load() {
		speak.Executed(kept(notice.ID))
		return errDown
	}
	replay, _ := resilience.ReplayOf(ctx)
	speak.Executed(replayed(replay.Letter))
	return nil
}

func kept(notice string) string     { return notice + "-kept" }
func replayed(letter string) string { return letter + "-replayed" }

const (
	notices    = 6    // of a run
	leastLooks = 3000 // at a job, for three seconds at least: a machine that stands still stops them, too
)

func main() {
	flag.Parse()
	log.SetFlags(0)
	if err := do(context.Background(), flag.Arg(0), flag.Arg(1)); err != nil {
		log.Fatal(err)
	}
}

// do does what is left of a run.
func do(ctx context.Context, dir, name string) (err error) {
	rt, err := speak.Open(ctx, resilience.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	r := &run{box: rt.DeadLetters(), name: name}
	if done, err := r.done(ctx); done || err != nil {
		return err
	}
	n, err := NewResilientNotifier(rt, &r.peer)
	if err != nil {
		return err
	}
	for i := range notices {
		if err := r.keep(ctx, n, Notice{ID: r.id(i), Run: name}); err != nil {
			return err
		}
	}
	r.peer.up.Store(true)
	if err := r.replay(ctx); err != nil {
		return err
	}
	if done, err := r.done(ctx); !done || err != nil {
		return errors.Join(errors.New("there are letters yet"), err)
	}
	return nil
}

// run is a run on its way.
type run struct {
	box  *resilience.LetterBox
	peer peer
	name string
}

func (r *run) filter() string { return fmt.Sprintf("args.notice.run=%q", r.name) }

// done says the result if every letter of the run was replayed. Where the store gave
// no answer, a call that was made again may have two.
func (r *run) done(ctx context.Context) (bool, error) {
	for i := range notices {
		letters, err := r.letters(ctx, r.id(i))
		if err != nil || len(letters) == 0 {
			return false, err
		}
		for _, l := range letters {
			if l.State != resilience.LetterReplayed {
				return false, nil
			}
		}
	}
	speak.Result(notices)
	return true, nil
}

func (r *run) id(i int) string { return fmt.Sprintf("%s-%d", r.name, i) }

// letters returns those of a notice.
func (r *run) letters(ctx context.Context, notice string) ([]resilience.LetterSummary, error) {
	page, err := r.box.List(ctx, resilience.LetterQuery{Filter: fmt.Sprintf("args.notice.id=%q", notice)})
	return page.Letters, err
}

// keep makes a call that fails, unless its letter is there.
func (r *run) keep(ctx context.Context, n Notifier, notice Notice) error {
	return speak.Until(ctx, speak.Mends, func(err error) bool {
		var write *resilience.WriteError
		return errors.As(err, &write)
	}, func() error {
		letters, err := r.letters(ctx, notice.ID)
		if err != nil || len(letters) > 0 {
			return err
		}
		if err = n.Notify(ctx, notice); !errors.Is(err, resilience.ErrDeadLettered) {
			return err
		}
		speak.Durable(kept(notice.ID))
		return r.listed(ctx, notice.ID)
	})
}

// listed waits for the letter of a notice: one that was kept beside the store is seen
// when that works again.
func (r *run) listed(ctx context.Context, notice string) error {
	missing := errors.New("no letter of call " + notice)
	return speak.Until(ctx, speak.Mends, func(err error) bool { return err == missing }, func() error {
		letters, err := r.letters(ctx, notice)
		if err == nil && len(letters) == 0 {
			return missing
		}
		return err
	})
}

// replay has the letters replayed, by the job of a process before if there is one.
func (r *run) replay(ctx context.Context) error {
	job, err := r.job(ctx)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	end := time.Now().Add(speak.Replays)
	for looks := 0; looks < leastLooks || time.Now().Before(end); looks++ {
		for _, d := range job.Done {
			if !told[d.Letter] && d.Outcome == resilience.ReplaySucceeded {
				speak.Durable(replayed(d.Letter))
			}
			told[d.Letter] = true
		}
		if job.State == resilience.JobDone {
			return nil
		}
		time.Sleep(time.Millisecond)
		if job, err = r.box.Job(ctx, job.ID); err != nil {
			return err
		}
	}
	return fmt.Errorf("job %s is %s, waits %s, %d letters left", job.ID, job.State, job.Waits, job.Left)
}

// job returns the job of the run, which a process before may have left. No letter is
// left to plan for where one went on by itself, and has ended.
func (r *run) job(ctx context.Context) (job resilience.Job, err error) {
	jobs, err := r.box.Jobs(ctx)
	if err != nil {
		return job, err
	}
	for _, job := range jobs {
		if job.Filter == r.filter() && job.State != resilience.JobDone {
			return r.hurried(ctx, job)
		}
	}
	plan, err := r.box.Plan(ctx, r.filter(), resilience.ReplayOptions{Rate: 1e6, StopErrors: resilience.None})
	if err != nil || plan.Count == 0 {
		return resilience.Job{State: resilience.JobDone}, err
	}
	return r.box.Apply(ctx, plan.Token, resilience.ApplyOptions{By: "crash"})
}

// hurried has a job that a process before has left go on at once, by pausing and
// resuming it. In a second it goes on by itself: on a slow machine it may be at work by
// now, or end before it is paused or resumed.
func (r *run) hurried(ctx context.Context, job resilience.Job) (resilience.Job, error) {
	var paused error
	if job.State == resilience.JobRunning {
		_, paused = r.box.PauseJob(ctx, job.ID, "crash", "to hurry")
	}
	_, resumed := r.box.ResumeJob(ctx, job.ID, "crash", "to hurry")
	job, err := r.box.Job(ctx, job.ID)
	if err == nil && resumed != nil && job.State != resilience.JobDone {
		err = errors.Join(paused, resumed)
	}
	return job, err
}
