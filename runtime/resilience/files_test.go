package resilience

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/internal/faultfs"
)

// onDisk opens a Runtime with a store on disk, in a bubble.
func onDisk(t *testing.T, disk *faultfs.Disk) (*Runtime, *listener) {
	t.Helper()
	rt, _, l := heard(t, Policy{Retry: Retry{On: true}})
	s, err := openStoreOn(disk, "dir", rt.storeOptions(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	rt.adoptStore(s)
	return rt, l
}

// faultyKind has each operation of one kind fail.
type faultyKind struct {
	mu   sync.Mutex
	kind faultfs.Kind
	with faultfs.Fault
}

func (f *faultyKind) set(kind faultfs.Kind, with faultfs.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kind, f.with = kind, with
}

func (f *faultyKind) inject(op faultfs.Op) faultfs.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op.Kind == f.kind {
		return f.with
	}
	return faultfs.Fault{}
}

func init() {
	eventCases = append(eventCases, eventCase{StoreChanged, "poisoned", Policy{}, func(t *testing.T, rt *Runtime, _ *Guard) {
		disk, fail := faultfs.New(1), &faultyKind{}
		disk.Inject(fail.inject)
		s, err := openStoreOn(disk, "dir", rt.storeOptions(Options{}))
		if err != nil {
			t.Fatal(err)
		}
		rt.adoptStore(s)
		first, _ := s.Stores().Log.Append(t.Context(), "k", 0, nil)
		synctest.Wait() // a segment is made ahead
		fail.set(faultfs.Sync, faultfs.EIO)
		_, _ = s.Stores().Log.Append(t.Context(), "k", first, nil)
		fail.set(faultfs.Sync, faultfs.Fault{})
		time.Sleep(time.Second)
	}, []string{"store changed, failed: sync TMP-000000000001.rj: input/output error", "store changed, works again"}})
}

// TestStoreMendsItself has a flush fail: appends fail until the disk works again, the
// health says so, what was acknowledged is read meanwhile, and the waits between the
// attempts to open it again grow.
func TestStoreMendsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, fail, ctx := faultfs.New(1), &faultyKind{}, context.Background()
		disk.Inject(fail.inject)
		rt, l := onDisk(t, disk)
		if err := rt.Health().Start(); err != nil {
			t.Fatal(err)
		}
		v, err := rt.values()
		if err != nil {
			t.Fatal(err)
		}
		first, err := v.append(ctx, "k", 0, []byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		fail.set(faultfs.Sync, faultfs.EIO)
		for range 3 {
			if _, err := v.append(ctx, "k", first, []byte("lost?")); !errors.Is(err, ErrUnavailable) {
				t.Errorf("while it is broken: %v", err)
			}
		}
		time.Sleep(time.Minute)
		if got := bodiesOf(t, v.scan(ctx, "k", 0)); len(got) != 1 || string(got[0]) != "before" {
			t.Errorf("%q can be read", got)
		}
		if c := rt.Health().Snapshot().Component("store"); c.State != Unhealthy || !strings.Contains(c.Reason, "input/output error") {
			t.Errorf("the health is %v: %s", c.State, c.Reason)
		}
		if s := rt.Stats().Store; s.Failed == nil || s.Dir != "dir" || s.Sync != SyncAlways {
			t.Errorf("stats: %+v", s)
		}
		fail.set(faultfs.Sync, faultfs.Fault{})
		time.Sleep(mostMend + 2*time.Second)
		if c := rt.Health().Snapshot().Component("store"); c.State != Healthy {
			t.Errorf("the health is %v: %s", c.State, c.Reason)
		}
		last, err := v.last(ctx, "k")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.append(ctx, "k", last.Version, []byte("after")); err != nil {
			t.Errorf("after it was mended: %v", err)
		}
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
		var tries int
		for _, line := range l.lines() {
			if strings.HasPrefix(line, "store changed") {
				tries++
			}
		}
		if tries != 2 {
			t.Errorf("%d events: %q", tries, l.lines())
		}
	})
}

