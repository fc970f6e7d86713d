package generator

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

var keep = flag.String("keep", "", "directory for the packages that compile, with what is generated as if a person wrote it")

var update = flag.Bool("update", false, "record golden files; only what compiles and vets is recorded")

// TestGolden generates every case of testdata/*.txtar: the files of a package,
// and either want/NAME files or stderr. Each case is one behaviour.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("../testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	root := newModule(t)
	var compiled []string
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(root, name)
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			unpack(t, dir, archive)
			files, messages := run(t, dir)
			switch _, err := os.Stat(filepath.Join(dir, "go.mod")); {
			case messages != "" && !strings.HasPrefix(messages, "warning"):
			case err == nil: // a module of its own
				if out, err := goTool(dir, "vet", "."); err != nil {
					t.Errorf("generated code does not vet: %v\n%s", err, out)
				}
			default:
				compiled = append(compiled, "./"+name)
			}
			compare(t, path, archive, files, messages)
		})
	}
	if *keep != "" {
		keepAll(t, root, compiled)
	}
	if len(compiled) == 0 {
		return // vet would look for a package in root
	}
	if out, err := goTool(root, append([]string{"vet"}, compiled...)...); err != nil {
		t.Errorf("generated code does not vet: %v\n%s", err, out)
	}
}

// keepAll copies the packages for linters, which are gentle to code that says
// it is generated.
func keepAll(t *testing.T, root string, packages []string) {
	for _, name := range append(packages, "go.mod") {
		if err := filepath.WalkDir(filepath.Join(root, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			to := filepath.Join(*keep, strings.TrimPrefix(path, root))
			data = bytes.Replace(data, []byte(templates.Header), []byte("// Written from "), 1)
			return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o644))
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// newModule returns a module that uses this one, with a copy of its go.sum.
func newModule(t *testing.T) string {
	root := t.TempDir()
	mod := "module example.com\n\ngo 1.25.0\n\nrequire github.com/resilgen/resilgen v0.0.0\n\nreplace github.com/resilgen/resilgen => " + repository(t) + "\n"
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(mod), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func goTool(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	return cmd.CombinedOutput()
}

func unpack(t *testing.T, dir string, archive *txtar.Archive) {
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "want/") || isMessages(f.Name) {
			continue
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := bytes.ReplaceAll(f.Data, []byte("REPOSITORY"), []byte(repository(t)))
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// repository returns the root of this module.
func repository(t *testing.T) string {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// run generates twice, the second time over the first output: nothing may
// change.
func run(t *testing.T, dir string) (files []File, messages string) {
	var text strings.Builder
	warn := func(e *policy.Error) { text.WriteString("warning: " + e.Error() + "\n") }
	files, err := Generate(context.Background(), Config{Dir: dir, Warn: warn})
	if err != nil {
		text.WriteString(err.Error() + "\n")
	}
	for _, f := range files {
		if err := os.WriteFile(f.Path, f.Content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again, _ := Generate(context.Background(), Config{Dir: dir})
	if len(again) != len(files) {
		t.Fatalf("the second run made %d files, the first %d", len(again), len(files))
	}
	for i := range again {
		if !bytes.Equal(again[i].Content, files[i].Content) {
			t.Errorf("%s differs in the second run", files[i].Path)
		}
	}
	return files, strings.ReplaceAll(text.String(), dir+string(filepath.Separator), "")
}

func compare(t *testing.T, path string, archive *txtar.Archive, files []File, messages string) {
	got := map[string]string{}
	if messages != "" {
		got["stderr"] = messages
	}
	for _, f := range files {
		got["want/"+filepath.Base(f.Path)] = string(f.Content)
	}
	want := map[string]string{}
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "want/") || f.Name == "stderr" {
			want[f.Name] = string(f.Data)
		}
	}
	diff := cmp.Diff(want, got)
	if diff != "" && *update {
		record(t, path, archive, files, messages)
		return
	}
	if diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func record(t *testing.T, path string, archive *txtar.Archive, files []File, messages string) {
	out := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "want/") && f.Name != "stderr" {
			out.Files = append(out.Files, f)
		}
	}
	for _, f := range files {
		if report, err := goTool(filepath.Dir(f.Path), "vet", "."); err != nil {
			t.Fatalf("not recorded: %v\n%s", err, report)
		}
		out.Files = append(out.Files, txtar.File{Name: "want/" + filepath.Base(f.Path), Data: f.Content})
	}
	if messages != "" {
		out.Files = append(out.Files, txtar.File{Name: "stderr", Data: []byte(messages)})
	}
	if err := os.WriteFile(path, txtar.Format(out), 0o644); err != nil {
		t.Fatal(err)
	}
}
