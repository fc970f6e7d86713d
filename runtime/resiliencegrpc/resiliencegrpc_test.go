package resiliencegrpc

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// server notes the key of every call, and fails as often as it is told.
type server struct {
	grpc_health_v1.UnimplementedHealthServer

	mu       sync.Mutex
	failures int
	keys     []string
}

func (s *server) note(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok := IdempotencyKey(ctx)
	if !ok {
		key = "none"
	}
	s.keys = append(s.keys, key)
	if s.failures--; s.failures >= 0 {
		return status.Error(codes.Unavailable, "not now")
	}
	return nil
}

func (s *server) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{}, s.note(ctx)
}

func (s *server) Watch(_ *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	return s.note(stream.Context())
}

func (s *server) noted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys)
}

// dial starts the server on a port of the loopback and connects to it.
func dial(t *testing.T, s *server) grpc_health_v1.HealthClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(srv, s)
	served := make(chan error)
	go func() { served <- srv.Serve(listener) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(Unary), grpc.WithStreamInterceptor(Stream))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

// Every attempt of a guarded call arrives with the same key.
func TestEveryAttemptCarriesTheKey(t *testing.T) {
	s := &server{failures: 2}
	client := dial(t, s)
	rt, err := resilience.Open(resilience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := rt.Guard("health", resilience.Policy{Retry: resilience.Retry{MaxAttempts: 3, Backoff: resilience.Backoff{Strategy: resilience.NoBackoff}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := resilience.EnsureIdempotencyKey(t.Context())
	if _, err := resilience.Do(ctx, guard, func(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
		return client.Check(ctx, nil)
	}); err != nil {
		t.Fatal(err)
	}
	key, _ := resilience.IdempotencyKey(ctx)
	if got, want := s.noted(), []string{key, key, key}; !slices.Equal(got, want) {
		t.Errorf("the server saw %q, want %q", got, want)
	}
}

func TestStreamsCarryTheKey(t *testing.T) {
	s := &server{}
	client := dial(t, s)
	stream, err := client.Watch(resilience.WithIdempotencyKey(t.Context(), "k1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if got, want := s.noted(), []string{"k1"}; !slices.Equal(got, want) {
		t.Errorf("the server saw %q, want %q", got, want)
	}
}

func TestWithoutAKeyAndWithOneOfTheCallers(t *testing.T) {
	s := &server{}
	client := dial(t, s)
	own := metadata.AppendToOutgoingContext(resilience.WithIdempotencyKey(t.Context(), "k1"), "idempotency-key", "mine")
	for _, ctx := range []context.Context{t.Context(), own} {
		if _, err := client.Check(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.noted(), []string{"none", "mine"}; !slices.Equal(got, want) {
		t.Errorf("the server saw %q, want %q", got, want)
	}
}
