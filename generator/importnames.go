package generator

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/resilgen/resilgen/templates"
)

// importLine is an import as gofmt leaves it: its name, if it has one, and its
// path.
var importLine = regexp.MustCompile("^(?:import)?[ \t]+(?:([\\pL_][\\pL\\pN_]*)[ \t]+)?[\"`]([^\"`]+)[\"`]")

// importNames returns what the Go files of dir, tests included, call the
// packages that they import, as far as their lines tell. It reads no more of a
// file than its imports, and nothing of our own.
func importNames(dir string) map[string]bool {
	names := map[string]bool{}
	paths, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, file := range paths {
		if f, err := os.Open(file); err == nil { // what cannot be read is reported by the loader
			addImportNames(names, f)
			_ = f.Close()
		}
	}
	return names
}

func addImportNames(names map[string]bool, f *os.File) {
	lines := bufio.NewScanner(f)
	for first := true; lines.Scan(); first = false {
		line := lines.Bytes()
		if first && bytes.HasPrefix(line, []byte(templates.Header)) || declares(line) {
			return
		}
		switch m := importLine.FindSubmatch(line); {
		case m == nil:
		case len(m[1]) > 0:
			names[string(m[1])] = true
		default:
			names[path.Base(string(m[2]))] = true
		}
	}
}

// declares reports whether the line begins what comes after the imports.
func declares(line []byte) bool {
	for _, word := range []string{"const", "func", "type", "var"} {
		if rest, is := bytes.CutPrefix(line, []byte(word)); is && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '(') {
			return true
		}
	}
	return false
}
