package resilience

import (
	"testing"
	"time"
)

// TestLetterPresets: a preset of the policy or of the Runtime slips under what the
// policy says itself, and the Runtime's wins.
func TestLetterPresets(t *testing.T) {
	for _, c := range []struct {
		runtime, policy Preset
		given           DeadLetterPolicy
		replays         int
		age             time.Duration
	}{
		{0, 0, DeadLetterPolicy{}, 3, 30 * 24 * time.Hour},
		{0, Production, DeadLetterPolicy{}, 5, 7 * 24 * time.Hour},
		{0, Development, DeadLetterPolicy{}, 3, 24 * time.Hour},
		{0, Testing, DeadLetterPolicy{}, 1, time.Hour},
		{Development, Production, DeadLetterPolicy{}, 3, 24 * time.Hour},
		{Production, 0, DeadLetterPolicy{MaxReplays: 9}, 9, 7 * 24 * time.Hour},
		{Production, 0, DeadLetterPolicy{MaxAge: None}, 5, None},
	} {
		rt, err := Open(Options{Stores: MemoryStores(), Preset: c.runtime})
		if err != nil {
			t.Fatal(err)
		}
		w := rt.Wrap("p.Gateway", t)
		w.Guard("Notify", Policy{Preset: c.policy})
		d := NewDeadLetters(w, "Notify", c.given, LetterMethod[struct{}]{})
		if err := w.Err(); err != nil {
			t.Fatal(err)
		}
		if got := d.m.conf; got.MaxReplays != c.replays || got.MaxAge != c.age {
			t.Errorf("preset %v over %v, %+v: %d replays, %v; want %d, %v", c.runtime, c.policy, c.given, got.MaxReplays, got.MaxAge, c.replays, c.age)
		}
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}
}
