package generator

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// TestExplainTellsOptionalInterfaces that vanish behind a wrapper: of the
// standard library and the package, embedded ones too, and each method once.
func TestExplainTellsOptionalInterfaces(t *testing.T) {
	t.Setenv("GOWORK", "off")
	for name, c := range map[string]struct{ code, want string }{
		"embedded, io not imported": {`
import "os"

type Source interface{ Read(p []byte) (int, error) }

type file struct{ *os.File }
`, "io.Closer, io.ReaderAt, io.ReaderFrom, io.Seeker, io.StringWriter, io.Writer, io.WriterAt and io.WriterTo (file):"},
		"database/sql/driver": {`
import (
	"context"
	"database/sql/driver"
)

type Source interface{ Ping(ctx context.Context) error }

type conn struct{}

func (conn) Ping(context.Context) error { return nil }
func (*conn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return nil, nil
}
`, "driver.QueryerContext (conn):"},
		"its own": {`
type Source interface {
	Unwrap() error
	Get() error
}

type flusher interface{ Flush() }

type Other interface{ Set() }

type a struct{}

func (a) Get() error    { return nil }
func (a) Unwrap() error { return nil }
func (a) Flush()        {}
func (a) Set()          {}

type B[T any] struct{ a }

type c = a

type d struct{ a }
`, "flusher (a), flusher (d):"},
		"nothing more": {"\ntype Source interface{ Get() error }\n\ntype a struct{}\n\nfunc (a) Get() error { return nil }\nfunc (a) More() {}\n", ""},
		"generic":      {"\ntype Source[T any] interface{ Get() T }\n\ntype a struct{}\n\nfunc (a) Get() int { return 0 }\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(newModule(t), "p")
			policies := "version: 1\ninterfaces:\n  Source: {bulkhead: {}}\n  Other: none\n"
			if !strings.Contains(c.code, "Other") {
				policies = strings.Replace(policies, "  Other: none\n", "", 1)
			}
			write(t, dir, map[string]string{"p.go": "package p\n" + c.code, "resilience.yaml": policies})
			text, err := Explain(context.Background(), Config{Dir: dir}, "Source")
			if err != nil {
				t.Fatal(err)
			}
			_, got, found := strings.Cut(text, "Source\n  optional    ")
			if found != (c.want != "") || !strings.HasPrefix(got, c.want) {
				t.Errorf("%s\nwant %s", text, c.want)
			}
			if unwraps := strings.Contains(got, "Unwrap returns"); found && unwraps == strings.Contains(c.code, "Unwrap()") {
				t.Errorf("Unwrap: %s", got)
			}
			text, err = Explain(context.Background(), Config{Dir: dir}, "Source."+methodOf(c.code))
			if err != nil || strings.Contains(text, "optional") {
				t.Errorf("of one method: %v\n%s", err, text)
			}
		})
	}
}

// methodOf is a method of the interface in code.
func methodOf(code string) string {
	for _, name := range []string{"Read", "Ping"} {
		if strings.Contains(code, "interface{ "+name) {
			return name
		}
	}
	return "Get"
}
