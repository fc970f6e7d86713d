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

// TestStoreOfWaitingRecords looks at a directory that holds only EMERGENCY: what stands
// in it is told, and printed.
func TestStoreOfWaitingRecords(t *testing.T) {
	waitingRecords, err := os.ReadFile("testdata/EMERGENCY") // own/a and own/b, beside a journal that broke
	require.NoError(t, err)
	dir := t.TempDir()
	emergency := filepath.Join(dir, "EMERGENCY")
	require.NoError(t, os.WriteFile(emergency, waitingRecords, 0o600))
	code, out, errs := tool(t, t.TempDir(), "store", "verify", dir)
	require.Equal(t, 0, code, errs)
	require.Regexp(t, `waiting +2 records in EMERGENCY`, out)
	require.Regexp(t, `kept +0 keys in 0 records`, out)

	code, out, errs = tool(t, t.TempDir(), "store", "stat", dir)
	require.Equal(t, 0, code, errs)
	require.Regexp(t, `waiting +2 records in EMERGENCY`, out)
	code, out, errs = tool(t, t.TempDir(), "store", "stat", "--json", dir)
	require.Equal(t, 0, code, errs)
	require.Equal(t, 2, jsonLines[storeNumbers](t, out)[0].Waiting)

	code, _, errs = tool(t, t.TempDir(), "store", "dump", dir)
	require.Equal(t, 0, code, errs)
	require.Contains(t, errs, "2 records in EMERGENCY, which whoever opens it next takes in; --raw prints them")
	code, out, errs = tool(t, t.TempDir(), "store", "dump", "--raw", "--json", dir)
	require.Equal(t, 0, code, errs)
	list := jsonLines[rawEntry](t, out)
	require.Len(t, list, 2)
	require.Equal(t, rawEntry{File: "EMERGENCY", Offset: list[1].Offset, Kind: "waiting", Key: "own/b", At: list[1].At, JSON: json.RawMessage(`{"n":2}`)}, list[1])

	require.Equal(t, map[string]string{"EMERGENCY": string(waitingRecords)}, contents(t, dir), "who reads changes nothing")

	fresh := filepath.Join(t.TempDir(), "copy")
	code, out, errs = tool(t, t.TempDir(), "store", "copy", dir, fresh)
	require.Equal(t, 0, code, errs)
	require.Regexp(t, `kept +2 keys in 2 records`, out)
	s, err := resilience.OpenStore(dir, resilience.StoreOptions{})
	require.NoError(t, err)
	kinds, err := s.Kinds(context.Background())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"own": 2}, kinds)
	require.NoError(t, s.Close())
	require.NoFileExists(t, emergency)
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

// damage flips a bit of a value.
func damage(t *testing.T, dir, value string) {
	t.Helper()
	name := filepath.Join(dir, "000000000001.rj")
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	b[strings.Index(string(b), value)] ^= 1
	require.NoError(t, os.WriteFile(name, b, 0o600))
}

func TestStoreVerifyAndRepair(t *testing.T) {
	dir := someStore(t)
	code, out, errs := tool(t, t.TempDir(), "store", "verify", dir)
	require.Equal(t, 0, code, errs)
	require.Regexp(t, `kept +4 keys in 4 records`, out)
	require.Regexp(t, `last end +clean\ndamage +none\n$`, out)

	damage(t, dir, "9007199254740993")
	before := contents(t, dir)
	code, out, errs = tool(t, t.TempDir(), "store", "verify", dir)
	require.Equal(t, exitUnhealthy, code, errs)
	require.Regexp(t, `damage +000000000001.rj is damaged at byte \d+`, out)
	require.Contains(t, errs, "1 places are damaged")
	code, out, errs = tool(t, t.TempDir(), "store", "verify", "--json", dir)
	require.Equal(t, exitUnhealthy, code, errs)
	r := jsonLines[lookedAt](t, out)[0]
	require.Len(t, r.Damage, 1)
	require.Equal(t, "000000000001.rj", r.Damage[0].File)
	code, _, errs = tool(t, t.TempDir(), "store", "dump", "--raw", "--prefix", "ckpt/", dir)
	require.Equal(t, exitUnhealthy, code, errs)

	repaired := filepath.Join(t.TempDir(), "new", "store")
	code, out, errs = tool(t, t.TempDir(), "store", "repair", dir, repaired)
	require.Equal(t, exitPartly, code, errs)
	require.Contains(t, out, "new store  "+repaired)
	code, out, errs = tool(t, t.TempDir(), "store", "dump", "--json", repaired)
	require.Equal(t, 0, code, errs)
	var keys []string
	for _, d := range jsonLines[dumped](t, out) {
		keys = append(keys, d.Key)
	}
	require.Equal(t, []string{"dlq/q/1", "dlq/q/2", "own"}, keys)
	require.Equal(t, before, contents(t, dir), "the damaged store is as it was")
	code, _, errs = tool(t, t.TempDir(), "store", "repair", dir, repaired)
	require.Equal(t, exitFindings, code)
	require.Contains(t, errs, "not empty")
	code, _, errs = tool(t, t.TempDir(), "store", "copy", dir, filepath.Join(t.TempDir(), "copy"))
	require.NotEqual(t, 0, code, "a copy of what is damaged")
	require.Contains(t, errs, "damaged")
}

