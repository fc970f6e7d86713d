package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

const research = "example.com/p.Research"

// renames is what Migrate is told of nodes that have other names, by old ones.
func renames(names ...string) Moves {
	m := Moves{Rename: map[string]string{}}
	for i := 0; i < len(names); i += 2 {
		m.Rename[names[i]] = names[i+1]
	}
	return m
}

// version is a graph with a fingerprint.
func version(fingerprint string, nodes ...Node) Graph {
	g := graph(nodes...)
	g.Fingerprint = fingerprint
	return g
}

func migrated(t *testing.T, e *Engine[string, string], fingerprint string, m Moves) {
	t.Helper()
	if err := Migrate(e.e.rt, e.e.g.storeName(), fingerprint, m); err != nil {
		t.Fatal(err)
	}
}

// parkedAt leaves run r parked at node B, and returns what it is broken by.
func parkedAt(t *testing.T, stores *resilience.Stores) *atomic.Bool {
	t.Helper()
	broken := &atomic.Bool{}
	broken.Store(true)
	e := opened(t, stores, graph(says("A", "B"), sometimes("B", broken, end)))
	if got, err := e.Run(t.Context(), "in", Options{ID: "r"}); got.Status != Parked || !errors.Is(err, ErrParked) {
		t.Fatal(got.Status, err)
	}
	exits(t, e)
	return broken
}

// exits ends the process of an engine: a job of the next one is none of its business.
func exits(t *testing.T, e *Engine[string, string]) {
	t.Helper()
	if err := e.e.rt.Close(); err != nil {
		t.Fatal(err)
	}
}

// comesTo checks what run r has come to, and how its letters stand.
func comesTo(t *testing.T, e *Engine[string, string], want, letters string) {
	t.Helper()
	if got := outcome(e.Run(t.Context(), "in", Options{ID: "r"})); got != want || lettersOf(t, e) != letters {
		t.Errorf("%s, want %s; letters %s, want %s", got, want, lettersOf(t, e), letters)
	}
}

var number = JSON[int]("number")

// ofNumber is a node that takes a number.
func ofNumber(name string, next ...string) Node {
	return Node{Name: name, Params: []string{"n"}, Sig: "number", In: []Codec{number}, Out: text, Next: next,
		Call: func(_ context.Context, in Args) (Value, Route, error) {
			return Of(name + strconv.Itoa(Arg[int](in, 0))), Route{}, nil
		}}
}

// TestReplayAfterRename replays the letter of a node that is called otherwise by now.
func TestReplayAfterRename(t *testing.T) {
	lengths := renames("B", "C")
	lengths.Convert = map[string]func(json.RawMessage) (json.RawMessage, error){"B": func(old json.RawMessage) (json.RawMessage, error) {
		return json.Marshal(len(old))
	}}
	measures := works("A", func(context.Context, string) (string, error) { return "", errors.New("it is done") }, "C")
	measures.Out = number
	for name, c := range map[string]struct {
		nodes []Node
		moves Moves
		want  string
	}{
		"another name":                 {[]Node{says("A", "C"), says("C", end)}, renames("B", "C"), "completed C(A(in))"},
		"its name is another node's":   {[]Node{says("A", "C"), says("C", end), ofNumber("B", end)}, renames("B", "C"), "completed C(A(in))"},
		"names that change places":     {[]Node{says("B", "A"), says("A", end)}, renames("A", "B", "B", "A"), "completed A(A(in))"},
		"another type and a parameter": {[]Node{measures, ofNumber("C", end)}, lengths, "completed C7"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores := resilience.MemoryStores()
				parkedAt(t, &stores)
				now := opened(t, &stores, version("f1", c.nodes...))
				migrated(t, now, "f0", c.moves)
				if j := replayAll(t, now); j.Succeeded != 1 {
					t.Errorf("%+v", j)
				}
				comesTo(t, now, c.want, "B:replayed")
			})
		})
	}
}

// TestReplayAfterTwoRenames fails under the second name, and is replayed under the third
// one, of which only who knew the second one was told.
func TestReplayAfterTwoRenames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		broken := parkedAt(t, &stores)
		second := opened(t, &stores, version("f1", says("A", "C"), sometimes("C", broken, end)))
		migrated(t, second, "f0", renames("B", "C"))
		if j := replayAll(t, second); j.Failed != 1 {
			t.Errorf("%+v", j)
		}
		comesTo(t, second, "parked !"+ErrParked.Error(), "B:dead")
		exits(t, second)
		third := opened(t, &stores, version("f2", says("A", "D"), says("D", end)))
		migrated(t, third, "f1", renames("C", "D"))
		if j := replayAll(t, third); j.Succeeded != 1 {
			t.Errorf("%+v", j)
		}
		comesTo(t, third, "completed D(A(in))", "B:replayed")
	})
}

