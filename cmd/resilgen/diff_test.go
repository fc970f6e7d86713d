package main

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDiff(t *testing.T) {
	text := func(words string) string { return strings.ReplaceAll(words, " ", "\n") + "\n" }
	for _, c := range []struct{ name, old, now, want string }{
		{"two places", text("a b c d e f g h i j k l"), text("a B c d e f g h i j k l m"),
			"@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n@@ -10,3 +10,4 @@\n j\n k\n l\n+m\n"},
		{"near places are one hunk", text("a b c d e f g h i"), text("a B c d e f g H i"),
			"@@ -1,9 +1,9 @@\n a\n-b\n+B\n c\n d\n e\n f\n g\n-h\n+H\n i\n"},
		{"no file", "", text("a b"), "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"moved", text("f x g y"), text("g y f x"), "@@ -1,4 +1,4 @@\n-f\n-x\n g\n y\n+f\n+x\n"},
		{"lines that repeat", text("a } } b"), text("a } b"), "@@ -1,4 +1,3 @@\n a\n }\n-}\n b\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, "--- x.go\n+++ x.go (generated)\n"+c.want, (&environment{}).diff("x.go", c.old, c.now))
		})
	}
}

// TestCompareKeepsBothTexts: without what is added it is the old text, without
// what is removed the new one.
func TestCompareKeepsBothTexts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := func() []string {
		list := make([]string, random.IntN(12))
		for i := range list {
			list[i] = string(rune('a' + random.IntN(8)))
		}
		return list
	}
	for range 20000 {
		a, b := words(), words()
		var old, now []string
		for _, e := range compare(a, b) {
			if e.sign != '+' {
				old = append(old, e.text)
			}
			if e.sign != '-' {
				now = append(now, e.text)
			}
		}
		require.Equal(t, strings.Join(a, ""), strings.Join(old, ""))
		require.Equal(t, strings.Join(b, ""), strings.Join(now, ""))
	}
}
