package ops

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestClientThatDoesNotRead: it is cut off, and its handler ends.
func TestClientThatDoesNotRead(t *testing.T) {
	listener, err := listenUnix(private(t) + "/x.sock")
	must(t, err)
	ended := make(chan error, 1)
	s := newServer(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		out := newLines(w, 100*time.Millisecond)
		for {
			if err := out.send(strings.Repeat("x", 1<<16)); err != nil {
				ended <- err
				return
			}
		}
	}))
	s.serve()
	defer s.Close()
	conn, err := net.Dial("unix", s.socket.path)
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	must(t, err)
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the handler ended with %v", err)
	}
}

// stream is a client in the process of a route that streams.
func stream(route func(*request, *lines) error) *Client {
	r := Route{Method: http.MethodGet, Stream: true, stream: route}
	return &Client{http: http.Client{Transport: inProcess{guarded(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer(nil, []Route{r}, w, req)
	}))}}}
}

func TestLines(t *testing.T) {
	broken := errors.New("disk is gone")
	for name, c := range map[string]struct {
		route func(*request, *lines) error
		lines string
		err   string
	}{
		"none":            {func(*request, *lines) error { return nil }, "", ""},
		"error first":     {func(*request, *lines) error { return problem(Busy, "%v", broken) }, "", "disk is gone"},
		"two":             {func(_ *request, l *lines) error { return errors.Join(l.send(1), l.send("a")) }, `1 "a" `, ""},
		"error in middle": {func(_ *request, l *lines) error { return errors.Join(l.send(1), broken) }, "1 ", "disk is gone"},
		"panic in middle": {func(_ *request, l *lines) error { _ = l.send(1); panic("oops") }, "1 ", "a panic: oops"},
		"panic":           {func(*request, *lines) error { panic("oops") }, "", "a panic: oops"},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			var failed error
			for text, err := range follow(t.Context(), stream(c.route), "", nil) {
				if err != nil {
					failed = err
					continue
				}
				got.Write(text)
				got.WriteByte(' ')
			}
			if got.String() != c.lines || (failed == nil) != (c.err == "") || failed != nil && !strings.Contains(failed.Error(), c.err) {
				t.Errorf("lines %q, error %v", got.String(), failed)
			}
		})
	}
}

// TestLeavingAStream: who reads no further has the handler end before the loop
// does.
func TestLeavingAStream(t *testing.T) {
	ended := false
	c := stream(func(_ *request, l *lines) error {
		defer func() { ended = true }()
		for {
			if err := l.send(1); err != nil {
				return err
			}
		}
	})
	for range follow(t.Context(), c, "", nil) {
		break
	}
	if !ended {
		t.Error("the handler runs on")
	}
}
