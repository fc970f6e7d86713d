package journal

import (
	"testing"
	"time"
)

// TestAppendAllocates at most once, where the key exists.
func TestAppendAllocates(t *testing.T) {
	j := open(t, t.TempDir(), Options{Sync: Never})
	defer mustClose(t, j)
	payload := make([]byte, 256)
	last := mustAppend(t, j, "k", 0, "")
	n := testing.AllocsPerRun(2000, func() {
		v, err := j.Append(background, "k", last, payload)
		if err != nil {
			t.Fatal(err)
		}
		last = v
	})
	if n > 1 {
		t.Errorf("an append allocates %v times, want 1 at most", n)
	}
}

// TestClock moves the wall clock: times never go back, and do not follow a leap.
func TestClock(t *testing.T) {
	start := time.Unix(1e9, 0)
	c := clock{start: start, wall: start.UnixNano()}
	for _, s := range []struct {
		what      string
		wall, ran time.Duration
		want      time.Duration
		leapt     bool
	}{
		{"goes on", time.Minute, time.Minute, time.Minute, false},
		{"is set back a little", time.Second, 2 * time.Minute, time.Minute, false},
		{"goes on from there", 61 * time.Second, 3 * time.Minute, 61 * time.Second, false},
		{"leaps forward", 48 * time.Hour, 4 * time.Minute, 121 * time.Second, true},
		{"stays there", 48*time.Hour + time.Minute, 5 * time.Minute, 181 * time.Second, false},
		{"leaps back", -48 * time.Hour, 6 * time.Minute, 241 * time.Second, false},
		{"is right again", 5 * time.Minute, 7 * time.Minute, 5 * time.Minute, false},
		{"leaps back from there", -time.Hour, 8 * time.Minute, 6 * time.Minute, true},
	} {
		got, leapt := c.at(start.Add(s.wall).UnixNano(), s.ran)
		if d := time.Duration(got - start.UnixNano()); d != s.want || (leapt != nil) != s.leapt {
			t.Errorf("%s: %v, %v, want %v", s.what, d, leapt, s.want)
		}
	}
}
