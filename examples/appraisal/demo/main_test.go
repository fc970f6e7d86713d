package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"paid 3 times\n", "paid 0 times\n"} {
		var out strings.Builder
		if err := run(t.Context(), dir, &out); err != nil || !strings.HasSuffix(out.String(), want) {
			t.Errorf("%v: %s; want %s", err, out.String(), want)
		}
	}
}