// TestDiscardAfterRename discards the letter of a node that is called otherwise by now,
// and takes that back in a process that calls it otherwise again.
func TestDiscardAfterRename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		parkedAt(t, &stores)
		second := opened(t, &stores, version("f1", says("A", "C"), says("C", end)))
		migrated(t, second, "f0", renames("B", "C"))
		id := theLetter(t, second)
		if _, err := second.e.rt.DeadLetters().Discard(t.Context(), id, 0, "test", "enough"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s, err := second.Get("r").Status(t.Context()); err != nil || s != Failed { // before anybody resumes it
			t.Errorf("%s, %v", s, err)
		}
		exits(t, second)
		third := opened(t, &stores, version("f2", says("A", "D"), says("D", end)))
		migrated(t, third, "f1", renames("C", "D"))
		if _, err := third.e.rt.DeadLetters().Resolve(t.Context(), id, 0, resilience.LetterDead, "test", "it is wanted"); err != nil {
			t.Fatal(err)
		}
		if j := replayAll(t, third); j.Succeeded != 1 {
			t.Errorf("%+v", j)
		}
		comesTo(t, third, "completed D(A(in))", "B:replayed")
	})
}

// theLetter returns the id of the only letter.
func theLetter(t *testing.T, e *Engine[string, string]) string {
	t.Helper()
	page, err := e.e.rt.DeadLetters().List(t.Context(), resilience.LetterQuery{})
	if err != nil || len(page.Letters) != 1 {
		t.Fatal(page.Letters, err)
	}
	return page.Letters[0].ID
}

// TestMigrateBeforeAndAfterNew: letters of a renamed node are replayed whenever Migrate
// was called.
func TestMigrateBeforeAndAfterNew(t *testing.T) {
	for name, before := range map[string]bool{"before": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores := resilience.MemoryStores()
				parkedAt(t, &stores)
				rt, err := resilience.Open(resilience.Options{Stores: stores})
				if err != nil {
					t.Fatal(err)
				}
				defer rt.Close()
				tell := func(now bool) {
					if now {
						if err := Migrate(rt, research, "f0", renames("B", "C")); err != nil {
							t.Fatal(err)
						}
					}
				}
				tell(before)
				now, err := New[string, string](rt, version("f1", says("A", "C"), says("C", end)))
				if err != nil {
					t.Fatal(err)
				}
				tell(!before)
				replayAll(t, now)
				comesTo(t, now, "completed C(A(in))", "B:replayed")
			})
		})
	}
}

// TestJobOfWhatIsDoneAfterRename: a job does not wait for the node of a letter whose
// message was done before the node was renamed.
func TestJobOfWhatIsDoneAfterRename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		broken := parkedAt(t, &stores)
		broken.Store(false)
		second := opened(t, &stores, graph(says("A", "B"), sometimes("B", broken, end)))
		p, err := second.e.rt.DeadLetters().Plan(t.Context(), "state:dead", resilience.ReplayOptions{Rate: 7})
		if err != nil {
			t.Fatal(err)
		}
		replayAll(t, second)
		exits(t, second)
		third := opened(t, &stores, version("f1", says("A", "C"), says("C", end)))
		migrated(t, third, "f0", renames("X", "Y"))
		j, err := third.e.rt.DeadLetters().Apply(t.Context(), p.Token, resilience.ApplyOptions{By: "test"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if j, err = third.e.rt.DeadLetters().Job(t.Context(), j.ID); err != nil || j.State != resilience.JobDone || j.Skipped != 1 {
			t.Errorf("%+v, %v", j, err)
		}
	})
}

// TestReplayAfterRenameInAChild replays the letter of a child whose node is called
// otherwise by now; its parent goes on.
func TestReplayAfterRenameInAChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		broken := &atomic.Bool{}
		broken.Store(true)
		parent, _ := family(t, &stores, graph(sometimes("Pack", broken, end)))
		if got, err := parent.Run(t.Context(), "in", Options{ID: "r"}); got.Status != Parked || lettersOf(t, parent) != "Pack:dead" {
			t.Fatal(got.Status, err, lettersOf(t, parent))
		}
		exits(t, parent)
		now, child := family(t, &stores, version("f1", says("Wrap", end)))
		migrated(t, child, "f0", renames("Pack", "Wrap"))
		if j := replayAll(t, now); j.Succeeded != 1 {
			t.Errorf("%+v", j)
		}
		comesTo(t, now, "completed Done(Wrap(Order(in)),Bill(Order(in)))", "Pack:replayed")
	})
}

// TestEditAfterRename gives a letter another argument, for the node as it is called now.
func TestEditAfterRename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := resilience.MemoryStores()
		parkedAt(t, &stores)
		n := says("C", end)
		n.Params = []string{"in"}
		now := opened(t, &stores, version("f1", says("A", "C"), n))
		migrated(t, now, "f0", renames("B", "C"))
		if _, err := now.e.rt.DeadLetters().Edit(t.Context(), theLetter(t, now), resilience.LetterEditRequest{Document: []byte(`{"in":"other"}`), By: "test"}); err != nil {
			t.Fatal(err)
		}
		replayAll(t, now)
		comesTo(t, now, "completed C(other)", "B:replayed")
	})
}
