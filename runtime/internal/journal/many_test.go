package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestOpenManyKeys without INDEX: more than the index has room for at first, some of
// them dropped, dropped twice, or made again.
func TestOpenManyKeys(t *testing.T) {
	const keys = 20_000
	dir := t.TempDir()
	j := open(t, dir, Options{Sync: Never})
	want := map[string]uint64{}
	for i := range keys {
		key := fmt.Sprintf("k/%05d", i)
		want[key] = mustAppend(t, j, key, 0, "v")
	}
	drop := func(key string, through uint64) {
		if err := j.Drop(background, key, through); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < keys; i += 100 {
		key := fmt.Sprintf("k/%05d", i)
		switch i / 100 % 4 {
		case 0:
			drop(key, want[key])
			delete(want, key)
		case 1:
			drop(key, want[key])
			want[key] = mustAppend(t, j, key, 0, "again")
		case 2:
			for range 2 {
				drop(key, want[key])
				want[key] = mustAppend(t, j, key, 0, "again")
			}
			drop(key, want[key])
			delete(want, key)
		case 3:
			before := want[key]
			want[key] = mustAppend(t, j, key, before, "more")
			drop(key, before)
		}
	}
	mustClose(t, j)
	if err := os.Remove(filepath.Join(dir, indexName)); err != nil {
		t.Fatal(err)
	}
	j = open(t, dir, Options{Sync: Never})
	defer mustClose(t, j)
	got, last := 0, ""
	for r, err := range j.Heads(background, "k/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if want[r.Key] != r.Version || r.Key <= last {
			t.Fatalf("%s has version %d after %s, want %d", r.Key, r.Version, last, want[r.Key])
		}
		got, last = got+1, r.Key
	}
	if s := j.Stats(); got != len(want) || s.Keys != got || s.Records != got {
		t.Errorf("%d heads, %d keys, %d records, want %d of each", got, s.Keys, s.Records, len(want))
	}
	for i := range 20 { // what was dropped and what was not goes on as before
		key := fmt.Sprintf("k/%05d", i*100)
		mustAppend(t, j, key, want[key], "on")
	}
}
