package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// outline is what the node of the tests takes.
type outline struct {
	Title string `json:"title"`
	Token string `json:"token,omitempty"`
}

func decodeOutline(args json.RawMessage, strict bool) (json.RawMessage, error) {
	var a struct {
		Outline outline `json:"outline"`
	}
	decode := json.Unmarshal
	if strict {
		decode = DecodeJSON
	}
	if err := decode(args, &a); err != nil {
		return nil, err
	}
	return json.Marshal(&a)
}

// fakeRun is a run that takes what it is handed, and does with it what the test says.
type fakeRun struct {
	node  *NodeLetters
	taken []RunReplay
	does  func(r RunReplay) (waits bool, err error)
}

func (f *fakeRun) method() NodeMethod {
	return NodeMethod{
		Workflow: "example.com/agents.Research", Node: "Write", Queue: "workflow.Research", Sig: "0123456789abcdef", Idempotent: true,
		Fields: []LetterField{{"outline", "Outline"}}, Redact: []Redaction{{"/**/token", Omit}}, Decode: decodeOutline,
		Replay: func(_ context.Context, r RunReplay) (bool, error) {
			f.taken = append(f.taken, r)
			return f.does(r)
		},
	}
}

var began = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// failedAt returns a letter that message failed.
func (f *fakeRun) failedAt(t *testing.T, message, title string, err error) (id string, letter json.RawMessage) {
	t.Helper()
	id = RunLetterID(began, "example.com/agents.Research", "r1", message)
	letter, failed := f.node.Letter(t.Context(), FailedMessage{
		Letter: id, Run: LetterRun{Workflow: "example.com/agents.Research", ID: "r1", Message: message, Inbox: StoreKey("inbox", "example.com/agents.Research", "r1")},
		Args: json.RawMessage(fmt.Sprintf(`{"outline":{"title":%q}}`, title)), Key: "key-" + message, Taken: Taken{Attempts: 3},
	}, err)
	if failed != nil {
		t.Fatal(failed)
	}
	return id, letter
}

func openRun(t *testing.T, o Options) (*Runtime, *fakeRun) {
	t.Helper()
	rt, f := openLetters(t, o), &fakeRun{}
	var err error
	if f.node, err = rt.NodeLetters(f.method()); err != nil {
		t.Fatal(err)
	}
	return rt, f
}

func (f *fakeRun) publish(t *testing.T, letter json.RawMessage, replay int) {
	t.Helper()
	if err := f.node.Publish(t.Context(), letter, replay); err != nil {
		t.Fatal(err)
	}
}

// letterNow returns a letter and how its replays ended.
func letterNow(t *testing.T, rt *Runtime, id string) (l Letter, outcomes string) {
	t.Helper()
	l, err := rt.DeadLetters().Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range l.Replays {
		outcomes += " " + r.Outcome
	}
	return l, string(l.State) + outcomes
}

// TestLetterOfARun is seen once it is published, once, and says which run it is of.
func TestLetterOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, f := openRun(t, Options{})
		id, letter := f.failedAt(t, "m1", "Go", errDown)
		if _, err := rt.DeadLetters().Get(t.Context(), id); !errors.Is(err, ErrNoLetter) {
			t.Errorf("before it is published: %v", err)
		}
		f.publish(t, letter, 0)
		f.publish(t, letter, 0)
		l, _ := letterNow(t, rt, id)
		if got := statesOf(t, rt); len(got) != 1 || got[LetterDead] != 1 {
			t.Errorf("letters %v", got)
		}
		if l.Run == nil || l.Run.ID != "r1" || l.Run.Message != "m1" || l.Call.Method != "Write" || l.AttemptCount != 3 || l.Call.IdemKey != "key-m1" || l.Err() != errDown.Error() {
			t.Errorf("letter %+v", l)
		}
		if again, _ := f.failedAt(t, "m1", "Go", errDown); again != id || !isLetterID(id) {
			t.Errorf("id %q, then %q", id, again)
		}
	})
}

// TestLettersOfOneRun finds letters by the id of their run, which only letters of runs
// have to be read for.
func TestLettersOfOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, f := openRun(t, Options{})
		for _, message := range []string{"m1", "m2"} {
			_, letter := f.failedAt(t, message, "Go", errDown)
			f.publish(t, letter, 0)
		}
		n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, LetterMethod[notifyArgs]{})
		_ = n.call(t.Context(), notifyArgs{CustomerID: "c"})
		for filter, want := range map[string]int{"run:r1": 2, "run:r*": 2, "run:r2": 0, `run:""`: 1, "not run:r1": 1, "run:r1 or queue:q": 3, "id:* run:r1": 2} {
			page, err := rt.DeadLetters().List(t.Context(), LetterQuery{Filter: filter})
			if err != nil || len(page.Letters) != want {
				t.Errorf("%s: %d letters, want %d; %v", filter, len(page.Letters), want, err)
			}
		}
	})
}

