package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// exported writes the letters of a service into a file.
func (s *running) exported(filter ...string) string {
	s.t.Helper()
	code, out, errs := s.dlq(append([]string{"export"}, filter...)...)
	require.Equal(s.t, 0, code, errs)
	printable(s.t, out+errs)
	path := filepath.Join(s.t.TempDir(), "letters.jsonl")
	require.NoError(s.t, os.WriteFile(path, []byte(out), 0o600))
	return path
}

// state returns what has become of a letter.
func (s *running) state(id string) resilience.Letter {
	s.t.Helper()
	code, out, errs := s.dlq("show", "--json", id)
	require.Equal(s.t, 0, code, errs)
	return jsonLines[resilience.Letter](s.t, out)[0]
}

// TestDLQExportAndImport carries letters from one service to others: they are
// foreign there, until somebody releases them or they were trusted.
func TestDLQExportAndImport(t *testing.T) {
	from := startService(t)
	ids := []string{from.tell("keep c-1"), from.tell("keep " + nasty)}
	from.tell("odd o-1")
	file := from.exported("queue:notices")

	to := startService(t)
	code, out, errs := to.dlq("import", file)
	require.Equal(t, 0, code, errs)
	require.Equal(t, "2 imported, 0 were there, 0 refused\n", out)
	for _, id := range ids {
		l := to.state(id)
		require.Equal(t, resilience.LetterQuarantined, l.State)
		require.Contains(t, l.Tags, "foreign")
	}
	require.Equal(t, 0, to.planned().Count, "what is foreign is not replayed")
	code, out, errs = to.dlq("import", "--json", file)
	require.Equal(t, 0, code, errs)
	require.Equal(t, resilience.LetterImport{Skipped: 2}, jsonLines[resilience.LetterImport](t, out)[0])
	code, _, errs = to.dlq("resolve", "--as", "dead", ids[0])
	require.Equal(t, 0, code, errs)
	to.tell("heal")
	code, _, errs = to.dlq("apply", to.planned("--rate", "1000").Token)
	require.Equal(t, 0, code, errs)
	require.Contains(t, to.tell("ledger"), canary, "the same key opens what was sealed")

	trusting := startService(t)
	code, _, errs = trusting.dlq("import", "--trust", file)
	require.Equal(t, 0, code, errs)
	l := trusting.state(ids[1])
	require.Equal(t, resilience.LetterDead, l.State)
	require.NotContains(t, l.Tags, "foreign")
	require.Equal(t, from.state(ids[1]).Call.Args[0], l.Call.Args[0])

	dir := filepath.Join(t.TempDir(), "store")
	stopped := startServiceIn(t, dir)
	require.NoError(t, stopped.in.Close())
	_ = stopped.cmd.Wait()
	code, out, errs = inStore(t, dir, "import", file)
	require.Equal(t, 0, code, errs)
	require.Equal(t, "2 imported, 0 were there, 0 refused\n", out)
	code, out, errs = inStore(t, dir, "export")
	require.Equal(t, 0, code, errs)
	require.Equal(t, 2, strings.Count(out, "\n"))
}

// TestDLQForgedLetters imports what no export wrote.
func TestDLQForgedLetters(t *testing.T) {
	from := startService(t)
	from.tell("keep c-1")
	whole, err := os.ReadFile(from.exported())
	require.NoError(t, err)
	good := strings.TrimSpace(string(whole))
	s := startService(t)
	for name, c := range map[string]struct {
		lines string
		want  string
		code  int
	}{
		"no JSON":             {"\x1b]52;c;x\a\n", "line 1: no JSON", exitFindings},
		"empty":               {"", "", 0},
		"blank lines":         {"\n\n  \n", "", 0},
		"another object":      {`{"a": 1}`, "line 1:", exitFindings},
		"a list":              {`[]`, "line 1:", exitFindings},
		"unknown member":      {strings.Replace(good, `{"format":1`, `{"format":1,"colour":"red"`, 1), "line 1:", exitFindings},
		"member twice":        {strings.Replace(good, `{"format":1`, `{"format":1,"format":1`, 1), "line 1:", exitFindings},
		"another version":     {strings.Replace(good, `{"format":1`, `{"format":2`, 1), "line 1: format 2", exitFindings},
		"path for an id":      {replaceID(good, "../../../../etc/passwd0000"), "line 1:", exitFindings},
		"long id":             {replaceID(good, strings.Repeat("a", 1e4)), "line 1:", exitFindings},
		"escape for an id":    {replaceID(good, `\u001b[31m`), "line 1:", exitFindings},
		"deep":                {strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5), "line 1:", exitFindings},
		"truncated":           {good[:len(good)/2], "line 1: no JSON", exitFindings},
		"good after bad":      {"\n{}\n\n" + good + "\nx\n", "line 2:", exitPartly},
		"a line of megabytes": {`"` + strings.Repeat("x", 9<<20) + `"`, "line 1: ", exitFindings},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "letters")
			require.NoError(t, os.WriteFile(path, []byte(c.lines), 0o600))
			code, _, errs := s.dlq("import", path)
			require.Equal(t, c.code, code, errs)
			require.Contains(t, errs, c.want)
			printable(t, errs)
			require.Less(t, len(errs), 4000)
		})
	}
	code, out, errs := s.dlq("ls", "--json")
	require.Equal(t, 0, code, errs)
	require.Len(t, jsonLines[resilience.LetterSummary](t, out), 1, "only the good one came in")
	code, _, errs = s.dlq("import", "nowhere")
	require.Equal(t, exitNotFound, code, errs)
	code, _, errs = s.dlq("import")
	require.Equal(t, exitUsage, code, errs)
}

