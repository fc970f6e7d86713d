package source

import (
	"bytes"
	"cmp"
	"fmt"
	"go/build"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// modules finds the directories of import paths as the go command does for a
// module whose go.mod is tidy. What it does not know it is unsure about.
type modules struct {
	root, path string // of the main module
	goroot     string
	cache      string
	require    []module.Version // longest path first
	replace    map[module.Version]module.Version
	context    build.Context

	mu     sync.Mutex
	mapped [][]byte // files, see read
}

func unsure(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsure, fmt.Sprintf(format, args...))
}

func newModules(dir string) (*modules, error) {
	root, err := rootOf(dir)
	if err != nil {
		return nil, err
	}
	set, err := newSettings()
	if err != nil {
		return nil, err
	}
	if err := set.plain(root); err != nil {
		return nil, err
	}
	goroot, release, err := toolchain(set["GOROOT"])
	if err != nil {
		return nil, err
	}
	m := &modules{root: root, goroot: goroot, replace: map[module.Version]module.Version{}}
	m.context = build.Default
	m.context.GOROOT = goroot
	if m.context.ReleaseTags, err = releaseTags(release); err != nil {
		return nil, err
	}
	if m.cache = set["GOMODCACHE"]; m.cache == "" {
		path := cmp.Or(set["GOPATH"], build.Default.GOPATH)
		if path == "" {
			return nil, unsure("no GOPATH")
		}
		m.cache = filepath.Join(filepath.SplitList(path)[0], "pkg", "mod")
	}
	return m, m.readGoMod(release)
}

// rootOf returns the directory of the go.mod above dir.
func rootOf(dir string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if filepath.Dir(at) == at {
			return "", unsure("no go.mod above %s", dir)
		}
	}
}

// settings are what the go command is told by the environment, or else by what
// go env -w wrote.
type settings map[string]string

func newSettings() (settings, error) {
	s := settings{}
	if conf, err := os.UserConfigDir(); err == nil {
		data, err := os.ReadFile(filepath.Join(conf, "go", "env"))
		if err != nil && !os.IsNotExist(err) {
			return nil, unsure("%v", err)
		}
		for _, line := range strings.Split(string(data), "\n") {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && name[0] != '#' {
				s[name] = value
			}
		}
	}
	for name := range s {
		if !slices.Contains(harmless, name) {
			return nil, unsure("go env -w was used for %s", name)
		}
	}
	for _, name := range harmless {
		if v := os.Getenv(name); v != "" {
			s[name] = v
		}
	}
	return s, nil
}

// harmless are the settings that are understood here, or change nothing about
// which files a package has.
var harmless = []string{
	"GOFLAGS", "GOMODCACHE", "GOPATH", "GOROOT", "GOTOOLCHAIN", "GO111MODULE", "GOWORK", "GOPROXY", "GOSUMDB", "GONOSUMDB",
	"GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOCACHE", "GOBIN", "GOTMPDIR", "GOVCS", "GOAUTH",
}

// plain is unsure about settings that change which files a package has or where
// packages are.
func (s settings) plain(root string) error {
	for _, name := range []string{"GOPACKAGESDRIVER", "GOEXPERIMENT", "GOENV"} {
		if v := os.Getenv(name); v != "" {
			return unsure("%s=%s", name, v)
		}
	}
	for name, usual := range map[string]string{"GO111MODULE": "on", "GOTOOLCHAIN": "local auto"} {
		if v := s[name]; v != "" && !slices.Contains(strings.Fields(usual), v) {
			return unsure("%s=%s", name, v)
		}
	}
	for _, flag := range strings.Fields(s["GOFLAGS"]) {
		name, _, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		if !slices.Contains([]string{"buildvcs", "trimpath", "count", "v", "race"}, name) {
			return unsure("GOFLAGS has %s", flag)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "vendor", "modules.txt")); err == nil {
		return unsure("a vendor directory")
	}
	return s.noWorkspace(root)
}

func (s settings) noWorkspace(root string) error {
	switch w := s["GOWORK"]; w {
	case "off":
		return nil
	case "":
	default:
		return unsure("GOWORK=%s", w)
	}
	for at := root; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.work")); err == nil {
			return unsure("a go.work in %s", at)
		}
		if filepath.Dir(at) == at {
			return nil
		}
	}
}

// toolchain returns the root and the version of the go command in PATH.
func toolchain(set string) (root, release string, err error) {
	if root = set; root == "" {
		command, err := exec.LookPath("go")
		if err != nil {
			return "", "", unsure("no go command")
		}
		if command, err = filepath.EvalSymlinks(command); err != nil {
			return "", "", unsure("%v", err)
		}
		root = filepath.Dir(filepath.Dir(command))
	}
	text, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return "", "", unsure("no VERSION in %s", root)
	}
	release, _, _ = strings.Cut(string(text), "\n")
	if !version.IsValid(release) {
		return "", "", unsure("version %q", release)
	}
	return root, release, nil
}

// releaseTags returns the tags go1.1 to go1.N of a release.
func releaseTags(release string) ([]string, error) {
	if version.Lang(release) == version.Lang(runtime.Version()) {
		return build.Default.ReleaseTags, nil
	}
	var minor int
	if _, err := fmt.Sscanf(version.Lang(release), "go1.%d", &minor); err != nil {
		return nil, unsure("version %q", release)
	}
	var tags []string
	for n := range minor {
		tags = append(tags, fmt.Sprintf("go1.%d", n+1))
	}
	return tags, nil
}

