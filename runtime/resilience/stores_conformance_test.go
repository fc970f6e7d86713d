package resilience_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/resiliencetest"
)

// TestStoresOnADisk holds the store in a directory to the contracts, on a
// disk in memory: each unclean end is that of a process that is killed.
func TestStoresOnADisk(t *testing.T) {
	for _, sync := range []resilience.Sync{resilience.SyncAlways, resilience.SyncInterval, resilience.SyncNone} {
		if testing.Short() && sync != resilience.SyncAlways {
			continue
		}
		t.Run(sync.String(), func(t *testing.T) {
			resiliencetest.Stores(t, resiliencetest.Engine{Bubble: true, Place: func(*testing.T) resiliencetest.Place {
				disk := faultfs.New(1)
				return resiliencetest.Place{
					Open: func() (resilience.Stores, error) {
						s, err := resilience.OpenStoreOn(disk, "disk", resilience.StoreOptions{Sync: sync})
						if err != nil {
							return resilience.Stores{}, err
						}
						return s.Stores(), nil
					},
					Crash: func(s resilience.Stores) error {
						old := disk
						disk = disk.Kill()
						old.Freeze()
						_ = s.Close() // its disk is gone
						return nil
					},
				}
			}})
		})
	}
}

// TestStoresOnFiles does the same on a real directory. A store that is killed leaves
// what a copy of its files has.
func TestStoresOnFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the disk")
	}
	resiliencetest.Stores(t, resiliencetest.Engine{Bubble: true, Place: func(t *testing.T) resiliencetest.Place {
		dir := t.TempDir()
		return resiliencetest.Place{
			Open: func() (resilience.Stores, error) {
				s, err := resilience.OpenStore(dir, resilience.StoreOptions{})
				if err != nil {
					return resilience.Stores{}, err
				}
				return s.Stores(), nil
			},
			Crash: func(s resilience.Stores) error {
				to := filepath.Join(t.TempDir(), "after")
				if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
					return err
				}
				dir = to
				return s.Close()
			},
		}
	}})
}