func TestStoreCopyAndUpgrade(t *testing.T) {
	dir := someStore(t)
	s, err := resilience.OpenStore(dir, resilience.StoreOptions{})
	require.NoError(t, err)
	_, err = s.Stores().Log.Append(context.Background(), "more", 0, []byte("1"))
	require.NoError(t, err)
	_, err = s.Stores().Log.Append(context.Background(), "newest", 0, []byte("2"))
	require.NoError(t, err)
	to := filepath.Join(t.TempDir(), "copy")
	code, out, errs := tool(t, t.TempDir(), "store", "copy", dir, to) // while it is in use
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "new store  "+to)
	own := filepath.Join(t.TempDir(), "own")
	_, err = s.Copy(own)
	require.NoError(t, err)
	code, _, errs = tool(t, t.TempDir(), "store", "upgrade", dir)
	require.Equal(t, exitConflict, code, errs)
	code, _, errs = tool(t, t.TempDir(), "store", "repair", dir, filepath.Join(t.TempDir(), "r"))
	require.Equal(t, exitConflict, code, errs)
	require.NoError(t, s.Close())
	for dir, keys := range map[string]int{to: 5, own: 6} {
		code, out, errs = tool(t, t.TempDir(), "store", "stat", "--json", dir)
		require.Equal(t, 0, code, errs)
		require.Equal(t, keys, jsonLines[storeNumbers](t, out)[0].Keys)
	}
	code, out, errs = tool(t, t.TempDir(), "store", "upgrade", dir)
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "format 1 is the newest")
	code, out, errs = tool(t, t.TempDir(), "store", "upgrade", "--json", dir)
	require.Equal(t, 0, code, errs)
	require.Equal(t, 1, jsonLines[upgraded](t, out)[0].To)
}

func TestStoreRawDump(t *testing.T) {
	dir := someStore(t)
	s, err := resilience.OpenStore(dir, resilience.StoreOptions{})
	require.NoError(t, err)
	v, err := s.Stores().Log.Append(context.Background(), "gone", 0, []byte(nasty))
	require.NoError(t, err)
	require.NoError(t, s.Stores().Log.Drop(context.Background(), "gone", v))
	require.NoError(t, s.Close())
	code, out, errs := tool(t, t.TempDir(), "store", "dump", "--raw", dir)
	require.Equal(t, 0, code, errs)
	printable(t, out)
	require.Regexp(t, `drop +\d+ +gone`, out)
	require.Contains(t, out, "closed")
	code, out, errs = tool(t, t.TempDir(), "store", "dump", "--raw", "--json", "--prefix", "gone", dir)
	require.Equal(t, 0, code, errs)
	list := jsonLines[rawEntry](t, out)
	require.Len(t, list, 2)
	require.Equal(t, nasty, string(list[0].Bytes))
	require.Equal(t, uint64(v), list[1].Through)
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
	damage(t, dir, "xxxx")
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
		{[]string{"store", "copy", "a"}, exitUsage, "wants the directory and a new one"},
		{[]string{"store", "repair", "a"}, exitUsage, "wants the damaged directory and a new one"},
		{[]string{"store", "stat", none}, exitNotFound, "no such file"},
		{[]string{"store", "verify", none}, exitNotFound, "no such file"},
		{[]string{"store", "copy", none, none + "2"}, exitNotFound, "no such file"},
		{[]string{"store", "repair", none, none + "2"}, exitNotFound, "no such file"},
		{[]string{"store", "upgrade", none}, exitNotFound, "no such file"},
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