// TestStoreBreaksWhileItIsMended breaks again, with the first append after.
func TestStoreBreaksWhileItIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, fail, ctx := faultfs.New(1), &faultyKind{}, context.Background()
		disk.Inject(fail.inject)
		rt, _ := onDisk(t, disk)
		v, _ := rt.values()
		for i := range 5 {
			fail.set(faultfs.Sync, faultfs.EIO)
			if _, err := v.append(ctx, fmt.Sprint("k", i), 0, nil); !errors.Is(err, ErrUnavailable) {
				t.Errorf("append %d: %v", i, err)
			}
			fail.set(faultfs.Sync, faultfs.Fault{})
			time.Sleep(firstMend)
			synctest.Wait()
		}
		if _, err := v.append(ctx, "end", 0, nil); err != nil {
			t.Error(err)
		}
		fail.set(faultfs.Sync, faultfs.EIO)
		_, _ = v.append(ctx, "more", 0, nil)
		_ = rt.Close() // while it is mended
		if _, err := v.append(ctx, "more", 0, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestFullStore fills the disk: appends fail, reads go on, what is urgent and what
// is dropped uses the reserve, and with room all works again.
func TestFullStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, ctx := faultfs.New(1), context.Background()
		rt, _ := onDisk(t, disk)
		v, _ := rt.values()
		last, err := v.append(ctx, "k", 0, make([]byte, 60_000))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // a segment is made ahead
		disk.SetSize(disk.Used())
		for err == nil {
			last, err = v.append(ctx, "k", last, make([]byte, 60_000))
		}
		if !errors.Is(err, ErrStoreFull) {
			t.Fatal(err)
		}
		list := bodiesOf(t, v.scan(ctx, "k", 0))
		kept, _ := v.last(ctx, "k")
		if _, err := v.urgent().append(ctx, "letter", 0, []byte("urgent")); err != nil {
			t.Errorf("what is urgent: %v", err)
		}
		if s := rt.Stats().Store; s.Failed == nil {
			t.Error("the stats do not say that it is full")
		}
		disk.SetSize(0)
		if _, err := v.append(ctx, "k", kept.Version, nil); err != nil {
			t.Errorf("with room again: %v", err)
		}
		if s := rt.Stats().Store; s.Failed != nil {
			t.Errorf("with room again: %v", s.Failed)
		}
		if got := bodiesOf(t, v.scan(ctx, "k", 0)); len(got) != len(list)+1 {
			t.Errorf("%d of %d records are there", len(got), len(list)+1)
		}
		_ = rt.Close()
	})
}

// TestLettersOnAFullDisk fails calls on a disk without room: their letters use the
// reserve and outlive a kill, and one that finds no room there either is told.
func TestLettersOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultfs.New(1)
		rt, _ := onDisk(t, disk)
		n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{Queue: "q"}, LetterMethod[notifyArgs]{})
		first := keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
		synctest.Wait() // a segment is made ahead
		v, _ := rt.values()
		disk.SetSize(disk.Used())
		var err error
		for last := Version(0); err == nil; {
			last, err = v.append(t.Context(), "filler", last, make([]byte, 60_000))
		}
		if !errors.Is(err, ErrStoreFull) {
			t.Fatal(err)
		}
		kept, lost := 1, false
		for i := 0; i < 10_000 && !lost; i++ {
			err := n.call(t.Context(), notifyArgs{CustomerID: strings.Repeat("c", 10_000)})
			var failed *WriteError
			switch {
			case errors.Is(err, ErrDeadLettered):
				kept++
			case errors.Is(err, errDown) && errors.As(err, &failed) && errors.Is(err, ErrStoreFull):
				lost = true
			default:
				t.Fatal(err)
			}
		}
		if kept < 10 || !lost {
			t.Errorf("%d letters are kept, one lost: %v; want as many as the reserve has room for", kept, lost)
		}
		if s, err := rt.DeadLetters().Stats(t.Context()); err != nil || s.Lost != 1 {
			t.Errorf("stats %+v, %v", s, err)
		}
		disk = disk.Kill()
		_ = rt.Close()
		disk.SetSize(0)
		again, _ := onDisk(t, disk)
		if got := summaries(t, again.DeadLetters()); len(got) != kept || got[0].ID != first.ID && got[kept-1].ID != first.ID {
			t.Errorf("%d letters after a kill, %d were kept", len(got), kept)
		}
		_ = again.Close()
	})
}

