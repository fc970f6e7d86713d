package workflow

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestCronNext(t *testing.T) {
	for _, c := range []struct{ expression, zone, after, want string }{
		{"0 3 * * *", "UTC", "2026-11-27T02:59:59Z", "2026-11-27T03:00:00Z"},
		{"0 3 * * *", "UTC", "2026-11-27T03:00:00Z", "2026-11-28T03:00:00Z"},
		{"*/15 9-17 * * mon-fri", "UTC", "2026-11-27T17:45:00Z", "2026-11-30T09:00:00Z"},
		{"0 0 13 * fri", "UTC", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z"}, // either day will do
		{"0 0 1 * *", "UTC", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z"},
		{"0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 * * 7", "UTC", "2026-11-27T00:00:00Z", "2026-11-29T00:00:00Z"},
		{"@hourly", "Asia/Kathmandu", "2026-11-27T00:00:00Z", "2026-11-27T00:15:00Z"}, // 5:45 ahead
		// Clocks go from 2:00 to 3:00 in Berlin, and from 3:00 to 2:00.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"},
		{"30 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		{"0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z"},  // no midnight: 0:00 is 1:00
		{"0 12 * * *", "Pacific/Apia", "2011-12-30T00:00:00Z", "2011-12-30T10:00:00Z"}, // no 30th of December
	} {
		parsed, err := parseCron(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		after, _ := time.Parse(time.RFC3339, c.after)
		if got := parsed.next(after, mustZone(t, c.zone)).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%q in %s after %s: got %s, want %s", c.expression, c.zone, c.after, got, c.want)
		}
	}
}

func TestCronRefuses(t *testing.T) {
	for _, c := range []struct{ expression, complaint string }{
		{"", "0 fields"},
		{"* * * *", "4 fields"},
		{"@never", "1 fields"},
		{"60 * * * *", "minute: 60 is not in 0 to 59"},
		{"* 24 * * *", "hour: 24 is not in 0 to 23"},
		{"* * 0 * *", "day of the month: 0 is not in 1 to 31"},
		{"* * * 13 *", "month: 13"},
		{"* * * * 8", "day of the week: 8"},
		{"* * * * frid", "frid"},
		{"* * * nja *", "nja"},
		{"5-1 * * * *", "goes backwards"},
		{"5/2 * * * *", "a step needs a range before it: 5-59 or *"},
		{"*/0 * * * *", "leads nowhere"},
		{"*/60 * * * *", "leads nowhere"},
		{"1,,2 * * * *", "a value is missing"},
		{"+1 * * * *", "+1"},
		{"-1 * * * *", "a value is missing"},
		{"0001 * * * *", "0001"},
		{"0 0 30 2 *", "no month of it has such a day"},
		{"0 0 31 2,4,6,9,11 *", "no month of it has such a day"},
	} {
		if _, err := parseCron(c.expression); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("parseCron(%q): %v, want one with %q", c.expression, err, c.complaint)
		}
	}
}

// slowCron is an obvious cron: it looks at every minute that passes, and at every
// minute that the clock on the wall had not shown before.
type slowCron struct {
	allowed [5]func(int) bool
	either  bool
	byClock bool
	zone    *time.Location
}

func (c *slowCron) has(w time.Time) bool {
	day, weekday := c.allowed[2](w.Day()), c.allowed[4](int(w.Weekday()))
	fits := day && weekday
	if c.either {
		fits = day || weekday
	}
	return fits && c.allowed[0](w.Minute()) && c.allowed[1](w.Hour()) && c.allowed[3](int(w.Month()))
}

// ticks returns the instants in [from, to).
func (c *slowCron) ticks(from, to time.Time) (list []time.Time) {
	begin := from.Add(-50 * time.Hour)
	shown := wall(begin.In(c.zone))
	for at := begin.Add(time.Minute); at.Before(to); at = at.Add(time.Minute) {
		now, hit := wall(at.In(c.zone)), false
		if !c.byClock {
			hit = c.has(now)
		}
		for shown.Before(now) {
			shown = shown.Add(time.Minute)
			hit = hit || c.byClock && c.has(shown)
		}
		if hit && !at.Before(from) {
			list = append(list, at)
		}
	}
	return list
}

// randomField returns the text of a field and what it allows.
func randomField(r *rand.Rand, low, high int) (text string, allowed func(int) bool) {
	switch r.IntN(5) {
	case 0, 1:
		return "*", func(int) bool { return true }
	case 2:
		n := 1 + r.IntN(high-low)
		return fmt.Sprintf("*/%d", n), func(v int) bool { return (v-low)%n == 0 }
	case 3:
		a, b := low+r.IntN(high-low+1), low+r.IntN(high-low+1)
		if a > b {
			a, b = b, a
		}
		return fmt.Sprintf("%d-%d", a, b), func(v int) bool { return v >= a && v <= b }
	default:
		a, b := low+r.IntN(high-low+1), low+r.IntN(high-low+1)
		return fmt.Sprintf("%d,%d", a, b), func(v int) bool { return v == a || v == b }
	}
}

func randomCron(r *rand.Rand, zone *time.Location) (string, *slowCron) {
	slow := &slowCron{zone: zone}
	var texts [5]string
	all := func(f func(int) bool, low, high int) bool {
		for v := low; v <= high; v++ {
			if !f(v) {
				return false
			}
		}
		return true
	}
	for i, f := range cronFields {
		texts[i], slow.allowed[i] = randomField(r, f.low, f.high)
		if i == 4 {
			texts[i], slow.allowed[i] = randomField(r, 0, 6)
		}
	}
	slow.either = !all(slow.allowed[2], 1, 31) && !all(slow.allowed[4], 0, 6)
	slow.byClock = !all(slow.allowed[1], 0, 23)
	return strings.Join(texts[:], " "), slow
}

// TestCronAgainstSlowOne compares every tick of three days around the moments at
// which clocks are set, in zones that do it in every way there is.
func TestCronAgainstSlowOne(t *testing.T) {
	around := []struct{ zone, day string }{
		{"UTC", "2024-02-28"}, {"Europe/Berlin", "2026-03-29"}, {"Europe/Berlin", "2026-10-25"},
		{"America/New_York", "2026-03-08"}, {"America/New_York", "2026-11-01"},
		{"Australia/Lord_Howe", "2026-04-05"}, {"Australia/Lord_Howe", "2026-10-04"}, // by half an hour
		{"Africa/Cairo", "2026-04-24"}, {"Africa/Cairo", "2026-10-30"}, // at midnight
		{"Antarctica/Troll", "2026-03-29"}, {"Antarctica/Troll", "2026-10-25"}, // by two hours
		{"Pacific/Apia", "2011-12-30"},      // a day that never was
		{"Pacific/Kwajalein", "1993-08-21"}, // likewise
		{"Asia/Kathmandu", "2026-01-01"},
	}
	const rounds = 112 // 8 for each place
	found := 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		place := around[seed%len(around)]
		zone := mustZone(t, place.zone)
		day, err := time.ParseInLocation("2006-01-02", place.day, zone)
		if err != nil {
			t.Fatal(err)
		}
		text, slow := randomCron(r, zone)
		fast, err := parseCron(text)
		if err != nil {
			continue // a day that no month has
		}
		from, to := day.Add(-36*time.Hour).Truncate(time.Minute), day.Add(48*time.Hour).Truncate(time.Minute)
		at := from.Add(-1)
		for _, want := range slow.ticks(from, to) {
			got := fast.next(at, zone)
			if !got.Equal(want) {
				t.Fatalf("%q in %s after %s: got %s, want %s", text, place.zone, at, got, want)
			}
			at, found = got, found+1
		}
		if got := fast.next(at, zone); !got.IsZero() && got.Before(to) {
			t.Fatalf("%q in %s after %s: got %s, want none before %s", text, place.zone, at, got, to)
		}
	}
	if found < 10*rounds {
		t.Errorf("%d ticks in %d rounds: the test looks at nothing", found, rounds)
	}
}

func FuzzCron(f *testing.F) {
	for _, text := range []string{"* * * * *", "*/7 1-5,9 1,31 feb,12 mon-fri/2", "@daily", "0 0 29 2 *", "59 23 31 12 7"} {
		f.Add(text, int64(1774746000))
	}
	zone := mustZone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		c, err := parseCron(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "cron ") {
				t.Fatalf("parseCron(%q): %v does not say what it is about", text, err)
			}
			return
		}
		at := time.Unix(unix%(1<<33), 0)
		next := c.next(at, zone)
		if next.IsZero() {
			t.Fatalf("%q has no tick after %s", text, at)
		}
		if !next.After(at) {
			t.Fatalf("%q after %s: %s is not after it", text, at, next)
		}
		if between := c.next(next.Add(-1), zone); !between.Equal(next) {
			t.Fatalf("%q: %s is a tick after %s, and after the moment before it the next is %s", text, next, at, between)
		}
	})
}