func (m *modules) readGoMod(release string) error {
	name := filepath.Join(m.root, "go.mod")
	data, err := os.ReadFile(name)
	if err != nil {
		return unsure("%v", err)
	}
	f, err := modfile.Parse(name, data, nil)
	if err != nil || f.Module == nil {
		return unsure("go.mod: %v", err)
	}
	if f.Go == nil || version.Compare("go"+f.Go.Version, "go1.17") < 0 { // then go.mod does not list every module
		return unsure("go.mod is older than Go 1.17")
	}
	if version.Compare("go"+f.Go.Version, release) > 0 || f.Toolchain != nil && version.Compare(f.Toolchain.Name, release) > 0 {
		return unsure("go.mod wants another toolchain than %s", release)
	}
	m.path = f.Module.Mod.Path
	for _, r := range f.Require {
		m.require = append(m.require, r.Mod)
	}
	for _, r := range f.Replace {
		m.replace[r.Old] = r.New
	}
	slices.SortFunc(m.require, func(a, b module.Version) int { return len(b.Path) - len(a.Path) })
	return nil
}

// dir returns the directory of a package and its path in full.
func (m *modules) dir(path string) (string, string, error) {
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		if dir := filepath.Join(m.goroot, "src", path); isDir(dir) && !within(path, m.path) {
			return dir, path, nil
		}
	}
	if within(path, m.path) {
		dir := filepath.Join(m.root, strings.TrimPrefix(path, m.path))
		return dir, path, m.sameModule(dir, m.root)
	}
	for _, r := range m.require {
		if !within(path, r.Path) {
			continue
		}
		root, err := m.moduleDir(r)
		if err != nil {
			return "", "", err
		}
		dir := filepath.Join(root, strings.TrimPrefix(path, r.Path))
		if !isDir(dir) {
			continue // a shorter module may have it
		}
		return dir, path, m.sameModule(dir, root)
	}
	return "", "", unsure("no module for %s", path)
}

// stdDir is dir for an import of the standard library, which has packages of
// others in its vendor directory.
func (m *modules) stdDir(path string) (string, string, error) {
	if dir := filepath.Join(m.goroot, "src", path); isDir(dir) {
		return dir, path, nil
	}
	path = "vendor/" + path
	if dir := filepath.Join(m.goroot, "src", path); isDir(dir) {
		return dir, path, nil
	}
	return "", "", unsure("no package %s in the standard library", path)
}

func (m *modules) moduleDir(v module.Version) (string, error) {
	to, ok := m.replace[v]
	if !ok {
		to, ok = m.replace[module.Version{Path: v.Path}]
	}
	if ok {
		v = to
		if v.Version == "" { // a directory
			if filepath.IsAbs(v.Path) {
				return v.Path, nil
			}
			return filepath.Join(m.root, v.Path), nil
		}
	}
	path, err := module.EscapePath(v.Path)
	if err != nil {
		return "", unsure("%v", err)
	}
	ver, err := module.EscapeVersion(v.Version)
	if err != nil {
		return "", unsure("%v", err)
	}
	dir := filepath.Join(m.cache, filepath.FromSlash(path)+"@"+ver)
	if !isDir(dir) {
		return "", unsure("%s is not downloaded", v)
	}
	return dir, nil
}

// sameModule is unsure if a module of its own is between root and dir.
func (m *modules) sameModule(dir, root string) error {
	if !isDir(dir) {
		return unsure("no directory %s", dir)
	}
	for at := dir; len(at) > len(root); at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return unsure("a module within a module, %s", at)
		}
	}
	return nil
}

// files returns the Go files of a directory that are built, without tests. What
// do is called with every one of them, of several at a time.
func (m *modules) files(dir string, do func(*file)) ([]*file, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, unsure("%v", err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		name := e.Name()
		return e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name[0] == '_' || name[0] == '.'
	})
	list, errs := make([]*file, len(entries)), make([]error, len(entries))
	inParallel(len(entries), func(i int) {
		defer func() {
			if v := recover(); v != nil { // Load recovers on its own goroutine only
				errs[i] = unsure("panic: %v", v)
			}
		}()
		if list[i], errs[i] = m.file(dir, entries[i].Name()); list[i] != nil {
			do(list[i])
		}
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(list, func(f *file) bool { return f == nil }), nil
}

// inParallel calls do for 0 to n-1, and returns when that is done. A few calls
// are not worth a goroutine.
func inParallel(n int, do func(i int)) {
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			do(i)
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0)-1, n/8) {
		others.Go(work)
	}
	work()
	others.Wait()
}

// file reads a file, nil if it is not built.
func (m *modules) file(dir, name string) (*file, error) {
	f := &file{path: filepath.Join(dir, name)}
	var err error
	if f.src, err = m.read(f.path, within(dir, m.cache) || within(dir, m.goroot)); err != nil {
		return nil, unsure("%v", err)
	}
	clause, err := f.clause()
	if err != nil {
		clause = len(f.src) // what is not built need not parse
	}
	if !m.built(dir, name, f.src, f.src[:clause]) {
		return nil, nil
	}
	return f, err
}

// built applies build constraints, which are in the head of the source and in
// the file's name.
func (m *modules) built(dir, name string, src, head []byte) bool {
	if !bytes.Contains(head, []byte("//go:build")) && !bytes.Contains(head, []byte("+build")) && !strings.Contains(name, "_") {
		return true
	}
	ctx := m.context
	ctx.OpenFile = func(string) (readCloser, error) { return nopCloser{bytes.NewReader(src)}, nil }
	ok, err := ctx.MatchFile(dir, name)
	return ok || err != nil // what is broken is found to be so later
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root) && path[len(root)] == '/'
}
