package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

// Problem is why a request was not answered, as application/problem+json says it.
type Problem struct {
	Type   string `json:"type"` // "urn:resilience:" and the code
	Title  string `json:"title"`
	Status int    `json:"status"` // of HTTP
	Detail string `json:"detail,omitempty"`
	Code   Code   `json:"code"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// Is matches the error of package resilience that the problem stands for, where
// there is one.
func (p *Problem) Is(target error) bool {
	for _, c := range causes {
		if c.code == p.Code && c.err == target {
			return true
		}
	}
	return false
}

// Code is the kind of a [Problem].
type Code string

// Codes.
const (
	BadRequest  Code = "badRequest"  // the request cannot be understood
	NotFound    Code = "notFound"    // there is no such thing
	Conflict    Code = "conflict"    // it has changed since it was looked at
	Busy        Code = "busy"        // another process owns the store
	Refused     Code = "refused"     // it needs a confirmation, or may not be done at all
	TooLarge    Code = "tooLarge"    // more than is taken
	Unavailable Code = "unavailable" // the store does not answer now, or there is none
	Internal    Code = "internal"
)

// codes says how each code looks in HTTP.
var codes = map[Code]struct {
	status int
	title  string
}{
	BadRequest:  {http.StatusBadRequest, "the request cannot be understood"},
	NotFound:    {http.StatusNotFound, "not found"},
	Conflict:    {http.StatusConflict, "it has changed meanwhile"},
	Busy:        {http.StatusLocked, "in use by another process"},
	Refused:     {http.StatusForbidden, "refused"},
	TooLarge:    {http.StatusRequestEntityTooLarge, "too large"},
	Unavailable: {http.StatusServiceUnavailable, "not available now"},
	Internal:    {http.StatusInternalServerError, "internal error"},
}

// causes are the errors that have codes of their own; the first that matches
// decides.
var causes = []struct {
	err  error
	code Code
}{
	{resilience.ErrNoLetter, NotFound},
	{resilience.ErrNoJob, NotFound},
	{resilience.ErrNoPattern, NotFound},
	{resilience.ErrNoPlan, Conflict},
	{resilience.ErrPlanApplied, Conflict},
	{resilience.ErrLetterChanged, Conflict},
	{resilience.ErrNotPermitted, Refused},
	{resilience.ErrNeedsEdit, Refused},
	{workflow.ErrRunUnknown, NotFound},
	{resilience.ErrNoCheckpoint, NotFound},
	{workflow.ErrRunID, BadRequest},
	{workflow.ErrRunBusy, Conflict},
	{workflow.ErrRunOver, Conflict},
	{workflow.ErrRunExists, Conflict},
	{workflow.ErrRunInput, Conflict},
	{workflow.ErrGraphChanged, Conflict},
	{resilience.ErrInvalid, BadRequest},
	{resilience.ErrConflict, Conflict},
	{resilience.ErrFenced, Conflict},
	{resilience.ErrBusy, Busy},
	{resilience.ErrTooLarge, TooLarge},
	{resilience.ErrNoStore, Unavailable},
	{resilience.ErrUnavailable, Unavailable},
	{resilience.ErrStoreFull, Unavailable},
	{resilience.ErrClosed, Unavailable},
	{context.DeadlineExceeded, Unavailable},
}

// problem returns a Problem with a detail.
func problem(code Code, format string, args ...any) *Problem {
	c := codes[code]
	return &Problem{Type: "urn:resilience:" + string(code), Title: c.title, Status: c.status, Detail: fmt.Sprintf(format, args...), Code: code}
}

// asProblem returns the Problem that err is, or stands for.
func asProblem(err error) *Problem {
	var p *Problem
	var large *http.MaxBytesError
	var filter *resilience.FilterError
	var state *resilience.LetterStateError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &large):
		return problem(TooLarge, "a body of more than %d bytes", large.Limit)
	case errors.As(err, &filter):
		return problem(BadRequest, "%v", err)
	case errors.As(err, &state):
		return problem(Conflict, "%v", err)
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return problem(c.code, "%v", err)
		}
	}
	return problem(Internal, "%v", err)
}

// write answers with the problem.
func (p *Problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil { // a text and a number: cannot be
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // who does not read it has left
}
