package resilience

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// upload is what is generated for a method that takes a reader which can seek.
func upload(ctx context.Context, g *Guard, in io.ReadSeeker, put func(io.Reader) error) error {
	call := g.Begin(ctx)
	defer call.End()
	call.Rewind(in)
	for call.Next() {
		call.Record(put(in))
	}
	return call.Err()
}

// receive keeps what each attempt read, and fails the first n.
func receive(n int) (put func(io.Reader) error, got *[]string) {
	got = new([]string)
	return func(r io.Reader) error {
		text, err := io.ReadAll(r)
		*got = append(*got, string(text))
		if err == nil && len(*got) <= n {
			err = errPeer
		}
		return err
	}, got
}

var threeAtOnce = Policy{Retry: Retry{MaxAttempts: 3, Backoff: Backoff{Strategy: NoBackoff}}}

func TestRewindFromWhereItStood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(path, []byte("head body"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, in := range map[string]io.ReadSeeker{"file": file, "bytes": bytes.NewReader([]byte("head body"))} {
		t.Run(name, func(t *testing.T) {
			if _, err := in.Seek(5, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			put, got := receive(2)
			if err := upload(t.Context(), mustGuard(t, threeAtOnce), in, put); err != nil {
				t.Fatal(err)
			}
			if len(*got) != 3 || (*got)[0] != "body" || (*got)[1] != "body" || (*got)[2] != "body" {
				t.Errorf("attempts read %q, want body each", *got)
			}
		})
	}
}

// pipe is a file that cannot seek, and can be read once.
func pipe(t *testing.T, text string) *os.File {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	_, err = w.WriteString(text)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRewindPipe: what cannot seek is one attempt's.
func TestRewindPipe(t *testing.T) {
	put, got := receive(0)
	if err := upload(t.Context(), mustGuard(t, threeAtOnce), pipe(t, "body"), put); err != nil || len(*got) != 1 || (*got)[0] != "body" {
		t.Errorf("upload = %v after %q, want nil after body", err, *got)
	}
	put, got = receive(1)
	err := upload(t.Context(), mustGuard(t, threeAtOnce), pipe(t, "body"), put)
	var e *Error
	want := "payments.Gateway.Charge: gave up after 1 attempt: an argument cannot be rewound for another attempt: seek |0: illegal seek: gateway: 503"
	if len(*got) != 1 || !errors.As(err, &e) || err.Error() != want || !errors.Is(err, errPeer) || e.Policy != "retry" {
		t.Errorf("upload = %v after %q, want %s", err, *got, want)
	}
}

// lost is a seeker that cannot go back, once it was read.
type lost struct{ *bytes.Reader }

var errLost = errors.New("the tape is torn")

func (l lost) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		return 0, errLost
	}
	return l.Reader.Seek(offset, whence)
}

func TestRewindFails(t *testing.T) {
	put, got := receive(9)
	g := mustGuard(t, Policy{Retry: threeAtOnce.Retry, Fallback: Fallback{On: true}})
	in := lost{bytes.NewReader([]byte("body"))}
	call := g.Begin(t.Context())
	defer call.End()
	call.Rewind(in)
	call.Rewind(bytes.NewReader(nil)) // one that can: the other ends the call all the same
	for call.Next() {
		call.Record(put(in))
	}
	if err := call.Err(); len(*got) != 1 || !errors.Is(err, errLost) || !errors.Is(err, errPeer) || !call.WantsFallback() {
		t.Errorf("after %q: %v, fallback %v", *got, err, call.WantsFallback())
	}
}

// untouched fails the test when it is asked for anything.
type untouched struct {
	io.Reader
	t *testing.T
}

func (u untouched) Seek(int64, int) (int64, error) {
	u.t.Error("asked to seek")
	return 0, nil
}

// TestRewindAsksNothing of what is nil, not retried, or switched off.
func TestRewindAsksNothing(t *testing.T) {
	in := untouched{bytes.NewReader(nil), t}
	put, _ := receive(0)
	off := mustGuard(t, threeAtOnce)
	off.plan.Store(nil)
	for _, g := range []*Guard{mustGuard(t, Policy{Retry: Retry{MaxAttempts: 1}}), mustGuard(t, Policy{Breaker: Breaker{On: true}}), off} {
		if err := upload(t.Context(), g, in, put); err != nil {
			t.Error(err)
		}
	}
	call := mustGuard(t, threeAtOnce).Begin(t.Context())
	call.Rewind(nil)
	if call.aside != nil {
		t.Error("nil is to be rewound")
	}
}

// TestRewindAfterRejection: only an attempt that ran makes it necessary.
func TestRewindAfterRejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, Policy{Retry: Retry{MaxAttempts: 3, RetryOn: Matcher{Kinds: KindCircuitOpen}},
			Breaker: Breaker{On: true, InitialState: StateOpen, OpenDuration: time.Second}})
		put, got := receive(0)
		if err := upload(t.Context(), g, lost{bytes.NewReader([]byte("body"))}, put); err != nil || len(*got) != 1 || (*got)[0] != "body" {
			t.Errorf("upload = %v after %q, want nil after body", err, *got)
		}
	})
}

func TestRewindAllocatesOnce(t *testing.T) {
	g, in, ctx := mustGuard(t, threeAtOnce), bytes.NewReader(nil), context.Background()
	put := func(io.Reader) error { return nil }
	if n := testing.AllocsPerRun(100, func() { _ = upload(ctx, g, in, put) }); n != 1 {
		t.Errorf("%v allocations a call, want 1", n)
	}
}

// TestCallIsSmall: every call zeroes one.
func TestCallIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Call{}); size > 168 {
		t.Errorf("a Call has %d bytes", size)
	}
}
