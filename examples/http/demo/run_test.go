package main

import (
	"bytes"
	"log"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestMain makes the test binary the server, where it was started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == serveVerb {
		log.Fatal(serve(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// patiently takes the limits away that a machine with much else to do may exceed: the
// story tells how often a call was attempted. Who is killed is noticed without them.
func patiently(p *resilience.Policy) error {
	for _, limit := range []*time.Duration{&p.Timeout.Total, &p.Timeout.Attempt, &p.Timeout.Open} {
		if *limit > 0 {
			*limit = patience
		}
	}
	return nil
}

// TestStory plays the story, which fails if any call of it does, and looks for
// what it tells.
func TestStory(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), &out, patiently)
	t.Log("\n" + out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Today: retry scheduled, attempt 2 in 1",
		"and 10 answers came",
		"knew the second attempt",
		"read a map of 1048576 bytes",
		"Today: breaker transition, closed to open",
		"Today: breaker transition, half_open to closed",
		"none failed",
		"Report  1 calls: 1 succeeded, 1 of them after a retry; 0 answered by the fallback; 2 attempts",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, "Map     1 calls: 1 succeeded") }) {
		t.Error("the map was not counted")
	}
}
