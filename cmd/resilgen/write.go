package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
