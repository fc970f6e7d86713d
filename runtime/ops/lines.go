package ops

import (
	"encoding/json"
	"net/http"
	"time"
)

// lines answers with JSON Lines.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration // for the client to take a line
	begun   bool
}

// streamTo serves a route that streams. An error before the first line is a
// problem; one after it is the last line, under the name "problem".
func (route *Route) streamTo(w http.ResponseWriter, r *request) {
	out := newLines(w, writeTime)
	err := safely(func() error { return route.stream(r, out) })
	switch {
	case err == nil:
		out.begin()
	case out.begun:
		_ = out.send(map[string]*Problem{"problem": asProblem(err)}) // who does not read it has left
	default:
		asProblem(err).write(w)
	}
}

func newLines(w http.ResponseWriter, limit time.Duration) *lines {
	return &lines{w: w, control: http.NewResponseController(w), limit: limit}
}

func (l *lines) begin() {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/jsonl")
		l.w.WriteHeader(http.StatusOK)
	}
}

// send writes v as a line. A client that does not take it in time is cut off.
func (l *lines) send(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	l.begin()
	_ = l.control.SetWriteDeadline(time.Now().Add(l.limit)) // a recorder in memory has none
	_, err = l.w.Write(append(body, '\n'))
	return err
}
