package generator

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/generator/source"
)

// outcome is what one loader makes of a directory.
func outcome(dir, loader string) (string, error) {
	var text strings.Builder
	files, err := Generate(context.Background(), Config{Dir: dir, Loader: loader, Warn: func(e *policy.Error) {
		text.WriteString("warning: " + e.Error() + "\n")
	}})
	if err != nil {
		return "", err
	}
	for _, f := range files {
		text.Write(f.Content)
	}
	return text.String(), nil
}

// TestLoadersAgree generates every golden case that is right with both loaders.
// A case that the fast one is not sure about must be one of those listed, lest
// it be unsure about everything.
func TestLoadersAgree(t *testing.T) {
	unsure := map[string]string{
		"shape-foreign":      "a method of the standard library's internal types",
		"promoted":           "a method that cannot be named",
		"promoted-members":   "a type that cannot be written",
		"names-imports":      "a dot import",
		"names-import-alias": "a package under a name of the file's own",
	}
	paths, err := filepath.Glob("../testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	root := newModule(t)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(root, name)
		unpack(t, dir, archive)
		t.Run(name, func(t *testing.T) {
			want, err := outcome(dir, "packages")
			if err != nil {
				return // the go command words every complaint
			}
			got, err := outcome(dir, "fast")
			if errors.Is(err, source.ErrUnsure) {
				if unsure[name] == "" {
					t.Errorf("not sure: %v", whyUnsure(dir))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("fast:\n%s\npackages:\n%s", got, want)
			}
		})
	}
}

// whyUnsure returns what the fast loader says, or resolve after it.
func whyUnsure(dir string) error {
	set, words, err := read(dir)
	if err != nil {
		return err
	}
	req := source.Request{Dir: dir, Words: words, Expressions: set.HasExpressions(), Skip: isOurs}
	for _, f := range set.Files {
		for _, i := range f.Interfaces {
			req.Interfaces = append(req.Interfaces, i.Of)
		}
	}
	if _, err := source.Load(req); err != nil {
		return err
	}
	_, err = resolve(Config{}, set, loadFast(dir, set, words)).result(Config{})
	return err
}

// TestFastLoaderIsUnsure: in these places only the go command knows.
func TestFastLoaderIsUnsure(t *testing.T) {
	ordinary := map[string]string{
		"go.mod":          "module example.com/x\n\ngo 1.25\n",
		"p.go":            "package p\n\nimport \"context\"\n\ntype Gateway interface{ Do(ctx context.Context) error }\n",
		"resilience.yaml": "version: 1\ninterfaces: {Gateway: {timeout: {total: 1s}}}\n",
	}
	for name, c := range map[string]struct {
		files map[string]string
		env   [2]string
	}{
		"sure":               {},
		"go.work":            {files: map[string]string{"go.work": "go 1.25\n\nuse .\n"}},
		"vendor":             {files: map[string]string{"vendor/modules.txt": "# nothing\n"}},
		"tags":               {env: [2]string{"GOFLAGS", "-tags=x"}},
		"mod":                {env: [2]string{"GOFLAGS", "-mod=mod"}},
		"driver":             {env: [2]string{"GOPACKAGESDRIVER", "/bin/true"}},
		"newer Go":           {files: map[string]string{"go.mod": "module example.com/x\n\ngo 1.99\n"}},
		"old go.mod":         {files: map[string]string{"go.mod": "module example.com/x\n\ngo 1.16\n"}},
		"cgo":                {files: map[string]string{"c.go": "package p\n\nimport \"C\"\n"}},
		"two packages":       {files: map[string]string{"c.go": "package q\n"}},
		"dot import":         {files: map[string]string{"p.go": "package p\n\nimport . \"context\"\n\ntype Gateway interface{ Do(ctx Context) error }\n"}},
		"does not parse":     {files: map[string]string{"p.go": "package p\n\ntype Gateway interface{ Do( error }\n"}},
		"unknown import":     {files: map[string]string{"p.go": "package p\n\nimport \"example.org/none\"\n\ntype Gateway interface{ Do(none.X) error }\n"}},
		"declared twice":     {files: map[string]string{"c.go": "package p\n\ntype Gateway struct{}\n"}},
		"not touched by fmt": {files: map[string]string{"p.go": "package p\n\nimport \"context\"\n\n  type Gateway interface{ Do(ctx context.Context) error }\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOFLAGS", "")
			t.Setenv("GOWORK", "")
			dir := t.TempDir()
			for _, files := range []map[string]string{ordinary, c.files} {
				for file, text := range files {
					path := filepath.Join(dir, file)
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			_, err := outcome(dir, "fast")
			if sure := name == "sure"; sure != (err == nil) || !sure && !errors.Is(err, source.ErrUnsure) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestLoadersAgreeOnReaders: where in a parameter there is something that is
// read once, and where there is none, both loaders say so.
func TestLoadersAgreeOnReaders(t *testing.T) {
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	const policies = "version: 1\ninterfaces: {Gateway: {leaveOut: all, idempotent: true, retry: true, timeout: {attempt: 1s}}}\n"
	const code = `package p

import (
	"bufio"
	"bytes"
	"database/sql"
	renamed "example.com/go"
	"io"
	"iter"
	"mime/multipart"
	"net/mail"
	"net/http"
	"os"
	"os/exec"
	"time"
)

type (
	grouped struct{ Body io.Reader }
	string  struct{ In io.Reader }
)

type hidden struct{ io.Reader }

type own struct {
	Time  time.Time
	inner *hidden
	Alias alias
}

func (*own) Seek() {}

type alias = grouped

type streamed chan int

type box[T any] struct{ Item T }

type many struct {
	List  []io.Reader
	Map   map[*os.File]io.Reader
	Func  func(io.Reader) io.Reader
	Array [size]io.Reader
	Chan  [2]chan int
}

const size = len("four")

type inline struct {
	In struct{ Body io.Reader }
}

type pointer struct{ To *struct{ To *streamed } }

type deep struct{ A struct{ B struct{ C io.Reader } } }

type levels struct{ A *levelA }
type levelA struct{ B levelB }
type levelB struct {
	C io.Reader
	D []levels
}

type reading interface {
	Read([]byte) (int, error)
	Other() levels
}

type Gateway interface {
	A(own) (http.Response, error)
	B(*hidden, alias) error
	C(box[io.Reader], box[int]) error
	D(box[int], box[time.Time]) (iter.Seq[own], error)
	E(many) (streamed, error)
	F(inline) error
	G(pointer) (*many, error)
	H(deep, func(io.Reader)) error
	I(levels) (reading, error)
	J(levelA) (*bufio.ReadWriter, error)
	K(struct{ In reading }) error
	L(*bytes.Buffer) error
	M(*bytes.Reader, []io.Reader, ...io.Reader) error
	N(*mail.Message) error
	O(*multipart.FileHeader) (multipart.File, error)
	P(*http.Request) error
	Q(http.Cookie, *http.Client) (box[*exec.Cmd], error)
	R(*exec.Cmd) error
	S(*os.File, os.FileInfo, map[string]*exec.Cmd) error
	T(string) error
	U(struct{ T string }, streamed) error
	V(*bufio.Scanner, time.Duration) error
	W(box[*grouped]) (func(func(own) bool), error)
	SliceOf([]*os.File) error
	SliceOfStructs([]grouped) error
	MapOf(map[string]hidden) error
	FieldSlice(struct{ List []io.Reader }) error
	FieldMap(struct{ List map[string]*os.File }) error
	FieldForeign(struct{ In *exec.Cmd }) error
	ForeignSlices(*multipart.Form) error
	ForeignMap(map[string]*mail.Message) error
	Iterators(iter.Seq[int], ...iter.Seq2[int, int]) error
	FieldIterator(struct{ All iter.Seq[int] }) error
	Cursors() ([]*sql.Rows, error)
	CursorField() (*struct{ Rows *sql.Rows }, error)
	Cursor() (cursor, error)
	CursorsByName() (map[string]cursor, error)
	Bodies() ([]*http.Response, error)
	BodyField() (struct{ Body io.ReadCloser }, error)
	Answer() (*answer, error)
	Answers() (map[string]answer, error)
	Readers() ([]io.ReadCloser, error)
	Tx(*sql.Tx) error
	OwnTx(transaction) error
	Receives() (receiver, error)
	OwnUpload(*upload) error
	OwnUploads([]upload) error
	Renamed() (list []*renamed.Thing, done func(map[string]renamed.Thing), err error)
}

type cursor interface {
	Next() bool
	Close() error
}

type transaction interface {
	Commit() error
	Rollback() error
}

type answer struct {
	Size  int
	Inner io.ReadCloser
}

type receiver struct{ embedded }
type embedded interface{ Recv() (int, error) }

type upload struct{ body *os.File }
`
	dir := filepath.Join(newModule(t), "readers")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "../go"), 0o755); err != nil {
		t.Fatal(err)
	}
	other := "package other_name\n\ntype Thing struct{}\n"
	for name, text := range map[string]string{"p.go": code, "resilience.yaml": policies, "../go/other.go": other} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := outcome(dir, "packages")
	if err != nil {
		t.Fatal(err)
	}
	got, err := outcome(dir, "fast")
	if err != nil {
		t.Fatal(err, whyUnsure(dir))
	}
	if got != want {
		t.Errorf("fast:\n%s\npackages:\n%s", got, want)
	}
	if n := strings.Count(want, "can be read once"); n < 10 {
		t.Errorf("%d readers were found", n)
	}
}

func TestWordsIn(t *testing.T) {
	got := wordsIn([]policy.Input{
		{Data: []byte("on: [net.OpError, ErrÄrger2, 3x, _a.b.c, a., \xff.b]\n")},
		{Data: []byte("on: [net]")},
	})
	want := strings.Fields("ErrÄrger2 _a.b a b c net net.OpError on x")
	want = append(want, lint.Telling...)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("words: %q, want %q", got, want)
	}
}
