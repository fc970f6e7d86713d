package workflow

import (
	"slices"
	"testing"
)

func TestLinesCompareByNumber(t *testing.T) {
	want := []string{"", "0", "0.0", "0.1.7", "0.2", "1", "2", "10", "10.0"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareLines)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestLineGrowsOnlyWhereMoreThanOneIsSent(t *testing.T) {
	for _, c := range []struct {
		line    string
		n, sent int
		want    string
	}{{"", 0, 1, ""}, {"", 1, 2, "1"}, {"3", 0, 1, "3"}, {"3", 2, 4, "3.2"}} {
		if got := childLine(c.line, c.n, c.sent); got != c.want {
			t.Errorf("message %d of %d on %q: %q, want %q", c.n, c.sent, c.line, got, c.want)
		}
	}
}

func TestIDsDoNotDependOnOrder(t *testing.T) {
	a, b := &message{ID: "a"}, &message{ID: "b"}
	if joinID("J", []*message{a, b}) != joinID("J", []*message{b, a}) {
		t.Error("the id of a join depends on the order of what it consumes")
	}
	seen := map[string]bool{}
	for _, id := range []string{
		messageID("0", 0, "A"), messageID("0", 1, "A"), messageID("0", 0, "B"), messageID("1", 0, "A"),
		messageID("0", 0, "A\x00"), joinID("J", []*message{a}), joinID("K", []*message{a}),
		messageKey("p.W", "r", "0"), messageKey("p.W", "r0", ""), messageKey("p.Wr", "", "0"),
	} {
		if seen[id] {
			t.Errorf("%s twice", id)
		}
		seen[id] = true
	}
}
