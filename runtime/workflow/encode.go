package workflow

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// encode returns a record as JSON. Those of steps, which are most of them, and of
// starts are written here, in a tenth of the time that encoding/json takes; what is rare
// in them is left to it.
func (r *record) encode() ([]byte, error) {
	if !r.isPlain() {
		return json.Marshal(r)
	}
	size := 512
	if r.Start != nil {
		size += len(r.Start.graphText) + len(r.Start.Input.raw)
	} else {
		size += len(r.Step.Value.raw)
	}
	w := recordWriter{b: make([]byte, 0, size)}
	w.b = append(w.b, '{')
	w.int("v", int64(r.V))
	w.text("k", r.Kind)
	w.uint("prev", uint64(r.Prev))
	w.uint("crc", uint64(r.CRC))
	w.text("by", r.By)
	w.time("at", r.At)
	w.uint("snap", uint64(r.Snap))
	w.some("queue", r.Queue)
	if r.Start != nil {
		w.name("start")
		w.start(r.Start)
	} else {
		w.name("step")
		w.step(r.Step)
	}
	if len(r.Taken) > 0 {
		w.any("taken", r.Taken)
	}
	w.uint("inbox", uint64(r.Inbox))
	w.texts("dropped", r.Dropped)
	w.texts("settled", r.Settled)
	w.int("busy", int64(r.Busy))
	if r.End != nil {
		w.name("end")
		w.end(r.End)
	}
	return append(w.b, '}'), w.err
}

// isPlain reports whether r is nothing but a step, or the start of a run that is no
// fork, whose graph is there as text.
func (r *record) isPlain() bool {
	if r.Own != nil || r.Save != nil || r.Migrate != nil || r.Snapshot != nil || r.Refused != nil {
		return false
	}
	switch r.Kind {
	case kindStep:
		return r.Step != nil && r.Start == nil
	case kindStart:
		return r.Start != nil && r.Step == nil && r.Start.graphText != nil && r.Start.Fork == nil && r.Start.State == nil
	}
	return false
}

// recordWriter writes an object member by member. What is zero is left out where the
// record says omitempty.
type recordWriter struct {
	b   []byte
	err error
}

func (w *recordWriter) start(s *startRecord) {
	w.b = append(w.b, '{')
	w.text("id", s.ID)
	w.some("owner", s.Owner)
	w.name("graph")
	w.b = append(w.b, s.graphText...)
	w.value("input", s.Input)
	w.some("priority", s.Priority)
	w.some("perKey", s.PerKey)
	w.some("parent", s.Parent)
	w.b = append(w.b, '}')
}

func (w *recordWriter) end(e *endRecord) {
	w.b = append(w.b, '{')
	w.text("status", string(e.Status))
	w.some("err", e.Err)
	w.some("by", e.By)
	w.text("workflow", e.Workflow)
	w.text("id", e.ID)
	w.time("started", e.Started)
	w.name("steps")
	w.b = strconv.AppendInt(w.b, int64(e.Steps), 10)
	w.int("failures", int64(e.Failures))
	if e.Cost != 0 {
		w.any("cost", e.Cost)
	}
	w.b = append(w.b, '}')
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
	w.some("err", s.Err)
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
	w.some("letter", s.Letter)
	if len(s.Body) > 0 {
		w.any("body", s.Body)
	}
	w.some("signal", s.Signal)
	if len(s.Stages) > 0 {
		w.any("stages", s.Stages)
	}
	w.b = append(w.b, '}')
}

func (w *recordWriter) message(m *message) {
	w.b = append(w.b, '{')
	w.text("id", m.ID)
	w.some("from", m.From)
	w.text("to", m.To)
	w.some("line", m.Line)
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

// some writes a text that is left out where it is empty.
func (w *recordWriter) some(name, text string) {
	if text != "" {
		w.text(name, text)
	}
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
