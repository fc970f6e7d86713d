package policy

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/policy.md and docs/resilience.schema.json")

// The reference in docs comes from the table: this test writes it, and fails
// when it is behind.
func TestDocumentIsUpToDate(t *testing.T) { upToDate(t, "../../docs/policy.md", Document()) }

func upToDate(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is behind: run go test ./generator/policy -update\n%s", path, cmp.Diff(string(have), string(want)))
	}
}

func TestDocumentHasEveryKey(t *testing.T) {
	text := string(Document())
	for _, k := range Keys() {
		if !strings.Contains(text, "| `"+k.Path+"` | ") || !strings.Contains(text, cell(k.Doc)) {
			t.Errorf("%s or its meaning is missing", k.Path)
		}
	}
	if strings.Contains(text, "{{") {
		t.Error("a part of the prose names nothing that is printed")
	}
}

func TestSchemaIsUpToDate(t *testing.T) {
	upToDate(t, "../../docs/resilience.schema.json", Schema())
}

func TestSchemaHasEveryKey(t *testing.T) {
	text := string(Schema())
	for _, k := range Keys() {
		if has := strings.Contains(text, `"`+k.name()+`": {`); k.Built && !has {
			t.Errorf("%s is missing", k.Path)
		}
		if k.Type == structural && k.Built && structures[k.Path] == nil {
			t.Errorf("%s has no schema", k.Path)
		}
	}
}
