package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// generate is a case that runs the command on a package. Without wants it must
// succeed; else it must fail, write nothing, and say all wants in one line that
// begins with a position.
func generate(yaml string, wants ...string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		out, code, wrote := resilgen(t, gateway, yaml)
		if len(wants) == 0 {
			if code != 0 || !wrote {
				t.Errorf("%s\nexit %d:\n%s", yaml, code, out)
			}
			return
		}
		if code != 1 || wrote {
			t.Errorf("%s\nexit %d, file written: %v", yaml, code, wrote)
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, "resilience.yaml:2:") && containsAll(line, wants) {
				return
			}
		}
		t.Errorf("%s\ngot:\n%swant a line with %q", yaml, out, wants)
	}
}

// warned is a case that the command warns of, and with -strict fails for.
func warned(yaml, want string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		for _, run := range []struct {
			flags []string
			code  int
		}{{nil, 0}, {[]string{"-strict"}, 1}} {
			out, code, wrote := resilgen(t, gateway, yaml, run.flags...)
			if code != run.code || wrote != (code == 0) || !strings.Contains(out, "warning: resilience.yaml:2:") || !strings.Contains(out, want) {
				t.Errorf("%s\n%v: exit %d, file written: %v\n%s", yaml, run.flags, code, wrote, out)
			}
		}
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// gateway is the package of those cases.
const gateway = `package p

import (
	"context"
	"errors"
)

var ErrBusy = errors.New("busy")

type Gateway interface {
	Charge(ctx context.Context, id string) (int, error)
}

type Wider interface {
	Gateway
	More(ctx context.Context) error
}

func wrongResult(ctx context.Context, id string) (string, error) { return "", nil }
func wrongArgs(ctx context.Context, id int) (int, error)         { return 0, nil }
func noError(ctx context.Context, id string) int                 { return 0 }
func wildcard[T any](ctx context.Context, id []T) (int, error)   { return 0, nil }
func right(ctx context.Context, id string) (int, error)          { return 0, nil }
`

// command is the real one, built once.
var command = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "resilgen")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/resilgen/resilgen/cmd/resilgen").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// resilgen generates for a package with one policy file and returns what was
// said, the exit code, and whether a file was written.
func resilgen(t *testing.T, source, yaml string, flags ...string) (out string, code int, wrote bool) {
	t.Helper()
	path, err := command()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"p.go":            source,
		"resilience.yaml": "version: 1\n" + yaml + "\n",
		"go.mod":          "module example.com/p\n\ngo 1.25.0\n\nrequire github.com/resilgen/resilgen v0.0.0\n\nreplace github.com/resilgen/resilgen => " + root + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, slices.Concat([]string{"generate", "-all"}, flags, []string{"."})...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	text, _ := cmd.CombinedOutput()
	_, err = os.Stat(filepath.Join(dir, "resilience_gen.go"))
	return string(text), cmd.ProcessState.ExitCode(), err == nil
}