// TestReplayOfARun hands the message back, and tells what the run says became of it.
func TestReplayOfARun(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(t *testing.T, f *fakeRun, r RunReplay) (bool, error)
		job  string
		want string
	}{
		{"done", func(t *testing.T, f *fakeRun, r RunReplay) (bool, error) {
			return true, f.node.Replayed(t.Context(), "workflow.Research", r.Letter, r.Replay)
		}, "done: 1 of 1 succeeded, 0 failed, 0 quarantined, 0 skipped, 0 in doubt, 0 left", "replayed succeeded"},
		{"superseded", func(*testing.T, *fakeRun, RunReplay) (bool, error) { return false, nil },
			"done: 1 of 1 succeeded, 0 failed, 0 quarantined, 0 skipped, 0 in doubt, 0 left", "replayed succeeded"},
		{"fails again", func(t *testing.T, f *fakeRun, r RunReplay) (bool, error) {
			_, letter := f.failedAt(t, "m1", "Go", errDown)
			return true, f.node.Publish(t.Context(), letter, r.Replay)
		}, "done: 0 of 1 succeeded, 1 failed, 0 quarantined, 0 skipped, 0 in doubt, 0 left", "dead failed"},
		{"no such run", func(*testing.T, *fakeRun, RunReplay) (bool, error) { return false, errPeer },
			"done: 0 of 1 succeeded, 1 failed, 0 quarantined, 0 skipped, 0 in doubt, 0 left", "dead failed"},
		{"takes long", func(*testing.T, *fakeRun, RunReplay) (bool, error) { return true, nil },
			"done: 1 of 1 succeeded, 0 failed, 0 quarantined, 0 skipped, 0 in doubt, 0 left", "replayed handed_over"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, f := openRun(t, Options{})
				id, letter := f.failedAt(t, "m1", "Go", errDown)
				f.publish(t, letter, 0)
				f.does = func(r RunReplay) (bool, error) { return c.does(t, f, r) }
				j := awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID)
				if got := jobText(j); got != c.job {
					t.Errorf("job %s, want %s", got, c.job)
				}
				l, got := letterNow(t, rt, id)
				if got != c.want {
					t.Errorf("letter %s, want %s", got, c.want)
				}
				if len(f.taken) != 1 || f.taken[0].Args != nil || f.taken[0].Replay != 1 || f.taken[0].Key != "key-m1" || f.taken[0].Run != *l.Run {
					t.Errorf("the run was handed %+v", f.taken)
				}
			})
		})
	}
}

// TestRunSaysItTwice takes what a run says after a crash once more, in whatever state
// the letter is.
func TestRunSaysItTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, f := openRun(t, Options{})
		id, letter := f.failedAt(t, "m1", "Go", errDown)
		f.publish(t, letter, 0)
		f.does = func(RunReplay) (bool, error) { return true, nil }
		for n := 1; n <= 3; n++ {
			awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID)
			for range 2 { // it was handed over, and fails later
				f.publish(t, letter, f.taken[n-1].Replay)
			}
			want := "dead"
			if n == 3 {
				want = "quarantined" // its third replay
			}
			if l, got := letterNow(t, rt, id); !strings.HasPrefix(got, want+" ") || strings.Count(got, "failed") != n || l.AttemptCount != 3+3*n {
				t.Errorf("after replay %d: %s, %d attempts", n, got, l.AttemptCount)
			}
			if n == 3 {
				break
			}
		}
		if err := f.node.Replayed(t.Context(), "workflow.Research", "7zzzzzzzzzzzzzzzzzzzzzzzzz", 1); err != nil {
			t.Errorf("a letter that is gone: %v", err)
		}
	})
}

// TestReplaysOfOneMoment are two, however coarse the clock is.
func TestReplaysOfOneMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, f := openRun(t, Options{})
		id, letter := f.failedAt(t, "m1", "Go", errDown)
		f.publish(t, letter, 0)
		f.does = func(r RunReplay) (bool, error) { return true, f.node.Publish(t.Context(), letter, r.Replay) }
		for range 2 {
			apply(t, rt, "", ReplayOptions{}, ApplyOptions{})
			synctest.Wait() // and no time passes
		}
		l, got := letterNow(t, rt, id)
		if got != "dead failed failed" {
			t.Fatalf("letter %s", got)
		}
		if a, b := l.Replays[0], l.Replays[1]; !a.At.Equal(b.At) || a.JobID == b.JobID {
			t.Errorf("the replays are %+v and %+v", a, b)
		}
	})
}

