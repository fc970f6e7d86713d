package streams

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// web is a client of net/http that counts the bodies that are closed.
type web struct {
	client         *http.Client
	opened, closed atomic.Int32
}

func (w *web) Do(ctx context.Context, method, url string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(url, "/upgrade") {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "echo")
	}
	response, err := w.client.Do(r)
	if err != nil {
		return nil, err
	}
	w.opened.Add(1)
	counts := counted{response.Body, w}
	switch body := response.Body.(type) {
	case io.Writer:
		response.Body = struct {
			counted
			io.Writer
		}{counts, body}
	default:
		if body != http.NoBody {
			response.Body = counts
		}
	}
	return response, nil
}

type counted struct {
	io.ReadCloser
	of *web
}

func (c counted) Close() error { c.of.closed.Add(1); return c.ReadCloser.Close() }

// server answers in the ways that streams need. gone counts requests whose client
// has left before they had been answered.
type server struct {
	*httptest.Server
	requests, gone, connections atomic.Int32
	held                        chan struct{} // closed: what was held is answered
}

const blocks = 64

func newServer(t *testing.T) *server {
	s := &server{held: make(chan struct{})}
	handle := http.NewServeMux()
	handle.HandleFunc("/all", func(w http.ResponseWriter, _ *http.Request) { s.send(w, blocks) })
	handle.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) { s.send(w, 1); s.hang(r) })
	handle.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { s.hang(r) })
	handle.HandleFunc("/first-hangs", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Nth") == "1" {
			s.hang(r)
			return
		}
		s.send(w, blocks)
	})
	handle.HandleFunc("/busy-once", func(w http.ResponseWriter, _ *http.Request) {
		if s.requests.Load() == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		s.send(w, blocks)
	})
	handle.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		s.send(w, blocks)
	})
	handle.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(200 * time.Millisecond)
		s.send(w, 1)
	})
	handle.HandleFunc("/held", func(w http.ResponseWriter, _ *http.Request) {
		<-s.held
		s.send(w, 1)
	})
	handle.HandleFunc("/upgrade", s.upgrade)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Nth", strconv.Itoa(int(s.requests.Add(1)))) // two may come at once
		handle.ServeHTTP(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// send sends blocks of 16 KB, each on its own.
func (s *server) send(w http.ResponseWriter, blocks int) {
	for range blocks {
		if _, err := w.Write(make([]byte, 16<<10)); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

func (s *server) hang(r *http.Request) {
	<-r.Context().Done()
	s.gone.Add(1)
}

// upgrade speaks another protocol: it sends every line back.
func (s *server) upgrade(w http.ResponseWriter, _ *http.Request) {
	conn, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	for {
		line, err := buffer.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(conn, line)
	}
}

// client makes a wrapper and what it needs.
func client[W Web](t *testing.T, make func(*resilience.Runtime, Web) (W, error)) (Web, *resilience.Runtime, *web) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	rt, next := &resilience.Runtime{}, &web{client: &http.Client{Transport: transport}}
	w, err := make(rt, next)
	if err != nil {
		t.Fatal(err)
	}
	return w, rt, next
}

func get(t *testing.T, w Web, url string) *http.Response {
	t.Helper()
	response, err := w.Do(t.Context(), "GET", url)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func read(t *testing.T, r io.Reader) {
	t.Helper()
	if n, err := io.Copy(io.Discard, r); n != blocks*16<<10 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// eventually waits for what other goroutines do.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("never: %s", what)
		}
	}
}

// inTime opens what has a second to be opened, again if a busy machine took that
// long: what it tests comes after it.
func inTime[R any](t *testing.T, open func() (R, error)) (opened R) {
	t.Helper()
	eventually(t, "an answer within its limit", func() bool {
		var err error
		if opened, err = open(); err != nil && !errors.Is(err, resilience.ErrTimeout) {
			t.Fatal(err)
		}
		return err == nil
	})
	return opened
}

// allGone waits until the server has noticed that every client has left.
func (s *server) allGone(t *testing.T) {
	t.Helper()
	eventually(t, "the server notices", func() bool { return s.gone.Load() == s.requests.Load() })
}

func slots(rt *resilience.Runtime) int64 { return rt.Stats().Bulkheads[0].InFlight }

func wantSlots(t *testing.T, rt *resilience.Runtime, want int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d slots", want), func() bool { return slots(rt) == want })
}

// TestBodyIsReadAfterTheCall keeps its slot until its end, and its connection
// serves other requests, if they do not come before it is known to be free.
func TestBodyIsReadAfterTheCall(t *testing.T) {
	s := newServer(t)
	w, rt, next := client(t, NewResilientPlain)
	for range 20 {
		response := get(t, w, s.URL+"/all")
		if n := slots(rt); n != 1 {
			t.Errorf("%d slots while the body is open", n)
		}
		read(t, response.Body)
		if n := slots(rt); n != 0 {
			t.Errorf("%d slots after its end", n)
		}
		_, _ = response.Body.Close(), response.Body.Close()
	}
	if next.opened.Load() != 20 || slots(rt) != 0 || s.connections.Load() > 10 {
		t.Errorf("%d bodies, %d slots, %d connections", next.opened.Load(), slots(rt), s.connections.Load())
	}
}

// TestBulkheadCountsOpenBodies, and not calls.
func TestBulkheadCountsOpenBodies(t *testing.T) {
	s := newServer(t)
	w, _, _ := client(t, NewResilientPlain)
	one, two := get(t, w, s.URL+"/all"), get(t, w, s.URL+"/endless")
	if _, err := w.Do(t.Context(), "GET", s.URL+"/all"); !errors.Is(err, resilience.ErrBulkheadFull) {
		t.Errorf("a third body: %v", err)
	}
	_ = one.Body.Close()
	read(t, get(t, w, s.URL+"/all").Body)
	_ = two.Body.Close()
	eventually(t, "the server notices", func() bool { return s.gone.Load() == 1 })
}

// TestTimeoutGoesOn while the body is read; timeout.open does not.
func TestTimeoutGoesOn(t *testing.T) {
	s := newServer(t)
	w, rt, _ := client(t, NewResilientShort)
	response := inTime(t, func() (*http.Response, error) { return w.Do(t.Context(), "GET", s.URL+"/endless") })
	_, err := io.Copy(io.Discard, response.Body)
	if !errors.Is(err, resilience.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	wantSlots(t, rt, 0)
	s.allGone(t)
	_ = response.Body.Close()

	w, rt, _ = client(t, NewResilientOpened)
	response = inTime(t, func() (*http.Response, error) { return w.Do(t.Context(), "GET", s.URL+"/all") })
	time.Sleep(1100 * time.Millisecond)
	read(t, response.Body)
	_ = response.Body.Close()
	wantSlots(t, rt, 0)
}

// TestNobodyClosesABody: the end of the timeout, or of the caller's context, does.
func TestNobodyClosesABody(t *testing.T) {
	s := newServer(t)
	w, rt, _ := client(t, NewResilientShort)
	inTime(t, func() (*http.Response, error) { return w.Do(t.Context(), "GET", s.URL+"/endless") })
	s.allGone(t)
	wantSlots(t, rt, 0)

	w, rt, _ = client(t, NewResilientPlain)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := w.Do(ctx, "GET", s.URL+"/endless"); err != nil {
		t.Fatal(err)
	}
	wantSlots(t, rt, 1)
	cancel()
	s.allGone(t)
	wantSlots(t, rt, 0)
}

// TestNoBody has no slot: nobody need close what is not there.
func TestNoBody(t *testing.T) {
	s := newServer(t)
	w, rt, _ := client(t, NewResilientPlain)
	response, err := w.Do(t.Context(), "HEAD", s.URL+"/all")
	if err != nil || response.Body != http.NoBody || slots(rt) != 0 {
		t.Errorf("%v, %T, %d slots", err, response.Body, slots(rt))
	}
}

// TestBodyOfAHedge is read after the call; the request that lost is given up.
func TestBodyOfAHedge(t *testing.T) {
	s := newServer(t)
	w, rt, next := client(t, NewResilientHedged)
	response := get(t, w, s.URL+"/first-hangs")
	eventually(t, "the server notices that the first one lost", func() bool { return s.gone.Load() == 1 })
	if s.requests.Load() != 2 || slots(rt) != 1 {
		t.Errorf("%d requests, %d slots", s.requests.Load(), slots(rt))
	}
	read(t, response.Body)
	_ = response.Body.Close()
	if next.opened.Load() != 1 || next.closed.Load() != 1 || slots(rt) != 0 {
		t.Errorf("%d opened, %d closed, %d slots", next.opened.Load(), next.closed.Load(), slots(rt))
	}
	for range 20 { // both may answer
		response := get(t, w, s.URL+"/late")
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	wantSlots(t, rt, 0)
	if next.opened.Load() != next.closed.Load() {
		t.Errorf("%d opened, %d closed", next.opened.Load(), next.closed.Load())
	}
}

// TestBodyThatIsJudgedBad is closed before the next attempt, and where the call
// fails for it.
func TestBodyThatIsJudgedBad(t *testing.T) {
	s := newServer(t)
	w, rt, next := client(t, NewResilientRetried)
	response := get(t, w, s.URL+"/busy-once")
	if response.StatusCode != http.StatusOK || next.closed.Load() != 1 || slots(rt) != 1 {
		t.Errorf("%s, %d closed, %d slots", response.Status, next.closed.Load(), slots(rt))
	}
	read(t, response.Body)
	_ = response.Body.Close()
	response = get(t, w, s.URL+"/busy")
	if response.StatusCode != http.StatusServiceUnavailable || next.opened.Load() != 5 || next.closed.Load() != 4 {
		t.Errorf("%s, %d opened, %d closed", response.Status, next.opened.Load(), next.closed.Load())
	}
	read(t, response.Body) // the last one is the call's result, and alive
	_ = response.Body.Close()
	wantSlots(t, rt, 0)

	w, rt, next = client(t, NewResilientFailing)
	response, err := w.Do(t.Context(), "GET", s.URL+"/busy")
	if !errors.Is(err, resilience.ErrUnwantedResult) || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%v, %v", response, err)
	}
	if next.opened.Load() != 2 || next.closed.Load() != 2 || slots(rt) != 0 {
		t.Errorf("%d opened, %d closed, %d slots", next.opened.Load(), next.closed.Load(), slots(rt))
	}
}

// deafWeb does not listen to its context.
type deafWeb struct{ *web }

func (w deafWeb) Do(_ context.Context, method, url string) (*http.Response, error) {
	return w.web.Do(context.Background(), method, url)
}

// TestLateBody is closed, and its slot free then.
func TestLateBody(t *testing.T) {
	s := newServer(t)
	_, _, next := client(t, NewResilientPlain)
	rt := &resilience.Runtime{}
	w, err := NewResilientAbandoned(rt, deafWeb{next})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Do(t.Context(), "GET", s.URL+"/held"); !errors.Is(err, resilience.ErrTimeout) || slots(rt) != 1 {
		t.Errorf("%v, %d slots", err, slots(rt))
	}
	close(s.held)
	eventually(t, "the late body is closed", func() bool { return next.closed.Load() == 1 })
	wantSlots(t, rt, 0)
	var begun time.Time
	response := inTime(t, func() (*http.Response, error) {
		begun = time.Now()
		return w.Do(t.Context(), "GET", s.URL+"/all")
	})
	if n := slots(rt); n != 1 && time.Since(begun) < time.Second {
		t.Errorf("%d slots while the body is open", n)
	}
	read(t, response.Body)
	_ = response.Body.Close()
	wantSlots(t, rt, 0)
}

// TestUpgrade: what can be written to still can, and the end of what is read is
// not the end of it.
func TestUpgrade(t *testing.T) {
	s := newServer(t)
	w, rt, _ := client(t, NewResilientPlain)
	response := get(t, w, s.URL+"/upgrade")
	conn, ok := response.Body.(io.ReadWriteCloser)
	if !ok || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%s, %T", response.Status, response.Body)
	}
	lines := bufio.NewReader(conn)
	for range 3 {
		fmt.Fprintln(conn, "hello")
		if line, err := lines.ReadString('\n'); line != "hello\n" || err != nil {
			t.Errorf("%q, %v", line, err)
		}
	}
	if n := slots(rt); n != 1 {
		t.Errorf("%d slots", n)
	}
	_ = conn.Close()
	wantSlots(t, rt, 0)
}
