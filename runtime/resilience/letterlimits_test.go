package resilience

import (
	"context"
	"encoding/json"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestRecordsNeedLittleMemory reads records of jobs, plans, patterns and tombstones
// that somebody forged to be large once they are read.
func TestRecordsNeedLittleMemory(t *testing.T) {
	many := func(what string) string { return what + strings.Repeat(","+what, 2<<20) }
	for text, into := range map[string]any{
		`{"letters":[` + many("{}") + `]}`:                      new(jobRecord),
		`{"start":{"results":[` + many("{}") + `]}}`:            new(jobRecord),
		`{"plan":{"groups":[` + many("{}") + `]}}`:              new(planRecord),
		`{"plan":{"left":[{"letters":[` + many(`"a"`) + `]}]}}`: new(planRecord),
		`{"queue":"q","last":[` + many("{}") + `]}`:             new(tombstone),
		`{"id":"g","notes":[` + many("{}") + `]}`:               new(patternChange),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := decodeListed([]byte(text), into)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > 2*uint64(len(text))+1<<20 {
			t.Errorf("%.40s, %d bytes, took %d bytes, %.100v", text, len(text), used, err)
		}
	}
	letter := `{"id":"01m8ev7wf61w3xh313fgcmfp5h","rev":12}`
	if err := decodeListed([]byte(`{"letters":[`+letter+strings.Repeat(","+letter, 100_000)+`]}`), new(jobRecord)); err != nil {
		t.Errorf("a job of 100,001 letters: %v", err)
	}
}

// TestImportOfAbsurdLetters refuses times and counts that no letter has.
func TestImportOfAbsurdLetters(t *testing.T) {
	rt := openLetters(t, Options{})
	someLetters(t, rt, 1)
	good := string(exportOf(t, rt.DeadLetters(), "")[0])
	member := func(name, value string) json.RawMessage {
		re := regexp.MustCompile(`"` + name + `":("[^"]*"|[0-9]+)`)
		if !re.MatchString(good) {
			t.Fatalf("no %s in %s", name, good)
		}
		at := re.FindStringIndex(good)
		return json.RawMessage(good[:at[0]] + `"` + name + `":` + value + good[at[1]:])
	}
	bad := []json.RawMessage{
		member("deadAt", `"9999-01-01T00:00:00Z"`), member("deadAt", `"0001-01-01T00:00:00Z"`), member("first", `"1912-06-23T00:00:00Z"`),
		member("last", `"2999-01-01T00:00:00Z"`), member("expiresAt", `"1990-01-01T00:00:00Z"`), member("attemptCount", "-1"),
		member("attemptCount", `0,"attempts":[{"n":1,"at":"2000-01-01T00:00:00Z","dur":-5}]`), member("attemptCount", `1,"elided":[{"errFP":"","count":-1,"first":"2000-01-01T00:00:00Z","last":"2000-01-01T00:00:00Z"}]`),
		member("attemptCount", `1,"movedAt":"3000-01-01T00:00:00Z"`), member("attemptCount", `1,"size":-3`),
	}
	there := reopened(t, MemoryStores())
	report, err := there.Import(t.Context(), each(append(bad, json.RawMessage(good))...), ImportOptions{Trust: true})
	if err != nil || report.Imported != 1 || len(report.Refused) != len(bad) {
		t.Errorf("%d of %d refused, %+v, %v", len(report.Refused), len(bad), report, err)
	}
}

// TestImportOfSettledLetters: nobody has to release what is not replayed anyway.
func TestImportOfSettledLetters(t *testing.T) {
	for state, want := range map[LetterState]LetterState{
		LetterDead: LetterQuarantined, LetterClaimed: LetterQuarantined, LetterInDoubt: LetterQuarantined,
		LetterReplayed: LetterReplayed, LetterDiscarded: LetterDiscarded, LetterQuarantined: LetterQuarantined,
	} {
		rt := openLetters(t, Options{})
		someLetters(t, rt, 1)
		line := strings.Replace(string(exportOf(t, rt.DeadLetters(), "")[0]), `"state":"dead"`, `"state":"`+string(state)+`"`, 1)
		there := reopened(t, MemoryStores())
		if _, err := there.Import(t.Context(), each(json.RawMessage(line)), ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		got := summaries(t, there)
		if len(got) != 1 || got[0].State != want || got[0].Tags[0] != foreignTag {
			t.Errorf("%s became %+v", state, got)
			continue
		}
		if plan, err := there.Plan(context.Background(), "", ReplayOptions{}); err != nil || plan.Count != 0 {
			t.Errorf("%s: plan %+v, %v", state, plan, err)
		}
	}
}

// TestLossesArePrinted once a second for each queue, with how many were not.
func TestLossesArePrinted(t *testing.T) {
	var b LetterBox
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		queue string
		after time.Duration
		more  string
		ok    bool
	}{
		{"a", 0, "", true}, {"a", 0, "", false}, {"b", time.Millisecond, "", true}, {"a", 999 * time.Millisecond, "", false},
		{"a", time.Second, " (and 2 others since the line before)", true}, {"a", 3 * time.Second, "", true}, {"b", 3 * time.Second, "", true},
	} {
		if more, ok := b.prints(c.queue, start.Add(c.after)); more != c.more || ok != c.ok {
			t.Errorf("%s after %v: %q, %v", c.queue, c.after, more, ok)
		}
	}
}
