package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// set sets what must not fail.
func (s *stores) set(key string, after resilience.Version, value string) resilience.Version {
	s.Helper()
	v, err := s.Cells.Set(s.ctx, key, after, []byte(value))
	if err != nil || v <= after {
		s.Fatalf("Set(%s, %d) = version %d, %v, want a larger one", key, after, v, err)
	}
	return v
}

// holds says whether a cell has this value, and returns its version.
func (s *stores) holds(key, value string) (version resilience.Version) {
	s.Helper()
	s.soon(func() string {
		got, v, err := s.Cells.Get(s.ctx, key)
		if version = v; err != nil || string(got) != value {
			return fmt.Sprintf("Get(%s) = %.50q, version %d, %v, want %.50q", key, got, v, err, value)
		}
		return ""
	})
	return version
}

var cellRules = []rule{
	{name: "get what was never set", test: func(s *stores) {
		if v := s.holds("never", ""); v != 0 {
			s.Errorf("version %d, want 0", v)
		}
	}},
	{name: "get and set", test: func(s *stores) {
		a := s.set("a/b", 0, "1")
		s.set("c", 0, "")
		if v := s.holds("a/b", "1"); v != a {
			s.Errorf("Get shows version %d, want %d", v, a)
		}
		a = s.set("a/b", a, "2")
		if v := s.holds("a/b", "2"); v != a {
			s.Errorf("Get shows version %d, want %d", v, a)
		}
		if v := s.holds("c", ""); v == 0 {
			s.Error("a cell with an empty value has version 0")
		}
	}},
	{name: "compare", test: func(s *stores) {
		first := s.set("k", 0, "1")
		second := s.set("k", first, "2")
		for _, after := range []resilience.Version{0, first, second + 1} {
			if v, err := s.Cells.Set(s.ctx, "k", after, []byte("x")); !errors.Is(err, resilience.ErrConflict) {
				s.Errorf("Set after %d = version %d, %v, want ErrConflict", after, v, err)
			}
		}
		if v, err := s.Cells.Set(s.ctx, "never", second, nil); !errors.Is(err, resilience.ErrConflict) {
			s.Errorf("Set after %d = version %d, %v, want ErrConflict", second, v, err)
		}
		s.holds("k", "2")
		s.holds("never", "")
	}},
	{name: "8 clients are linearizable", test: eightSetters},
	{name: "watch sees what is there, then the latest", test: watchLatest},
	{name: "cells outlive a reopening", end: reopened, test: func(s *stores) {
		a := s.set("a", s.set("a", 0, "1"), "2")
		s.again(false)
		if v := s.holds("a", "2"); v != a {
			s.Errorf("version %d, want %d", v, a)
		}
		s.set("a", a, "3")
	}},
	{name: "closed store", test: func(s *stores) {
		s.close()
		_, _, err := s.Cells.Get(s.ctx, "k")
		isClosed(s, "Get", err)
		_, err = s.Cells.Set(s.ctx, "k", 0, nil)
		isClosed(s, "Set", err)
		for _, err = range s.Cells.Watch(s.ctx, "") {
			break
		}
		isClosed(s, "Watch", err)
	}},
}

// eightSetters set and get two cells at random, and their histories are checked.
func eightSetters(s *stores) {
	type state struct {
		version resilience.Version
		value   string
	}
	histories := map[string]*history[state]{"a": {}, "b": {}}
	var group sync.WaitGroup
	for client := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(client)))
			known := map[string]resilience.Version{}
			for i := range 50 {
				key := string("ab"[random.IntN(2)])
				if random.IntN(3) == 0 {
					histories[key].do(func() (string, func(state) (state, bool)) {
						value, v, err := s.Cells.Get(s.ctx, key)
						known[key] = v
						return fmt.Sprintf("Get = %s, %d, %v", value, v, err), func(st state) (state, bool) {
							return st, err == nil && st == state{v, string(value)}
						}
					})
					continue
				}
				histories[key].do(func() (string, func(state) (state, bool)) {
					after, value := known[key], fmt.Sprint(client, i)
					v, err := s.Cells.Set(s.ctx, key, after, []byte(value))
					if err == nil {
						known[key] = v
					}
					return fmt.Sprintf("Set(%d, %s) = %d, %v", after, value, v, err), func(st state) (state, bool) {
						if err != nil {
							return st, errors.Is(err, resilience.ErrConflict) && st.version != after
						}
						return state{v, value}, st.version == after && v > after
					}
				})
			}
		})
	}
	group.Wait()
	for _, key := range []string{"a", "b"} {
		if text := histories[key].check(state{}); text != "" {
			s.Errorf("cell %s: %s", key, text)
		}
	}
}

// watchLatest watches cells that are there and that change: none goes back, all
// show their last value, and the watch ends with its context.
func watchLatest(s *stores) {
	before := s.set("w/before", 0, "old")
	s.set("w/still", 0, "still")
	s.set("other", 0, "not watched")
	want := map[string]string{"w/before": "19", "w/later": "19", "w/still": "still"}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	seen, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		versions, got := map[string]resilience.Version{}, map[string]string{}
		for cell, err := range s.Cells.Watch(ctx, "w/") {
			if err != nil || !strings.HasPrefix(cell.Key, "w/") || cell.Version <= versions[cell.Key] {
				s.Errorf("Watch shows version %d of %q after %d, %v", cell.Version, cell.Key, versions[cell.Key], err)
				return
			}
			versions[cell.Key], got[cell.Key] = cell.Version, string(cell.Value)
			if maps.Equal(got, want) {
				close(seen)
			}
		}
	}()
	later := resilience.Version(0)
	for i := range 20 {
		before = s.set("w/before", before, fmt.Sprint(i))
		later = s.set("w/later", later, fmt.Sprint(i))
	}
	s.await(seen, "the last values are watched")
	cancel()
	s.await(ended, "a watch ends with its context")
}
