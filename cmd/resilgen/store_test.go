package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// someStore makes a store with values of every kind and returns its directory.
func someStore(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	s, err := resilience.OpenStore(dir, resilience.StoreOptions{})
	require.NoError(t, err)
	for key, body := range map[string]string{"ckpt/a/b/c": `{"n": 9007199254740993}`, "dlq/q/1": nasty, "dlq/q/2": "[]", "own": strings.Repeat("x", 1000)} {
		_, err := s.Stores().Log.Append(context.Background(), key, 0, []byte(body))
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	return dir
}

// files returns what is in a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := map[string]string{}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = string(b)
	}
	return all
}

func TestStoreStatAndDump(t *testing.T) {
	dir := someStore(t)
	before := contents(t, dir)
	code, out, errs := tool(t, t.TempDir(), "store", "stat", dir)
	require.Equal(t, 0, code, errs)
	require.Regexp(t, `keys +4  in 4 records\n +1 ckpt\n +2 dlq\n +1 own\n`, out)
	require.Contains(t, out, "last end   clean")

	code, out, errs = tool(t, t.TempDir(), "store", "stat", "--json", dir)
	require.Equal(t, 0, code, errs)
	n := jsonLines[storeNumbers](t, out)[0]
	require.Equal(t, 4, n.Keys)
	require.Equal(t, map[string]int{"ckpt": 1, "dlq": 2, "own": 1}, n.Kinds)
	require.True(t, n.CleanEnd)
	require.Equal(t, 1, n.V)

	code, out, errs = tool(t, t.TempDir(), "store", "dump", dir)
	require.Equal(t, 0, code, errs)
	printable(t, out)
	require.Len(t, strings.Split(out, "\n"), 6)

	code, out, errs = tool(t, t.TempDir(), "store", "dump", "--json", dir, "--prefix", "dlq/")
	require.Equal(t, 0, code, errs)
	printable(t, out)
	list := jsonLines[dumped](t, out)
	require.Len(t, list, 2)
	require.Equal(t, "dlq/q/1", list[0].Key)
	require.Equal(t, nasty, string(list[0].Bytes), "JSON says what is there")
	require.Equal(t, json.RawMessage("[]"), list[1].JSON)
	require.Equal(t, before, contents(t, dir), "who reads changes nothing")
}

// TestStoreInUse asks about a store that another process has: what reads answers,
// what writes is refused.
func TestStoreInUse(t *testing.T) {
	dir := someStore(t)
	s, err := resilience.OpenStore(dir, resilience.StoreOptions{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	code, out, errs := tool(t, t.TempDir(), "store", "stat", dir)
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "4 records")
	code, _, errs = tool(t, t.TempDir(), "store", "compact", dir)
	require.Equal(t, exitConflict, code)
	require.Contains(t, errs, "in use by process")
}

func TestStoreCompact(t *testing.T) {
	dir := someStore(t)
	s, err := resilience.OpenStore(dir, resilience.StoreOptions{})
	require.NoError(t, err)
	const secret = "the-canary-4711"
	v, err := s.Stores().Log.Append(context.Background(), "gone", 0, []byte(secret))
	require.NoError(t, err)
	require.NoError(t, s.Stores().Log.Drop(context.Background(), "gone", v))
	require.NoError(t, s.Close())
	found := func() (n int) {
		for _, text := range contents(t, dir) {
			n += strings.Count(text, secret)
		}
		return n
	}
	require.Equal(t, 1, found(), "what was dropped is in a file yet")
	code, out, errs := tool(t, t.TempDir(), "store", "compact", "--erase", "--json", dir)
	require.Equal(t, 0, code, errs)
	require.Positive(t, jsonLines[compactedStore](t, out)[0].FileBytes)
	require.Zero(t, found(), "erased")
	code, out, errs = tool(t, t.TempDir(), "store", "compact", dir)
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "are kept")
	code, out, _ = tool(t, t.TempDir(), "store", "stat", "--json", dir)
	require.Equal(t, 0, code)
	require.Equal(t, 4, jsonLines[storeNumbers](t, out)[0].Keys)
}

func TestStoreCheck(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := tool(t, t.TempDir(), "store", "check", dir)
	require.Contains(t, []int{0, exitUnhealthy}, code, errs) // a test may run in memory
	require.Regexp(t, `flush +median [0-9.]+(µs|ms)`, out)
	require.Contains(t, out, "cost one flush each")
	code, out, errs = tool(t, t.TempDir(), "store", "check", "--quiet", "--json", dir)
	require.Contains(t, []int{0, exitUnhealthy}, code, errs)
	c := jsonLines[resilience.DiskCheck](t, out)[0]
	require.Positive(t, c.Flush.Median)
	require.GreaterOrEqual(t, c.Flush.Worst, c.Flush.P99)
	require.Empty(t, contents(t, dir), "nothing is left behind")
}

func TestStoreUsage(t *testing.T) {
	dir := someStore(t)
	name := filepath.Join(dir, "000000000001.rj")
	text := contents(t, dir)["000000000001.rj"]
	damaged := []byte(text)
	damaged[strings.Index(text, "xxxx")] ^= 1
	require.NoError(t, os.WriteFile(name, damaged, 0o600))
	none := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"store"}, exitUsage, "store wants one of its verbs"},
		{[]string{"store", "stta"}, exitUsage, "did you mean stat?"},
		{[]string{"store", "stat"}, exitUsage, "wants one directory"},
		{[]string{"store", "dump", "a", "b"}, exitUsage, "wants one directory"},
		{[]string{"store", "stat", none}, exitNotFound, "no such file"},
		{[]string{"store", "compact", none}, exitNotFound, "no such file"},
		{[]string{"store", "check", none}, exitNotFound, "no such file"},
		{[]string{"store", "stat", none + "\x1b[2J"}, exitNotFound, `\u{1b}`},
		{[]string{"store", "dump", dir}, exitUnhealthy, "000000000001.rj is damaged at byte"},
	} {
		code, out, errs := tool(t, t.TempDir(), c.args...)
		require.Equal(t, c.code, code, "%q: %s%s", c.args, out, errs)
		require.Contains(t, errs, c.want, "%q", c.args)
		printable(t, out+errs)
	}
}
