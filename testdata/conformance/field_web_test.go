package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// webCases are integrations of one library, by real net/http; what goes over the
// wire goes through a pipe, so that time is that of a bubble.
var webCases = family{
	"H01": func(t *testing.T) {
		for _, code := range []int{429, 500, 502, 503, 504} {
			served200(t, code, func(t *testing.T, w *webServer) {
				body, err := w.client.Get(t.Context(), "/")
				if err != nil || w.requests() != 3 {
					t.Fatalf("%d: %v after %d requests", code, err, w.requests())
				}
				if text, err := io.ReadAll(body); string(text) != "welcome" || err != nil {
					t.Errorf("%d: %q, %v", code, text, err)
				}
				_ = body.Close()
			})
		}
		served200(t, 503, func(t *testing.T, w *webServer) {
			response, err := w.client.Raw(t.Context(), "/")
			if err != nil || response.StatusCode != 200 || w.requests() != 3 {
				t.Fatalf("%v, %v after %d requests", response, err, w.requests())
			}
			if n := w.bodies.closed.Load(); n != 2 {
				t.Errorf("%d bodies closed, want those that nobody wanted", n)
			}
			_ = response.Body.Close()
		})
	},
	"H02": notRetried,
	"H03": func(t *testing.T) {
		for _, asks := range []struct {
			after func() string
			low   time.Duration
		}{
			{func() string { return "2" }, 2 * time.Second},
			{func() string { return "0" }, 0},
			{func() string { return time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat) }, 2 * time.Second},
			{func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, 0},
			{func() string { return "soon" }, 100 * ms},
		} {
			web(t, func(t *testing.T, w *webServer) {
				w.answer = func(rw http.ResponseWriter, _ *http.Request) {
					if w.requests() == 1 {
						rw.Header().Set("Retry-After", asks.after())
						rw.WriteHeader(http.StatusServiceUnavailable)
					}
				}
				began := time.Now()
				if _, err := w.client.Send(t.Context(), "/", strings.NewReader("")); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took < asks.low || took > asks.low+1300*ms {
					t.Errorf("%s: came back after %v", asks.after(), took)
				}
			})
		}
		web(t, func(t *testing.T, w *webServer) {
			w.answer = func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Retry-After", "120")
				rw.WriteHeader(http.StatusTooManyRequests)
			}
			_, err := w.client.Send(t.Context(), "/", strings.NewReader(""))
			var e *resilience.Error
			if !errors.As(err, &e) || w.requests() != 1 {
				t.Fatalf("%v after %d requests", err, w.requests())
			}
			if after, ok := e.RetryAfter(); !ok || after != 2*time.Minute {
				t.Errorf("the error asks for %v, %v", after, ok)
			}
		})
	},
	"H04": bodiesReadAgain,
	"H05": all(bodyAfterTheReturn, bodyOfAHedge),
	"H06": rejectionsAsAnswers,
	"H07": retryCases["GRPC-02"],
	"H08": func(t *testing.T) {
		bubble(t, func(s *session) {
			wrap(s, overGRPC)
			if counts := s.together(200, "Unavailable/1ms,Unavailable,S/1ms"); counts["ok"] != 200 || s.execs() != 600 {
				t.Errorf("%v, %d executions", counts, s.execs())
			}
			if counts := s.together(200, "PermissionDenied/1ms"); counts["PermissionDenied"] != 200 || s.execs() != 800 {
				t.Errorf("%v, %d executions", counts, s.execs())
			}
		})
	},
	"H09": play(NewResilientTimed, "a:H +500ms a^ a>canceled took=500ms", "H>timeout took=1s"),

	"I03": bodiesReadAgain,
}

// webServer is a server, and the generated client of it.
type webServer struct {
	client  Web
	browser Browser
	answer  func(http.ResponseWriter, *http.Request)

	bodies *countedBodies

	mu     sync.Mutex
	served int
}

// countedBodies counts the bodies that are closed.
type countedBodies struct {
	http.RoundTripper
	closed atomic.Int32
}

func (c *countedBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = &countedBody{ReadCloser: response.Body, closed: &c.closed}
	}
	return response, err
}

type countedBody struct {
	io.ReadCloser
	closed *atomic.Int32
}

func (b *countedBody) Close() error { b.closed.Add(1); return b.ReadCloser.Close() }

func (w *webServer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.served++
	w.mu.Unlock()
	w.answer(rw, r)
}

