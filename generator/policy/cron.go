package policy

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// cronField is one of the five fields of a cron expression.
type cronField struct {
	name      string
	low, high int
	words     []string // for low and those after it
}

var cronFields = []cronField{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

var cronWords = []string{"@hourly", "@daily", "@weekly", "@monthly", "@yearly"}

func (k *Key) cron(n *yaml.Node) (any, complaint) {
	if !isString(n) || len(n.Value) > 200 {
		return nil, wrong("wants a cron expression in quotes, not %s%s", kindOf(n), k.like())
	}
	if strings.HasPrefix(n.Value, "@") {
		if !slices.Contains(cronWords, n.Value) {
			return nil, wrong("%q is none of %s%s", show(n.Value), strings.Join(cronWords, ", "), hint(n.Value, cronWords))
		}
		return n.Value, complaint{}
	}
	fields := strings.Fields(n.Value)
	if len(fields) != len(cronFields) {
		return nil, wrong("%q has %d fields: a cron expression has five, for minute, hour, day of the month, month and day of the week", show(n.Value), len(fields))
	}
	var sets [5]uint64
	for i, f := range fields {
		set, why := cronFields[i].set(f)
		if why != "" {
			return nil, wrong("%q: %s: %s", show(n.Value), cronFields[i].name, why)
		}
		sets[i] = set
	}
	if !comes(sets[2], sets[3], sets[4]) {
		return nil, wrong("%q: no such day comes in any of the months", show(n.Value))
	}
	return strings.Join(fields, " "), complaint{}
}

// set is what the text of a field stands for, a bit for each value: a list of *,
// values and ranges, the first and the last with a step or without.
func (f cronField) set(text string) (set uint64, why string) {
	for part := range strings.SplitSeq(text, ",") {
		span, by, stepped := strings.Cut(part, "/")
		low, high, why := f.span(span, stepped)
		if why != "" {
			return 0, why
		}
		step := 1
		if stepped {
			if step, stepped = number(by); !stepped || step < 1 || step > high-low {
				return 0, fmt.Sprintf("the step %q leads nowhere between %d and %d", show(by), low, high)
			}
		}
		for v := low; v <= high; v += step {
			set |= 1 << v
		}
	}
	return set, ""
}

func (f cronField) span(text string, stepped bool) (low, high int, why string) {
	if text == "*" {
		if f.words != nil {
			return f.low, f.low + len(f.words) - 1, "" // Sunday once
		}
		return f.low, f.high, ""
	}
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	low, ok := f.value(first)
	high, fine := f.value(last)
	switch {
	case !ok:
		return 0, 0, fmt.Sprintf("%q is not %s", show(first), f.values())
	case !fine:
		return 0, 0, fmt.Sprintf("%q is not %s", show(last), f.values())
	case high < low:
		return 0, 0, fmt.Sprintf("the range %s ends before it begins", text)
	case stepped && !ranged:
		return 0, 0, fmt.Sprintf("a step goes over a range: write %s-%d/…, or */…", text, f.high)
	}
	return low, high, ""
}

func (f cronField) value(text string) (int, bool) {
	if i := slices.Index(f.words, strings.ToLower(text)); i >= 0 {
		return f.low + i, true
	}
	n, ok := number(text)
	return n, ok && n >= f.low && n <= f.high
}

// number reads one to three digits.
func number(text string) (int, bool) {
	if text == "" || len(text) > 3 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

func (f cronField) values() string {
	text := fmt.Sprintf("%d to %d", f.low, f.high)
	if len(f.words) > 0 {
		text += " or " + f.words[0] + " to " + f.words[len(f.words)-1]
	}
	return text
}

// longest are the days of the months.
var longest = []int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// comes reports whether one of the months has one of the days, or days of the week
// will do.
func comes(days, months, weekdays uint64) bool {
	const week = 127
	if (weekdays|weekdays>>7)&week != week {
		return true
	}
	for m, last := range longest {
		if months>>(m+1)&1 == 1 && bits.TrailingZeros64(days) <= last {
			return true
		}
	}
	return false
}
