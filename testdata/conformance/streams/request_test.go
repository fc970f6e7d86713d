package streams

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// requested makes a wrapper of a client of net/http.
func requested(t *testing.T) (*ResilientRequested, *resilience.Runtime) {
	t.Helper()
	transport, rt := &http.Transport{}, &resilience.Runtime{}
	t.Cleanup(transport.CloseIdleConnections)
	w, err := NewResilientRequested(rt, &http.Client{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return w, rt
}

func request(t *testing.T, ctx context.Context, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRequestBringsTheContext: callers who have no time, or leave, say nothing of
// the peer.
func TestRequestBringsTheContext(t *testing.T) {
	s := newServer(t)
	w, rt := requested(t)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := w.Do(request(t, ctx, s.URL+"/silent")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a deadline: %v", err)
		}
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := w.Do(request(t, ctx, s.URL+"/silent")); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that leaves: %v", err)
		}
	}
	stats := rt.Stats().Methods[0].Total
	if stats.Canceled != 6 || stats.Failure != 0 {
		t.Errorf("%d canceled, %d failures", stats.Canceled, stats.Failure)
	}
	response, err := w.Do(request(t, t.Context(), s.URL+"/all"))
	if err != nil {
		t.Fatal(err)
	}
	read(t, response.Body)
	_ = response.Body.Close()
	wantSlots(t, rt, 0)
}

// TestBodyEndsWithItsRequest gives its slot back, be it closed or not.
func TestBodyEndsWithItsRequest(t *testing.T) {
	s := newServer(t)
	w, rt := requested(t)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := w.Do(request(t, ctx, s.URL+"/endless")); err != nil {
		t.Fatal(err)
	}
	wantSlots(t, rt, 1)
	cancel()
	wantSlots(t, rt, 0)
	eventually(t, "the server notices", func() bool { return s.gone.Load() == 1 })
}

// sender notes what it is given.
type sender struct{ got []*http.Request }

func (s *sender) Do(r *http.Request) (*http.Response, error) {
	s.got = append(s.got, r)
	return &http.Response{Body: http.NoBody}, nil
}

// TestRequestReachesTheDelegate as it is, also if it is nil.
func TestRequestReachesTheDelegate(t *testing.T) {
	next := &sender{}
	w, err := NewResilientRequested(&resilience.Runtime{}, next)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*http.Request{nil, request(t, t.Context(), "http://localhost/")} {
		if _, err := w.Do(r); err != nil || next.got[len(next.got)-1] != r {
			t.Errorf("%v, %v", next.got, err)
		}
	}
}
