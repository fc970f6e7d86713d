package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// openDir opens the store of a directory: to read beside the process that owns it,
// or, for changes, as its owner. A Runtime on it answers as one of a service does,
// but has no methods.
func openDir(dir string, changes bool) (*ops.Client, func() error, error) {
	if err := present(dir, changes); err != nil {
		return nil, nil, err
	}
	store, err := resilience.OpenStore(dir, resilience.StoreOptions{ReadOnly: !changes, Newest: !changes})
	if errors.Is(err, resilience.ErrBusy) {
		return nil, nil, fmt.Errorf("%w; ask that process: --addr", err)
	}
	if err != nil {
		return nil, nil, err
	}
	rt, err := resilience.Open(resilience.Options{Stores: store.Stores()})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	if !changes {
		debug.SetGCPercent(300) // of a process that reads, answers once and ends
	}
	c := ops.Local(rt)
	return c, func() error {
		c.Close()
		return errors.Join(rt.Close(), store.Close())
	}, nil
}

// existing refuses a directory that OpenStore would make, and to write into one of
// another user, who could not read what is written.
func existing(dir string, changes bool) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: not a directory", dir)
	}
	if uid, ok := ownerOf(info); ok && changes && uid != os.Geteuid() {
		return coded{exitRefused, fmt.Errorf("%s belongs to user %d, who could not read what is written: run resilgen as that user", dir, uid)}
	}
	return nil
}

// present is existing, and to read also aStore.
func present(dir string, changes bool) error {
	if !changes {
		return aStore(dir)
	}
	return existing(dir, true)
}

// aStore refuses to read a directory that has nothing of a store: what it would show
// as empty may be another one's.
func aStore(dir string) error {
	if err := existing(dir, false); err != nil {
		return err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name.Name(), ".rj") || slices.Contains([]string{"LOCK", "INDEX", "RESERVE", "EMERGENCY"}, name.Name()) {
			return nil
		}
	}
	return coded{exitNotFound, fmt.Errorf("%s is no store: it has no file that one has, like 000000000001.rj or LOCK", dir)}
}
