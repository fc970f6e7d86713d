// Adhoc guards calls of existing code that has no interface to put a wrapper
// around: resilience.Do for a func with a result, resilience.Try for one
// without. Nothing is generated.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "adhoc:", err)
		os.Exit(1)
	}
}

// run plays a morning of a small service: it fetches a rate, then stores it.
func run(ctx context.Context, out io.Writer) error {
	bank := httptest.NewServer(&bank{})
	defer bank.Close()
	dir, err := os.MkdirTemp("", "adhoc")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	// A guard is made once and kept, like a client: its breaker lives in it.
	rt, err := resilience.Open(resilience.Options{})
	if err != nil {
		return err
	}
	rates, err := rt.Guard("bank.rates", resilience.Policy{
		Timeout: resilience.Timeout{Attempt: 10 * time.Second},
		Retry: resilience.Retry{
			MaxAttempts: 4,
			Backoff:     resilience.Backoff{InitialDelay: 10 * time.Millisecond},
			RetryOn:     resilience.Matcher{Kinds: resilience.KindTransient},
		},
		Breaker: resilience.Breaker{ConsecutiveFailures: 5},
	})
	if err != nil {
		return err
	}

	// Do calls the func until it succeeds or the policy has enough, and gives its
	// result back.
	rate, err := resilience.Do(ctx, rates, func(ctx context.Context) (string, error) {
		return fetch(ctx, bank.URL+"/rate")
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "the rate is", rate)

	// What is nobody's fault but ours is not repeated.
	_, err = resilience.Do(ctx, rates, func(ctx context.Context) (string, error) {
		return fetch(ctx, bank.URL+"/rats")
	})
	fmt.Fprintln(out, "a typing error:", err)

	// Try is for a func without a result; FileSystem is a built-in policy, and the
	// same name is the same guard.
	path := filepath.Join(dir, "rate")
	disk := &disk{busy: 2}
	err = resilience.Try(ctx, rt.FileSystem("rates"), func(context.Context) error {
		return disk.write(path, rate)
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "stored, at the third attempt:", disk.attempts == 3)

	for _, m := range rt.Stats().Methods {
		fmt.Fprintf(out, "%s: %d calls, %d attempts\n", m.Name, m.Total.Calls(), m.Total.Attempts)
	}
	return rt.Close()
}

// statusError is an answer other than 200. Its method tells the runtime what
// kind of error it is: 503 is worth another attempt, 404 is not.
type statusError int

func (e statusError) Error() string   { return fmt.Sprintf("bank: %d", int(e)) }
func (e statusError) StatusCode() int { return int(e) }

// fetch is the code that was there before.
func fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if resp.StatusCode != http.StatusOK {
		return "", statusError(resp.StatusCode)
	}
	text, err := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(text)), err
}

// bank is a server that is overloaded in the morning.
type bank struct{ asked atomic.Int64 }

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/rate":
		http.NotFound(w, r)
	case b.asked.Add(1) <= 2:
		http.Error(w, "later", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "1.0842")
	}
}

// disk is one that is busy for a while.
type disk struct{ busy, attempts int }

func (d *disk) write(path, text string) error {
	if d.attempts++; d.attempts <= d.busy {
		return &os.PathError{Op: "write", Path: path, Err: syscall.EBUSY}
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
