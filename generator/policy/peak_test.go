package policy

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// hostileVariable tells the test binary to read one hostile file from its
// standard input, and end.
const hostileVariable = "RESILGEN_TEST_HOSTILE"

// hostileMethods is an interface that answers any policy.
func hostileMethods() []Method {
	list := []Method{{Name: "Get"}, {Name: "Close", Closer: true}}
	for i := range 200 {
		list = append(list, Method{Name: fmt.Sprintf("Method%d", i)})
	}
	return list
}

// readWhole does with the text what a run does with a policy file.
func readWhole(text []byte) {
	set, err := Read([]Input{{Path: "r.yaml", Data: text}})
	if err != nil {
		_ = err.Error()
		return
	}
	for _, f := range set.Files {
		for _, i := range f.Interfaces[:min(1, len(f.Interfaces))] { // a run resolves as many as the package has
			i.Resolve(hostileMethods())
		}
		f.Warnings()
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(hostileVariable) == "" {
		os.Exit(m.Run())
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	start := time.Now()
	readWhole(text)
	fmt.Println(time.Since(start), peakMemory())
}

// peakMemory returns the most memory that this process had, in KiB, 0 where
// nothing tells.
func peakMemory() (kib int) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			break
		}
	}
	return kib
}

// TestHostileFilesStaySmall reads every hostile file in a process of its own,
// since only there the peak of memory is the file's.
func TestHostileFilesStaySmall(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each file")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range hostile() {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), hostileVariable+"=1")
			cmd.Stdin = strings.NewReader(file)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %.300s", err, out)
			}
			text, kib := "", 0
			if _, err := fmt.Sscan(string(out), &text, &kib); err != nil {
				t.Fatalf("%v: %.300s", err, out)
			}
			took, err := time.ParseDuration(text)
			t.Logf("%v, %d MiB at the peak", took, kib>>10)
			// A machine that does other things, too, stretches the one, but not the other.
			if worked := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(); err != nil || min(took, worked) > time.Second {
				t.Errorf("took %v, of them %v of work, %v", took, worked, err)
			}
			if kib > 64<<10 {
				t.Errorf("%d MiB at the peak", kib>>10)
			}
		})
	}
}
