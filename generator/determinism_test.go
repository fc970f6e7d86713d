package generator

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestSameBytes generates a package with much in it under several numbers of
// processors, and with its declarations in files of other names: the same input
// gives the same bytes on every machine and in every order of files.
func TestSameBytes(t *testing.T) {
	declarations := []string{
		"import \"errors\"\n\nvar ErrBusy, ErrGone = errors.New(\"busy\"), errors.New(\"gone\")\n",
		"import \"context\"\n\ntype Gateway interface {\n\tCharge(ctx context.Context, id string) (int, error)\n\tList(ctx context.Context) ([]string, error)\n}\n",
		"import (\n\t\"crypto/rand\"\n\tmrand \"math/rand\"\n)\n\nvar _ = rand.Reader\n\ntype Dice interface{ Roll(r *mrand.Rand) (int, error) }\n",
		"import \"net/http\"\n\ntype Web interface{ Get(url string) (http.Header, error) }\n\nfunc answer(url string) (http.Header, error) { return nil, nil }\n",
	}
	policies := map[string]string{
		"resilience.yaml": "version: 1\npermanent: [ErrGone]\nerrors: {busy: [ErrBusy, Timeout]}\ninterfaces:\n" +
			"  Gateway: {idempotent: true, use: api, retry: {retryOn: {add: [busy]}}, fallback: true}\n  Dice: {circuitBreaker: true}\n",
		"web.resilience.yaml": "version: 1\npermanent: [ErrGone]\ninterfaces:\n  Web: {idempotent: true, retry: {retryOn: [ErrBusy]}, fallback: {func: answer}}\n  Backup: {of: Gateway, bulkhead: true}\n",
	}
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	root := newModule(t)
	want := ""
	for order := range 4 {
		dir := filepath.Join(root, "p") // one path, since it is part of what is generated
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		archive := &txtar.Archive{}
		for i, text := range declarations {
			name := fmt.Sprintf("%c.go", 'a'+(i+order)%len(declarations))
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte("package p\n\n" + text)})
		}
		for name, text := range policies {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(text)})
		}
		unpack(t, dir, archive)
		for _, loader := range []string{"fast", "packages"} {
			for _, processors := range []int{1, 2, 8} {
				before := runtime.GOMAXPROCS(processors)
				got, err := outcome(dir, loader)
				runtime.GOMAXPROCS(before)
				if err != nil {
					t.Fatal(err)
				}
				if want == "" {
					want = got
				}
				if got != want {
					t.Fatalf("order %d, %s, %d processors:\n%s\nbefore:\n%s", order, loader, processors, got, want)
				}
			}
		}
	}
	if n := strings.Count(want, "\nfunc NewResilient"); n != 4 {
		t.Errorf("%d wrappers, want 4", n)
	}
	if lines := strings.Split(want, "\n"); !slices.Contains(lines, "func permanentError2(err error) bool {") {
		t.Errorf("the second file does not know what the first one declares")
	}
}
