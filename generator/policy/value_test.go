package policy

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestExpressions(t *testing.T) {
	k := Lookup("circuitBreaker.perKey")
	for text, want := range map[string]string{
		`"req.Host"`:                "",
		`"strconv.Itoa(n) + \"x\""`: "",
		`req.Host`:                  "",
		`{perKey: f(req.A}`:         "wants a Go expression in quotes; without them YAML reads a mapping",
		`[req.Host]`:                "without them YAML reads a list",
		`""`:                        "wants a Go expression, like perKey",
		`~`:                         "wants a Go expression, like perKey",
		`"f(req.A"`:                 "\"f(req.A\" is not a Go expression: missing",
		`"a\nb"`:                    "an expression is one line",
		`"a := b"`:                  "is not a Go expression",
	} {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		_, c := k.scalar(doc.Content[0])
		if want == "" && c.bad() || !strings.Contains(c.msg, want) {
			t.Errorf("%s: got %q, want %q", text, c.msg, want)
		}
	}
}

// An expression that flow style has torn apart is explained as such.
func TestTornExpression(t *testing.T) {
	k := Lookup("circuitBreaker.perKey")
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "f(req.A"}
	if got := torn(k, pair{flow: true, value: n}); !strings.Contains(got, "quote it") {
		t.Errorf("torn = %q", got)
	}
	if got := torn(k, pair{flow: false, value: n}); got != "" {
		t.Errorf("torn in block style = %q", got)
	}
	r := &reader{newSource(Input{Path: "r.yaml", Data: []byte("x")})}
	rest := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}
	r.unknown(pair{name: "req.B)", key: rest, value: rest, flow: true}, "circuitBreaker", InMethod)
	if got := r.errs.Error(); k.Built && !strings.Contains(got, "torn apart") {
		t.Error(got)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"maxAttempts", "maxDuration", "retryOn"}
	for text, want := range map[string]string{
		"maxAtempts": "maxAttempts", "MaxAttempts": "maxAttempts", "max-attempts": "maxAttempts", "retryNo": "retryOn",
		"frobnicate": "", "": "", strings.Repeat("a", 100): "",
	} {
		if got := Nearest(text, names); got != want {
			t.Errorf("Nearest(%s) = %q, want %q", text, got, want)
		}
	}
}

func TestPosString(t *testing.T) {
	for _, c := range []struct {
		pos  Pos
		want string
	}{{Pos{"a.yaml", 3, 7}, "a.yaml:3:7"}, {Pos{File: "a.yaml"}, "a.yaml"}} {
		if got := c.pos.String(); got != c.want {
			t.Errorf("%+v prints as %s, want %s", c.pos, got, c.want)
		}
	}
}
