package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	forecast "github.com/resilgen/resilgen/examples/http"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// patience is how long the demo waits for anything.
const patience = time.Minute

// run plays the story. change, if there is one, changes the policies first.
func run(ctx context.Context, out io.Writer, change func(*resilience.Policy) error) error {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	s := &story{out: out, begun: time.Now(), opened: make(chan struct{})}
	dir, err := os.MkdirTemp("", "forecast")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	socket := filepath.Join(dir, "socket")
	server, err := start(ctx, socket, 5)
	if err != nil {
		return err
	}
	defer func() { server.kill() }()
	rt, err := resilience.Open(resilience.Options{Observe: s.observe})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }() // nothing runs that could fail
	known := &forecast.Known{}
	service, err := forecast.NewResilientForecasts(rt, clientOf(socket), known)
	if err != nil {
		return err
	}
	if change != nil {
		if err := rt.Update("forecast.Forecasts", change); err != nil {
			return err
		}
	}
	u := &user{story: s, socket: socket, service: service, known: known}
	for _, chapter := range []func(context.Context) error{u.asks, u.reports, u.reads} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	if server, err = u.outlives(ctx, server); err != nil {
		return err
	}
	summary(s, rt)
	return nil
}

// clientOf is a client of the server at a socket.
func clientOf(socket string) *forecast.Client {
	var dialer net.Dialer
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}
	return &forecast.Client{URL: "http://forecasts", HTTP: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// user is who calls the wrapper.
type user struct {
	*story
	socket       string // of the server
	service      forecast.Forecasts
	known        *forecast.Known
	fresh, stale atomic.Int64 // answers
}

// today asks for a forecast and remembers it.
func (u *user) today(ctx context.Context, city string) (forecast.Forecast, error) {
	f, err := u.service.Today(ctx, city)
	switch {
	case err != nil:
	case f.Old:
		u.stale.Add(1)
	default:
		u.fresh.Add(1)
		u.known.Keep(f)
	}
	return f, err
}

// asks puts ten questions, of which the server finds one too many.
func (u *user) asks(ctx context.Context) error {
	begun := time.Now()
	for n := range 10 {
		if _, err := u.today(ctx, "Oslo"); err != nil {
			return fmt.Errorf("question %d: %w", n+1, err)
		}
	}
	u.say("asked 10 times in %.1fs; the server said Retry-After: 1 to one of them, and %d answers came", time.Since(begun).Seconds(), u.fresh.Load())
	return nil
}

// reports tells of an observation, and the answer that it was kept gets lost.
func (u *user) reports(ctx context.Context) error {
	if err := u.service.Report(ctx, forecast.Observation{ID: "obs-17", City: "Oslo", Sky: "clear"}); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	u.say("reported an observation; the answer got lost, and the server knew the second attempt by its idempotency key")
	return nil
}

// reads reads a body after the method has returned.
func (u *user) reads(ctx context.Context) error {
	body, err := u.service.Map(ctx, "Oslo")
	if err != nil {
		return fmt.Errorf("map: %w", err)
	}
	defer func() { _ = body.Close() }() // it was read
	n, err := io.Copy(io.Discard, body)
	if err != nil || n != forecast.MapSize {
		return fmt.Errorf("map: %d of %d bytes: %w", n, forecast.MapSize, err)
	}
	u.say("read a map of %d bytes; only the time until its body began is limited", n)
	return nil
}

// outlives has the server killed and started again while questions are put.
func (u *user) outlives(ctx context.Context, server *child) (*child, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	u.fresh.Store(0)
	failed := make(chan error, 1)
	go u.asksOn(ctx, failed)
	if err := u.until(ctx, func() bool { return u.fresh.Load() >= 20 }); err != nil {
		return server, err
	}
	u.say("asking every 10ms; now kill -9 of the server")
	server.kill()
	select {
	case <-u.opened:
	case <-time.After(patience):
		return server, fmt.Errorf("the breaker did not open")
	}
	if err := u.until(ctx, func() bool { return u.stale.Load() >= 20 }); err != nil {
		return server, err
	}
	u.say("the server is gone, and %d questions got the last known answer; now start it again", u.stale.Load())
	next, err := start(ctx, u.socket, 0)
	if err != nil {
		return server, err
	}
	back := u.fresh.Load()
	err = u.until(ctx, func() bool { return u.fresh.Load() >= back+20 })
	end()
	if broken := <-failed; err == nil {
		err = broken
	}
	u.say("answers are fresh again; %d were, %d were the last known ones, none failed", u.fresh.Load(), u.stale.Load())
	return next, err
}

// asksOn puts a question every 10ms, until ctx ends or one fails.
func (u *user) asksOn(ctx context.Context, failed chan<- error) {
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			failed <- nil
			return
		case <-ticks.C:
		}
		if _, err := u.today(ctx, "Oslo"); err != nil && ctx.Err() == nil {
			failed <- err
			return
		}
	}
}

// until waits for done.
func (u *user) until(ctx context.Context, done func() bool) error {
	for begun := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if ctx.Err() != nil || time.Since(begun) > patience {
			return fmt.Errorf("waited in vain: %d fresh answers, %d known ones", u.fresh.Load(), u.stale.Load())
		}
	}
	return nil
}

// summary prints the statistics of the wrapper.
func summary(s *story, rt *resilience.Runtime) {
	for _, m := range rt.Stats().Methods {
		t := m.Total
		s.say("%-6s  %d calls: %d succeeded, %d of them after a retry; %d answered by the fallback; %d attempts reached the network",
			m.Method, t.Calls(), t.Success, t.SuccessRetried, t.Fallbacks, t.Attempts)
	}
}
