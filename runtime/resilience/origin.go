package resilience

import (
	"cmp"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"sync"
)

// self is what is known of this process and its build, once it was asked for. It
// is no sync.OnceValue, which would keep its func in programs without letters.
var self struct {
	asked sync.Once
	Origin
	module string
}

// ourselves returns it.
func ourselves() (o Origin, module string) {
	self.asked.Do(func() {
		self.PID = os.Getpid()
		self.Host, _ = os.Hostname()
		info, ok := debug.ReadBuildInfo()
		if !ok {
			return
		}
		self.module = info.Main.Path
		self.Service, self.Origin.Version = cmp.Or(path.Base(info.Path), info.Main.Path), info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				self.VCSRev = s.Value
			}
		}
	})
	return self.Origin, self.module
}

// origin is this process, as o names it. instance tells it from others.
func (o *LetterOptions) origin(instance string) Origin {
	out, _ := ourselves()
	out.Service = cmp.Or(o.Service, out.Service)
	out.Version = cmp.Or(o.Version, out.Version)
	out.Instance = instance
	return out
}

// ownFrame returns the func of the first frame that belongs to the program's
// module, else of the first one.
func ownFrame(stack []Frame) string {
	_, module := ourselves()
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
