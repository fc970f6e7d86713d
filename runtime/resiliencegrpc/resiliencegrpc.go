// Package resiliencegrpc carries idempotency keys over gRPC.
//
// A client sends the key of each call's context (see
// [resilience.IdempotencyKey]) as metadata:
//
//	conn, err := grpc.NewClient(target,
//		grpc.WithUnaryInterceptor(resiliencegrpc.Unary),
//		grpc.WithStreamInterceptor(resiliencegrpc.Stream))
//
// and a server finds it with [IdempotencyKey]. A key must be printable ASCII, as
// all of gRPC's metadata.
package resiliencegrpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Unary is a [grpc.UnaryClientInterceptor] that sends the idempotency key. It
// leaves alone what the caller put into the metadata under that name.
func Unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(outgoing(ctx), method, req, reply, cc, opts...)
}

// Stream is [Unary] for streams.
func Stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return stream(outgoing(ctx), desc, cc, method, opts...)
}

// IdempotencyKey returns the key that the client of a call sent, for the
// handler with ctx. It reports false if there is none.
func IdempotencyKey(ctx context.Context) (key string, ok bool) {
	values := metadata.ValueFromIncomingContext(ctx, resilience.IdempotencyHeader)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

func outgoing(ctx context.Context) context.Context {
	if md, ok := metadata.FromOutgoingContext(ctx); ok && len(md.Get(resilience.IdempotencyHeader)) > 0 {
		return ctx
	}
	resilience.PutIdempotencyKey(ctx, func(name, value string) {
		ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), value)
	})
	return ctx
}

var (
	_ grpc.UnaryClientInterceptor  = Unary
	_ grpc.StreamClientInterceptor = Stream
)
