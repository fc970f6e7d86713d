package generator

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/resilgen/resilgen/generator/lint"
)

// TestEveryRuleIsRegisteredAndRecorded compares the table of checks with the
// numbers in the source and in the recorded messages.
func TestEveryRuleIsRegisteredAndRecorded(t *testing.T) {
	var registered []string
	for _, r := range lint.Rules() {
		registered = append(registered, r.ID)
	}
	source := regexp.MustCompile(`"(RG[0-9A-F]{3})"`)
	if diff := cmp.Diff(registered, numbers(t, source, "*.go", "policy/*.go", "lint/[a-q]*.go", "lint/s*.go")); diff != "" {
		t.Errorf("numbers in the source (-lint.Rules +source)\n%s", diff)
	}
	message := regexp.MustCompile(`\((RG[0-9A-F]{3})\)\n`)
	if diff := cmp.Diff(registered, numbers(t, message, "../testdata/*.txtar")); diff != "" {
		t.Errorf("numbers in recorded messages (-lint.Rules +testdata)\n%s", diff)
	}
}

// planned are the numbers of the checks that were planned, by what they begin
// with. RG034 and RG056 came later.
var planned = map[string]string{
	"RG00": "1234567", "RG01": "0123456789A", "RG02": "0123456789AB", "RG03": "0123", "RG04": "01234567",
	"RG05": "012345", "RG06": "012345", "RG08": "0123456789", "RG09": "0123456789AB",
}

// TestEveryPlannedRuleIsThere counts the 76 planned checks, and the rows of
// docs/checks.md.
func TestEveryPlannedRuleIsThere(t *testing.T) {
	count := 0
	for start, last := range planned {
		for _, digit := range last {
			count++
			id := start + string(digit)
			if _, found := lint.Lookup(id); !found {
				t.Errorf("there is no %s", id)
			}
		}
	}
	if count != 76 {
		t.Errorf("%d checks are planned", count)
	}
	doc, err := os.ReadFile("../docs/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| \[RG[0-9A-F]{3}\]`).FindAll(doc, -1)
	if len(rows) != len(lint.Rules()) {
		t.Errorf("docs/checks.md lists %d of %d checks", len(rows), len(lint.Rules()))
	}
}

// numbers returns what is found in the files but tests, sorted, once each.
func numbers(t *testing.T, find *regexp.Regexp, globs ...string) []string {
	seen := map[string]bool{}
	for _, glob := range globs {
		paths, err := filepath.Glob(glob)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: nothing: %v", glob, err)
		}
		for _, path := range paths {
			for _, m := range find.FindAllSubmatch(text(t, path), -1) {
				seen[string(m[1])] = true
			}
		}
	}
	var list []string
	for n := range 0x1000 {
		if id := fmt.Sprintf("RG%03X", n); seen[id] {
			list = append(list, id)
		}
	}
	return list
}

// text returns the source, nothing of a test, the messages of a case.
func text(t *testing.T, path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case bytes.HasSuffix([]byte(path), []byte("_test.go")):
		return nil
	case filepath.Ext(path) == ".txtar":
		var all []byte
		for _, f := range txtar.Parse(data).Files {
			if isMessages(f.Name) {
				all = append(all, f.Data...)
			}
		}
		return all
	}
	return data
}

// TestChecksIsUpToDate compares docs/checks.md with the table.
func TestChecksIsUpToDate(t *testing.T) {
	const path = "../docs/checks.md"
	want := lint.Document()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, _ := os.ReadFile(path); !bytes.Equal(have, want) {
		t.Errorf("%s is stale: make docs", path)
	}
}
