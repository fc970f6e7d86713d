package workflow

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// cron is when something happens by a calendar: minute, hour, day of the month,
// month and day of the week, each as a set of bits. Where days of the month and of
// the week are both restricted, a day of either will do, as in every cron.
type cron struct {
	minutes, hours, days, months, weekdays uint64
	anyDay, anyWeekday                     bool // the field is all there is
}

// cronField is what one of the five fields may hold.
type cronField struct {
	name      string
	low, high int
	names     string // of low, low+1, …, three letters each
}

var cronFields = [5]cronField{
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day of the month", 1, 31, ""},
	{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
	{"day of the week", 0, 7, "sunmontuewedthufrisat"}, // 0 and 7 are Sunday
}

// cronWords are expressions that have a name.
var cronWords = map[string]string{
	"@yearly":  "0 0 1 1 *",
	"@monthly": "0 0 1 * *",
	"@weekly":  "0 0 * * 0",
	"@daily":   "0 0 * * *",
	"@hourly":  "0 * * * *",
}

// parseCron reads "minute hour day-of-month month day-of-week": numbers, names of
// three letters, "*", ranges "1-5", steps "*/15" and "9-17/2", lists of those. The
// words @hourly, @daily, @weekly, @monthly and @yearly stand for what they say. What
// could never happen, as the 30th of February, is refused.
func parseCron(text string) (cron, error) {
	fields := strings.Fields(text)
	if len(fields) == 1 && cronWords[fields[0]] != "" {
		fields = strings.Fields(cronWords[fields[0]])
	}
	if len(fields) != len(cronFields) {
		return cron{}, fmt.Errorf("cron %q: %d fields, want 5: minute, hour, day of the month, month, day of the week", text, len(fields))
	}
	var sets [5]uint64
	for i, f := range cronFields {
		set, err := f.parse(fields[i])
		if err != nil {
			return cron{}, fmt.Errorf("cron %q: %s: %w", text, f.name, err)
		}
		sets[i] = set
	}
	sets[4] = sets[4]&127 | sets[4]>>7 // both Sundays are one
	c := cron{minutes: sets[0], hours: sets[1], days: sets[2], months: sets[3], weekdays: sets[4]}
	c.anyDay, c.anyWeekday = c.days == 1<<32-2, c.weekdays == 127
	if c.anyWeekday && !c.possible() {
		return cron{}, fmt.Errorf("cron %q: no month of it has such a day", text)
	}
	return c, nil
}

// possible reports whether a month of c has a day of it.
func (c cron) possible() bool {
	for m := time.January; m <= time.December; m++ {
		longest := time.Date(2000, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
		if c.months>>m&1 == 1 && bits.TrailingZeros64(c.days) <= longest {
			return true
		}
	}
	return false
}

func (f cronField) parse(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		some, err := f.part(part)
		if err != nil {
			return 0, err
		}
		set |= some
	}
	return set, nil
}

// part reads what stands between commas.
func (f cronField) part(text string) (set uint64, err error) {
	span, by, stepped := strings.Cut(text, "/")
	low, high, err := f.span(span, stepped)
	if err != nil {
		return 0, err
	}
	step := 1
	if stepped {
		if step, err = digits(by); err != nil {
			return 0, fmt.Errorf("%q: step: %w", text, err)
		}
		if step < 1 || step > high-low {
			return 0, fmt.Errorf("%q: a step of %d from %d to %d leads nowhere", text, step, low, high)
		}
	}
	for i := low; i <= high; i += step {
		set |= 1 << i
	}
	return set, nil
}

// span reads what stands before a step: "*", one value or two with a dash.
func (f cronField) span(text string, stepped bool) (low, high int, err error) {
	if text == "*" {
		high := f.high
		if f.names != "" {
			high = f.low + len(f.names)/3 - 1 // Sunday once
		}
		return f.low, high, nil
	}
	from, to, both := strings.Cut(text, "-")
	if low, err = f.value(from); err != nil {
		return 0, 0, err
	}
	switch {
	case both:
		if high, err = f.value(to); err != nil {
			return 0, 0, err
		}
		if high < low {
			return 0, 0, fmt.Errorf("%q goes backwards", text)
		}
	case stepped:
		return 0, 0, fmt.Errorf("%q: a step needs a range before it: %s-%d or *", text, from, f.high)
	default:
		high = low
	}
	return low, high, nil
}

func (f cronField) value(text string) (int, error) {
	if len(text) == 3 && f.names != "" {
		if i := strings.Index(f.names, strings.ToLower(text)); i >= 0 && i%3 == 0 {
			return f.low + i/3, nil
		}
	}
	n, err := digits(text)
	if err != nil {
		return 0, err
	}
	if n < f.low || n > f.high {
		return 0, fmt.Errorf("%d is not in %d to %d", n, f.low, f.high)
	}
	return n, nil
}

// digits reads a number of one to three digits and nothing else: no sign, no space.
func digits(text string) (int, error) {
	if text == "" {
		return 0, errors.New("a value is missing")
	}
	if len(text) > 3 || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q is no number that it can be", text)
	}
	return strconv.Atoi(text)
}