func (w *webServer) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.served
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// web runs f with a server in a bubble.
func web(t *testing.T, f func(*testing.T, *webServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, listener := &webServer{}, &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: w}
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			listener.dialed <- far
			return near, nil
		}}
		w.bodies = &countedBodies{RoundTripper: transport}
		w.browser = Browser{&http.Client{Transport: w.bodies}, "http://server"}
		client, err := NewResilientWeb(&resilience.Runtime{}, w.browser)
		if err != nil {
			t.Fatal(err)
		}
		w.client = client
		done := make(chan error)
		go func() { done <- server.Serve(listener) }()
		defer func() {
			transport.CloseIdleConnections()
			_ = server.Close()
			<-done
		}()
		f(t, w)
	})
}

// served200 is web for a server that answers twice with code.
func served200(t *testing.T, code int, f func(*testing.T, *webServer)) {
	t.Helper()
	web(t, func(t *testing.T, w *webServer) {
		w.answer = func(rw http.ResponseWriter, _ *http.Request) {
			if w.requests() < 3 {
				rw.WriteHeader(code)
			}
			_, _ = io.WriteString(rw, "welcome")
		}
		f(t, w)
	})
}

// attempts counts those of a Web.
type attempts struct {
	Web
	n int
}

func (a *attempts) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	a.n++
	return a.Web.Get(ctx, path)
}

