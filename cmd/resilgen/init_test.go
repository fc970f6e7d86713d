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
		{"flag", []string{"-x"}, 2, "no flags"},
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
	require.Contains(t, errs, "resilience.go exists and stays as it is")
	require.NoFileExists(t, filepath.Join(dir, "resilience.yaml"))
	code, _, errs = tool(t, module(t, map[string]string{"shop.go": "package shop\nfunc {"}), "init")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "shop.go:2:6")
	code, _, errs = tool(t, t.TempDir(), "init")
	require.Equal(t, 1, code)
	require.True(t, strings.HasPrefix(errs, "resilgen: no Go package here"), errs)
}
