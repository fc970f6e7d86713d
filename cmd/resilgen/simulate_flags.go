package main

import (
	"errors"
	"fmt"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"time"
)

// outage is what -outage says.
type outage struct {
	length, start time.Duration
	placed        bool // start was given
}

func parseRate(text string) (float64, error) {
	n, unit, _ := strings.Cut(text, "/")
	rate, err := strconv.ParseFloat(n, 64)
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	if err != nil || !(rate > 0) || seconds == 0 || rate > 1e9 {
		return 0, errors.New("want a number above 0 and a unit of time, like 200/s, 90/m or 1000/h")
	}
	return rate / seconds, nil
}

// positive sets a duration.
func positive(to *time.Duration) func(string) error {
	return func(text string) (err error) {
		*to, err = parsePositive(text)
		return err
	}
}

func parsePositive(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errors.New("want a duration above 0 with its unit, like 30s or 2m")
	}
	return d, nil
}

func parseOutage(text string) (o outage, err error) {
	length, start, placed := strings.Cut(text, "@")
	o.placed = placed
	o.length, err = parsePositive(length)
	if err == nil && placed {
		if o.start, err = time.ParseDuration(start); err == nil && o.start < 0 {
			err = errors.New("negative")
		}
	}
	if err != nil {
		return outage{}, errors.New("want how long, and from when on if not in the middle, like 30s or 30s@1m")
	}
	return o, nil
}

func parseLatency(text string) (p50, p99 time.Duration, err error) {
	wrong := errors.New("want p50=20ms,p99=400ms, or one duration for all, like 20ms")
	if d, err := time.ParseDuration(text); err == nil {
		if d < 0 {
			return 0, 0, wrong
		}
		return d, d, nil
	}
	given := map[string]time.Duration{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 || given[name] != 0 || name != "p50" && name != "p99" {
			return 0, 0, wrong
		}
		given[name] = d
	}
	p50, p99 = given["p50"], given["p99"]
	switch {
	case p50 == 0 || p99 == 0:
		return 0, 0, wrong
	case p99 < p50:
		return 0, 0, fmt.Errorf("p99 (%v) is at least p50 (%v)", p99, p50)
	}
	return p50, p99, nil
}

func parseShare(text string) (float64, error) {
	percent, ok := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(percent, 64)
	if !ok || err != nil || !(share >= 0 && share <= 100) {
		return 0, errors.New("want a percentage from 0% to 100%, like 5%")
	}
	return share / 100, nil
}

// parseFailure returns a status, or a name that looks like one of a variable.
func parseFailure(text string) (status int, name string, err error) {
	if n, err := strconv.Atoi(text); err == nil && n >= 400 && n <= 599 {
		return n, "", nil
	}
	first, last, qualified := strings.Cut(text, ".")
	if !token.IsIdentifier(first) || qualified && !token.IsIdentifier(last) {
		return 0, "", errors.New("want an HTTP status from 400 to 599, or an error variable, like ErrBusy or io.ErrUnexpectedEOF")
	}
	return 503, text, nil
}

func parseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, errors.New("want a whole number above 0")
	}
	return n, nil
}

func oneOf(text string, words ...string) error {
	if !slices.Contains(words, text) {
		return errors.New("want " + strings.Join(words, " or "))
	}
	return nil
}
