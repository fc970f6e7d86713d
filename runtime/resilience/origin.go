package resilience

import (
	"cmp"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"sync"
)

// program is what is known of the process and its build.
var program = sync.OnceValue(func() (p struct {
	Origin
	module string
}) {
	p.PID = os.Getpid()
	p.Host, _ = os.Hostname()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return p
	}
	p.module = info.Main.Path
	p.Service, p.Version = cmp.Or(path.Base(info.Path), info.Main.Path), info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			p.VCSRev = s.Value
		}
	}
	return p
})

// origin is this process, as o names it. instance tells it from others.
func (o *LetterOptions) origin(instance string) Origin {
	out := program().Origin
	out.Service = cmp.Or(o.Service, out.Service)
	out.Version = cmp.Or(o.Version, out.Version)
	out.Instance = instance
	return out
}

// ownFrame returns the func of the first frame that belongs to the program's
// module, else of the first one.
func ownFrame(stack []Frame) string {
	module := program().module
	for _, f := range stack {
		if strings.HasPrefix(f.Func, "main.") || module != "" && (strings.HasPrefix(f.Func, module+"/") || strings.HasPrefix(f.Func, module+".")) {
			return f.Func
		}
	}
	if len(stack) == 0 {
		return ""
	}
	return stack[0].Func
}
