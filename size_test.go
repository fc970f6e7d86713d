package resilgen

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mostGrowth is by how many bytes the stripped binary of a service may grow for
// the runtime. The goal is 400 KB without what is durable; docs/benchmarks.md tells
// what they are made of. Options.Dir is a string, so every program that can open a
// Runtime links the store behind it: 440 KB, of which the journal is 120 KB of code, the
// rest os.Root and tables of the linker.
const mostGrowth = 950_000

// TestBinaryGrowth builds a service with a wrapper and without, and the least
// program with a guard and without, and measures what the wrapper adds.
func TestBinaryGrowth(t *testing.T) {
	if testing.Short() {
		t.Skip("links eight binaries")
	}
	dir := t.TempDir()
	for _, c := range []struct{ what, without, with string }{
		{"a service over net/http", "without", "with"},
		{"the least program", "empty", "guard"},
	} {
		stripped := size(t, dir, c.with, "-s -w") - size(t, dir, c.without, "-s -w")
		whole := size(t, dir, c.with, "") - size(t, dir, c.without, "")
		t.Logf("%s grows by %d KB stripped, by %d KB with symbols and DWARF", c.what, stripped/1000, whole/1000)
		if c.with == "with" && stripped > mostGrowth {
			t.Errorf("%s grows by %d bytes, more than %d", c.what, stripped, mostGrowth)
		}
	}
}

// size builds a program of testdata/size and returns how large it is.
func size(t *testing.T, dir, name, ldflags string) int64 {
	t.Helper()
	path := filepath.Join(dir, name)
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags="+ldflags, "-o", path, "./testdata/size/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestServiceDependsOnTheStandardLibrary lists what a service with a wrapper
// drags in: besides its own packages the runtime, and nothing that is not in the
// standard library.
func TestServiceDependsOnTheStandardLibrary(t *testing.T) {
	deps := func(name string) map[string]bool {
		out, err := exec.Command("go", "list", "-json=Deps", "./testdata/size/"+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		var pkg struct{ Deps []string }
		if err := json.Unmarshal(out, &pkg); err != nil {
			t.Fatal(err)
		}
		set := map[string]bool{}
		for _, path := range pkg.Deps {
			set[path] = true
		}
		return set
	}
	before, added := deps("without"), []string(nil)
	for path := range deps("with") {
		switch {
		case standard(path) || before[path] || strings.HasPrefix(path, "vendor/golang.org/"): // of the standard library, too
		case !strings.HasPrefix(path, module+"/runtime/"):
			added = append(added, path)
		}
	}
	if added != nil {
		t.Errorf("a wrapper drags in %s", strings.Join(added, ", "))
	}
}
