package migration

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocument holds the code of docs/migration.md against the code here, which
// compiles and runs.
func TestDocument(t *testing.T) {
	page := read(t, "../../docs/migration.md")
	for language, files := range map[string][]string{"go": {"migration.go", "example_test.go"}, "yaml": {"resilience.yaml"}} {
		var code string
		for _, name := range files {
			code += flat(read(t, name))
		}
		blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(page, -1)
		if len(blocks) < 3 {
			t.Errorf("%d blocks of %s", len(blocks), language)
		}
		for _, b := range blocks {
			if !strings.Contains(code, flat(b[1])) {
				t.Errorf("the document has other %s than the example:\n%s", language, b[1])
			}
		}
	}
}

func read(t *testing.T, name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var space = regexp.MustCompile(`[ \t]+`)

// flat is text without what gofmt decides.
func flat(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(space.ReplaceAllString(line, " ")) + "\n")
	}
	return b.String()
}
