package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCompletion asks the shells themselves, where they are installed.
func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		shell string
		args  []string
		ask   string // prints the candidates of $LINE, a word a line
	}{
		{"bash", []string{"--norc"}, `source ./script
COMP_WORDS=($LINE); [ "${LINE% }" = "$LINE" ] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _resilgen; printf '%s\n' "${COMPREPLY[@]}"`},
		{"zsh", []string{"-f"}, `compdef() { :; }; compadd() { shift; print -l -- $@; }; _files() { print -l -- *(/); }
source ./script; words=(${=LINE}); [[ $LINE = *" " ]] && words+=(""); CURRENT=$#words PREFIX=$words[-1]; _resilgen | grep "^$PREFIX"; true`},
		{"fish", []string{"--no-config"}, `source ./script; complete -C $LINE | string replace -r '\t.*' ''`},
	} {
		t.Run(c.shell, func(t *testing.T) {
			dir := t.TempDir()
			code, script, errs := tool(t, dir, "completion", c.shell)
			require.Equal(t, 0, code, errs)
			path, err := exec.LookPath(c.shell)
			if err != nil {
				t.Skipf("no %s here", c.shell)
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte(script), 0o644))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "payments"), 0o755))
			for line, want := range map[string]string{
				"resilgen gen":                 "generate",
				"resilgen ex":                  "explain",
				"resilgen completion z":        "zsh",
				"resilgen generate -pr":        "-prune",
				"resilgen generate -strict pa": "payments",
				"resilgen check -l":            "-lint=warn\n-loader",
				"resilgen lint -sa":            "-sarif",
				"resilgen diff -f":             "-fail-on=weaker",
				"resilgen dlq sh":              "show",
				"resilgen dlq ls --ol":         "--oldest",
				"resilgen dlq show pa":         "payments",
			} {
				cmd := exec.Command(path, append(c.args, "-c", c.ask)...)
				cmd.Dir, cmd.Env = dir, append(os.Environ(), "LINE="+line)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, string(out))
				require.Equal(t, want, strings.TrimRight(string(out), "/\n"), line)
			}
		})
	}
	code, _, _ := tool(t, t.TempDir(), "completion", "tcsh")
	require.Equal(t, exitUsage, code)
}
