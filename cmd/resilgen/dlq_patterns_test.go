package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
)

func TestDLQPatternsAndStats(t *testing.T) {
	s := startService(t)
	for range 3 {
		s.tell("keep c-1")
	}
	s.tell("break disk is full")
	s.tell("keep c-2")
	code, out, errs := s.dlq("patterns")
	require.Equal(t, 0, code, errs)
	printable(t, out)
	require.Equal(t, 3, strings.Count(out, "\n"), out)
	code, out, errs = s.dlq("patterns", "--json", "gateway is")
	require.Equal(t, 0, code, errs)
	list := jsonLines[resilience.LetterPattern](t, out)
	require.Len(t, list, 1)
	require.Equal(t, 3, list[0].Open)
	id := list[0].ID

	code, out, errs = s.dlq("patterns", "--id", id, "--set", "resolved", "--in", "v2", "--owner", "ops"+nasty[:5], "--note", "mended")
	require.Equal(t, 0, code, errs)
	printable(t, out)
	require.Contains(t, out, "resolved")
	code, out, errs = s.dlq("patterns", "--id", id)
	require.Equal(t, 0, code, errs)
	for _, want := range []string{id, "resolved", "in v2", "mended", "3 open, 3 ever"} {
		require.Contains(t, out, want)
	}
	code, _, errs = s.dlq("patterns", "--id", "fp1:"+nasty[1:20])
	require.Equal(t, exitNotFound, code, errs)
	printable(t, errs)
	code, _, errs = s.dlq("patterns", "--id", id, "--set", "gone")
	require.Equal(t, exitUsage, code, errs)
	code, _, errs = s.dlq("patterns", "--set", "muted")
	require.Equal(t, exitUsage, code, errs)
	require.Contains(t, errs, "--id and what to change")

	s.tell("odd x")
	code, out, errs = s.dlq("stats")
	require.Equal(t, 0, code, errs)
	printable(t, out+errs)
	require.Equal(t, 5, strings.Count(out, "\n"), out) // the queues of two workflows are empty
	require.Contains(t, out, "4 dead")
	code, out, errs = s.dlq("stats", "--json")
	require.Equal(t, 0, code, errs)
	require.Len(t, jsonLines[resilience.LetterStats](t, out)[0].Queues, 4)
	code, _, _ = s.dlq("stats", "x")
	require.Equal(t, exitUsage, code)
}

func TestBars(t *testing.T) {
	require.Equal(t, "", bars(nil))
	require.Equal(t, ".▂█.▅", bars([]int{0, 1, 7, -3, 4}))
	require.Equal(t, "█", bars([]int{1 << 62}))
}
