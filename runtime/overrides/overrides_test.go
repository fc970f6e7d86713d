package overrides

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/runtime/resilience"
)

var rewrites = flag.Int("rewrites", 300, "how often the file is rewritten under load")

// watched is a file, a guard under it, and what was reported.
type watched struct {
	t    *testing.T
	rt   *resilience.Runtime
	path string
	stop func()

	mu      sync.Mutex
	reports []string
}

const header = "version: 1\ninterfaces: {payments.Gateway: {methods: {Charge: {retry: "

func attempts(n int) string { return fmt.Sprintf("%s{maxAttempts: %d}}}}}\n", header, n) }

// bubble runs f with a runtime under the clock of synctest.
func bubble(t *testing.T, f func(w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{t: t, rt: &resilience.Runtime{}, path: filepath.Join(t.TempDir(), "o.yaml"), stop: func() {}}
		f(w)
		w.stop()
	})
}

func (w *watched) guard() {
	w.t.Helper()
	wrapper := w.rt.Wrap("payments.Gateway", w)
	wrapper.Guard("Charge", resilience.Policy{Retry: resilience.Retry{MaxAttempts: 3, Backoff: resilience.Backoff{Strategy: resilience.NoBackoff}},
		Bulkhead: resilience.Bulkhead{On: true}})
	if err := wrapper.Err(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) watch(o Options) {
	w.t.Helper()
	o.Report = func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reports = append(w.reports, strings.ReplaceAll(fmt.Sprint(err), filepath.Dir(w.path)+"/", ""))
	}
	stop, err := Watch(w.rt, w.path, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.stop = stop
}

func (w *watched) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// replace writes the file as editors and config maps do.
func (w *watched) replace(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path+".new", []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.path+".new", w.path); err != nil {
		w.t.Fatal(err)
	}
}

// look lets the watcher look, and says what is in force and was reported.
func (w *watched) look(when, value, reported string) {
	w.t.Helper()
	time.Sleep(1500 * time.Millisecond)
	w.is(when, value, reported)
}

func (w *watched) is(when, value, reported string) {
	w.t.Helper()
	if text := w.rt.Explain("payments.Gateway.Charge"); !strings.Contains(strings.Join(strings.Fields(text), " "), "retry.maxAttempts "+value+" ") {
		w.t.Errorf("%s: want %s attempts in\n%s", when, value, text)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.reports, "; "); got != reported {
		w.t.Errorf("%s: reported %q, want %q", when, got, reported)
	}
	w.reports = nil
}

func TestFollowsTheFile(t *testing.T) {
	bubble(t, func(w *watched) {
		w.guard()
		w.write(attempts(4))
		w.watch(Options{})
		w.is("at start", "4", "<nil>")
		w.look("unchanged", "4", "")
		w.write(attempts(5))
		w.look("written in place", "5", "<nil>")
		w.replace(attempts(6))
		w.look("replaced", "6", "<nil>")
		w.replace(attempts(0))
		w.look("wrong value", "6", "o.yaml:2:73: retry.maxAttempts: must be ≥ 1 (is 0); it counts the first attempt too, so “maxRetries: 3” means maxAttempts: 4 (RG010)")
		w.look("said once", "6", "")
		w.replace(strings.Replace(attempts(7), "Charge", "Chrge", 1))
		w.look("stale name", "6", `o.yaml:2:58: retry: there is no interface and no method "payments.Gateway.Chrge" with a policy (did you mean payments.Gateway.Charge?)`+
			"")
		w.replace(strings.Replace(attempts(7), "retry: {maxAttempts", "timeout: {total", 1))
		w.look("not a duration", "6", "o.yaml:2:69: timeout.total: the duration 7 has no unit: write 7ms or 7s (RG095)")
		w.replace(header + "{maxAtt")
		w.look("torn", "6", "o.yaml:2:1: not valid YAML: did not find expected ',' or '}'")
		if err := os.Remove(w.path); err != nil {
			t.Fatal(err)
		}
		w.look("gone", "6", "stat o.yaml: no such file or directory")
		w.look("said once", "6", "")
		w.replace(attempts(8))
		w.look("back", "8", "<nil>")
		w.replace("version: 1\n")
		w.look("nothing said any more", "3 generated", "<nil>")
		w.stop()
		w.replace(attempts(9))
		w.look("stopped", "3", "")
	})
}

