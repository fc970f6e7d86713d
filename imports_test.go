package resilgen

// DO NOT EDIT THE TABLE BELOW TO MEND A BUILD. It says who may import whom; if
// it stands in the way, the import is in the wrong room.

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/resilgen/resilgen"

// rooms lists, for each package, what it may import besides the standard
// library, and what of that library it must not.
var rooms = map[string]struct {
	may      []string
	mustNot  []string
	alsoDeps bool // mustNot and may hold for all that is dragged in, too
}{
	"runtime/internal/clock":   {nil, nil, true},
	"runtime/internal/journal": {nil, []string{"net/http", "expvar", "log", "reflect", "encoding/json"}, true},
	"runtime/internal/faultfs": {[]string{module + "/runtime/internal/journal"}, []string{"net/http", "expvar", "log", "reflect", "encoding/json", "testing"}, true},
	// The one room under runtime/ that may import reflect: letters tell errors apart
	// by types with the full paths of their packages, which fmt does not know.
	"runtime/internal/typename": {nil, []string{"net/http", "expvar", "log"}, true},
	"runtime/resilience": {[]string{module + "/runtime/internal/clock", module + "/runtime/internal/journal", module + "/runtime/internal/typename"},
		[]string{"net/http", "expvar", "log", "reflect"}, true},
	"runtime/overrides": {[]string{module + "/runtime/resilience", module + "/runtime/internal/clock", module + "/runtime/internal/journal", module + "/generator/policy", "gopkg.in/yaml.v3"},
		[]string{"net/http", "expvar"}, true},
	"runtime/workflow": {[]string{module + "/runtime/resilience", module + "/runtime/internal/clock", module + "/runtime/internal/journal", module + "/runtime/internal/typename"},
		[]string{"net/http", "expvar", "log"}, true},
	"runtime/ops":            {[]string{module + "/runtime/resilience", module + "/runtime/workflow", module + "/runtime/internal/clock", module + "/runtime/internal/journal", module + "/runtime/internal/typename"}, []string{"expvar"}, true},
	"generator/policy":       {[]string{"gopkg.in/yaml.v3"}, []string{"go/types", "os"}, false},
	"generator/lint":         {[]string{module + "/generator/policy"}, nil, false},
	"templates":              {[]string{"github.com/dave/jennifer/jen"}, []string{"os"}, false},
	"templates/starter":      {nil, []string{"os"}, false},
	"generator/source":       {[]string{"golang.org/x/mod/modfile", "golang.org/x/mod/module"}, nil, false},
	"runtime/simulation":     {[]string{module + "/runtime/resilience", module + "/runtime/internal/clock", module + "/runtime/internal/journal"}, []string{"net/http", "expvar", "log", "reflect", "testing"}, true},
	"runtime/resiliencetest": {[]string{module + "/runtime/resilience", module + "/runtime/internal/clock", module + "/runtime/internal/journal"}, []string{"net/http", "expvar", "log"}, true},
	"generator": {[]string{module + "/generator/policy", module + "/generator/source", module + "/generator/lint", module + "/templates",
		"golang.org/x/tools/go/packages", "golang.org/x/tools/go/types/typeutil"}, nil, false},
	"cmd/resilgen": {[]string{module + "/generator", module + "/generator/policy", module + "/templates/starter", module + "/runtime/simulation",
		module + "/runtime/resilience", module + "/runtime/workflow", module + "/runtime/ops", "golang.org/x/term"}, nil, false},
}

type listed struct {
	ImportPath    string
	Imports, Deps []string
}

func TestWhoMayImportWhom(t *testing.T) {
	for _, pkg := range list(t) {
		room := strings.TrimPrefix(pkg.ImportPath, module+"/")
		if strings.HasPrefix(room, "examples/") {
			continue
		}
		rule, ok := rooms[room]
		if !ok {
			t.Errorf("%s is in no room of the table", room)
			continue
		}
		for _, path := range pkg.Imports {
			if slices.Contains(rule.mustNot, path) || !standard(path) && !slices.Contains(rule.may, path) {
				t.Errorf("%s must not import %s", room, path)
			}
		}
		for _, path := range pkg.Deps {
			if rule.alsoDeps && (path == "net/http" && room != "runtime/ops" || path == "expvar" || !standard(path) && !slices.Contains(rule.may, path) && !inner(path)) {
				t.Errorf("%s must not drag in %s", room, path)
			}
		}
	}
}

// inner reports whether a package is one of the rooms behind those under runtime/,
// which have rules of their own.
func inner(path string) bool { return strings.HasPrefix(path, module+"/runtime/internal/") }

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./cmd/...", "./generator/...", "./templates/...", "./runtime/...", "./examples/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}
