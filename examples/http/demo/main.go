// Demo asks a service over HTTP through the generated wrapper, while that
// service is busy, loses answers, is killed and comes back, and prints what happened.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"time"

	forecast "github.com/resilgen/resilgen/examples/http"
	"github.com/resilgen/resilgen/runtime/resilience"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == serveVerb {
		log.Fatal(serve(os.Args[2], os.Args[3]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, nil); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

// serveVerb makes the same binary the other service.
const serveVerb = "serve"

// serve is the other service at a socket, until its standard input ends: the parent
// holds the other end.
func serve(socket, busyAt string) error {
	at, err := strconv.Atoi(busyAt)
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket+".new")
	if err != nil {
		return err
	}
	// A server that was killed left its socket behind. This one takes its place at once:
	// there is always one, whether somebody listens or not.
	if err := os.Rename(socket+".new", socket); err != nil {
		return err
	}
	fmt.Println("listening")
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	server := &http.Server{Handler: &forecast.Server{BusyAt: at}, ReadHeaderTimeout: patience, ErrorLog: log.New(io.Discard, "", 0)}
	return server.Serve(listener)
}

// child is a running server.
type child struct {
	cmd  *exec.Cmd
	hold io.Closer // its standard input
}

// start starts a server and waits until it listens, at a socket and no port: nobody
// else takes that while the server is gone.
func start(ctx context.Context, socket string, busyAt int) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, serveVerb, socket, strconv.Itoa(busyAt))}
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.hold, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return nil, errors.Join(errors.New("the server did not start"), lines.Err(), c.cmd.Wait())
	}
	return c, nil
}

// kill ends the server by SIGKILL, in the middle of whatever it does.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()         // says that it was killed
}

// story is what the demo prints, and remembers for its test.
type story struct {
	out   io.Writer
	begun time.Time

	mu     sync.Mutex
	events []string // of the breaker of Today: "closed to open"
	opened chan struct{}
}

func (s *story) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%5.2fs  %s\n", time.Since(s.begun).Seconds(), fmt.Sprintf(format, args...))
}

// observe prints retries after a while, and what the breaker does.
func (s *story) observe(_ context.Context, e resilience.Event) {
	switch e.Kind {
	case resilience.RetryScheduled:
		if e.Delay >= time.Second {
			s.say("        %v", e)
		}
	case resilience.BreakerTransition:
		s.say("        %v", e)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e.From.String()+" to "+e.To.String())
		if e.To == resilience.StateOpen && len(s.events) == 1 {
			close(s.opened)
		}
	}
}