// TestConfigMap swaps a symbolic link as the kubelet does.
func TestConfigMap(t *testing.T) {
	bubble(t, func(w *watched) {
		w.guard()
		dir := filepath.Dir(w.path)
		version := func(n int) {
			at := filepath.Join(dir, fmt.Sprintf("..v%d", n))
			link := filepath.Join(dir, "..data_tmp")
			if err := errors.Join(os.Mkdir(at, 0o755), os.WriteFile(filepath.Join(at, "o.yaml"), []byte(attempts(n)), 0o644),
				os.Symlink(filepath.Base(at), link), os.Rename(link, filepath.Join(dir, "..data"))); err != nil {
				t.Fatal(err)
			}
		}
		version(4)
		if err := os.Symlink("..data/o.yaml", w.path); err != nil {
			t.Fatal(err)
		}
		w.watch(Options{})
		w.is("at start", "4", "<nil>")
		for n := 5; n < 8; n++ {
			version(n)
			w.look("swapped", fmt.Sprint(n), "<nil>")
		}
	})
}

// TestHalfWritten stops in the middle of a file, where what there is so far
// would be right and take back what is in force.
func TestHalfWritten(t *testing.T) {
	bubble(t, func(w *watched) {
		w.guard()
		w.write(attempts(4))
		w.watch(Options{})
		w.is("at start", "4", "<nil>")
		time.Sleep(990 * time.Millisecond)
		w.write("version: 1\n")
		time.Sleep(50 * time.Millisecond)
		w.is("half of it", "4", "")
		w.write(attempts(5))
		time.Sleep(50 * time.Millisecond)
		w.is("not for long enough", "4", "")
		time.Sleep(150 * time.Millisecond)
		w.is("whole", "5", "<nil>")
	})
}

func TestNeverSettles(t *testing.T) {
	for _, whole := range []bool{false, true} {
		bubble(t, func(w *watched) {
			w.guard()
			w.write(attempts(4))
			w.watch(Options{})
			w.is("at start", "4", "<nil>")
			for i := range 60 {
				if n := 10 + i; whole {
					w.replace(attempts(n))
				} else {
					w.write(attempts(n))
				}
				time.Sleep(47300 * time.Microsecond)
			}
			if whole {
				w.is("replaced all the time", "54", "<nil>; <nil>")
			} else {
				w.is("written all the time", "4", "")
			}
			time.Sleep(3 * time.Second)
			w.is("the last one", "69", "<nil>")
		})
	}
}

func TestStrict(t *testing.T) {
	bubble(t, func(w *watched) {
		w.guard()
		for text, want := range map[string]string{"": "no such file", attempts(0): "must be ≥ 1", "version: 2": "version: wants 1"} {
			if text != "" {
				w.write(text)
			}
			stop, err := Watch(w.rt, w.path, Options{StrictOverrides: true, Report: func(error) {}})
			if stop != nil || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%q: %v", text, err)
			}
			_ = os.Remove(w.path)
		}
		w.watch(Options{})
		w.is("not strict", "3", "stat o.yaml: no such file or directory")
		w.write(attempts(4))
		w.look("and there it is", "4", "<nil>")
	})
}

func TestFileBeforeTheWrappers(t *testing.T) {
	bubble(t, func(w *watched) {
		w.write(attempts(4))
		w.watch(Options{})
		w.guard()
		w.look("they come later", "4", `o.yaml:2:59: retry: there is no interface and no method "payments.Gateway.Charge" with a policy`+
			"; <nil>")
	})
}

func TestNotAFile(t *testing.T) {
	bubble(t, func(w *watched) {
		w.guard()
		if err := os.Mkdir(w.path, 0o755); err != nil {
			t.Fatal(err)
		}
		w.watch(Options{})
		w.is("a directory", "3", "o.yaml: not a file")
		if err := os.Remove(w.path); err != nil {
			t.Fatal(err)
		}
		w.write(strings.Repeat("#", 300<<10))
		w.look("a large one", "3", "o.yaml:1:1: the file has 262145 bytes, more than the limit of 262144")
	})
}