// TestDirOfARuntime opens a directory, is refused it a second time, and finds in it
// what was kept.
func TestDirOfARuntime(t *testing.T) {
	dir, ctx := filepath.Join(t.TempDir(), "a", "b"), context.Background()
	for round := range 3 {
		rt, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		v, err := rt.Named("x").values()
		if err != nil {
			t.Fatal(err)
		}
		last, err := v.last(ctx, "k")
		if err != nil || len(bodiesOf(t, v.scan(ctx, "k", 0))) != round {
			t.Errorf("round %d: %v, %q", round, err, bodiesOf(t, v.scan(ctx, "k", 0)))
		}
		if _, err := v.append(ctx, "k", last.Version, fmt.Append(nil, round)); err != nil {
			t.Error(err)
		}
		var busy *BusyError
		if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrBusy) || !errors.As(err, &busy) || busy.PID != os.Getpid() {
			t.Errorf("a second time: %v", err)
		}
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
		if _, err := rt.values(); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := v.append(ctx, "k", 0, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []Options{
		{Dir: dir, Stores: MemoryStores()}, {Sync: SyncNone}, {SyncEvery: 1}, {OnDamage: QuarantineDamage},
		{Dir: dir, Sync: 7}, {Dir: dir, Sync: -1}, {Dir: dir, OnDamage: 2}, {Dir: dir, SyncEvery: -1},
	} {
		if rt, err := Open(o); err == nil {
			t.Errorf("%+v is taken", o)
			_ = rt.Close()
		}
	}
	if _, err := OpenStore(filepath.Join(dir, "none"), StoreOptions{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("to read what is not there: %v", err)
	}
}

// TestReadOnlyStore reads what another one writes, and writes nothing.
func TestReadOnlyStore(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s, err := OpenStore(dir, StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	last := Version(0)
	for range 3 {
		if last, err = s.Stores().Log.Append(ctx, "k", last, nil); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenStore(dir, StoreOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(bodiesOf(t, r.Stores().Log.Scan(ctx, "k", 0))); n < 2 {
		t.Errorf("%d of 3 records are seen", n)
	}
	if _, err := r.Stores().Log.Append(ctx, "k", last, nil); !errors.Is(err, ErrReadOnly) {
		t.Errorf("append: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestDamagedStore flips a bit of a store that was closed: it is refused, or, if one
// likes that better, opened without the key that may have lost something.
func TestDamagedStore(t *testing.T) {
	disk, ctx := faultfs.New(1), context.Background()
	s, err := openStoreOn(disk, "dir", StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"apples", "bread", "cheese", "dates", "eggs"} // the damage may be in a key: no two are nearly the same
	for _, key := range keys {
		if _, err := s.Stores().Log.Append(ctx, key, 0, []byte(strings.Repeat("body", 10))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b := disk.Bytes("000000000001.rj")
	b[strings.Index(string(b), "cheesebody")+12] ^= 4
	disk.Put("000000000001.rj", b)
	var corrupt *CorruptError
	without := disk.Kill()
	without.Delete("INDEX")
	if _, err := openStoreOn(without, "dir", StoreOptions{}); !errors.As(err, &corrupt) || corrupt.File != "000000000001.rj" {
		t.Errorf("refused with %v", err)
	}
	rt, _, l := heard(t, Policy{})
	conf := rt.storeOptions(Options{OnDamage: QuarantineDamage})
	q, err := openStoreOn(without, "dir", conf)
	if err != nil {
		t.Fatal(err)
	}
	rt.adoptStore(q)
	defer func() { _ = rt.Close() }()
	good := 0
	for _, key := range keys {
		var failed error
		for _, err := range q.Stores().Log.Scan(ctx, key, 0) {
			failed = err
		}
		if failed == nil {
			good++
		} else if !errors.As(failed, &corrupt) {
			t.Errorf("%s: %v", key, failed)
		}
	}
	if good != 4 || q.Stats().Damage == nil || !slices.ContainsFunc(l.lines(), func(s string) bool { return strings.Contains(s, "damaged") }) {
		t.Errorf("%d of 5 keys can be read, damage %v, events %v", good, q.Stats().Damage, l.lines())
	}
	checks := q.components()
	if err := checks[0].Check(ctx); err != nil {
		t.Errorf("it can be written: %v", err)
	}
	if err := checks[1].Check(ctx); !errors.As(err, &corrupt) {
		t.Errorf("the health says %v", err)
	}
}

func TestWhatACrashMayTake(t *testing.T) {
	for _, c := range []struct {
		o          StoreOptions
		name, want string
	}{
		{StoreOptions{}, "always", "nothing that was acknowledged"},
		{StoreOptions{Sync: SyncInterval}, "interval", "a process that is killed loses nothing; a crash of the system may take what was acknowledged in its last 20ms"},
		{StoreOptions{Sync: SyncInterval, SyncEvery: time.Second}, "interval", "a process that is killed loses nothing; a crash of the system may take what was acknowledged in its last 1s"},
		{StoreOptions{Sync: SyncNone}, "none", "a process that is killed loses nothing; a crash of the system may take whatever it had not written by itself"},
	} {
		s, err := openStoreOn(faultfs.New(1), "dir", c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Stats(); got.MayLose != c.want || got.Sync.String() != c.name {
			t.Errorf("%v: %q", got.Sync, got.MayLose)
		}
		_ = s.Close()
	}
}

// TestDurableSwitch switches what is durable for a method, an interface and all, and
// by the environment and the preset.
func TestDurableSwitch(t *testing.T) {
	rt := &Runtime{}
	g, err := rt.Guard("pay.Gateway.Charge", Policy{})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		do   func()
		want bool
	}{
		{func() {}, true},
		{func() { rt.Apply(Testing) }, false},
		{func() { rt.SetDurable(true) }, true},
		{func() { rt.SetDurable(false) }, false},
		{func() { rt.Named("eu").SetDurable(true, g.iface) }, true},
		{func() { rt.SetDurable(false, g.method) }, false},
	} {
		c.do()
		if got := g.durable(); got != c.want {
			t.Errorf("step %d: %t", i, got)
		}
	}
	for _, c := range []struct {
		environ []string
		want    bool
	}{
		{nil, true}, {[]string{"RESILIENCE_DURABLE=false"}, false}, {[]string{"RESILIENCE_DURABLE=true"}, true},
		{[]string{"RESILIENCE_PRESET=testing"}, false}, {[]string{"RESILIENCE_PRESET=testing", "RESILIENCE_DURABLE=true"}, true},
	} {
		rt := &Runtime{enabled: map[string]bool{}}
		if err := rt.readEnvironment(c.environ); err != nil {
			t.Fatal(err)
		}
		g, err := rt.Guard("pay.Gateway.Charge", Policy{})
		if err != nil {
			t.Fatal(err)
		}
		if got := g.durable(); got != c.want {
			t.Errorf("%v: %t", c.environ, got)
		}
	}
}

func TestDurableSwitchIsTold(t *testing.T) {
	rt, _, l := heard(t, Policy{})
	rt.SetDurable(false)
	rt.SetDurable(false)
	rt.SetDurable(true, "pay.Gateway")
	want := []string{"override applied, durable = false, by Runtime.SetDurable", "override applied, durable = true, by Runtime.SetDurable"}
	if got := l.lines(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestAppendsToFilesAllocateLittle holds what a checkpoint, a letter and a step cost
// besides their flush.
func TestAppendsToFilesAllocateLittle(t *testing.T) {
	s, err := OpenStore(t.TempDir(), StoreOptions{Sync: SyncNone})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	v, last, ctx, body := values{s.Stores().Log}, Version(0), context.Background(), make([]byte, 256)
	if n := testing.AllocsPerRun(1000, func() {
		if last, err = v.append(ctx, "k", last, body); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
