package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
)

func TestDLQEdit(t *testing.T) {
	s := startService(t)
	id := s.tell("keep c-1")
	code, out, errs := s.dlq("edit", id, "--patch", `[{"op": "replace", "path": "/customer", "value": "c-2"}]`, "--why", "typo")
	require.Equal(t, 0, code, errs)
	printable(t, out)
	require.Contains(t, out, "arguments, after edit 1")
	require.Contains(t, out, `"c-2"`)
	file := filepath.Join(t.TempDir(), "patch")
	require.NoError(t, os.WriteFile(file, []byte(`[{"op": "replace", "path": "/cents", "value": 9007199254740993}]`), 0o600))
	code, out, errs = s.dlq("edit", id, "--patch", "@"+file, "--json")
	require.Equal(t, 0, code, errs)
	l := jsonLines[resilience.Letter](t, out)[0]
	require.Len(t, l.Edits, 2)
	require.Equal(t, "typo", l.Edits[0].Reason)
	require.NotEmpty(t, l.Edits[0].By)

	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown argument": {[]string{id, "--patch", `[{"op": "add", "path": "/colour", "value": "red"}]`}, exitUsage, "colour"},
		"another type":     {[]string{id, "--patch", `[{"op": "replace", "path": "/cents", "value": "many"}]`}, exitUsage, "cents"},
		"no such place":    {[]string{id, "--patch", `[{"op": "remove", "path": "/nothing"}]`}, exitUsage, "nothing"},
		"no patch":         {[]string{id, "--patch", `{}`}, exitUsage, ""},
		"no JSON":          {[]string{id, "--patch", `[`}, exitUsage, "--patch is no JSON"},
		"both":             {[]string{id, "--patch", `[]`, "--document", `{}`}, exitUsage, "dlq edit wants the id"},
		"neither":          {[]string{id}, exitUsage, "dlq edit wants the id"},
		"no such file":     {[]string{id, "--document", "@" + file + "x"}, exitNotFound, "no such file"},
		"too much":         {[]string{id, "--document", `"` + strings.Repeat("x", 70_000) + `"`}, exitFindings, "more than 65536 bytes"},
		"changed since":    {[]string{id, "--rev", "1", "--patch", `[]`}, exitConflict, "changed"},
		"no such letter":   {[]string{"01j00000000000000000000000", "--patch", `[]`}, exitNotFound, "no such letter"},
		"a directory":      {[]string{id, "--dir", ".", "--patch", `[]`}, exitUsage, ""},
	} {
		code, out, errs := s.dlq(append([]string{"edit"}, c.args...)...)
		require.Equal(t, c.code, code, "%s: %s", name, errs)
		require.Empty(t, out)
		require.Contains(t, errs, c.want, name)
		printable(t, errs)
	}

	s.tell("heal")
	code, _, errs = s.dlq("apply", s.planned("--rate", "1000").Token)
	require.Equal(t, 0, code, errs)
	var ledger []notice
	require.NoError(t, json.Unmarshal([]byte(s.tell("ledger")), &ledger))
	require.Equal(t, []notice{{"c-2", canary, 9007199254740993}}, ledger, "the edited arguments, with what is sealed")
	code, _, errs = s.dlq("edit", id, "--patch", `[]`)
	require.Equal(t, exitConflict, code, errs)
}

func TestReadInput(t *testing.T) {
	_, err := readInput(filepath.Join(t.TempDir(), "none"), 10)
	require.ErrorIs(t, err, os.ErrNotExist)
	file := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(file, make([]byte, 11), 0o600))
	_, err = readInput(file, 10)
	require.ErrorContains(t, err, "more than 10 bytes")
}
