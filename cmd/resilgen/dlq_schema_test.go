package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/generator"
)

const keepingGo = `package shop

import (
	"context"
	"io"
)

type Gateway interface {
	Notify(ctx context.Context, customer Customer, meta map[string]any) error
	Upload(ctx context.Context, name string, body io.Reader) error
	Ping(ctx context.Context) error
}

type Customer struct {
	ID       string ` + "`json:\"id\"`" + `
	Email    string ` + "`resilience:\"pii\"`" + `
	Password string
}
`

const keepingPolicy = `version: 1
interfaces:
  Gateway:
    methods:
      Notify: {idempotent: true, deadLetter: {queue: shop.notify, overflow: reject, redact: ["/meta/card omit"], exclude: [EXCLUDE]}}
      Upload: {deadLetter: {overflow: reject, exclude: [body]}}
      Ping: none
`

// TestDLQSchema prints what letters hold from the code alone.
func TestDLQSchema(t *testing.T) {
	dir := module(t, map[string]string{"go.mod": requiring(t), "shop.go": keepingGo, "resilience.yaml": strings.Replace(keepingPolicy, ", exclude: [EXCLUDE]", ", codec: {meta: metas}", 1), "codec.go": `package shop

var metas codec

type codec struct{}

func (codec) Encode(map[string]any) ([]byte, error) { return nil, nil }

func (codec) Decode([]byte) (map[string]any, error) { return nil, nil }
`})
	code, out, errs := tool(t, dir, "dlq", "schema", "--pii-report")
	require.Equal(t, 0, code, errs)
	require.Equal(t, []string{
		"METHOD WRITTEN WHY TYPE PLACE",
		"shop.Gateway.Notify plain - string /customer/id",
		"shop.Gateway.Notify seal tag pii string /customer/Email",
		"shop.Gateway.Notify seal name string /customer/Password",
		"shop.Gateway.Notify plain what is in it is not known map[string]any, by metas /meta",
		"shop.Gateway.Upload plain - string /name",
		"shop.Gateway.Upload not exclude - /body",
	}, fieldsOf(out))

	code, out, errs = tool(t, dir, "dlq", "schema", ".")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "shop.notify")
	require.Contains(t, out, "no, lacks body")

	code, out, errs = tool(t, dir, "dlq", "schema", "Gateway.Notify")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, `"required": ["customer", "meta"]`)
	require.NotContains(t, out, "body")

	code, out, errs = tool(t, dir, "dlq", "schema", "--json", "./...", "Gateway")
	require.Equal(t, 0, code, errs)
	reports := jsonLines[generator.LetterReport](t, out)
	require.Len(t, reports, 2)
	require.Equal(t, generator.LetterField{Pointer: "/customer/Email", Type: "string", Mode: "seal", Why: "tag pii"}, reports[0].Fields[1])
	require.Equal(t, []string{"body"}, reports[1].Excluded)
	require.False(t, reports[1].Replayed)

	code, out, errs = tool(t, dir, "dlq", "schema", "Gateway.Ping")
	require.Equal(t, exitNotFound, code)
	require.Empty(t, out)
	require.Contains(t, errs, "no method Gateway.Ping keeps its calls; these do: shop.Gateway.Notify, shop.Gateway.Upload")
}

// TestDLQSchemaComplains as generate does.
func TestDLQSchemaComplains(t *testing.T) {
	dir := module(t, map[string]string{"go.mod": requiring(t), "shop.go": keepingGo, "resilience.yaml": strings.Replace(keepingPolicy, "EXCLUDE", "metta", 1)})
	code, out, errs := tool(t, dir, "dlq", "schema")
	require.Equal(t, exitFindings, code)
	require.Empty(t, out)
	require.Contains(t, errs, "resilience.yaml:5:")
	require.Contains(t, errs, "meta[]: any is an interface")
	require.Contains(t, errs, "metta: the method has no such parameter (did you mean meta?)")
	code, _, errs = tool(t, t.TempDir(), "dlq", "schema")
	require.Equal(t, exitFindings, code)
	require.Contains(t, errs, "no resilience.yaml")
}

// fieldsOf returns the lines with one space where there are several.
func fieldsOf(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		list = append(list, strings.Join(strings.Fields(line), " "))
	}
	return list
}

func TestMeant(t *testing.T) {
	for _, c := range []struct {
		method, target string
		want           bool
	}{
		{"payments.Gateway.Notify", "payments.Gateway.Notify", true},
		{"payments.Gateway.Notify", "Gateway.Notify", true},
		{"payments.Gateway.Notify", "Gateway", true},
		{"payments.Gateway.Notify", "payments", false},
		{"workflow/Research/Plan", "workflow/Research/Plan", true},
		{"workflow/Research/Plan", "Research.Plan", true},
		{"workflow/Research/Plan", "Research", true},
		{"workflow/Research/Plan", "Plan", false},
		{"workflow/Research/Plan", "", false},
	} {
		if got := meant(c.method, []string{c.target}); got != c.want {
			t.Errorf("meant(%q, %q) = %v", c.method, c.target, got)
		}
	}
}
