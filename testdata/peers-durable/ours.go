package main

import (
	"context"
	"fmt"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// ourCases are appends to the log of a store in a directory, by writers with a key
// each.
func ourCases() []benchCase {
	var cs []benchCase
	for _, n := range sizes {
		cs = append(cs, ourCase("store", "resilgen "+sizeName(n), n, 1, resilience.StoreOptions{}))
	}
	for _, w := range writerCounts {
		cs = append(cs, ourCase("concurrent-append", fmt.Sprintf("resilgen %s ×%d", sizeName(256), w), 256, w, resilience.StoreOptions{}))
	}
	return append(cs, ourCase("store", "resilgen 256B, Sync: interval (not power-safe)", 256, 1, resilience.StoreOptions{Sync: resilience.SyncInterval}))
}

func ourCase(group, name string, n, workers int, o resilience.StoreOptions) benchCase {
	return benchCase{Group: group, Name: name, Workers: workers, Bytes: n, PerOp: 1,
		Open: func(dir string) (op, func() error, error) {
			store, err := resilience.OpenStore(dir, o)
			if err != nil {
				return nil, nil, err
			}
			log, p := store.Stores().Log, payload(n)
			keys, last := make([]string, workers), make([]resilience.Version, workers)
			for w := range workers {
				keys[w] = resilience.StoreKey("bench", fmt.Sprint(w))
			}
			return func(w, _ int) (err error) {
				last[w], err = log.Append(context.Background(), keys[w], last[w], p)
				return err
			}, store.Close, nil
		}}
}
