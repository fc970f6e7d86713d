package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/resilgen/resilgen/generator"
)

// writeAll replaces the files: all of them, or none if something fails or the
// run is interrupted before the last one is on the disk. A reader sees the old
// or the new one, never half of it.
func writeAll(ctx context.Context, files []generator.File) error {
	temps := make([]string, 0, len(files))
	defer func() {
		for _, temp := range temps {
			_ = os.Remove(temp) // not there any more after the rename
		}
	}()
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		temp, err := writeBeside(f)
		if temp != "" {
			temps = append(temps, temp)
		}
		if err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, f := range files {
		if err := os.Rename(temps[i], f.Path); err != nil {
			return err
		}
	}
	return nil
}

// writeBeside writes the content to a temporary file in the same directory.
func writeBeside(f generator.File) (name string, err error) {
	mode := fs.FileMode(0o644)
	if old, err := os.Stat(f.Path); err == nil {
		mode = old.Mode().Perm()
	}
	if mode&0o200 == 0 {
		return "", fmt.Errorf("%s is read-only, and resilgen would change it: make it writable and run again", f.Path)
	}
	dir := filepath.Dir(f.Path)
	temp, err := os.CreateTemp(dir, ".resilgen-*")
	if errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("%s cannot be written: make the directory %s writable and run again (%w)", f.Path, dir, err)
	}
	if err != nil {
		return "", fmt.Errorf("%s cannot be written: %w", f.Path, err)
	}
	_, err = temp.Write(f.Content)
	if err = errors.Join(err, temp.Chmod(mode), temp.Close()); err != nil {
		err = fmt.Errorf("%s cannot be written: %w", f.Path, err)
	}
	return temp.Name(), err
}

// diff prints the lines that differ between the common head and tail.
func (env *environment) diff(path, old, now string) string {
	a, b := strings.Split(old, "\n"), strings.Split(now, "\n")
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s (generated)\n@@ line %d @@\n", path, path, head+1)
	for _, part := range []struct {
		sign, color string
		lines       []string
	}{{"-", red, a[head : len(a)-tail]}, {"+", green, b[head : len(b)-tail]}} {
		for _, line := range part.lines {
			out.WriteString(paint(env.colorOut, part.color, part.sign+line) + "\n")
		}
	}
	return out.String()
}
