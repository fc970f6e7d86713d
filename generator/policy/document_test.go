package policy

import (
	"bytes"
	"flag"
	"go/token"
	"os"
	"regexp"
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
		if k.Type == structural && k.Built && structures[k.Path] == nil && graphStructures()[k.Path] == nil {
			t.Errorf("%s has no schema", k.Path)
		}
	}
}

// TestSchemaPatterns: engines without Unicode classes read them, and what they
// say of names is what the reader says.
func TestSchemaPatterns(t *testing.T) {
	if strings.Contains(string(Schema()), `\p{`) {
		t.Error("a pattern that not every engine understands")
	}
	const ascii = " !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~\x00\x1f\x7f"
	schema, reader := regexp.MustCompile(policyPattern), policyName()
	for _, c := range ascii + "äλ" {
		for _, name := range []string{string(c), "a" + string(c)} {
			if schema.MatchString(name) != reader.MatchString(name) {
				t.Errorf("policy %q: the schema says %v", name, schema.MatchString(name))
			}
		}
		for name, want := range map[string]bool{string(c): token.IsIdentifier(string(c)), "a" + string(c): token.IsIdentifier("a" + string(c))} {
			if regexp.MustCompile(matcherPattern).MatchString(name) != want {
				t.Errorf("matcher %q: the schema says %v", name, !want)
			}
		}
		want := token.IsIdentifier("a"+string(c)) || strings.ContainsRune("*?, ", c)
		if regexp.MustCompile(methodsPattern).MatchString(string(c)) != want {
			t.Errorf("method %q: the schema says %v", c, !want)
		}
	}
}