func replaceID(line, id string) string {
	const at = `"id":"`
	i := strings.Index(line, at) + len(at)
	return line[:i] + id + line[i+strings.IndexByte(line[i:], '"'):]
}

// TestDLQImportOfManyLines sends several batches, and names lines by their number
// in the file.
func TestDLQImportOfManyLines(t *testing.T) {
	from := startService(t)
	from.tell("keep " + strings.Repeat("c", 30_000))
	whole, err := os.ReadFile(from.exported())
	require.NoError(t, err)
	var all strings.Builder
	for i := range 100 {
		all.WriteString(replaceID(strings.TrimSpace(string(whole)), fmt.Sprintf("01m8ev7wf61w3xh313fgcm%04d", i)) + "\n")
		if i == 80 {
			all.WriteString("{}\n")
		}
	}
	path := filepath.Join(t.TempDir(), "letters")
	require.NoError(t, os.WriteFile(path, []byte(all.String()), 0o600))
	s := startService(t)
	code, out, errs := s.dlq("import", "--trust", path)
	require.Equal(t, exitPartly, code, errs)
	require.Equal(t, "100 imported, 0 were there, 1 refused\n", out)
	require.Contains(t, errs, "line 82:")
}

func TestDLQVerify(t *testing.T) {
	s := startService(t)
	s.tell("keep c-1")
	code, out, errs := s.dlq("verify")
	require.Equal(t, 0, code, errs)
	require.Empty(t, out)
	code, _, _ = s.dlq("verify", "x")
	require.Equal(t, exitUsage, code)
}

// TestDLQVerifyFindsAForgedRecord writes past the letters into the store of a
// service that is stopped.
func TestDLQVerifyFindsAForgedRecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	store, err := resilience.OpenStore(dir, resilience.StoreOptions{})
	require.NoError(t, err)
	_, err = store.Stores().Log.Append(t.Context(), resilience.StoreKey("dlq", "q", "01m8ev7wf61w3xh313fgcm0000"), 0, []byte(`{"kind":"letter","letter":{"id":"\u001b[31m"}}`))
	require.NoError(t, err)
	require.NoError(t, store.Close())
	for _, asJSON := range [][]string{nil, {"--json"}} {
		code, out, errs := inStore(t, dir, append([]string{"verify"}, asJSON...)...)
		require.Equal(t, exitFindings, code, errs)
		require.Contains(t, out, "dlq/q/01m8ev7wf61w3xh313fgcm0000")
		require.Contains(t, errs, "1 fault")
		printable(t, out+errs)
	}
	code, out, errs := inStore(t, dir, "ls")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "quarantined")
	printable(t, out)
}

func TestDLQRekey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	id := s.tell("keep c-1")
	require.Equal(t, "k1", s.state(id).Call.Args[1].KeyID)
	require.NoError(t, s.in.Close())
	_ = s.cmd.Wait()
	t.Setenv(withKey, "k2")
	s = startServiceIn(t, dir)
	code, out, errs := s.dlq("rekey")
	require.Equal(t, 0, code, errs)
	require.Equal(t, "1 rekeyed, 0 need not be\n", out)
	require.Equal(t, "k2", s.state(id).Call.Args[1].KeyID)
	code, out, errs = s.dlq("rekey", "--json", "queue:notices")
	require.Equal(t, 0, code, errs)
	require.Equal(t, resilience.LetterRekey{Kept: 1}, jsonLines[resilience.LetterRekey](t, out)[0])
	code, _, errs = inStore(t, dir, "rekey")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "only that has the keys")
}

// TestDLQErase greps the files of the store: no byte of an erased letter is left.
func TestDLQErase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	const person = "somebody-to-forget"
	s.tell("keep " + person)
	id := s.tell("keep c-2")
	require.True(t, inFiles(t, dir, person))
	code, _, errs := s.dlq("rm")
	require.Equal(t, exitUsage, code, errs)
	code, _, errs = s.dlq("rm", "args.customer="+person)
	require.Equal(t, exitRefused, code, errs)
	code, out, errs := s.dlq("rm", "args.customer="+person, "--yes", "--json")
	require.Equal(t, 0, code, errs)
	require.Equal(t, ops.Erased{Erased: 1}, jsonLines[ops.Erased](t, out)[0])
	require.False(t, inFiles(t, dir, person))
	require.Equal(t, resilience.LetterDead, s.state(id).State)
	code, out, errs = s.dlq("rm", "args.customer="+person, "--yes")
	require.Equal(t, 0, code, errs)
	require.Empty(t, out)
	require.Contains(t, errs, "no letter is chosen")
}

// inFiles reports whether text is in one of the files of a directory.
func inFiles(t *testing.T, dir, text string) bool {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil && strings.Contains(string(data), text) {
			return true
		}
	}
	return false
}
