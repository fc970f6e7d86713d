// Package grpc has the case of a package that imports gRPC, for which the
// generated code looks for status codes.
package grpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc/status"
)

// Service is a client of gRPC.
type Service interface {
	Do(ctx context.Context) (int, error)
}

// Error is a status as an error.
type Error status.Code

// Codes of gRPC.
const (
	PermissionDenied Error = 7
	Unavailable      Error = 14
)

// Error returns the number of the code.
func (e Error) Error() string { return fmt.Sprintf("code %d", uint32(e)) }

// GRPCStatus is how errors of gRPC tell their status.
func (e Error) GRPCStatus() *status.Status { return status.New(status.Code(e)) }
