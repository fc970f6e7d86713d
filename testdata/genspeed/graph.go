package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// lintSpeed times resilgen lint on a service in layers: fifty interfaces of ten
// methods, each wrapped, with a type that implements it, whose methods call
// those of the next one through helpers; a fallback for each; and an HTTP server
// that holds the first wrapper. The graph of calls is what takes the time.
func lintSpeed(resilgen string, runs int) error {
	resilgen, err := filepath.Abs(resilgen)
	if err != nil {
		return err
	}
	repository, err := os.Getwd()
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "genspeed")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := writeLayers(root, repository); err != nil {
		return err
	}
	env := append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	for _, args := range [][]string{{resilgen, "generate", "."}, {"go", "vet", "."}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = root, env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%.2000s", args, err, out)
		}
	}
	said := exec.Command(resilgen, "lint", "-all", ".")
	said.Dir, said.Env = root, env
	out, err := said.CombinedOutput()
	if n := strings.Count(string(out), "(RG012)"); n != layers*layerMethods {
		return fmt.Errorf("retries multiply %d times, and %d were found: %w", layers*layerMethods, n, err)
	}
	on := task{name: "50 interfaces of 10 methods", dir: root}
	c, err := measure(tool{command: []string{resilgen, "lint", "-all", "."}}, on, runs)
	if err != nil {
		return err
	}
	fmt.Printf("| %s | resilgen lint | %.0f ms | %.0f ms | %.0f ms | %d MB |\n", on.name,
		float64(c.median)/1e6, float64(c.least)/1e6, float64(c.cpu)/1e6, c.peak>>10)
	return nil
}

const layers, layerMethods = 50, 10

func writeLayers(root, repository string) error {
	var code, policies strings.Builder
	code.WriteString("package layers\n\nimport (\n\t\"context\"\n\t\"net/http\"\n\n\t\"github.com/resilgen/resilgen/runtime/resilience\"\n)\n\ntype Request struct{ ID string }\n")
	policies.WriteString("version: 1\ninterfaces:\n")
	for i := range layers {
		writeLayer(&code, i)
		fmt.Fprintf(&policies, "  Gateway%d: {idempotent: true, timeout: {total: 5s, attempt: 1s}, retry: true, circuitBreaker: {}, fallback: true}\n", i)
	}
	code.WriteString("\ntype server struct{ first Gateway0 }\n\nfunc newServer(rt *resilience.Runtime) (*server, error) {\n")
	for i := layers - 1; i >= 0; i-- {
		from := "nil"
		if i < layers-1 {
			from = fmt.Sprintf("g%d", i+1)
		}
		fmt.Fprintf(&code, "\tg%d, err%d := NewResilientGateway%d(rt, &gateway%d{next: %s}, cached%d{})\n\tif err%d != nil {\n\t\treturn nil, err%d\n\t}\n", i, i, i, i, from, i, i, i)
	}
	code.WriteString("\treturn &server{g0}, nil\n}\n\nfunc (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {\n\tif _, err := s.first.Call0(r.Context(), Request{}); err != nil {\n\t\thttp.Error(w, err.Error(), http.StatusBadGateway)\n\t}\n}\n")
	module := fmt.Sprintf("module example.com/layers\n\ngo 1.25.0\n\nrequire github.com/resilgen/resilgen v0.0.0\n\nreplace github.com/resilgen/resilgen => %s\n", repository)
	for file, text := range map[string]string{"go.mod": module, "p.go": code.String(), "resilience.yaml": policies.String()} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeLayer writes an interface, what implements it, and its fallback.
func writeLayer(code *strings.Builder, i int) {
	next := "Gateway0"
	if i+1 < layers {
		next = fmt.Sprintf("Gateway%d", i+1)
	}
	fmt.Fprintf(code, "\ntype Gateway%d interface {\n", i)
	for m := range layerMethods {
		fmt.Fprintf(code, "\tCall%d(ctx context.Context, request Request) (string, error)\n", m)
	}
	fmt.Fprintf(code, "}\n\ntype gateway%d struct{ next %s }\n\ntype cached%d struct{}\n", i, next, i)
	for m := range layerMethods {
		fmt.Fprintf(code, "\nfunc (g *gateway%d) Call%d(ctx context.Context, request Request) (string, error) {\n\treturn g.do%d(ctx, func(ctx context.Context) (string, error) { return g.help%d(ctx, request) })\n}\n", i, m, m, m)
		fmt.Fprintf(code, "\nfunc (g *gateway%d) do%d(ctx context.Context, f func(context.Context) (string, error)) (string, error) { return f(ctx) }\n", i, m)
		fmt.Fprintf(code, "\nfunc (g *gateway%d) help%d(ctx context.Context, request Request) (string, error) {\n\tif g.next == nil {\n\t\treturn request.ID, nil\n\t}\n\treturn g.next.Call%d(ctx, request)\n}\n", i, m, m)
		fmt.Fprintf(code, "\nfunc (c cached%d) Call%dFallback(ctx context.Context, request Request, cause error) (string, error) {\n\treturn request.ID, nil\n}\n", i, m)
	}
}
