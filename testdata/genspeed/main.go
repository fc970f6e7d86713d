// Command genspeed times generators on the same packages: one small interface,
// fifty with ten methods, and one of a Kubernetes client. It makes a module for
// each in a temporary directory, and runs every tool a number of times, warm.
//
//	go run ./testdata/genspeed -resilgen bin/resilgen -gobin DIR
//
//	go run ./testdata/genspeed -resilgen bin/resilgen -lint
//
// DIR holds gowrap, moq and mockery; a tool that is missing is left out.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	podPath = "k8s.io/client-go/kubernetes/typed/core/v1"
	modules = "module example.com/genspeed\n\ngo 1.26.0\n"
)

// task is a package with interfaces.
type task struct {
	name, dir string
	pkg       string // of the interfaces
	ifaces    []string
}

func main() {
	resilgen := flag.String("resilgen", "bin/resilgen", "the command to be timed")
	gobin := flag.String("gobin", "", "directory of the other tools")
	runs := flag.Int("n", 15, "runs of each")
	lint := flag.Bool("lint", false, "time resilgen lint alone, with the graph of calls")
	flag.Parse()
	if *lint {
		if err := lintSpeed(*resilgen, *runs); err != nil {
			fmt.Fprintln(os.Stderr, "genspeed:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*resilgen, *gobin, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "genspeed:", err)
		os.Exit(1)
	}
}

func run(resilgen, gobin string, runs int) error {
	resilgen, err := filepath.Abs(resilgen)
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "genspeed")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	tasks, err := prepare(root)
	if err != nil {
		return err
	}
	fmt.Println("| package | tool | median | least | CPU | peak |\n|---|---|--:|--:|--:|--:|")
	for _, t := range tasks {
		for _, tool := range tools(resilgen, gobin, t) {
			if _, err := os.Stat(tool.command[0]); err != nil {
				continue
			}
			c, err := measure(tool, t, runs)
			if err != nil {
				fmt.Printf("| %s | %s | fails: %v | | | |\n", t.name, tool.name, err)
				continue
			}
			fmt.Printf("| %s | %s | %.1f ms | %.1f ms | %.1f ms | %d MB |\n", t.name, tool.name,
				float64(c.median)/1e6, float64(c.least)/1e6, float64(c.cpu)/1e6, c.peak>>10)
		}
	}
	return nil
}

// prepare writes the three packages.
func prepare(root string) ([]task, error) {
	module := modules + "\nrequire k8s.io/client-go v0.37.2\n"
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(module), 0o644); err != nil {
		return nil, err
	}
	tasks := []task{
		{name: "1 interface", dir: "one", ifaces: []string{"Gateway0"}},
		{name: "50 interfaces of 10 methods", dir: "fifty"},
		{name: "1 interface of a Kubernetes client", dir: "pods", pkg: podPath, ifaces: []string{"PodInterface"}},
	}
	for i := range 50 {
		tasks[1].ifaces = append(tasks[1].ifaces, fmt.Sprintf("Gateway%d", i))
	}
	for i := range tasks {
		t := &tasks[i]
		if t.pkg == "" {
			t.pkg = "example.com/genspeed/" + t.dir
		}
		t.dir = filepath.Join(root, t.dir)
		if err := os.Mkdir(t.dir, 0o755); err != nil {
			return nil, err
		}
		if err := t.write(); err != nil {
			return nil, err
		}
	}
	tidy := exec.Command("go", "mod", "tidy")
	tidy.Dir, tidy.Env = root, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := tidy.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go mod tidy: %w\n%s", err, out)
	}
	return tasks, nil
}