// hasDay reports whether the day of t is one of c.
func (c cron) hasDay(t time.Time) bool {
	day, weekday := c.days>>t.Day()&1 == 1, c.weekdays>>t.Weekday()&1 == 1
	if c.anyDay || c.anyWeekday {
		return day && weekday
	}
	return day || weekday
}

// cronYears is how far ahead a day is looked for: a 29th of February comes after
// eight years at most.
const cronYears = 9

// from returns the first minute of c that is not before t, by a clock that is never
// set: times in UTC stand for what a clock on a wall shows. Zero: there is none.
func (c cron) from(t time.Time) time.Time {
	if up := t.Truncate(time.Minute); !up.Equal(t) {
		t = up.Add(time.Minute)
	}
	for end := t.Year() + cronYears; t.Year() < end; {
		y, m, d := t.Date()
		switch {
		case c.months>>m&1 == 0:
			t = time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.hasDay(t):
			t = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
		case c.hours>>t.Hour()&1 == 0:
			t = time.Date(y, m, d, t.Hour()+1, 0, 0, 0, time.UTC)
		case c.minutes>>t.Minute() == 0: // none in what is left of the hour
			t = time.Date(y, m, d, t.Hour()+1, 0, 0, 0, time.UTC)
		default:
			return t.Add(time.Duration(bits.TrailingZeros64(c.minutes>>t.Minute())) * time.Minute)
		}
	}
	return time.Time{}
}

// everyHour is a set of all hours.
const everyHour = 1<<24 - 1

// next returns the first instant after t that is one of c by the clocks of zone.
// Zero: there is none.
//
// Where clocks are set, an expression for every hour goes by the time that passes:
// what a clock skips does not happen, what it shows twice happens twice. Every
// other one goes by what a clock shows: all that is skipped happens together at the
// moment after, and what is shown twice happens the first time.
func (c cron) next(t time.Time, zone *time.Location) time.Time {
	t = t.Round(0)
	at := t.In(zone)
	for end := at.Year() + cronYears; at.Year() < end; {
		start, stop := at.ZoneBounds()
		if found := c.between(t, start, stop, at); !found.IsZero() {
			return found
		}
		if stop.IsZero() {
			return time.Time{}
		}
		at = stop.In(zone)
	}
	return time.Time{}
}

// between returns the first instant of c after t from start to before stop, in which
// clocks are not set; both may be zero: no end on that side. at is one of them.
func (c cron) between(t, start, stop, at time.Time) time.Time {
	shift := wall(at).Sub(at)
	from := t.Add(1)
	if !start.IsZero() {
		before := wall(start.Add(-1).In(at.Location())).Add(1) // what clocks would show now, had nobody set them
		shown := wall(start.In(at.Location()))
		skipped := c.from(before)
		if start.After(t) && c.hours != everyHour && before.Before(shown) && !skipped.IsZero() && skipped.Before(shown) {
			return start
		}
		if c.hours != everyHour && shown.Before(before) {
			start = before.Add(-shift) // until then clocks show again what they did
		}
		if from.Before(start) {
			from = start
		}
	}
	found := c.from(from.Add(shift).UTC())
	if found.IsZero() {
		return found
	}
	found = found.Add(-shift)
	if !stop.IsZero() && !found.Before(stop) {
		return time.Time{}
	}
	return found.In(at.Location())
}

// wall returns what a clock in the zone of t shows then, as a time in UTC.
func wall(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
