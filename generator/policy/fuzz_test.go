package policy

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// roundTrip prints the file and reads it back.
func roundTrip(t *testing.T, f *File) {
	t.Helper()
	text := f.Format()
	set, err := Read([]Input{{Path: "r.yaml", Data: text}})
	if err != nil {
		t.Fatalf("what was accepted prints as what is not: %v\n%s", err, text)
	}
	again := set.Files[0]
	if diff := cmp.Diff(string(text), string(again.Format())); diff != "" {
		t.Fatalf("not what was printed:\n%s", diff)
	}
	if diff := cmp.Diff(meaning(f), meaning(again)); diff != "" {
		t.Fatalf("read back differently:\n%s", diff)
	}
}

// meaning is what a file says, without places.
func meaning(f *File) []string {
	lines := []string{f.Preset, f.StatusOf.Text, f.RetryAfterOf.Text, fmt.Sprint(f.Permanent)}
	for _, i := range f.Interfaces {
		lines = append(lines, fmt.Sprint(i.Key, i.Of, i.Name, i.LeaveOutAll, i.LeaveOut))
		list, errs := i.Resolve([]Method{{Name: "Get"}, {Name: "GetAll"}, {Name: "Charge"}, {Name: "Close", Closer: true}})
		for _, e := range list {
			lines = append(lines, fmt.Sprint(e.Method, e.Exact, e.Closer, e.None(), e.Idempotent()))
			for _, v := range e.All() {
				text := fmt.Sprint(v.V)
				if l, ok := v.V.(List); ok {
					text = l.String()
				}
				lines = append(lines, fmt.Sprint(v.Key.Path, " ", text, v.None))
			}
			for _, i := range e.lint {
				lines = append(lines, i.id)
			}
		}
		for _, err := range errs {
			lines = append(lines, err.ID+err.Key)
		}
	}
	return lines
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(example))
	for _, text := range append(seeds(), "version: 1\n? [a]\n: &b *b", "-\n---", "version: 1\ninterfaces: {True: {}}") {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start, worked := time.Now(), processTime()
		set, err := Read([]Input{{Path: "r.yaml", Data: data}})
		// A machine that does other things, too, stretches the one, but not the other.
		if took := min(time.Since(start), processTime()-worked); took > 5*time.Second { // the goal is 1s
			t.Fatalf("took %v", took)
		}
		var errs Errors
		if err != nil && !errors.As(err, &errs) {
			t.Fatalf("error %v has no position", err)
		}
		for _, e := range errs {
			if !e.Pos.IsValid() {
				t.Fatalf("%v has no position", e)
			}
		}
		if err == nil {
			for _, i := range set.Files[0].Interfaces {
				i.Resolve([]Method{{Name: "Get"}, {Name: "Close", Closer: true}})
			}
			set.Files[0].Warnings()
			roundTrip(t, set.Files[0])
		}
	})
}

// seeds are files with every key, as its example writes it, and hard cases.
func seeds() []string {
	list := []string{
		example,
		"version: 1\ninterfaces: {G: {use: none, methods: {Get: {use: none, bulkhead: true}}}}",
		"\uFEFFversion: 1\r\ninterfaces:\r\n  G: {use: api}\r\n",
		"version: 1\ninterfaces:\n  \"True\": {use: api, methods: {\"Null\": none, \"y\": {retry: none}}}\n",
		"version: 1\ninterfaces: {io.Reader: {leaveOut: all, retry: true, bulkhead: {}, methods: {Get: {use: database, lint: {ignore: {RG093: \"so \\u2028 it is\"}}}}}}",
		"version: 1\nerrors: {a: [b], b: [c.D, E]}\npermanent: [a]\ninterfaces: {G: {retry: {retryOn: {add: [a, CircuitOpen]}, backoff: none, abortOn: none}}, H: none}",
		"version: 1\npolicies: {p: {extends: api, retry: {retryOn: {remove: [Transient], add: [X]}, backoff: {strategy: sequence, delays: [1s, 0]}}}}\ninterfaces: {G: {use: p, leaveOut: [Get], methods: {\"*\": {fallback: {value: zero}}, \"Get*, ?harge\": {fallback: true}}}}",
		"version: 1\nworkflows: {R: {handlers: N, entry: A, use: workflowNode, lint: {ignore: {RG003: \"so\"}}, limits: {invocations: 50, duration: 10m, cost: 5}, concurrency: 4, checkpoint: {keep: 10, autosave: 30s, resume: false}, retention: {completed: 24h, parked: forever}, output: all, roles: {planner: [A], worker: [B]}, forbid: [\"worker -> worker\"], runs: {perKey: \"input.Tenant\", max: 2, queue: q}, deadLetters: d, schedules: {nightly: {cron: \"30 3 * * mon-fri\", timeZone: Europe/Berlin, catchUp: all, overlap: allow, input: f}, often: {every: 1h, input: g}}, nodes: {A: {use: api, retry: none, next: [B, C, end], delay: 1h, memory: durable}, B: {waitFor: {any: [A, C]}, next: [end]}, C: {signal: approval, next: [B]}, D: {signal: {name: n, type: time.Time, timeout: 1h}, next: [A]}, E: {workflow: R, next: [A]}, F: {pipeline: P, next: [E], waitFor: [A]}, G: {waitFor: {all: [A, B], timeout: 1h}, next: [end]}}}}",
		"version: 1\npipelines: {P: {handlers: S, use: api, lint: {ignore: {RG003: \"so\"}}, stages: [One, {Two: {use: none, timeout: {attempt: 1s}, optional: true}}, {Three: {optional: false}}]}}",
		"version: 1\ninterfaces: {G: {circuitBreaker: {name: \"a\\u00e9\", window: {type: time}, halfOpen: {maxWait: none}, consecutiveFailures: none, ignoreOn: []}, bulkhead: {maxQueue: unbounded, maxWait: 0}}}",
	}
	for _, k := range Keys() {
		if k.Places&InInterface == 0 || k.part() == "" || k.Type == Part {
			continue
		}
		text := k.Example
		parent, _ := splitPath(k.Path)
		for parent != "" {
			text = lastName(parent) + ": {" + text + "}"
			parent, _ = splitPath(parent)
		}
		list = append(list, "version: 1\ninterfaces: {G: {"+text+"}}")
	}
	return list
}
