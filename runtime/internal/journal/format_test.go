package journal_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// TestWorkedExample makes the journal whose bytes docs/journal-format.md explains,
// and compares. The clock of the bubble begins at midnight of 2000-01-01 UTC.
func TestWorkedExample(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/journal-format.md")
	ok(t, err)
	_, want, found := strings.Cut(string(doc), "```hexdump\n")
	want, _, _ = strings.Cut(want, "```")
	if !found {
		t.Fatal("docs/journal-format.md has no hexdump")
	}
	synctest.Test(t, func(t *testing.T) {
		d := faultfs.New(1)
		o := small
		copy(o.ID[:], "a sample journal")
		j := must(journal.Open(d, o))
		v := must(j.Append(background, "ckpt/a", 0, []byte("hello")))
		must(j.Append(background, "ckpt/a", v, []byte("again")))
		ok(t, j.Drop(background, "ckpt/a", v))
		ok(t, j.Close())
		if got := hexdump(d.Bytes("000000000001.rj")); got != want {
			t.Errorf("the journal is\n%s\nthe document says\n%s", got, want)
		}
	})
}

// hexdump prints b, and a star for lines that repeat the one before.
func hexdump(b []byte) string {
	var out strings.Builder
	var before string
	for i := 0; i < len(b); i += 16 {
		line := b[i:min(i+16, len(b))]
		text := strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '.'
			}
			return r
		}, string(latin(line)))
		switch {
		case string(line) != before:
			fmt.Fprintf(&out, "%04x  % x  %s\n", i, line, text)
		case !strings.HasSuffix(out.String(), "*\n"):
			out.WriteString("*\n")
		}
		before = string(line)
	}
	fmt.Fprintf(&out, "%04x\n", len(b))
	return out.String()
}

func latin(b []byte) (r []rune) {
	for _, c := range b {
		r = append(r, rune(c))
	}
	return r
}
