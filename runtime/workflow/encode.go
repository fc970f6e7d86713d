package workflow

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// encode returns a record as JSON. Those of steps, which are most of them, are written
// here, in a tenth of the time that encoding/json takes; what is rare in them is left
// to it.
func (r *record) encode() ([]byte, error) {
	if r.Kind != kindStep || r.Start != nil || r.Own != nil || r.Save != nil || r.Migrate != nil || r.Snapshot != nil {
		return json.Marshal(r)
	}
	w := recordWriter{b: make([]byte, 0, 512+len(r.Step.Value.raw))}
	w.b = append(w.b, '{')
	w.int("v", int64(r.V))
	w.text("k", r.Kind)
	w.uint("prev", uint64(r.Prev))
	w.uint("crc", uint64(r.CRC))
	w.text("by", r.By)
	w.time("at", r.At)
	w.uint("snap", uint64(r.Snap))
	if r.Queue != "" {
		w.text("queue", r.Queue)
	}
	w.name("step")
	w.step(r.Step)
	if len(r.Taken) > 0 {
		w.any("taken", r.Taken)
	}
	w.uint("inbox", uint64(r.Inbox))
	w.texts("dropped", r.Dropped)
	w.texts("settled", r.Settled)
	w.int("busy", int64(r.Busy))
	if r.End != nil {
		w.any("end", r.End)
	}
	return append(w.b, '}'), w.err
}

// recordWriter writes an object member by member. What is zero is left out where the
// record says omitempty.
type recordWriter struct {
	b   []byte
	err error
}

func (w *recordWriter) step(s *stepRecord) {
	w.b = append(w.b, '{')
	w.text("node", s.Node)
	w.text("message", s.Message)
	w.int("attempts", int64(s.Attempts))
	w.time("started", s.Started)
	w.name("duration")
	w.b = strconv.AppendInt(w.b, int64(s.Duration), 10)
	w.text("outcome", s.Outcome)
	if s.Cost != 0 {
		w.any("cost", s.Cost)
	}
	if s.Err != "" {
		w.text("err", s.Err)
	}
	w.texts("consumed", s.Consumed)
	w.flag("join", s.Join)
	w.flag("again", s.Again)
	w.value("value", s.Value)
	if len(s.Sends) > 0 {
		w.name("sends")
		w.b = append(w.b, '[')
		for i, m := range s.Sends {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.message(m)
		}
		w.b = append(w.b, ']')
	}
	if len(s.Memory) > 0 {
		w.any("memory", s.Memory)
	}
	w.texts("forgot", s.Forgot)
	if s.Letter != "" {
		w.text("letter", s.Letter)
	}
	if len(s.Body) > 0 {
		w.any("body", s.Body)
	}
	if s.Signal != "" {
		w.text("signal", s.Signal)
	}
	w.b = append(w.b, '}')
}

func (w *recordWriter) message(m *message) {
	w.b = append(w.b, '{')
	w.text("id", m.ID)
	if m.From != "" {
		w.text("from", m.From)
	}
	w.text("to", m.To)
	if m.Line != "" {
		w.text("line", m.Line)
	}
	w.int("depth", int64(m.Depth))
	if !m.Due.IsZero() {
		w.time("due", m.Due)
	}
	w.value("value", m.Value)
	if !m.At.IsZero() {
		w.time("at", m.At)
	}
	w.uint("seq", m.Seq)
	w.b = append(w.b, '}')
}

// name begins a member.
func (w *recordWriter) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *recordWriter) int(name string, n int64) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

func (w *recordWriter) uint(name string, n uint64) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendUint(w.b, n, 10)
	}
}

func (w *recordWriter) flag(name string, on bool) {
	if on {
		w.name(name)
		w.b = append(w.b, "true"...)
	}
}

func (w *recordWriter) text(name, text string) {
	w.name(name)
	w.quote(text)
}

func (w *recordWriter) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.name(name)
	w.b = append(w.b, '[')
	for i, text := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.quote(text)
	}
	w.b = append(w.b, ']')
}

// quote writes a string; encoding/json does where it needs escapes.
func (w *recordWriter) quote(text string) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			w.marshal(text)
			return
		}
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, text...)
	w.b = append(w.b, '"')
}

func (w *recordWriter) time(name string, t time.Time) {
	w.name(name)
	w.b = append(w.b, '"')
	w.b = t.AppendFormat(w.b, time.RFC3339Nano)
	w.b = append(w.b, '"')
}

func (w *recordWriter) value(name string, v Value) {
	switch {
	case v.IsZero():
	case v.raw != nil:
		w.name(name)
		w.b = append(w.b, v.raw...)
	default:
		w.any(name, v)
	}
}

func (w *recordWriter) any(name string, v any) {
	w.name(name)
	w.marshal(v)
}

func (w *recordWriter) marshal(v any) {
	text, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = err
	}
	w.b = append(w.b, text...)
}
