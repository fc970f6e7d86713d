//go:build dragonfly || freebsd || netbsd || openbsd

package journal

import "os"

func syncData(f *os.File, _ uintptr) error { return f.Sync() }

// Remote knows nothing here.
func (d *osDir) Remote() (string, error) { return "", nil }
