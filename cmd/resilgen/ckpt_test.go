package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// keepIn keeps results in the store of a directory, one for each key, and a record
// that is none.
func keepIn(t *testing.T, dir string, ttl time.Duration, keys ...string) {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	require.NoError(t, err)
	w := rt.Wrap("pay.Gateway", rt)
	w.Guard("Quote", resilience.Policy{})
	c := resilience.NewCheckpoints[string, string](w, "Quote", resilience.CheckpointPolicy{TTL: ttl, Type: "string", Shape: "473287f8298dba71"}, nil)
	require.NoError(t, w.Err())
	for _, key := range keys {
		_, call := c.Do(t.Context(), key, "args", func(context.Context) (string, resilience.Outcome) { return "value of " + key, resilience.Outcome{} })
		require.NoError(t, call.Err())
	}
	require.NoError(t, rt.Close())
}

// spoil appends a record to the checkpoints that is none.
func spoil(t *testing.T, dir string) string {
	t.Helper()
	store, err := resilience.OpenStore(dir, resilience.StoreOptions{})
	require.NoError(t, err)
	key := resilience.StoreKey("ckpt", "x", "y", "z")
	_, err = store.Stores().Log.Append(t.Context(), key, 0, []byte(`{"v":9}`))
	require.NoError(t, err)
	require.NoError(t, store.Close())
	return key
}

func ckpt(t *testing.T, dir string, args ...string) (int, string, string) {
	t.Helper()
	code, out, errs := tool(t, t.TempDir(), append([]string{"ckpt", args[0], "--dir", dir}, args[1:]...)...)
	printable(t, out+errs)
	return code, out, errs
}

func TestCkptOnADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	odd := "k" + nasty
	keepIn(t, dir, 0, "a", "ab", odd)
	keepIn(t, dir, time.Nanosecond, "old")

	code, out, errs := ckpt(t, dir, "ls")
	require.Equal(t, 0, code, errs)
	require.Len(t, strings.Split(out, "\n"), 6)
	require.Contains(t, out, "resilgen.Gateway.Quote")
	code, out, errs = ckpt(t, dir, "ls", "--json", "--key", "a")
	require.Equal(t, 0, code, errs)
	list := jsonLines[resilience.Checkpoint](t, out)
	require.Len(t, list, 2)
	require.Nil(t, list[0].Value, "a list has no values")

	code, out, errs = ckpt(t, dir, "show", list[0].ID())
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, `value      "value of a"`)
	code, out, _ = ckpt(t, dir, "show", "--json", list[1].ID())
	require.Equal(t, 0, code)
	require.Equal(t, `"value of ab"`, string(jsonLines[resilience.Checkpoint](t, out)[0].Value))
	code, _, errs = ckpt(t, dir, "show", "ckpt/nobody")
	require.Equal(t, exitNotFound, code)
	require.Equal(t, "resilgen: ckpt/nobody: no such checkpoint\n", errs)

	code, _, errs = ckpt(t, dir, "verify")
	require.Equal(t, 0, code, errs)
	require.Equal(t, "4 whole, 0 damaged\n", errs)
	code, _, errs = ckpt(t, dir, "prune")
	require.Equal(t, 0, code, errs)
	require.Equal(t, "1 removed\n", errs)
	code, _, errs = ckpt(t, dir, "rm", list[0].ID())
	require.Equal(t, exitRefused, code, "nobody confirmed it")
	require.Contains(t, errs, "--yes")
	code, _, errs = ckpt(t, dir, "rm", "--yes", list[0].ID(), "ckpt/nobody")
	require.Equal(t, exitPartly, code, errs)
	code, out, _ = ckpt(t, dir, "ls", "--json")
	require.Equal(t, 0, code)
	require.Len(t, jsonLines[resilience.Checkpoint](t, out), 2)

	bad := spoil(t, dir)
	code, out, errs = ckpt(t, dir, "verify")
	require.Equal(t, exitFindings, code)
	require.Contains(t, out, bad)
	require.Contains(t, errs, "1 of 3 checkpoints cannot be read")
	code, _, errs = ckpt(t, dir, "ls")
	require.Equal(t, 0, code)
	require.Contains(t, errs, "1 cannot be read")
	code, _, errs = ckpt(t, dir, "rm", "--yes", bad)
	require.Equal(t, 0, code, errs)
}

