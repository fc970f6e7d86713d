package resilience

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

type stateError struct{ state string }

func (e *stateError) Error() string    { return "pq: something is wrong (" + e.state + ")" }
func (e *stateError) SQLState() string { return e.state }

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestErrorTree(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	err := fmt.Errorf("charge: %w", errors.Join(&stateError{"40001"}, refused))
	var got []string
	for _, n := range errorTree(err, &Errors{}, &scrubber{}) {
		got = append(got, fmt.Sprintf("%d %s %s %s", n.Depth, n.Type, n.Code, n.Class))
	}
	want := []string{
		"0 *fmt.wrapError  Transient|ConnectionError|SQLRetryable",
		"1 *errors.joinError  Transient|ConnectionError|SQLRetryable",
		"2 *github.com/resilgen/resilgen/runtime/resilience.stateError sqlstate=40001 Transient|SQLRetryable",
		"2 *net.OpError  Transient|ConnectionError",
		"3 *os.SyscallError  Transient|ConnectionError",
		"4 syscall.Errno errno=111 ",
	}
	if strings.Join(got[:5], "\n") != strings.Join(want[:5], "\n") || !strings.HasPrefix(got[5], want[5]) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestErrorTreeIsBounded(t *testing.T) {
	deep, wide := error(errDown), []error(nil)
	for range 10_000 {
		deep = fmt.Errorf("%w", deep)
		wide = append(wide, errDown)
	}
	var null *nilError
	for _, c := range []struct {
		name string
		err  error
		most int
	}{
		{"deep", deep, maxErrDepth}, {"wide", errors.Join(wide...), maxErrNodes}, {"nil pointer", null, 1},
		{"long", errors.New(strings.Repeat("x", 1<<20)), 1},
	} {
		nodes := errorTree(c.err, &Errors{}, &scrubber{})
		if len(nodes) != c.most || len(nodes[0].Msg) > maxErrText {
			t.Errorf("%s: %d nodes, the first of %d bytes, want %d", c.name, len(nodes), len(nodes[0].Msg), c.most)
		}
		_ = errorChain(c.err, &Errors{})
	}
}

// TestFingerprintsGroup makes errors of eleven classes with identifiers, addresses
// and paths that differ each time.
func TestFingerprintsGroup(t *testing.T) {
	classes := map[string]func(i int) error{
		"refused": func(i int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, byte(i), 1), Port: 1000 + i}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		},
		"reset": func(i int) error {
			return &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: i}, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
		},
		"deadlock":      func(i int) error { return fmt.Errorf("charge %d: %w", i, &stateError{"40P01"}) },
		"serialization": func(i int) error { return fmt.Errorf("charge %d: %w", i, &stateError{"40001"}) },
		"not found": func(i int) error {
			return &fs.PathError{Op: "open", Path: fmt.Sprintf("/srv/%d/x", i), Err: syscall.ENOENT}
		},
		"card": func(i int) error {
			return fmt.Errorf("card %08x-1111-4222-8333-0123456789ab declined for user%d@example.com", i, i)
		},
		"quota": func(i int) error {
			return fmt.Errorf("quota of tenant %q exceeded: %d of 100", fmt.Sprint("t", i), i+100)
		},
		"upstream": func(i int) error {
			return fmt.Errorf("GET https://api.example.com/v1/orders/%d?x=%d: bad gateway", i, i)
		},
		"worker":   func(i int) error { return fmt.Errorf("worker %d at 10.0.0.%d:8080 is draining", i, i%250) },
		"hash":     func(i int) error { return fmt.Errorf("object %016x9a: checksum differs", i*7919) },
		"deadline": func(int) error { return context.DeadlineExceeded },
	}
	groups := map[string]string{}
	for name, make := range classes {
		for i := range 199 {
			fp := errFP(make(i))
			if was, ok := groups[fp]; ok && was != name {
				t.Fatalf("%s and %s are one group", name, was)
			}
			groups[fp] = name
		}
	}
	if len(groups) != len(classes) {
		t.Errorf("%d groups of %d classes: %v", len(groups), len(classes), groups)
	}
}

