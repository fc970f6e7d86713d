package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// The test binary is a service at the address in this variable. It is steered by
// lines on its standard input, which it answers by lines on its standard output.
const asService = "RESILGEN_TEST_AS_SERVICE"

// inDir says in which directory the service keeps its letters; without it they are
// in its memory.
const inDir = "RESILGEN_TEST_DIR"

// withKey is the name of a key that takes the place of k1.
const withKey = "RESILGEN_TEST_KEY"

// canary is in the arguments and in the error of every call of the service: the
// policy takes it out of the former, the scrubber out of the latter.
const canary = "canary-4929-secret"

// nasty has everything in it that a terminal would obey.
const nasty = "\x1b[31mred\x1b]8;;https://evil.example\x1b\\link\x1b]52;c;cm0gLXJm\a \u009b2J \u202etxt.exe\u2066 \x00 \x7f\u200b"

// notice are the arguments of the method that the service wraps.
type notice struct {
	Customer string `json:"customer"`
	Card     string `json:"card"`
	Cents    int64  `json:"cents"`
}

// notifier is what a generated wrapper is made of.
type notifier struct {
	guard   *resilience.Guard
	letters *resilience.DeadLetters[notice]

	mu     sync.Mutex
	err    error
	ledger []notice
	permit chan struct{} // each call takes one; nil: none is wanted
}

func newNotifier(rt *resilience.Runtime, queue string, idempotent bool) (*notifier, error) {
	n := &notifier{err: errors.New("gateway is down: https://user:" + canary + "@gateway.example/ " + nasty)}
	w := rt.Wrap("payments.Gateway", n)
	n.guard = w.Guard("Notify", resilience.Policy{Retry: resilience.Retry{MaxAttempts: 2, Backoff: resilience.Backoff{Strategy: resilience.NoBackoff}}})
	n.letters = resilience.NewDeadLetters(w, "Notify", resilience.DeadLetterPolicy{Queue: queue}, resilience.LetterMethod[notice]{
		Sig: "0123456789abcdef", Idempotent: idempotent,
		Fields: []resilience.LetterField{{Name: "customer", Type: "string"}, {Name: "card", Type: "string"}, {Name: "cents", Type: "int64"}},
		Redact: []resilience.Redaction{{Pointer: "/card", Mode: resilience.Seal}},
		Replay: n.call, Direct: n.deliver,
	})
	return n, w.Err()
}

func (n *notifier) call(ctx context.Context, args notice) (err error) {
	call := n.guard.Begin(ctx)
	defer call.End()
	for call.Next() {
		err = n.deliver(call.Context(), args)
		call.Record(err)
	}
	if err = call.Err(); err != nil {
		return n.letters.Keep(&call, args, err)
	}
	return nil
}

func (n *notifier) deliver(_ context.Context, args notice) error {
	n.mu.Lock()
	permit := n.permit
	n.mu.Unlock()
	if permit != nil {
		<-permit
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.ledger = append(n.ledger, args)
	}
	return n.err
}

func (n *notifier) set(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

func runService() int {
	if err := serveNotices(os.Getenv(asService)); err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	return 0
}

func serveNotices(address string) error {
	keys := []resilience.SealKey{{ID: "k1", Key: bytes.Repeat([]byte{7}, 32)}}
	if os.Getenv(withKey) != "" {
		keys = append([]resilience.SealKey{{ID: os.Getenv(withKey), Key: bytes.Repeat([]byte{8}, 32)}}, keys...)
	}
	sealer, err := resilience.NewSealer(keys...)
	if err != nil {
		return err
	}
	o := resilience.Options{Dir: os.Getenv(inDir), Letters: resilience.LetterOptions{Sealer: sealer}}
	if o.Dir == "" {
		o.Stores = resilience.MemoryStores()
	}
	rt, err := resilience.Open(o)
	if err != nil {
		return err
	}
	defer rt.Close()
	n, err := newNotifier(rt, "notices", true)
	if err != nil {
		return err
	}
	odd, err := newNotifier(rt.Named(nasty), "q"+nasty, false)
	if err != nil {
		return err
	}
	r, err := newResearcher(rt)
	if err != nil {
		return err
	}
	defer r.close()
	server, err := ops.Listen(rt, address)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		verb, arg, _ := strings.Cut(in.Text(), " ")
		answer, ok := r.obey(verb, arg)
		if !ok {
			answer = n.obey(odd, verb, arg)
		}
		fmt.Printf("%s\n", answer)
	}
	return server.Close()
}

// obey does what a line says.
func (n *notifier) obey(odd *notifier, verb, arg string) string {
	switch verb {
	case "keep", "odd":
		who := n
		if verb == "odd" {
			who = odd
		}
		var kept *resilience.KeptError
		err := who.call(context.Background(), notice{arg, canary, 1<<62 + 1})
		if !errors.As(err, &kept) {
			return fmt.Sprintf("not kept: %v", err)
		}
		return kept.ID
	case "heal":
		n.set(nil)
	case "break":
		n.set(errors.New(arg))
	case "hold": // behind the next call
		n.mu.Lock()
		defer n.mu.Unlock()
		n.permit = make(chan struct{}, 1)
		n.permit <- struct{}{}
	case "letgo":
		n.mu.Lock()
		defer n.mu.Unlock()
		close(n.permit)
	case "ledger":
		n.mu.Lock()
		defer n.mu.Unlock()
		text, _ := json.Marshal(n.ledger)
		return string(text)
	}
	return "done"
}

// running is a service in a process of its own.
type running struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

func startService(t *testing.T) *running { return startServiceIn(t, "") }

func startServiceIn(t *testing.T, store string) *running {
	t.Helper()
	dir, err := os.MkdirTemp("", "dlq") // names of sockets are short
	require.NoError(t, err)
	s := &running{t: t, addr: "unix:" + filepath.Join(dir, "x.sock"), cmd: exec.Command(os.Args[0])}
	s.cmd.Env = append(os.Environ(), asService+"="+s.addr, inDir+"="+store)
	s.cmd.Stderr = os.Stderr
	s.in, err = s.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	s.out = bufio.NewScanner(out)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		_ = s.in.Close()
		_ = s.cmd.Wait()
		require.NoError(t, os.RemoveAll(dir))
	})
	require.True(t, s.out.Scan())
	require.Equal(t, "listening", s.out.Text())
	return s
}

// tell sends a line and returns the answer.
func (s *running) tell(line string) string {
	s.t.Helper()
	_, err := fmt.Fprintln(s.in, line)
	require.NoError(s.t, err)
	require.True(s.t, s.out.Scan(), "the service ended")
	return s.out.Text()
}

// dlq runs resilgen dlq against the service.
func (s *running) dlq(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	return tool(s.t, s.t.TempDir(), append([]string{"dlq", args[0], "--addr", s.addr}, args[1:]...)...)
}