// TestCkptErase looks for the bytes of a checkpoint in every file.
func TestCkptErase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	keepIn(t, dir, 0, "stays", "goes")
	found := func(text string) bool {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		return slices.ContainsFunc(files, func(name string) bool {
			data, err := os.ReadFile(name)
			require.NoError(t, err)
			return strings.Contains(string(data), text)
		})
	}
	require.True(t, found("value of goes"))
	_, out, _ := ckpt(t, dir, "ls", "--json", "--key", "goes")
	code, _, errs := ckpt(t, dir, "rm", "--yes", "--erase", jsonLines[resilience.Checkpoint](t, out)[0].ID())
	require.Equal(t, 0, code, errs)
	require.False(t, found("value of goes"))
	require.True(t, found("value of stays"))
}

func TestCkptExportAndImport(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	keepIn(t, from, 0, "a", "k"+nasty)
	keepIn(t, to, 0, "b")
	file := filepath.Join(t.TempDir(), "ckpt.jsonl")
	code, _, errs := ckpt(t, from, "export", file)
	require.Equal(t, 0, code, errs)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	code, _, errs = ckpt(t, from, "export", file)
	require.Equal(t, exitFindings, code, "a file that is there stays")
	require.Contains(t, errs, "exists")
	code, out, errs := ckpt(t, from, "export", "--key", "k")
	require.Equal(t, 0, code, errs)
	require.Equal(t, "k"+nasty, jsonLines[resilience.Checkpoint](t, out)[0].Key)

	code, _, errs = ckpt(t, to, "import", file)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errs, "--trust")
	for _, want := range []string{"2 written, 0 were there\n", "0 written, 2 were there\n"} {
		code, _, errs = ckpt(t, to, "import", "--trust", file)
		require.Equal(t, 0, code, errs)
		require.Equal(t, want, errs)
	}
	keepIn(t, to, 0, "a") // it is there: nothing is called
	require.NoError(t, os.WriteFile(file, []byte("{\x1b[31m}\n"), 0o600))
	code, _, errs = ckpt(t, to, "import", "--trust", file)
	require.Equal(t, exitFindings, code)
	require.Contains(t, errs, "line 1: ")
}

func TestCkptUsage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	keepIn(t, dir, 0, "a")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"ckpt"}, exitUsage, "ckpt wants one of its verbs: ls, show, verify, prune, rm, export, import"},
		{[]string{"ckpt", "ls"}, exitUsage, "give --dir"},
		{[]string{"ckpt", "ls", "--dir", dir, "x\x1b[2J"}, exitUsage, `ckpt ls takes no arguments, and was given x\u{1b}[2J`},
		{[]string{"ckpt", "show", "--dir", dir}, exitUsage, "wants the ids"},
		{[]string{"ckpt", "rm", "--dir", dir}, exitUsage, "wants the ids"},
		{[]string{"ckpt", "import", "--dir", dir}, exitUsage, "wants one file"},
		{[]string{"ckpt", "ls", "--dir", filepath.Join(dir, "nowhere")}, exitNotFound, "no such file"},
		{[]string{"ckpt", "list", "--dir", dir}, exitUsage, "no verb ckpt list"},
	} {
		code, _, errs := tool(t, t.TempDir(), c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, errs)
		require.Contains(t, errs, c.want, fmt.Sprint(c.args))
		printable(t, errs)
	}
}

// TestCkptOfAnotherUser holds that root leaves no files in a directory whose owner
// could not read them.
func TestCkptOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files to others")
	}
	dir := filepath.Join(t.TempDir(), "store")
	keepIn(t, dir, 0, "a")
	_, out, _ := ckpt(t, dir, "ls", "--json")
	id := jsonLines[resilience.Checkpoint](t, out)[0].ID()
	require.NoError(t, os.Chown(dir, 65534, 65534))
	before := contents(t, dir)
	for _, args := range [][]string{{"prune"}, {"rm", "--yes", id}, {"import", "--trust", "/dev/null"}} {
		code, _, errs := ckpt(t, dir, args...)
		require.Equal(t, exitRefused, code, errs)
		require.Contains(t, errs, "belongs to user 65534")
	}
	require.Equal(t, before, contents(t, dir))
	code, _, errs := ckpt(t, dir, "show", id)
	require.Equal(t, 0, code, errs)
}

// TestCkptBesideAService holds that a store is read while a service owns it, and not
// changed.
func TestCkptBesideAService(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	keepIn(t, dir, 0, "a")
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close()) }()
	code, out, errs := ckpt(t, dir, "ls", "--json")
	require.Equal(t, 0, code, errs)
	require.Len(t, jsonLines[resilience.Checkpoint](t, out), 1)
	code, _, errs = ckpt(t, dir, "prune")
	require.Equal(t, exitConflict, code, errs)
}
