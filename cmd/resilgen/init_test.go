package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const shop = `package shop

import (
	"context"
	"io"
)

type (
	Gateway interface{ Charge(ctx context.Context) error }
	Number  interface{ ~int | ~string }
	Empty   interface{}
	Store[K comparable] interface{ Get(ctx context.Context, k K) error }
)

type Stream interface{ io.ReadCloser }
`

// TestInit tries init in fresh modules, and what it writes.
func TestInit(t *testing.T) {
	tools := "//go:build ignore\n\npackage main\n\ntype Tool interface{ Run() error }\n"
	for _, c := range []struct {
		name string
		args []string
		code int
		want string // in the output
	}{
		{"none given", nil, 0, "wrote resilience.yaml and resilience.go for Gateway, Store, Stream\n"},
		{"names given", []string{"Store", "Gateway"}, 0, "wrote resilience.yaml and resilience.go for Store, Gateway\n"},
		{"near", []string{"Gatway"}, 1, "no interface Gatway in package shop; did you mean Gateway?"},
		{"far", []string{"Bank"}, 1, "no interface Bank in package shop; it has Gateway, Store, Stream"},
		{"constraint", []string{"Number"}, 1, "no interface Number in package shop"},
		{"twice", []string{"Store", "Store"}, 2, "Store is named twice"},
		{"flag", []string{"-x"}, 2, "flag provided but not defined: -x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := module(t, map[string]string{"shop.go": shop, "tools.go": tools})
			code, out, errs := tool(t, dir, append([]string{"init"}, c.args...)...)
			require.Equal(t, c.code, code, errs)
			require.Contains(t, out+errs, c.want)
			if code != 0 {
				require.NoFileExists(t, filepath.Join(dir, "resilience.yaml"))
				return
			}
			code, out, errs = tool(t, dir, "generate", "-lint=warn")
			require.Equal(t, 0, code, out+errs)
			directive, err := os.ReadFile(filepath.Join(dir, "resilience.go"))
			require.NoError(t, err)
			require.Equal(t, "package shop\n\n//go:generate go tool resilgen generate .\n", string(directive))
		})
	}
}

func TestInitLeavesFilesAlone(t *testing.T) {
	dir := module(t, map[string]string{"shop.go": gateway, "resilience.go": "package shop\n"})
	code, _, errs := tool(t, dir, "init")
	require.Equal(t, 1, code)
	require.Equal(t, "resilgen: resilience.go exists and stays as it is; add the line //go:generate go tool resilgen generate .\n", errs)
	require.NoFileExists(t, filepath.Join(dir, "resilience.yaml"))
	code, _, errs = tool(t, module(t, map[string]string{"shop.go": "package shop\nfunc {"}), "init")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "shop.go:2:6")
	code, _, errs = tool(t, t.TempDir(), "init")
	require.Equal(t, 1, code)
	require.True(t, strings.HasPrefix(errs, "resilgen: no Go package here"), errs)
}

// TestInitSaysWhatIsLeftToDo: no step that is done, and names that will exist.
func TestInitSaysWhatIsLeftToDo(t *testing.T) {
	const small = "package shop\n\ntype store interface {\n\tPut() error\n\tClose() error\n}\n\ntype reader interface{ error }\n"
	dir := module(t, map[string]string{"shop.go": small})
	code, out, errs := tool(t, dir, "init")
	require.Equal(t, 0, code, errs)
	require.Equal(t, `wrote resilience.yaml and resilience.go for store, reader

next:
  1. read resilience.yaml and mark the methods that may run twice as idempotent
  2. go get -tool github.com/resilgen/resilgen/cmd/resilgen
  3. go generate, and go mod tidy
  4. use NewResilientStore(nil, yours) where you used yours
`, out)
	text, err := os.ReadFile(filepath.Join(dir, "resilience.yaml"))
	require.NoError(t, err)
	_, entries, _ := strings.Cut(string(text), "interfaces:\n")
	require.Equal(t, `  store:
    use: remote
    leaveOut: all       # a part that cannot act on a method is left out there
    # methods:
    #   Put: {idempotent: true}
  reader:
    use: remote
    leaveOut: all       # a part that cannot act on a method is left out there
    # methods:
    #   "*": {idempotent: true}
`, entries)
	uncommented := strings.ReplaceAll(string(text), "\n    # ", "\n    ")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "resilience.yaml"), []byte(uncommented), 0o644))
	code, out, errs = tool(t, dir, "generate", "-strict")
	require.Equal(t, 0, code, out+errs)

	require.NoError(t, os.Remove(filepath.Join(dir, "resilience.yaml")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/shop\n\ngo 1.25\n\ntool "+toolPath+"\n"), 0o644))
	code, out, errs = tool(t, dir, "init", "reader")
	require.Equal(t, 0, code, errs)
	require.True(t, strings.HasPrefix(out, "wrote resilience.yaml for reader\n"), "the go:generate line is there: %s", out)
	require.NotContains(t, out, "go get")

	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "shop.go"), []byte(small), 0o644))
	code, _, errs = tool(t, outside, "init")
	require.Equal(t, 1, code)
	require.Equal(t, "resilgen: no go.mod here or above; run go mod init first\n", errs)
}

// TestInitLeavesOutWhatIsCovered by another policy file, under its name or
// another, or by an annotation.
func TestInitLeavesOutWhatIsCovered(t *testing.T) {
	const four = "package shop\n\ntype Gateway interface{ Charge() error }\n\ntype Store interface{ Put() error }\n\n" +
		"//resilience:policy none\ntype Mail interface{ Send() error }\n\ntype Clock interface{ Set() error }\n"
	dir := module(t, map[string]string{"shop.go": four, "gateway.resilience.yaml": "version: 1\ninterfaces:\n  Gateway: none\n  Backup: {of: Store, bulkhead: {}}\n"})
	code, _, errs := tool(t, dir, "init", "Clock", "Store")
	require.Equal(t, 1, code)
	require.Equal(t, "resilgen: Store has policies already, in gateway.resilience.yaml\n", errs)
	code, out, errs := tool(t, dir, "init")
	require.Equal(t, 0, code, errs)
	require.True(t, strings.HasPrefix(out, "wrote resilience.yaml and resilience.go for Clock\n"), out)
	code, _, errs = tool(t, dir, "generate")
	require.Equal(t, 0, code, errs)

	require.NoError(t, os.Rename(filepath.Join(dir, "resilience.yaml"), filepath.Join(dir, "clock.resilience.yaml")))
	code, _, errs = tool(t, dir, "init")
	require.Equal(t, 1, code)
	require.Equal(t, "resilgen: every interface of package shop has policies already; gateway.resilience.yaml has those of Gateway\n", errs)
	require.NoFileExists(t, filepath.Join(dir, "resilience.yaml"))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "clock.resilience.yaml"), []byte("version: 2\n"), 0o644))
	code, _, errs = tool(t, dir, "init")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "clock.resilience.yaml:1:10: version:")
}
