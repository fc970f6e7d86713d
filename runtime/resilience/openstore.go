package resilience

import (
	"context"
	"errors"
)

// openStore opens the store that o wants.
func (rt *Runtime) openStore(o Options) (err error) {
	switch {
	case o.Dir == "" && (o.Sync != SyncAlways || o.SyncEvery != 0 || o.OnDamage != RefuseDamage):
		return errors.New("Options: Sync, SyncEvery and OnDamage want Dir")
	case o.Dir == "":
		return nil
	case o.Stores.Log != nil || o.Stores.Queue != nil || o.Stores.Leases != nil || o.Stores.Cells != nil:
		return errors.New("Options: Dir and Stores: want one")
	}
	s, err := OpenStore(o.Dir, rt.storeOptions(o))
	if err == nil {
		rt.adoptStore(s)
	}
	return err
}

func (rt *Runtime) storeOptions(o Options) StoreOptions {
	conf := StoreOptions{Sync: o.Sync, SyncEvery: o.SyncEvery, OnDamage: o.OnDamage}
	if rt.observer != nil {
		told := &news{to: rt.observer}
		conf.Observe = func(e Event) {
			told.add(context.Background(), e)
			told.tell()
		}
	}
	return conf
}

func (rt *Runtime) adoptStore(s *Store) { rt.files, rt.stores = s, s.Stores() }

// closeStores ends what is durable, after all who had something to write yet. Stores
// that somebody gave are his to close.
func (rt *Runtime) closeStores() error {
	rt.mu.Lock()
	rt.sealed = true
	rt.mu.Unlock()
	if rt.files == nil {
		return nil
	}
	return rt.files.Close()
}

// values returns where the durable things of rt live, or [ErrNoStore] or
// [ErrClosed].
func (rt *Runtime) values() (values, error) {
	root, err := rt.root()
	if err != nil {
		return values{}, err
	}
	root.mu.Lock()
	defer root.mu.Unlock()
	switch {
	case root.stores.Log == nil:
		return values{}, ErrNoStore
	case root.sealed:
		return values{}, ErrClosed
	}
	return values{root.stores.Log}, nil
}