// notRetried asks for what no repetition mends, over real sockets.
func notRetried(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/501", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNotImplemented) })
	mux.HandleFunc("/400", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadRequest) })
	mux.HandleFunc("/circle", func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/circle", http.StatusFound) })
	plain, secret := httptest.NewServer(mux), httptest.NewUnstartedServer(mux)
	secret.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	secret.StartTLS()
	defer plain.Close()
	defer secret.Close()
	for _, c := range []struct{ base, path, want string }{
		{plain.URL, "/501", "501"}, {plain.URL, "/400", "400"}, {plain.URL, "/circle", "10 redirects"},
		{"gopher://localhost", "/", "unsupported protocol scheme"}, {secret.URL, "/", "certificate"}, {"http://%zz", "/", "invalid URL escape"},
	} {
		counted := &attempts{Web: Browser{&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, c.base}}
		rt := &resilience.Runtime{}
		w, err := NewResilientWeb(rt, counted)
		if err != nil {
			t.Fatal(err)
		}
		// A machine that is busy for a second would be a reason to repeat.
		if err := rt.Update("conformance.Web.Get", func(p *resilience.Policy) error { p.Timeout.Open = time.Minute; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Get(t.Context(), c.path); err == nil || !strings.Contains(err.Error(), c.want) || counted.n != 1 {
			t.Errorf("%s%s: %v after %d attempts", c.base, c.path, err, counted.n)
		}
	}
}

// bodiesReadAgain sends bodies of every kind, from where they stand.
func bodiesReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(path, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	half := strings.NewReader("skipped|half of it")
	_, _ = half.Seek(8, io.SeekStart)
	large := bytes.Repeat([]byte("large "), 100_000)
	for _, c := range []struct {
		body io.ReadSeeker
		want string
	}{
		{strings.NewReader("a string"), "a string"}, {bytes.NewReader([]byte("bytes")), "bytes"}, {file, "a file"}, {half, "half of it"},
		{io.NewSectionReader(strings.NewReader("a section of it"), 2, 7), "section"}, {bytes.NewReader(nil), ""}, {bytes.NewReader(large), string(large)},
	} {
		web(t, func(t *testing.T, w *webServer) {
			var got []string
			w.answer = func(rw http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				if got = append(got, string(text)); len(got) < 3 {
					rw.WriteHeader(http.StatusServiceUnavailable)
				}
			}
			if _, err := w.client.Send(t.Context(), "/", c.body); err != nil || !slices.Equal(got, []string{c.want, c.want, c.want}) {
				t.Errorf("%.20q: %v, bodies %.20q", c.want, err, got)
			}
		})
	}
	oneShot := strings.NewReplacer("id string", "body io.Reader", `"errors"`, `"errors"`+"\n\t\"io\"").Replace(gateway)
	out, code, wrote := resilgen(t, oneShot, "interfaces: {Gateway: {idempotent: true, retry: true}}")
	if code != 1 || wrote || !strings.Contains(out, "RG082") {
		t.Errorf("a body that can be read once is retried: exit %d\n%s", code, out)
	}
}

// slowly writes a chunk every 100ms, for longer than any timeout.
func slowly(rw http.ResponseWriter, r *http.Request) {
	for i := range 50 {
		fmt.Fprintf(rw, "%02d,", i)
		rw.(http.Flusher).Flush()
		select {
		case <-time.After(100 * ms):
		case <-r.Context().Done():
			return
		}
	}
}

// bodyAfterTheReturn reads a body for five seconds that had one to be opened, at
// the third attempt.
func bodyAfterTheReturn(t *testing.T) {
	web(t, func(t *testing.T, w *webServer) {
		w.answer = func(rw http.ResponseWriter, r *http.Request) {
			if w.requests()%3 != 0 {
				rw.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			slowly(rw, r)
		}
		ctx, cancel := context.WithCancel(t.Context())
		for _, get := range []func() (io.ReadCloser, error){
			func() (io.ReadCloser, error) { return w.client.Get(ctx, "/") },
			func() (io.ReadCloser, error) {
				response, err := w.client.Raw(ctx, "/")
				if err != nil {
					return nil, err
				}
				return response.Body, nil
			},
		} {
			body, err := get()
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(body); len(text) != 150 || err != nil {
				t.Errorf("read %d bytes, %v", len(text), err)
			}
			_ = body.Close()
		}
		body, err := w.client.Get(ctx, "/")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(500*ms, cancel) // the caller's context ends the body, too
		if text, err := io.ReadAll(body); !errors.Is(err, context.Canceled) || len(text) == 0 || len(text) == 150 {
			t.Errorf("read %d bytes, %v", len(text), err)
		}
		_ = body.Close()
	})
}

// bodyOfAHedge reads the body of the second request, while the first one has
// been given up.
func bodyOfAHedge(t *testing.T) {
	web(t, func(t *testing.T, w *webServer) {
		gone := make(chan bool, 1)
		w.answer = func(rw http.ResponseWriter, r *http.Request) {
			if w.requests() == 1 {
				<-r.Context().Done()
				gone <- true
				return
			}
			slowly(rw, r)
		}
		hedged, err := NewResilientWebHedged(&resilience.Runtime{}, w.browser)
		if err != nil {
			t.Fatal(err)
		}
		body, err := hedged.Get(t.Context(), "/")
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(body); len(text) != 150 || err != nil || w.requests() != 2 {
			t.Errorf("read %d bytes, %v, after %d requests", len(text), err, w.requests())
		}
		_ = body.Close()
		<-gone
	})
}

// rejectionsAsAnswers has a server in front of guarded calls tell its clients
// when to come again.
func rejectionsAsAnswers(t *testing.T) {
	web(t, func(t *testing.T, w *webServer) {
		rt := &resilience.Runtime{}
		release := make(chan struct{})
		delegate := doFunc(func(context.Context) (int, error) { <-release; return 0, E })
		limited, err1 := NewResilientS62(rt, doFunc(func(context.Context) (int, error) { return 1, nil }))
		full, err2 := NewResilientOne(rt, delegate)
		open, err3 := NewResilientS26(rt, doFunc(func(context.Context) (int, error) { return 0, E }))
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		services := map[string]Service{"/limited": limited, "/full": full, "/open": open}
		w.answer = func(rw http.ResponseWriter, r *http.Request) {
			_, err := services[r.URL.Path].Do(r.Context())
			var e *resilience.Error
			if errors.As(err, &e) {
				if after, ok := e.RetryAfter(); ok {
					rw.Header().Set("Retry-After", fmt.Sprint(int(after.Seconds()+0.999)))
				}
			}
			switch {
			case errors.Is(err, resilience.ErrRateLimited):
				rw.WriteHeader(http.StatusTooManyRequests)
			case errors.Is(err, resilience.ErrBulkheadFull), errors.Is(err, resilience.ErrCircuitOpen):
				rw.WriteHeader(http.StatusServiceUnavailable)
			case err != nil:
				rw.WriteHeader(http.StatusBadGateway)
			}
		}
		busy := make(chan error)
		go func() { _, err := full.Do(context.Background()); busy <- err }()
		synctest.Wait()
		for _, c := range []struct {
			path, after string
			code        int
		}{{"/limited", "", 200}, {"/limited", "1", 429}, {"/full", "", 503}, {"/open", "", 502}, {"/open", "10", 503}} {
			response, err := w.browser.Raw(t.Context(), c.path)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if after := response.Header.Get("Retry-After"); response.StatusCode != c.code || after != c.after {
				t.Errorf("%s: %d, Retry-After %q, want %d and %q", c.path, response.StatusCode, after, c.code, c.after)
			}
		}
		close(release)
		<-busy
	})
}
