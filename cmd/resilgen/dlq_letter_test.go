package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// fill sets everything in v: texts to something nasty with a number, lists and
// maps to one element, times to one of 2026. It returns the names of the texts.
func fill(v reflect.Value, path string, names *[]string) {
	switch v.Kind() {
	case reflect.String:
		*names = append(*names, path)
		v.SetString(fmt.Sprintf("%s<%d>", nasty, len(*names)))
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path, names)
	case reflect.Slice:
		fillList(v, path, names)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, path+" key", names)
		fill(value, path+" value", names)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 27, 15, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") == "-" {
				continue
			}
			fill(v.Field(i), path+"."+v.Type().Field(i).Name, names)
		}
	}
}

func fillList(v reflect.Value, path string, names *[]string) {
	switch v.Type() {
	case reflect.TypeFor[json.RawMessage]():
		*names = append(*names, path)
		text, _ := json.Marshal(fmt.Sprintf("%s<%d>", nasty, len(*names)))
		v.SetBytes(text)
	case reflect.TypeFor[[]byte]():
		v.SetBytes([]byte(nasty))
	default:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), path, names)
	}
}

// shownFields fails where one of the texts of v, filled, is missing or would be
// obeyed. hidden names what is not shown.
func shownFields(t *testing.T, names []string, text string, hidden ...string) {
	t.Helper()
	printable(t, text)
	for i, name := range names {
		number := fmt.Sprintf("<%d>", i+1)
		shown := strings.Contains(text, number) || strings.Contains(text, fmt.Sprintf(`\u003c%d\u003e`, i+1))
		left := false
		for _, h := range hidden {
			left = left || strings.HasPrefix(name, h)
		}
		require.Equal(t, !left, shown, name)
	}
}

// TestEveryFieldOfALetterIsHarmless fills each field with what a terminal obeys.
func TestEveryFieldOfALetterIsHarmless(t *testing.T) {
	var l resilience.Letter
	var names []string
	fill(reflect.ValueOf(&l).Elem(), "", &names)
	require.Greater(t, len(names), 60)
	for _, asJSON := range []bool{false, true} {
		var b bytes.Buffer
		out := (&environment{stdout: &b}).output()
		hidden := []string{".Run.Inbox", ".Call.Args.", ".Policy.Gen", ".Claim.Attempt", ".Edits.ArgsHash", ".Edits.IdemKey", ".Edits.Sig"} // the arguments after the edit are shown
		if asJSON {
			require.NoError(t, out.value(l))
			shownFields(t, names, b.String())
			want, err := json.Marshal(l)
			require.NoError(t, err)
			require.JSONEq(t, string(want), b.String())
			continue
		}
		require.NoError(t, out.letter(l, false))
		shownFields(t, names, b.String(), hidden...)
		unedited := l
		unedited.Edits = nil
		b.Reset()
		require.NoError(t, out.letter(unedited, false))
		shownFields(t, names, b.String(), ".Run.Inbox", ".Policy.Gen", ".Claim.Attempt", ".Edits")
	}
}

// TestEveryFieldOfASummaryIsHarmless does the same with a row of a table.
func TestEveryFieldOfASummaryIsHarmless(t *testing.T) {
	var s resilience.LetterSummary
	var names []string
	fill(reflect.ValueOf(&s).Elem(), "", &names)
	var b bytes.Buffer
	out := (&environment{stdout: &b}).output()
	table := out.table(letterColumns)
	require.NoError(t, out.row(table, s, letterRow(s)))
	require.NoError(t, table.print())
	printable(t, b.String())
	require.Equal(t, 2, strings.Count(b.String(), "\n"))
	b.Reset()
	out.json = true
	require.NoError(t, out.row(table, s, nil))
	shownFields(t, names, b.String())
}

// TestEveryFieldOfAPatternIsHarmless does the same with a pattern and its row, and
// with the row of a queue.
func TestEveryFieldOfAPatternIsHarmless(t *testing.T) {
	var p resilience.LetterPattern
	var names []string
	fill(reflect.ValueOf(&p).Elem(), "", &names)
	var b bytes.Buffer
	out := (&environment{stdout: &b}).output()
	require.NoError(t, out.pattern(p))
	shownFields(t, names, b.String())
	var q resilience.LetterQueueStats
	fill(reflect.ValueOf(&q).Elem(), "", &names)
	for _, c := range []struct {
		columns []column
		cells   []string
	}{{patternColumns, patternRow(p)}, {statsColumns, statsRow(q)}} {
		b.Reset()
		table := out.table(c.columns)
		require.NoError(t, out.row(table, nil, c.cells))
		require.NoError(t, table.print())
		printable(t, b.String())
		require.Equal(t, 2, strings.Count(b.String(), "\n"))
	}
}

// TestEveryFieldOfPlansAndJobsIsHarmless does the same with what replays print.
func TestEveryFieldOfPlansAndJobsIsHarmless(t *testing.T) {
	var b bytes.Buffer
	out := (&environment{stdout: &b}).output()
	var names []string
	var p resilience.Plan
	fill(reflect.ValueOf(&p).Elem(), "", &names)
	require.NoError(t, out.plan(p, place{addr: "unix:" + nasty}))
	shownFields(t, names, b.String(), ".Filter", ".ByGroup.Letter")
	b.Reset()
	names = nil
	var j resilience.Job
	fill(reflect.ValueOf(&j).Elem(), "", &names)
	require.NoError(t, (&letters{out: out}).printJob(j))
	shownFields(t, names, b.String(), ".Options")
	printable(t, clean(jobWords(j)))
}
