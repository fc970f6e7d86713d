package resilience

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// listed are the keys that a query chooses, "!" for each record that cannot be
// read.
func listed(t *testing.T, b *CheckpointBox, q CheckpointQuery) string {
	t.Helper()
	text := ""
	for c, err := range b.All(t.Context(), q) {
		switch {
		case errors.Is(err, ErrCheckpointDamaged):
			text += "!"
		case err != nil:
			t.Fatal(err)
		default:
			text += c.Key
		}
	}
	return text
}

func TestCheckpointBox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := MemoryStores()
		q := newQuoting(t, Options{Stores: stores}, Policy{}, quoteShape)
		for i, key := range []string{"a", "b", "ab"} {
			q.expect(t, key, quoteArgs{"c", int64(i)}, fmt.Sprint("q", i+1), int64(i+1))
			time.Sleep(20 * time.Hour)
		}
		box := q.rt.Checkpoints()
		if _, err := stores.Log.Append(t.Context(), "ckpt/other/x/y", 0, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			q    CheckpointQuery
			want string
		}{
			{CheckpointQuery{}, "aabb!"}, {CheckpointQuery{Key: "a"}, "aab!"}, {CheckpointQuery{Method: "Other"}, "!"},
			{CheckpointQuery{Interface: "resilience.Gateway", Method: "Quote"}, "aabb!"}, {CheckpointQuery{Interface: "esilience.Gateway"}, "!"},
			{CheckpointQuery{Expired: true}, "ab!"},
		} {
			if got := listed(t, box, c.q); got != c.want {
				t.Errorf("%+v: %q, want %q", c.q, got, c.want)
			}
		}
		id := StoreKey("ckpt", pkgPath+".Gateway", "Quote", "ab")
		c, err := box.Get(t.Context(), id)
		if err != nil || c.ID() != id || c.Attempts != 1 || string(c.Value) != `{"id":"q3","amount":2,"lines":["c"]}` {
			t.Errorf("%+v, %v", c, err)
		}
		for _, id := range []string{"ckpt/nobody", "dlq/x", "", "ckpt/../x", "ckpt/" + strings.Repeat("x", 9999)} {
			if _, err := box.Get(t.Context(), id); !errors.Is(err, ErrNoCheckpoint) {
				t.Errorf("%.40s: %v", id, err)
			}
			if err := box.Remove(t.Context(), id); !errors.Is(err, ErrNoCheckpoint) {
				t.Errorf("%.40s: %v", id, err)
			}
		}
		if _, err := box.Get(t.Context(), "ckpt/other/x/y"); !errors.Is(err, ErrCheckpointDamaged) {
			t.Error(err)
		}
		if n, err := box.Prune(t.Context()); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		q.expect(t, "ab", quoteArgs{"c", 2}, "q3", 3)
		for _, id := range []string{id, "ckpt/other/x/y"} {
			if err := box.Remove(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		q.expect(t, "ab", quoteArgs{"c", 2}, "q4", 4) // not from memory
		if got := listed(t, box, CheckpointQuery{}); got != "ab" {
			t.Errorf("%q is left", got)
		}
	})
}

func TestCheckpointsMoveHouse(t *testing.T) {
	from := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
	odd := "k/\x00\x1b[31m" + strings.Repeat("é", 200)
	for i, key := range []string{"a", odd, ""} {
		from.expect(t, key, quoteArgs{}, fmt.Sprint("q", i+1), int64(i+1))
	}
	var out strings.Builder
	if n, err := from.rt.Checkpoints().Export(t.Context(), &out, CheckpointQuery{}); n != 3 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	to := newQuoting(t, Options{Stores: MemoryStores()}, Policy{}, quoteShape)
	to.calls.Store(10)
	to.expect(t, "a", quoteArgs{}, "q11", 11)
	box := to.rt.Checkpoints()
	for _, c := range []struct {
		replace        bool
		written, there int
		a              string
	}{{false, 2, 1, "q11"}, {true, 3, 0, "q1"}} {
		written, there, err := box.Import(t.Context(), strings.NewReader(out.String()), c.replace)
		if written != c.written || there != c.there || err != nil {
			t.Errorf("%d written, %d there, %v; want %+v", written, there, err, c)
		}
		to.expect(t, "a", quoteArgs{}, c.a, 11)
		to.expect(t, odd, quoteArgs{}, "q2", 11)
	}
	lines := strings.Split(out.String(), "\n")
	for name, text := range map[string]string{
		"no JSON": "{", "another version": strings.Replace(lines[0], `"v":1`, `"v":9`, 1), "a name twice": strings.Replace(lines[0], `"v":1`, `"v":1,"v":1`, 1),
		"more": strings.Replace(lines[0], `"v":1`, `"v":1,"more":1`, 1), "too long": `{"v":"` + strings.Repeat("x", maxCheckpointLine) + `"}`,
		"deep": strings.Repeat(`[`, 1e6), "no value": strings.Replace(lines[0], `"value"`, `"sealed"`, 1), "null": "null",
	} {
		written, _, err := box.Import(t.Context(), strings.NewReader(lines[1]+"\n"+text), true)
		if written != 1 || err == nil || name != "too long" && !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%s: %d written, %.200v", name, written, err)
		}
	}
}

func FuzzCheckpointRecord(f *testing.F) {
	f.Add([]byte(`{"v":1,"interface":"a.B","method":"M","key":"k","type":"int","shape":"0","at":"2026-01-02T03:04:05Z","attempts":1,"value":1}`))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		key := StoreKey("ckpt", "a.B", "M", "k")
		c, err := decodeCheckpoint(Record{Key: key, Body: body})
		if (c != nil && err == nil) && c.ID() != key {
			t.Errorf("%s was taken for %s", c.ID(), key)
		}
	})
}
