// Command starve runs go test under a scheduler that is unfair on purpose: a part
// of all goroutines, chosen anew for each stretch of time, does not run in it,
// although it could. Programs keep their meaning, for Go promises no fairness; what
// fails is a test, or code, that counts on some.
//
//	go run ./testdata/starve [-for 34ms] [-one-in 16] -- ARGUMENTS OF go test
//
// What tests build is starved too. It changes the runtime of the Go that runs it by
// an overlay, and says so where that runtime is too new or too old for it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// chosen stands in runtime.schedule, which knows there which goroutine comes next
// and has not begun with it.
const chosen = "\tif sched.disable.user && !schedEnabled(gp) {\n\t\t// Scheduling of this"

const hook = `	if starves(gp) {
		lock(&sched.lock)
		globrunqput(gp)
		unlock(&sched.lock)
		usleep(20)
		goto top
	}
`

// The goroutines of a stretch are those whose number, mixed with that of the
// stretch by the finalizer of MurmurHash3, begins with so many zeros.
const choice = `
//go:nowritebarrier
func starves(gp *g) bool {
	h := gp.goid ^ uint64(nanotime())>>%d<<32
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h>>(64-%d) == 0 && gp.lockedm == 0 && !isSystemGoroutine(gp, false)
}
`

func main() {
	stretch := flag.Duration("for", 34*time.Millisecond, "how long a goroutine is starved; rounded down to a power of two of nanoseconds")
	part := flag.Uint("one-in", 16, "of how many goroutines one is starved; rounded down to a power of two")
	flag.Parse()
	if *stretch < time.Microsecond || *part < 2 || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	err := run(bits.Len64(uint64(*stretch))-1, bits.Len(*part)-1, flag.Args())
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "starve:", err)
		os.Exit(1)
	}
}

// run runs go test, starving one of 1<<part goroutines for 1<<stretch ns.
func run(stretch, part int, args []string) error {
	dir, err := os.MkdirTemp("", "starve")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := write(dir, stretch, part)
	if err != nil {
		return err
	}
	cmd := exec.Command("go", append([]string{"test"}, args...)...)
	cmd.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// write writes a changed scheduler into dir, and the overlay that puts it into
// builds.
func write(dir string, stretch, part int) (overlay string, err error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "runtime", "proc.go")
	src, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	if strings.Count(string(src), chosen) != 1 {
		return "", fmt.Errorf("%s: the scheduler of this Go is not the one that is known here", original)
	}
	text := strings.Replace(string(src), chosen, hook+chosen, 1) + fmt.Sprintf(choice, stretch, part)
	changed := filepath.Join(dir, "proc.go")
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, replace, 0o600)
}