// TestRunHearsOfItsLetter when somebody decides that it is not to be replayed.
func TestRunHearsOfItsLetter(t *testing.T) {
	for _, c := range []struct {
		name   string
		decide func(b *LetterBox, id string) error
		tells  int
	}{
		{"discard", func(b *LetterBox, id string) error {
			_, err := b.Discard(context.Background(), id, 0, "eva", "old")
			return err
		}, 1},
		{"resolve as done", func(b *LetterBox, id string) error {
			_, err := b.Resolve(context.Background(), id, 0, LetterReplayed, "eva", "")
			return err
		}, 1},
		{"discard twice", func(b *LetterBox, id string) error {
			_, first := b.Discard(context.Background(), id, 0, "eva", "")
			_, second := b.Discard(context.Background(), id, 0, "eva", "")
			if first != nil || second == nil {
				return fmt.Errorf("%v, then %v", first, second)
			}
			return nil
		}, 1},
		{"erase", func(b *LetterBox, id string) error {
			_, err := b.Erase(context.Background(), "id:"+id)
			return err
		}, 1},
		{"note", func(b *LetterBox, id string) error {
			_, err := b.Note(context.Background(), id, LetterNote{Text: "looked at"})
			return err
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, f := openRun(t, Options{})
				id, letter := f.failedAt(t, "m1", "Go", errDown)
				f.publish(t, letter, 0)
				if err := c.decide(rt.DeadLetters(), id); err != nil {
					t.Fatal(err)
				}
				var kinds []string
				for r, err := range rt.stores.Log.Scan(t.Context(), StoreKey("inbox", "example.com/agents.Research", "r1"), 0) {
					var n runNews
					if err != nil || json.Unmarshal(r.Body, &n) != nil || n.Letter != id || n.Message != "m1" {
						t.Fatalf("%s: %v", r.Body, err)
					}
					kinds = append(kinds, n.Kind)
				}
				if len(kinds) != c.tells {
					t.Errorf("the run heard %v", kinds)
				}
			})
		})
	}
}

// TestEditedLetterOfARun hands the run what was edited, under a new key, and refuses
// what the node does not take.
func TestEditedLetterOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, f := openRun(t, Options{})
		id, letter := f.failedAt(t, "m1", "Go", errDown)
		f.publish(t, letter, 0)
		b := rt.DeadLetters()
		if _, err := b.Edit(t.Context(), id, LetterEditRequest{Patch: json.RawMessage(`[{"op":"add","path":"/outline/pages","value":3}]`)}); !errors.Is(err, ErrInvalid) {
			t.Errorf("a field that is not there: %v", err)
		}
		if _, err := b.Edit(t.Context(), id, LetterEditRequest{Patch: json.RawMessage(`[{"op":"replace","path":"/outline/title","value":"Rust"}]`), By: "eva"}); err != nil {
			t.Fatal(err)
		}
		f.does = func(RunReplay) (bool, error) { return false, nil }
		awaitJob(t, rt, apply(t, rt, "", ReplayOptions{}, ApplyOptions{}).ID)
		if len(f.taken) != 1 || string(f.taken[0].Args) != `{"outline":{"title":"Rust"}}` || f.taken[0].Key == "key-m1" || f.taken[0].Key == "" {
			t.Errorf("the run was handed %+v", f.taken)
		}
	})
}

// TestSecretsOfARun are neither in the letter nor in its errors.
func TestSecretsOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, f := openRun(t, Options{})
		letter, err := f.node.Letter(t.Context(), FailedMessage{
			Letter: RunLetterID(began, "w", "r", "m"), Args: json.RawMessage(`{"outline":{"title":"Go","token":"sesame-open-1234"}}`),
		}, errors.New("refused: sesame-open-1234"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(letter), "sesame") || !strings.Contains(string(letter), `"redacted":[{"pointer":"/outline/token"`) {
			t.Errorf("%s", letter)
		}
	})
}

// TestListen wakes who listens to a key of a Runtime, until he stops.
func TestListen(t *testing.T) {
	rt, woken := openLetters(t, Options{}), 0
	post := func(key, id string) {
		t.Helper()
		if err := rt.Post(t.Context(), key, id, []byte(`{"id":"`+id+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	post("inbox/r", "before")
	stop := rt.Listen("inbox/r", func() { woken++ })
	post("inbox/r", "a")
	post("inbox/other", "b")
	stop()
	post("inbox/r", "c")
	if woken != 1 || len(rt.listening.of) != 0 {
		t.Errorf("woken %d times, %d listen", woken, len(rt.listening.of))
	}
}

// TestPost puts an id once into a key that another one drops meanwhile.
func TestPost(t *testing.T) {
	log, ctx := newMemoryLog(), context.Background()
	post := func(id string) {
		t.Helper()
		if err := Post(ctx, log, "inbox/r", id, []byte(`{"id":"`+id+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	have := func() (ids []string) {
		for r := range log.Scan(ctx, "inbox/r", 0) {
			ids = append(ids, string(r.Body))
		}
		return ids
	}
	post("a")
	post("b")
	post("a")
	if got := have(); !slices.Equal(got, []string{`{"id":"a"}`, `{"id":"b"}`}) {
		t.Errorf("%v", got)
	}
	if err := log.Drop(ctx, "inbox/r", 2); err != nil {
		t.Fatal(err)
	}
	post("c")
	if got := have(); !slices.Equal(got, []string{`{"id":"c"}`}) {
		t.Errorf("%v", got)
	}
	lying := &lyingLog{memoryLog: log, lie: true}
	if err := Post(ctx, lying, "inbox/r2", "d", []byte(`{"id":"d"}`)); err != nil {
		t.Errorf("it is there: %v", err)
	}
	_ = log.Close()
	if err := Post(ctx, log, "inbox/r", "e", []byte(`{"id":"e"}`)); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}
