package ops

import (
	"fmt"
	"path/filepath"
	"strings"
)

// maxSocketPath is how long the name of a socket may be: 108 bytes on Linux, 104
// on others, with a zero at the end.
const maxSocketPath = 103

// socketPath returns the absolute path that an address names: unix:/run/x.sock,
// unix:///run/x.sock or unix:x.sock. There is no other kind of address, and no
// abstract socket, since nothing says who may open one.
func socketPath(address string) (string, error) {
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return "", fmt.Errorf("address %s: want unix:/path/of/a.sock", brief(address))
	}
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		path = rest
	}
	if path == "" || strings.HasSuffix(path, "/") || strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("address %s: names no file", brief(address))
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("address %s: a path of %d bytes, where a socket may have %d", brief(address), len(path), maxSocketPath)
	}
	return path, nil
}

// brief quotes what a message repeats of its input.
func brief(s string) string {
	const most = 120
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
