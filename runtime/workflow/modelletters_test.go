package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// actOnLetter has the first of the letters that wait discarded or replayed, as the
// plan says.
func (w *world) actOnLetter(ctx context.Context, box *resilience.LetterBox) error {
	id, text, err := firstLetter(ctx, box)
	switch {
	case err != nil:
		return err
	case id == "":
		return errors.New("the run is parked, and there is no letter")
	case w.discards(text):
		_, err = box.Discard(ctx, id, 0, "test", "")
		return err
	}
	return replayLetters(ctx, box, "id:"+id)
}

// idle waits until no letter is being replayed.
func idle(ctx context.Context, box *resilience.LetterBox) error {
	for range 1000 {
		if busy, err := replays(ctx, box); err != nil || !busy {
			return err
		}
		if err := aSecond(ctx); err != nil {
			return err
		}
	}
	return errors.New("a replay does not end")
}

// replays reports whether a job goes on.
func replays(ctx context.Context, box *resilience.LetterBox) (bool, error) {
	jobs, err := box.Jobs(ctx)
	for _, j := range jobs {
		if j.State == resilience.JobRunning {
			return true, err
		}
	}
	return false, err
}

// firstLetter returns the letter whose message comes first by its text, "" if none
// waits.
func firstLetter(ctx context.Context, box *resilience.LetterBox) (id, text string, err error) {
	page, err := box.List(ctx, resilience.LetterQuery{Filter: "state:dead or state:in_doubt"})
	if err != nil {
		return "", "", err
	}
	for _, s := range page.Letters {
		l, err := box.Get(ctx, s.ID)
		if err != nil {
			return "", "", err
		}
		g := message{to: l.Call.Method}
		for _, arg := range l.Call.Args {
			var in *token
			if err := json.Unmarshal(arg.JSON, &in); err != nil {
				return "", "", fmt.Errorf("argument %s of letter %s: %w", arg.Name, s.ID, err)
			}
			g.in = append(g.in, in.text())
		}
		if id == "" || g.text() < text {
			id, text = s.ID, g.text()
		}
	}
	return id, text, nil
}

// replayLetters replays the letters that a filter chooses, and waits for that.
func replayLetters(ctx context.Context, box *resilience.LetterBox, filter string) error {
	p, err := box.Plan(ctx, filter, resilience.ReplayOptions{NoCanary: true, StopErrors: resilience.None})
	if err != nil {
		return err
	}
	job, err := box.Apply(ctx, p.Token, resilience.ApplyOptions{By: "test"})
	for range 1000 {
		if err != nil || job.State == resilience.JobDone {
			return err
		}
		if err = aSecond(ctx); err == nil {
			job, err = box.Job(ctx, job.ID)
		}
	}
	return fmt.Errorf("job %s does not end: %s", job.ID, job.State)
}

// aSecond waits for one, or for the end of ctx.
func aSecond(ctx context.Context) error {
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
