package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStatusAfterASecond(t *testing.T) {
	for _, c := range []struct {
		name     string
		terminal bool
		want     string
	}{
		{"pipe", false, "resilgen: 1 of 9 packages\nwarning\nresilgen: 2 of 9 packages\n"},
		{"terminal", true, "1 of 9 packages\r\x1b[Kwarning\n2 of 9 packages\r\x1b[K2 of 9 packages\r\x1b[K"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				s := &status{out: &out, terminal: c.terminal, done: make(chan struct{})}
				s.wait.Go(s.run)
				s.say("1 of 9 packages")
				time.Sleep(patience - 1)
				synctest.Wait()
				require.Empty(t, out.String(), "a short run is silent")
				time.Sleep(2 * time.Nanosecond)
				synctest.Wait()
				_, _ = s.Write([]byte("warning\n"))
				s.say("2 of 9 packages")
				time.Sleep(5 * patience / 2)
				s.close()
				require.Equal(t, c.want, out.String())
			})
		})
	}
}

// TestProgressOfPackages: a log that nobody asked to be told shows results alone.
func TestProgressOfPackages(t *testing.T) {
	for _, c := range []struct {
		name              string
		terminal, verbose bool
		want              string
	}{
		{"pipe", false, false, ""},
		{"pipe with -v", false, true, "resilgen: 0 of 1 packages\n"},
		{"terminal", true, false, "0 of 1 packages\r\x1b[K"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				env := &environment{verbose: c.verbose, status: &status{out: &out, terminal: c.terminal, done: make(chan struct{})}}
				env.status.wait.Go(env.status.run)
				env.progress("%d of %d packages", 0, 1)
				time.Sleep(patience + 1)
				env.status.close()
				require.Equal(t, c.want, out.String())
			})
		})
	}
}
