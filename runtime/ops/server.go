package ops

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os/user"
	"strconv"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Limits of the server.
const (
	headerTime = 5 * time.Second  // for a client to send its header
	bodyTime   = 30 * time.Second // for it to send all
	writeTime  = 30 * time.Second // for it to take a part of the answer
	idleTime   = 60 * time.Second
	closeTime  = 5 * time.Second // that Close gives requests
	maxHeader  = 16 << 10
)

// Server serves the dead letters of a Runtime. It is made by [Listen].
type Server struct {
	http   http.Server
	socket *socket
	served sync.WaitGroup
	err    error // of Serve; after served
}

// Listen serves what rt keeps at an address: unix:/path/of/a.sock, the only kind
// there is. The socket has mode 0600, and a client must be the user of this
// process or root. One that a dead process left is replaced; where a living one
// listens, or something that is no socket is in the way, Listen returns an error,
// [resilience.ErrBusy] for the former. A directory that is missing is made with
// mode 0700; in one where others may write, a socket is refused.
func Listen(rt *resilience.Runtime, address string) (*Server, error) {
	path, err := socketPath(address)
	if err != nil {
		return nil, err
	}
	listener, err := listenUnix(path)
	if err != nil {
		return nil, err
	}
	s := newServer(listener, newAPI(rt))
	s.serve()
	return s, nil
}

func newServer(listener *socket, handler http.Handler) *Server {
	return &Server{socket: listener, http: http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       bodyTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withPrincipal,
		ErrorLog:          log.New(io.Discard, "", 0), // what clients do wrong is told to them
	}}
}

// serve begins to.
func (s *Server) serve() {
	s.served.Go(func() {
		if err := s.http.Serve(s.socket); !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
	})
}

// Addr returns the address, for [Dial] and --addr.
func (s *Server) Addr() string { return "unix:" + s.socket.path }

// Refused returns how many connections of other users were closed.
func (s *Server) Refused() int64 { return s.socket.refused.Load() }

// Close ends the listening, removes the socket, gives requests that run five
// seconds to end and cuts them off then. It may be called again.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := s.socket.Close()
	if s.http.Shutdown(ctx) != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.served.Wait()
	if !errors.Is(s.err, net.ErrClosed) {
		err = errors.Join(err, s.err)
	}
	return err
}

type principalKey struct{}

// withPrincipal keeps the name of the user who connected.
func withPrincipal(ctx context.Context, conn net.Conn) context.Context {
	c, ok := conn.(*client)
	if !ok || c.uid < 0 {
		return ctx
	}
	return context.WithValue(ctx, principalKey{}, userName(c.uid))
}

// userName returns the name of a user, or "uid:1000" where there is none.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid:" + id
}

// principal returns who makes a request.
func principal(ctx context.Context) string {
	name, _ := ctx.Value(principalKey{}).(string)
	return name
}
