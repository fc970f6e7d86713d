package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// printable fails where text would move a cursor, or tell the canary.
func printable(t *testing.T, text string) {
	t.Helper()
	require.NotContains(t, text, "y-4929")
	for _, r := range text {
		require.True(t, r == '\n' || unicode.IsGraphic(r), "%U in %q", r, text)
	}
}

// jsonLines decodes every line.
func jsonLines[T any](t *testing.T, text string) []T {
	t.Helper()
	var list []T
	for line := range strings.Lines(text) {
		var v T
		require.NoError(t, json.Unmarshal([]byte(line), &v), line)
		list = append(list, v)
	}
	return list
}

func TestDLQListAndShow(t *testing.T) {
	s := startService(t)
	first, second := s.tell("keep c-1"), s.tell("odd "+strings.ReplaceAll(nasty, "\n", ""))
	older, newer := min(first, second), max(first, second) // those of one millisecond have no order
	code, out, errs := s.dlq("ls")
	require.Equal(t, 0, code, errs)
	printable(t, out+errs)
	lines := strings.Split(out, "\n")
	require.Len(t, lines, 4)
	require.True(t, strings.HasPrefix(lines[0], "ID "), out)
	require.True(t, strings.HasPrefix(lines[1], newer), "newest first: %s", out)
	require.Contains(t, out, `q\u{1b}[31mred`)
	require.True(t, strings.HasPrefix(lines[2], older), out)
	require.Contains(t, out, "resilgen.Gateway.Notify")

	code, out, errs = s.dlq("ls", "--json", "--oldest", "--limit", "1")
	require.Equal(t, 0, code, errs)
	printable(t, out+errs)
	page := jsonLines[resilience.LetterSummary](t, out)
	require.Len(t, page, 1)
	require.Equal(t, older, page[0].ID)
	cursor := strings.Fields(errs)[4]
	code, out, errs = s.dlq("ls", "--json", "--oldest", "--cursor", cursor)
	require.Equal(t, 0, code, errs)
	require.Empty(t, errs)
	require.Equal(t, newer, jsonLines[resilience.LetterSummary](t, out)[0].ID)

	code, out, errs = s.dlq("show", first, second)
	require.Equal(t, 0, code, errs)
	printable(t, out)
	require.Contains(t, out, "4611686018427387905", "numbers are not rounded")
	require.Contains(t, out, `queue      q\u{1b}[31mred`)
	require.Contains(t, out, `txt.exe\u{2066}`)
	require.Contains(t, out, "redacted /card (seal)")
	code, out, errs = s.dlq("show", "--json", second)
	require.Equal(t, 0, code, errs)
	printable(t, out)
	letter := jsonLines[resilience.Letter](t, out)[0]
	require.Equal(t, "q"+nasty, letter.Queue, "JSON says what is there")
	require.Equal(t, "4611686018427387905", string(letter.Call.Args[2].JSON))
}

func TestDLQUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "dlq wants one of its verbs: ls, show"},
		{[]string{"lss"}, exitUsage, "did you mean ls?"},
		{[]string{"\x1b[31m"}, exitUsage, `no verb dlq \u{1b}[31m`},
		{[]string{"ls"}, exitUsage, "give --addr of a running service or --dir of its store"},
		{[]string{"ls", "--dir", ".", "--addr", "unix:x"}, exitUsage, "give --addr of a running service or --dir of its store"},
		{[]string{"ls", "--addr", "127.0.0.1:80"}, exitUsage, "want unix:/path/of/a.sock"},
		{[]string{"ls", "--addr", "unix:/" + strings.Repeat("\x1b", 1e4)}, exitUsage, "a path of 10001 bytes"},
		{[]string{"ls", "--limt", "1"}, exitUsage, "resilgen dlq ls -h lists the flags"},
		{[]string{"ls", "--color", "blue"}, exitUsage, "want auto, always or never"},
		{[]string{"ls", "--addr", "unix:nobody.sock"}, exitUnavailable, "no such file"},
		{[]string{"ls", "--dir", "nowhere"}, exitNotFound, "nowhere: no such file or directory"},
		{[]string{"show", "--addr", "unix:nobody.sock"}, exitUsage, "wants the ids of letters"},
		{[]string{"show", "--addr", "unix:nobody.sock", "../../etc"}, exitNotFound, "nothing is called"},
	} {
		code, out, errs := tool(t, t.TempDir(), append([]string{"dlq"}, c.args...)...)
		require.Equal(t, c.code, code, "%q: %s", c.args, errs)
		require.Empty(t, out)
		require.Contains(t, errs, c.want)
		printable(t, errs)
	}
	s := startService(t)
	code, _, errs := s.dlq("show", "01J00000000000000000000000")
	require.Equal(t, exitNotFound, code, errs)
	require.Contains(t, errs, "no such letter")
	code, _, errs = s.dlq("ls", "queue:notices", "(\x1b")
	require.Equal(t, exitUsage, code, errs)
	require.Contains(t, errs, "column 16")
	printable(t, errs)
}

func TestDLQHelp(t *testing.T) {
	for _, v := range dlqGroup().names() {
		code, want, errs := tool(t, t.TempDir(), "dlq", v, "-h")
		require.Equal(t, 0, code, errs)
		require.True(t, strings.HasPrefix(want, "usage: resilgen dlq "+v), want)
		if v != "schema" { // which asks no store
			require.Contains(t, want, "--addr address")
		}
		for _, args := range [][]string{{"help", "dlq", v}, {"dlq", "help", v}, {"dlq", v, "--help"}, {"dlq", v, "x", "-h"}} {
			_, out, _ := tool(t, t.TempDir(), args...)
			require.Equal(t, want, out, args)
		}
	}
}
