// Package status stands for gRPC's: the generated code needs no more of it.
package status

// Code is the code of a status.
type Code uint32

// Status is what a call ended with.
type Status struct{ code Code }

// New returns a status of that code.
func New(code Code) *Status { return &Status{code} }

// Code returns the code.
func (s *Status) Code() Code { return s.code }