func (t *task) write() error {
	name := filepath.Base(t.dir)
	var code, policies, mocks strings.Builder
	fmt.Fprintf(&code, "package %s\n\nimport \"context\"\n\ntype Request struct{ ID string }\n", name)
	policies.WriteString("version: 1\ninterfaces:\n")
	fmt.Fprintf(&mocks, "dir: %s\nfilename: mocks.go\npkgname: %s\nstructname: 'Mock{{.InterfaceName}}'\nlog-level: error\ninclude-auto-generated: true\npackages:\n  %s:\n    interfaces:\n", t.dir, name, t.pkg)
	methods := map[string]int{"one": 1, "fifty": 10}[name]
	for _, iface := range t.ifaces {
		of := iface
		if methods > 0 {
			fmt.Fprintf(&code, "\ntype %s interface {\n", iface)
			for m := range methods {
				fmt.Fprintf(&code, "\tCall%d(ctx context.Context, request Request) (string, error)\n", m)
			}
			code.WriteString("}\n")
		} else {
			of = t.pkg + "." + iface
			fmt.Fprintf(&code, "\nvar _ = context.Background\n\nvar _ pods.%s\n", iface)
		}
		fmt.Fprintf(&policies, "  %q: {leaveOut: all, idempotent: true, timeout: {total: 5s, attempt: 1s}, retry: true, circuitBreaker: {}}\n", of)
		fmt.Fprintf(&mocks, "      %s: {}\n", iface)
	}
	text := code.String()
	if methods == 0 {
		text = strings.Replace(text, "import \"context\"", "import (\n\t\"context\"\n\n\tpods \""+t.pkg+"\"\n)", 1)
	}
	template := "import \"context\"\n{{$d := (or .Vars.DecoratorName (printf \"%sWith\" .Interface.Name))}}\ntype {{$d}} struct{ base {{.Interface.Type}} }\n" +
		"{{range $m := .Interface.Methods}}\nfunc (d {{$d}}) {{$m.Declaration}} { {{$m.Pass \"d.base.\"}} }\n{{end}}"
	for file, data := range map[string]string{"p.go": text, "resilience.yaml": policies.String(), ".mockery.yml": mocks.String(), "template": template} {
		if err := os.WriteFile(filepath.Join(t.dir, file), []byte(data), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// tool is a generator: the commands of one whole run.
type tool struct {
	name    string
	command []string   // the only one, or the first
	more    [][]string // gowrap takes one interface a run
	output  []string
}

func tools(resilgen, gobin string, t task) []tool {
	moq := []string{filepath.Join(gobin, "moq"), "-out", "moq.go", "-pkg", filepath.Base(t.dir)}
	if strings.HasPrefix(t.pkg, "example.com") {
		moq = append(moq, ".")
	} else {
		source, _ := exec.Command("go", "env", "GOMODCACHE").Output()
		moq = append(moq, filepath.Join(strings.TrimSpace(string(source)), "k8s.io/client-go@v0.37.2/kubernetes/typed/core/v1"))
	}
	wrap := tool{name: "gowrap"}
	for _, iface := range t.ifaces {
		out := "gowrap_" + strings.ToLower(iface) + ".go"
		wrap.more = append(wrap.more, []string{filepath.Join(gobin, "gowrap"), "gen", "-g", "-p", t.pkg, "-i", iface, "-t", "template", "-o", out})
		wrap.output = append(wrap.output, out)
	}
	wrap.command, wrap.more = wrap.more[0], wrap.more[1:]
	return []tool{
		{name: "resilgen", command: []string{resilgen, "generate", "."}, output: []string{"resilience_gen.go"}},
		{name: "resilgen -loader=packages", command: []string{resilgen, "generate", "-loader=packages", "."}, output: []string{"resilience_gen.go"}},
		wrap,
		{name: "moq", command: append(moq, t.ifaces...), output: []string{"moq.go"}},
		{name: "mockery", command: []string{filepath.Join(gobin, "mockery"), "--config", ".mockery.yml"}, output: []string{"mocks.go"}},
	}
}

// cost is what a run takes.
type cost struct {
	median, least time.Duration // wall time
	cpu           time.Duration // the least of user and system time
	peak          int64         // the largest resident set of a process, in KB
}

// measure runs the tool a number of times. Every run begins without output.
func measure(t tool, on task, runs int) (c cost, err error) {
	var times, cpu []time.Duration
	for range runs + 1 { // the first one warms up
		for _, out := range t.output {
			_ = os.Remove(filepath.Join(on.dir, out))
		}
		start, busy := time.Now(), time.Duration(0)
		for _, args := range append([][]string{t.command}, t.more...) {
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Dir, cmd.Env = on.dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
			if out, err := cmd.CombinedOutput(); err != nil {
				return c, fmt.Errorf("%w: %.200s", err, out)
			}
			busy += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
				c.peak = max(c.peak, u.Maxrss)
			}
		}
		times, cpu = append(times, time.Since(start)), append(cpu, busy)
	}
	for _, out := range t.output {
		_ = os.Remove(filepath.Join(on.dir, out))
	}
	times = times[1:]
	slices.Sort(times)
	c.median, c.least, c.cpu = times[len(times)/2], times[0], slices.Min(cpu[1:])
	return c, nil
}
