package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// inStore runs resilgen dlq against a directory.
func inStore(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return tool(t, t.TempDir(), append([]string{"dlq", args[0], "--dir", dir}, args[1:]...)...)
}

// TestDLQBackEndsAgree asks a running service and the directory of its store: verbs
// that change nothing answer the same, byte by byte, and leave the store alone.
func TestDLQBackEndsAgree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	id := s.tell("keep c-1")
	s.tell("keep c-2")
	s.tell("odd " + nasty)
	p := s.planned("--rate", "1000", "--max", "1")
	code, _, errs := s.dlq("apply", p.Token)
	require.Equal(t, exitFindings, code, errs)
	before := fingerprint(t, dir)
	for _, args := range [][]string{
		{"ls"}, {"ls", "--oldest", "--limit", "2"}, {"ls", "queue:notices"}, {"ls", "(("}, {"show", id}, {"show", "01j00000000000000000000000"},
		{"show", "../x"}, {"patterns", "--id", "fp1:nothing"}, {"jobs"}, {"jobs", "01j00000000000000000000000"},
	} {
		for _, asJSON := range []bool{false, true} {
			if asJSON {
				args = append(args, "--json")
			}
			code, out, errs := s.dlq(args...)
			code2, out2, errs2 := inStore(t, dir, args...)
			require.Equal(t, code, code2, "%q: %s%s", args, errs, errs2)
			require.Equal(t, out, out2, "%q", args)
			require.Equal(t, errs, errs2, "%q", args)
			printable(t, out+errs)
		}
	}
	require.Equal(t, before, fingerprint(t, dir), "reading writes nothing")
}

// fingerprint tells the names, sizes and times of the files of a directory.
func fingerprint(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		files[path] = info.ModTime().String() + info.Mode().String()
		return nil
	}))
	return files
}

// TestDLQOwnsTheDirectory: what changes something needs the directory for itself,
// and the service finds it changed.
func TestDLQOwnsTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	id := s.tell("keep c-1")
	code, out, errs := inStore(t, dir, "discard", id)
	require.Equal(t, exitConflict, code, errs)
	require.Empty(t, out)
	require.Contains(t, errs, "in use by process")
	require.Contains(t, errs, "ask that process: --addr")

	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	code, out, errs = inStore(t, dir, "ls", "--json")
	require.Equal(t, 0, code, errs)
	require.Equal(t, resilience.LetterDead, jsonLines[resilience.LetterSummary](t, out)[0].State)
	code, out, errs = inStore(t, dir, "discard", id, "--why", "test")
	require.Equal(t, 0, code, errs)
	require.Equal(t, id+"  discarded\n", out)

	s = startServiceIn(t, dir)
	code, out, errs = s.dlq("show", id)
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "discarded")
}

// TestDLQJobOfADirectory: resilgen has no methods, and leaves a job alone that a
// killed service began; the service goes on with it.
func TestDLQJobOfADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := startServiceIn(t, dir)
	for range 5 {
		s.tell("keep c-1")
	}
	s.tell("heal")
	p := s.planned("--rate", "1/m", "--no-canary")
	code, _, errs := s.dlq("apply", "--detach", p.Token)
	require.Equal(t, 0, code, errs)
	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	code, out, errs := inStore(t, dir, "jobs", "--json")
	require.Equal(t, 0, code, errs)
	job := jsonLines[resilience.Job](t, out)[0]
	id := s.letterThatWaits(dir)
	code, _, errs = inStore(t, dir, "resolve", "--as", "done", id) // opens the directory for itself
	require.Equal(t, 0, code, errs)
	_, out, _ = inStore(t, dir, "jobs", "--json", job.ID)
	again := jsonLines[resilience.Job](t, out)[0]
	require.Equal(t, resilience.JobRunning, again.State, "resilgen leaves it alone")
	require.Equal(t, job.Left, again.Left)
}

// letterThatWaits returns the id of a letter that is dead.
func (s *running) letterThatWaits(dir string) string {
	s.t.Helper()
	_, out, errs := inStore(s.t, dir, "ls", "--json", "state:dead")
	list := jsonLines[resilience.LetterSummary](s.t, out)
	require.NotEmpty(s.t, list, errs)
	return list[0].ID
}

func TestDLQDirectoriesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.Mkdir(empty, 0o700))
	foreign := filepath.Join(dir, "foreign")
	require.NoError(t, os.Mkdir(foreign, 0o700))
	torn := filepath.Join(dir, "torn")
	require.NoError(t, os.Mkdir(torn, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(torn, "000000000001.rj"), []byte("RESILJ1\n"+strings.Repeat("\x1b", 4096)), 0o600))
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"missing":           {[]string{"ls", "--dir", filepath.Join(dir, "no\x1bwhere")}, exitNotFound, "no such file"},
		"missing, to write": {[]string{"discard", "--dir", filepath.Join(dir, "nowhere"), "x"}, exitNotFound, "no such file"},
		"a file":            {[]string{"ls", "--dir", file}, exitFindings, "not a directory"},
		"below a file":      {[]string{"ls", "--dir", file + "/x"}, exitFindings, "not a directory"},
		"10,000 bytes":      {[]string{"ls", "--dir", filepath.Join(dir, strings.Repeat("n", 1e4))}, exitFindings, "file name too long"},
		"damaged":           {[]string{"ls", "--dir", torn}, exitUnhealthy, "torn"},
		"damaged, to write": {[]string{"discard", "--dir", torn, "x"}, exitUnhealthy, "torn"},
		"no letter in it":   {[]string{"show", "--dir", empty, "01j00000000000000000000000"}, exitNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := tool(t, t.TempDir(), append([]string{"dlq"}, c.args...)...)
			require.Equal(t, c.code, code, errs)
			require.Empty(t, out)
			require.Contains(t, errs, c.want)
			printable(t, errs)
			require.Less(t, len(errs), 30_000)
		})
	}
	require.NoDirExists(t, filepath.Join(dir, "nowhere"))
	left, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, left, "what is read is not made")
	if os.Geteuid() != 0 {
		t.Skip("only root gives files to others")
	}
	require.NoError(t, os.Chown(foreign, 65534, 65534))
	code, _, errs := inStore(t, foreign, "discard", "x")
	require.Equal(t, exitRefused, code, errs)
	require.Contains(t, errs, "belongs to user 65534")
}
