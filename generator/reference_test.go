package generator

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestReferenceExampleIsRight generates what the reference shows of annotations:
// nothing is wrong with it, and nothing is warned of.
func TestReferenceExampleIsRight(t *testing.T) {
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```go\n(//resilience:policy [^`]*\ntype [^`]*)```").FindSubmatch(text)
	if example == nil {
		t.Fatal("no example of an annotation in docs/policy.md")
	}
	dir := filepath.Join(newModule(t), "p")
	files := map[string]string{"p.go": "package p\n\nimport \"context\"\n\ntype ChargeRequest struct{}\ntype Receipt struct{}\n\n" + string(example[1])}
	write(t, dir, files)
	if _, messages := run(t, dir); messages != "" {
		t.Error(messages)
	}
}

// write writes files into dir.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
