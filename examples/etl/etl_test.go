package etl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

const items = 100_000

// TestImport carries 100,000 items through four lanes, is stopped on the way, and
// holds no more memory for that than for few.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	job := Job{In: filepath.Join(dir, "numbers"), Out: dir, Lanes: 4, Size: 500}
	sum := write(t, job.In)
	store := filepath.Join(dir, "store")
	stages := &counting{}
	ctx, stop := context.WithCancel(t.Context())
	stages.stopAt, stages.stop = 100, stop
	if _, err := run(ctx, t, store, stages, job); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	result, err := run(t.Context(), t, store, stages, job)
	if err != nil || len(result.Outputs) != job.Lanes || !result.CheckpointUsed {
		t.Fatalf("%+v, %v", result.Outputs, err)
	}
	var got Total
	for lane, total := range result.Outputs {
		if total.Lane != lane {
			t.Errorf("output %d is that of lane %d", lane, total.Lane)
		}
		got.Items, got.Sum = got.Items+total.Items, got.Sum+total.Sum
	}
	if got != (Total{Items: items, Sum: sum}) {
		t.Errorf("%+v, want %d items and %d", got, items, sum)
	}
	if lines := count(t, dir); lines != items {
		t.Errorf("%d lines were loaded", lines)
	}
	if stages.most > 64<<20 {
		t.Errorf("%d bytes in use at most", stages.most)
	}
}

func run(ctx context.Context, t *testing.T, dir string, stages Stages, job Job) (ImportResult, error) {
	rt, err := resilience.Open(resilience.Options{Dir: dir, Sync: resilience.SyncInterval, SyncEvery: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	w, err := NewImportWorkflow(rt, stages)
	if err != nil {
		t.Fatal(err)
	}
	return w.Run(ctx, job, workflow.Options{ID: "import"})
}

// counting are [Files] that stop the run after so many loads, and look at the memory
// in use now and then.
type counting struct {
	Files
	mu            sync.Mutex
	loads, stopAt int
	stop          func()
	most          uint64
}

func (c *counting) Load(ctx context.Context, r Rows) (Chunk, workflow.Route, error) {
	c.mu.Lock()
	c.loads++
	if c.loads == c.stopAt {
		c.stop()
	}
	if c.loads%50 == 0 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		c.most = max(c.most, m.HeapAlloc)
	}
	c.mu.Unlock()
	return c.Files.Load(ctx, r)
}

func write(t *testing.T, name string) (sum int) {
	var text strings.Builder
	for i := range items {
		n := i % 1000
		sum += n * n
		fmt.Fprintln(&text, n)
	}
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return sum
}

// count counts the lines in the files of the lanes.
func count(t *testing.T, dir string) (n int) {
	lanes, err := filepath.Glob(filepath.Join(dir, "lane-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lanes {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			n++
		}
		_ = f.Close() // it was read
	}
	return n
}
