package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// How much is tried. CI takes the defaults; docs/benchmarks.md says what was once
// tried at length.
var (
	kills    = flag.Int("n-kills", 50, "processes that are killed, at least")
	manyCuts = flag.Int("n-cuts", 100, "power cuts")
	failing  = flag.Bool("failing", true, "let every write and flush fail in turn")
)

// programs are what the modes are tried on: a package under this directory and
// its flags.
var programs = []struct {
	name, pkg, flags, want string
}{
	{"a line flushed for each step", "plain", "", "done"},
}

func TestKill(t *testing.T)  { each(t, "kill", nil) }
func TestPower(t *testing.T) { each(t, "power", needsDisk) }
func TestFull(t *testing.T)  { each(t, "full", needsDisk) }

func TestFailing(t *testing.T) {
	if !*failing {
		t.Skip("-failing=false")
	}
	each(t, "eio", needsDisk)
}

// TestTheHarnessSees holds the harness against a program that loses what it
// acknowledged.
func TestTheHarnessSees(t *testing.T) {
	if why := needsDisk(); why != "" {
		t.Skip(why)
	}
	out, err := harness(t, "power", build(t, "plain"), "-unsafe", "done")
	if err == nil {
		t.Errorf("a program that does not flush passes:\n%s", out)
	}
}

// needsDisk says why no real file system can be put on a recorded disk here.
func needsDisk() string {
	switch _, err := os.Stat("/dev/fuse"); {
	case runtime.GOOS != "linux":
		return "FUSE and loop mounts: Linux only"
	case os.Getuid() != 0:
		return "FUSE and loop mounts need root"
	case err != nil:
		return "no FUSE here: " + err.Error()
	}
	for _, tool := range []string{"losetup", "mkfs.ext4", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err.Error()
		}
	}
	d, err := newDisk()
	if err != nil {
		return "no recorded disk here: " + err.Error()
	}
	d.close()
	return ""
}

// each tries one mode on every program.
func each(t *testing.T, mode string, impossible func() string) {
	if impossible != nil {
		if why := impossible(); why != "" {
			t.Skip(why)
		}
	}
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			out, err := harness(t, mode, build(t, p.pkg), p.flags, p.want)
			t.Log(strings.TrimSpace(out))
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func build(t *testing.T, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), pkg)
	if out, err := exec.Command("go", "build", "-o", path, "./"+pkg).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// harness runs the command of this package, as a user would.
func harness(t *testing.T, mode, program, flags, want string) (string, error) {
	t.Helper()
	args := []string{"run", ".", "-cmd", strings.Join(strings.Fields(program+" "+flags+" {dir} {run}"), " "), "-want", want}
	switch mode {
	case "kill":
		args = append(args, "-kills", strconv.Itoa(*kills))
	case "power":
		args = append(args, "-cuts", strconv.Itoa(*manyCuts))
	}
	out, err := exec.Command("go", append(args, mode)...).CombinedOutput()
	return string(out), err
}
