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
	"time"
)

// How much is tried. CI takes the defaults; docs/benchmarks.md says what was once
// tried at length.
var (
	kills    = flag.Int("n-kills", 50, "processes that are killed, at least")
	manyCuts = flag.Int("n-cuts", 100, "power cuts")
	failing  = flag.Bool("failing", true, "let every write and flush fail in turn")
)

// programs are what the modes are tried on: a package under this directory and
// its flags. Kills and cuts are shared among them.
var programs = []program{
	{name: "a line flushed for each step", pkg: "plain", want: "done"},
	{name: "checkpointed steps", pkg: "steps", want: "285", step: 200_000},
	{name: "checkpointed steps of two processes", pkg: "steps", flags: "-rival", want: "285", step: 200_000, every: 8},
	{name: "letters kept and replayed", pkg: "letters", want: "6", step: 200_000, life: 250 * time.Millisecond},
	{name: "large checkpoints while files are rewritten", pkg: "compact", want: "2202711180", step: 500_000, life: 250 * time.Millisecond, every: 20, size: 96 << 20},
	{name: "a workflow of ten nodes", pkg: "flow", want: flowResult, life: 60 * time.Millisecond, step: 200_000, every: 4, atOnce: flowNodesAtOnce},
}

type program struct {
	name, pkg, flags, want string
	life                   time.Duration // of a process that is killed, at most; 0: that of the harness
	step                   int           // bytes by which room on a full disk grows from run to run, and each run has a store of its own; 0: that of the harness
	every                  int           // of the failing events; 0: each
	atOnce                 int           // executions that a process may have under way; 0: 1
	size                   int           // of the disk; 0: that of the harness
}

// args are the flags of the harness for a mode.
func (p *program) args(mode string) (args []string) {
	add := func(name string, value int) { args = append(args, "-"+name, strconv.Itoa(value)) }
	mortal := func() {
		if p.life > 0 {
			args = append(args, "-kill-within", p.life.String())
		}
	}
	share := func(n int) int { return (n + len(programs) - 1) / len(programs) }
	switch mode {
	case "kill":
		add("kills", share(*kills))
		add("at-once", max(p.atOnce, 1))
		mortal()
	case "power":
		add("cuts", share((*manyCuts+1)/2))
	case "killed":
		add("cuts", share(*manyCuts/2))
		args = append(args, "-killed")
		mortal()
	case "eio":
		add("every", max(p.every, 1))
	case "full":
		if p.step > 0 {
			add("step", p.step)
			add("runs", 2)
			args = append(args, "-fresh")
		}
	}
	if p.size > 0 && mode != "kill" {
		add("size", p.size)
	}
	return args
}

func TestKill(t *testing.T)  { each(t, "kill", nil) }
func TestPower(t *testing.T) { each(t, "power", needsDisk) }
func TestFull(t *testing.T)  { each(t, "full", needsDisk) }

// TestPowerAfterKills cuts the power of a disk on which processes were killed: what
// the next one found there, and called durable, must be.
func TestPowerAfterKills(t *testing.T) { each(t, "killed", needsDisk) }

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
	out, err := harness("power", build(t, "plain"), &program{flags: "-unsafe", want: "done"})
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
			out, err := harness(mode, build(t, p.pkg), &p)
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
func harness(mode, path string, p *program) (string, error) {
	args := []string{"run", ".", "-cmd", strings.Join(strings.Fields(path+" "+p.flags+" {dir} {run}"), " "), "-want", p.want}
	args = append(args, p.args(mode)...)
	if mode == "killed" {
		mode = "power"
	}
	out, err := exec.Command("go", append(args, mode)...).CombinedOutput()
	return string(out), err
}