func TestTemplated(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"user 42 not found", "user <n> not found"},
		{"took 1.5s, limit 2s", "took <n>s, limit <n>s"},
		{`no such key "a b c"`, "no such key <quoted>"},
		{"can't open /var/lib/x: denied", "can't open <path>: denied"},
		{"dial tcp [::1]:8080: refused", "dial tcp <addr>: refused"},
		{"dial db.internal:5432: refused", "dial <addr>: refused"},
		{"id 6ba7b810-9dad-11d1-80b4-00c04fd430c8.", "id <uuid>."},
		{"pointer 0xc000012345", "pointer <hex>"},
		{"deadbeef and cafe", "deadbeef and cafe"},
		{"payment pi_3OqXyz2eZvKYlo2C1abcdefg failed", "payment <id> failed"},
		{"plain words stay as they are", "plain words stay as they are"},
		{"an \"open quote", "an \"open quote"},
	} {
		if got := templated(c.text); got != c.want {
			t.Errorf("templated(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestFingerprintOfPanic(t *testing.T) {
	m := &letterMethod{guard: &Guard{}, iface: "pay.Gateway", method: "Notify"}
	raise := func(value any) string {
		var stack []Frame
		func() {
			defer func() { stack = panicStack(recover()) }()
			panicHere(value)
		}()
		if len(stack) == 0 || !strings.HasSuffix(stack[0].Func, ".panicHere") {
			t.Fatalf("stack begins with %v", stack)
		}
		return m.fingerprintOf(ReasonPanic, &panicked{value, stack}, stack, nil)
	}
	if raise("card 17") != raise("card 18") {
		t.Error("panics of one place with two texts are two patterns")
	}
	if raise("card 17") == raise(errDown) {
		t.Error("panics with a string and with an error are one pattern")
	}
}

//go:noinline
func panicHere(value any) { panic(value) }

func TestParseStack(t *testing.T) {
	var p *PanicError
	func() {
		defer func() { p = carried(recover()) }()
		panicHere("boom")
	}()
	stack := panicStack(p)
	if len(stack) == 0 || !strings.HasSuffix(stack[0].Func, ".panicHere") || !strings.HasSuffix(stack[0].File, "errortree_test.go") || stack[0].Line == 0 {
		t.Errorf("stack %+v", stack)
	}
}

// TestAttempts has a call fail a hundred times: the first and the last eight are
// kept, those between are counted by kind.
func TestAttempts(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{Retry: Retry{MaxAttempts: 100, Backoff: Backoff{Strategy: Constant, InitialDelay: time.Microsecond, Jitter: NoJitter}}}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
	calls := 0
	n.next = func(context.Context, notifyArgs) error {
		if calls++; calls%4 == 0 {
			return syscall.ECONNRESET
		}
		return errDown
	}
	l := keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
	if l.AttemptCount != 100 || len(l.Attempts) != 16 || l.Attempts[7].N != 8 || l.Attempts[8].N != 93 || l.Attempts[15].N != 100 {
		t.Fatalf("attempts %+v", l.Attempts)
	}
	if len(l.Elided) != 2 || l.Elided[0].Count+l.Elided[1].Count != 84 || l.Elided[0].ErrFP == l.Elided[1].ErrFP {
		t.Errorf("elided %+v", l.Elided)
	}
	for i, a := range l.Attempts {
		if a.Dur <= 0 || (a.Delay > 0) != (i > 0) || a.ErrFP == "" || i > 0 && a.At.Before(l.Attempts[i-1].At) {
			t.Errorf("attempt %+v", a)
		}
	}
}

// keptLetter returns the letter that err tells of.
func keptLetter(t testing.TB, n *notifier, err error) Letter {
	t.Helper()
	var kept *KeptError
	if !errors.As(err, &kept) {
		t.Fatalf("not kept: %v", err)
	}
	l, err := n.letters.box.Get(t.Context(), kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