// TestRewrittenUnderLoad rewrites the file while calls run, 10,000 times with
// -rewrites 10000: each state is put in force, no call fails for it, and the
// last one stays.
func TestRewrittenUnderLoad(t *testing.T) {
	bubble(t, func(w *watched) {
		w.guard()
		w.write(attempts(1))
		w.watch(Options{Interval: time.Millisecond})
		g, err := w.rt.Guard("load", resilience.Policy{Retry: resilience.Retry{MaxAttempts: 2, Backoff: resilience.Backoff{Strategy: resilience.NoBackoff}},
			Breaker: resilience.Breaker{MinimumCalls: 10}, Bulkhead: resilience.Bulkhead{MaxConcurrent: 100}, Timeout: resilience.Timeout{Attempt: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(w.t.Context())
		var load sync.WaitGroup
		for i := range 16 {
			load.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					failed := false
					if err := resilience.Try(w.t.Context(), g, func(context.Context) error {
						time.Sleep(100 * time.Microsecond)
						if failed = !failed; failed && (n+i)%10 == 0 {
							return errors.New("once")
						}
						return nil
					}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		text := ""
		for n := range *rewrites {
			text = fmt.Sprintf("version: 1\ninterfaces: {load: {retry: {maxAttempts: %d}, bulkhead: {maxConcurrent: %d}, circuitBreaker: {window: {size: %d}, openDuration: %ds}}}\n",
				2+n%5, 16+n%50, 100+n%3, 1+n)
			if n%3 == 0 {
				w.write(text)
			} else {
				w.replace(text)
			}
			time.Sleep(3 * time.Millisecond)
		}
		cancel()
		load.Wait()
		w.stop()
		if got, want := strings.Join(strings.Fields(w.rt.Explain("load")), " "), fmt.Sprintf("circuitBreaker.openDuration %v o.yaml", time.Duration(*rewrites)*time.Second); !strings.Contains(strings.ReplaceAll(got, filepath.Dir(w.path)+"/", ""), want) {
			t.Errorf("want %s in %s", want, got)
		}
		if n := len(w.reports); n != *rewrites+1 {
			t.Errorf("%d states in force of %d", n, *rewrites+1)
		}
		w.reports = nil
	})
}

// besides are overrides that some keys need to act at all.
var besides = [][]resilience.Override{nil,
	{{Key: "retry.backoff.strategy", Value: "sequence"}},
	{{Key: "retry.backoff.jitter", Value: "ratio"}},
	{{Key: "circuitBreaker.window.type", Value: "time"}},
	{{Key: "circuitBreaker.slowCallDuration", Value: "1s"}},
	{{Key: "circuitBreaker.openBackoff.multiplier", Value: "3"}},
}

// everyPolicy are policies that have every part together.
func everyPolicy() []resilience.Policy {
	return []resilience.Policy{everyPart(), hedged(), adaptive(resilience.Throttle), adaptive(resilience.Concurrency)}
}

// keyExamples are the keys that may change at run time, each as an overrides file
// with its example says it.
func keyExamples(t *testing.T) iter.Seq2[string, []policy.Override] {
	return func(yield func(string, []policy.Override) bool) {
		for _, k := range policy.Keys() {
			path := strings.Split(k.Path, ".")
			if !k.Built || !k.RunTime || k.Type == policy.Part || k.Type == policy.Section || len(path) == 1 {
				continue
			}
			text := k.Example
			for i := len(path) - 2; i >= 0; i-- {
				text = path[i] + ": {" + text + "}"
			}
			said, err := policy.ReadOverrides(policy.Input{Path: "o.yaml", Data: []byte("version: 1\ninterfaces: {all: {" + text + "}}\n")})
			if err != nil {
				t.Errorf("%s: %v", k.Path, err)
			} else if !yield(text, said) {
				return
			}
		}
	}
}

// TestEveryKeyActs puts the example of each key in force.
func TestEveryKeyActs(t *testing.T) {
	for text, said := range keyExamples(t) {
		if !slices.ContainsFunc(besides, func(list []resilience.Override) bool { return changes(t, list, said) }) {
			t.Errorf("nothing changes by %s", text)
		}
	}
}

// changes reports whether overrides change something beside others.
func changes(t *testing.T, beside []resilience.Override, said []policy.Override) bool {
	t.Helper()
	list := slices.Clone(beside)
	for _, o := range said {
		list = append(list, resilience.Override{Name: o.Name, Key: o.Key, Value: o.Value})
	}
	return slices.ContainsFunc(everyPolicy(), func(p resilience.Policy) bool {
		rt := &resilience.Runtime{}
		if _, err := rt.Guard("all", p); err != nil {
			t.Fatal(err)
		}
		if rt.SetOverrides(beside) != nil {
			return false
		}
		before := rt.Policies()[0].Running
		return rt.SetOverrides(list) == nil && rt.Policies()[0].Running != before
	})
}

// adaptive has a limit that moves, which is of one mode or the other.
func adaptive(mode resilience.AdaptiveMode) resilience.Policy {
	p := everyPart()
	p.Adaptive = resilience.Adaptive{On: true, Mode: mode}
	return p
}

// everyPart is a policy with every part but hedge.
func everyPart() resilience.Policy {
	return resilience.Policy{Retry: resilience.Retry{On: true}, Budget: resilience.Budget{On: true}, Breaker: resilience.Breaker{On: true}, Bulkhead: resilience.Bulkhead{On: true},
		Timeout: resilience.Timeout{Total: 1, Attempt: 1, Open: 1}, Fallback: resilience.Fallback{On: true}, Chaos: resilience.Chaos{On: true}, RateLimit: resilience.RateLimit{Limit: 10}, Caching: resilience.Caching{TTL: time.Hour}}
}

// hedged has the hedge, which excludes retry.
func hedged() resilience.Policy {
	p := everyPart()
	p.Retry, p.Budget, p.Hedge = resilience.Retry{}, resilience.Budget{}, resilience.Hedge{On: true}
	return p
}

// guardOfAll makes a guard with every part but hedge.
func guardOfAll(t testing.TB, rt *resilience.Runtime) {
	t.Helper()
	if _, err := rt.Guard("all", everyPart()); err != nil {
		t.Fatal(err)
	}
}

// FuzzFile holds every text to what is promised of a file: what the reader
// takes, the runtime can read; what is refused has a place and changes nothing.
func FuzzFile(f *testing.F) {
	for _, said := range []string{"retry: {maxAttempts: 4, backoff: {strategy: sequence, delays: [1s, 2s]}}", "bulkhead: {maxConcurrent: 0, maxQueue: unbounded}, disable: [retry]",
		"circuitBreaker: {openBackoff: none, halfOpen: {maxWait: none}, failureRateThreshold: 12.5}", "timeout: none, retry: true", `methods: {"A*, ?b": {retry: none}}`} {
		f.Add("version: 1\ninterfaces: {all: {" + said + "}}\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		rt := &resilience.Runtime{}
		guardOfAll(t, rt)
		before := rt.Policies()[0].Running
		w := &watcher{rt: rt, path: "o.yaml"}
		err := w.apply([]byte(text))
		if err == nil {
			return
		}
		if rt.Policies()[0].Running != before {
			t.Errorf("refused and in force: %v", err)
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, "o.yaml:") {
				t.Errorf("no place: %s", line)
			}
		}
		if _, readable := policy.ReadOverrides(policy.Input{Path: "o.yaml", Data: []byte(text)}); readable == nil {
			for _, bad := range []string{": must be", ": wants", " is none of ", "no such key", "no part"} {
				if strings.Contains(err.Error(), bad) && !strings.Contains(err.Error(), "all: ") {
					t.Errorf("the reader takes what the runtime refuses: %v", err)
				}
			}
		}
	})
}

// TestTableOfTheRuntime compares the keys that may change at run time with what
// the runtime knows.
func TestTableOfTheRuntime(t *testing.T) {
	rt := &resilience.Runtime{}
	guardOfAll(t, rt)
	explained := rt.Explain("all")
	for _, k := range policy.Keys() {
		if !k.Built || k.GoField == "" || k.Places&(policy.InMethod|policy.InFile) == 0 || k.Type == policy.Section {
			continue
		}
		err := rt.SetOverrides([]resilience.Override{{Key: k.Path, Value: "?"}})
		refused := strings.Contains(fmt.Sprint(err), "compiled in")
		if err == nil || refused == k.RunTime || strings.Contains(err.Error(), "no such key") {
			t.Errorf("%s, changeable at run time %t: %v", k.Path, k.RunTime, err)
		}
		if _, line, ok := strings.Cut(explained, "\n  "+k.Path+" "); ok && strings.Contains(line[:strings.IndexByte(line, '\n')], " default") && k.Default != "" && !strings.Contains(k.Default, " ") {
			if got, _, _ := strings.Cut(strings.TrimSpace(line), " "); got != k.Default && k.Default != "openDuration" {
				t.Errorf("%s is %s by default, want %s", k.Path, got, k.Default)
			}
		}
	}
}

// TestPlaceOfWhatDoesNotFit is about values that are right alone.
func TestPlaceOfWhatDoesNotFit(t *testing.T) {
	rt := &resilience.Runtime{}
	for _, name := range []string{"p.A", "p.B"} {
		w := rt.Wrap(name, t)
		w.Guard("M", resilience.Policy{Retry: resilience.Retry{On: true}, Breaker: resilience.Breaker{Name: "db", Window: resilience.Window{Size: 50}}})
		if err := w.Err(); err != nil {
			t.Fatal(err)
		}
	}
	for said, want := range map[string]string{
		"{p.A: {circuitBreaker: {minimumCalls: 60}}}": "o.yaml:2:51: p.A.M: circuitBreaker.minimumCalls: must not be greater than window.size\n" +
			"o.yaml:2:51: p.B.M: circuitBreaker.minimumCalls: must not be greater than window.size",
		"{p.A: {retry: {backoff: {initialDelay: 20s}}}}":                                         "o.yaml:2:52: p.A.M: retry.backoff.maxDelay: cuts off a delay that is given; its default is 10s",
		"{p.A: {circuitBreaker: {openDuration: 1s}}, p.B: {circuitBreaker: {openDuration: 2s}}}": `o.yaml:2:94: p.B.M: circuitBreaker "db" has other numbers in p.A.M`,
	} {
		w := &watcher{rt: rt, path: "o.yaml"}
		if err := w.apply([]byte("version: 1\ninterfaces: " + said)); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", said, err, want)
		}
	}
}
