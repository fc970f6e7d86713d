package policy

import (
	"strings"
	"testing"
)

// annotated reads a file and annotations of gateway.go, each on a line of its
// own from line 10 on, at column 21.
func annotated(file string, notes ...Input) (*Set, error) {
	var inputs []Input
	for i, in := range notes {
		in.Path, in.Line, in.Col = "gateway.go", 10+i, 21
		inputs = append(inputs, in)
	}
	if file != "" {
		inputs = append(inputs, Input{Path: "resilience.yaml", Data: []byte("version: 1\n" + file)})
	}
	return Read(inputs)
}

func note(iface, method, text string) Input {
	return Input{Interface: iface, Method: method, Data: []byte(text)}
}

func TestAnnotations(t *testing.T) {
	set, err := annotated("policies: {web: {extends: api}}\ninterfaces: {Gateway: {methods: {Charge: {idempotent: true}}}, Backup: {of: Gateway, use: api}}",
		note("Gateway", "", "{use: web, leaveOut: all, bulkhead: true}"), note("Gateway", "Charge", "{retry: {maxAttempts: 5}}"),
		note("Repo", "", ""), note("Repo", "Get", "none"))
	if err != nil {
		t.Fatal(err)
	}
	f := set.Files[0]
	if len(set.Files) != 1 || len(f.Interfaces) != 3 || strings.Join(f.Sources, " ") != "resilience.yaml gateway.go" {
		t.Fatalf("files %v of %v", set.Files, f.Sources)
	}
	list, errs := f.Interfaces[0].Resolve(methodsOf([]string{"Charge", "Get"}))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if c := list[0]; !c.Own("retry") || c.Int("retry.maxAttempts") != 5 || !c.Idempotent() || !c.Has("bulkhead") || !c.Exact {
		t.Errorf("Charge has %v", c.All())
	}
	if v, _ := list[0].Get("retry.maxAttempts"); v.Origin != "gateway.go:11:43" {
		t.Errorf("maxAttempts is from %s", v.Origin)
	}
	if !f.Interfaces[0].LeaveOutAll || f.Interfaces[2].Key != "Repo" || f.Interfaces[2].Pos.String() != "gateway.go:12:21" {
		t.Errorf("interfaces %+v", f.Interfaces)
	}
	roundTrip(t, f)
}

func TestAnnotationsAlone(t *testing.T) {
	set, err := annotated("", note("Gateway", "", "use: api"))
	if err != nil {
		t.Fatal(err)
	}
	if f := set.Files[0]; f.Path != "" || f.Out() != "resilience_gen.go" || f.Sources[0] != "gateway.go" || f.Interfaces[0].Name != "Gateway" {
		t.Errorf("file %+v", f)
	}
}

func TestAnnotationErrors(t *testing.T) {
	for _, c := range []struct {
		name, file string
		notes      []Input
		want, line string
	}{
		{"same key twice", "interfaces: {G: {use: api, methods: {M: {retry: {maxAttempts: 3}}}}}",
			[]Input{note("G", "M", "{retry: {maxAttempts: 5}}")},
			"resilience.yaml:2:63: retry.maxAttempts: given at gateway.go:10:43 already; nothing wins silently", "interfaces: {G: {use: api, methods: {M: {retry: {maxAttempts: 3}}}}}"},
		{"use twice", "interfaces: {G: {use: api}}", []Input{note("G", "", "{use: database}")},
			"resilience.yaml:2:23: use: given at gateway.go:10:27 already", "interfaces: {G: {use: api}}"},
		{"none and a key", "interfaces: {G: {use: api, methods: {M: none}}}", []Input{note("G", "M", "{retry: none}")}, "none: given at gateway.go:10:21 already", ""},
		{"leaveOut twice", "interfaces: {G: {use: api, leaveOut: all}}", []Input{note("G", "", "{leaveOut: [M]}")}, "leaveOut: given at", ""},
		{"unknown key", "", []Input{note("G", "", "{ues: api}")}, "gateway.go:10:22: ues: unknown key (did you mean use?) (RG090)", "//resilience:policy {ues: api}"},
		{"second line", "", []Input{note("G", "", "\n  ues: api")}, "gateway.go:11:23: ues: unknown key", "//resilience:policy   ues: api"},
		{"unknown policy", "", []Input{note("G", "", "{use: web}")}, "gateway.go:10:27: use: there is no policy web", "//resilience:policy {use: web}"},
		{"of", "", []Input{note("G", "", "{of: H, use: api}")}, "gateway.go:10:26: of: an annotation stands on the interface it is about", ""},
		{"scalar", "", []Input{note("G", "", "api")}, "gateway.go:10:21: G: wants a mapping, like {use: api}, not \"api\"", ""},
		{"empty on a method", "", []Input{note("G", "M", "")}, "gateway.go:10:21: M: is empty", ""},
		{"broken", "", []Input{note("G", "M", "{a: [")}, "gateway.go:10:21: not valid YAML", ""},
		{"file keys", "", []Input{note("G", "", "{preset: testing}")}, "preset: unknown key", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := annotated(c.file, c.notes...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
			if e := err.(Errors)[0]; c.line != "" && strings.TrimSpace(e.Line) != strings.TrimSpace(c.line) {
				t.Errorf("Line = %q, want %q", e.Line, c.line)
			}
		})
	}
}

func TestSeveralFiles(t *testing.T) {
	one := []byte("version: 1\ninterfaces: {G: {use: api}}")
	for _, c := range []struct{ a, b, want string }{
		{"a.resilience.yaml", "resilience.yaml", "resilience.yaml:2:14: interfaces.G: already in a.resilience.yaml:2:14"},
		{"a.b.resilience.yaml", "a_b.resilience.yaml", "a_b.resilience.yaml:1:1: generates a_b_resilience_gen.go, and so does a.b.resilience.yaml"},
	} {
		_, err := Read([]Input{{Path: c.b, Data: one}, {Path: c.a, Data: one}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	set, err := Read([]Input{{Path: "resilience.yaml", Data: one}, {Path: "a.resilience.yaml", Data: []byte("version: 1\ninterfaces: {H: {of: G, use: api}}")}})
	if err != nil || set.Files[0].Path != "a.resilience.yaml" {
		t.Errorf("Read = %v, %v", set, err)
	}
}

func TestOut(t *testing.T) {
	for path, want := range map[string]string{
		"":                           "resilience_gen.go",
		"x/resilience.yaml":          "resilience_gen.go",
		`x\resilience.yml`:           "resilience_gen.go",
		"x/payments.resilience.yaml": "payments_resilience_gen.go",
	} {
		if got := (&File{Path: path}).Out(); got != want {
			t.Errorf("Out of %q = %s, want %s", path, got, want)
		}
	}
}
