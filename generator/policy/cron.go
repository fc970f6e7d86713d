package policy

import (
	"fmt"
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
	for i, f := range fields {
		if why := cronFields[i].check(f); why != "" {
			return nil, wrong("%q: %s", show(n.Value), why)
		}
	}
	if why := neverComes(fields[2], fields[3], fields[4]); why != "" {
		return nil, wrong("%q: %s", show(n.Value), why)
	}
	return strings.Join(fields, " "), complaint{}
}

// check says what is wrong with the text of a field: a list of *, a value or a
// range, each with a step or without.
func (f cronField) check(text string) string {
	for part := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(part, "/")
		if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1 || n > f.high) {
			return fmt.Sprintf("%s: the step %q is not 1 to %d", f.name, show(step), f.high)
		}
		if span == "*" {
			continue
		}
		first, last, ranged := strings.Cut(span, "-")
		low, ok := f.value(first)
		if !ok {
			return fmt.Sprintf("%s: %q is not %s", f.name, show(first), f.values())
		}
		if !ranged {
			continue
		}
		high, ok := f.value(last)
		switch {
		case !ok:
			return fmt.Sprintf("%s: %q is not %s", f.name, show(last), f.values())
		case high < low:
			return fmt.Sprintf("%s: the range %s ends before it begins", f.name, span)
		}
	}
	return ""
}

func (f cronField) value(text string) (int, bool) {
	if i := slices.Index(f.words, strings.ToLower(text)); i >= 0 {
		return f.low + i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= f.low && n <= f.high && text[0] != '+'
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

// neverComes says that the days are in none of the months: the 30th of February.
func neverComes(day, month, weekday string) string {
	if strings.ContainsAny(day, "*/") || strings.ContainsAny(month, "*/") || weekday != "*" {
		return ""
	}
	first := 31
	for part := range strings.SplitSeq(day, ",") {
		low, _, _ := strings.Cut(part, "-")
		n, _ := cronFields[2].value(low)
		first = min(first, n)
	}
	for part := range strings.SplitSeq(month, ",") {
		low, high, ranged := strings.Cut(part, "-")
		from, _ := cronFields[3].value(low)
		to := from
		if ranged {
			to, _ = cronFields[3].value(high)
		}
		if slices.Max(longest[from-1:to]) >= first {
			return ""
		}
	}
	return "no such day comes in any of the months"
}
