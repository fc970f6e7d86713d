package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestClean(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"text":           {"refused: déjà vu 決済 🚀", "refused: déjà vu 決済 🚀"},
		"colour":         {"a\x1b[31mb", `a\u{1b}[31mb`},
		"C1 introducer":  {"a\u009b31mb", `a\u{9b}31mb`},
		"C1 as a byte":   {"a\x9b31mb", `a\x{9b}31mb`},
		"link":           {"\x1b]8;;https://evil.example\x1b\\pay\x1b]8;;\x1b\\", `\u{1b}]8;;https://evil.example\u{1b}\pay\u{1b}]8;;\u{1b}\`},
		"clipboard":      {"\x1b]52;c;cm0gLXJm\a", `\u{1b}]52;c;cm0gLXJm\u{7}`},
		"override":       {"invoice\u202egpj.exe", `invoice\u{202e}gpj.exe`},
		"isolate":        {"a\u2066b\u2069", `a\u{2066}b\u{2069}`},
		"NUL":            {"a\x00b", `a\u{0}b`},
		"DEL":            {"a\x7fb", `a\u{7f}b`},
		"lines":          {"a\nb\r\tc\u2028d\u0085", `a\u{a}b\u{d}\u{9}c\u{2028}d\u{85}`},
		"zero width":     {"a\u200bb\ufeff", `a\u{200b}b\u{feff}`},
		"tags":           {"a\U000e0041", `a\u{e0041}`},
		"mark in front":  {"\u0301a", `\u{301}a`},
		"mark on letter": {"e\u0301", "e\u0301"},
		"escaped before": {`\u{1b}`, `\u{1b}`},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, clean(c.in)) })
	}
	require.Equal(t, "a\n\\u{1b}b", cleanLines("a\n\x1bb"))
}

func TestCleanJSON(t *testing.T) {
	for _, in := range []string{"plain", "\x1b[31m", "\u009b\u202e\u2028\x7f\x00\ufeff", "\U000e0041\U0010ffff 決済", "a\nb"} {
		text, err := json.MarshalIndent(map[string]string{"at": in}, "", "  ")
		require.NoError(t, err)
		safe := cleanJSON(text)
		require.Equal(t, string(safe), cleanLines(string(safe)), "nothing is left to clean")
		var back map[string]string
		require.NoError(t, json.Unmarshal(safe, &back))
		require.Equal(t, in, back["at"])
	}
}

func TestColumns(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{{"", 0}, {"abc", 3}, {"é", 1}, {"e\u0301", 1}, {"決済", 4}, {"ｶﾅ", 2}, {"한국", 4}, {"🚀", 2}, {"…", 1}} {
		require.Equal(t, c.want, columns(c.text), c.text)
	}
	require.Equal(t, "決済  |", pad("決済", 6)+"|")
	require.Equal(t, "決…", clip("決済失敗", 4))
	require.Equal(t, "決済", clip("決済", 4))
	require.Equal(t, "abc…", clip("abcdef", 4))
	require.Equal(t, "abcdef", pad("abcdef", 2))
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a\x1b[0m", "\u202e決", "\x9b\xff", "\u0301", "\U000e0041"} {
		f.Add(seed, 7)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		got := clean(s)
		for i, r := range got {
			if r == utf8.RuneError && !strings.ContainsRune(s, utf8.RuneError) || !unicode.IsGraphic(r) || i == 0 && unicode.Is(unicode.M, r) {
				t.Fatalf("clean(%q) = %q holds %U", s, got, r)
			}
		}
		if again := clean(got); again != got {
			t.Fatalf("clean of %q is %q", got, again)
		}
		if n = min(max(n, 1), 1000); columns(clip(got, n)) > n {
			t.Fatalf("clip(%q, %d) = %q", got, n, clip(got, n))
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back, want string
		safe := cleanJSON(text)
		if json.Unmarshal(safe, &back) != nil || json.Unmarshal(text, &want) != nil || back != want {
			t.Fatalf("cleanJSON(%s) = %s", text, safe)
		}
		if i := bytes.IndexFunc(safe, func(r rune) bool { return !unicode.IsGraphic(r) }); i >= 0 {
			t.Fatalf("cleanJSON(%s) = %s at %d", text, safe, i)
		}
	})
}
