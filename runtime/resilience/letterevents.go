package resilience

import (
	"context"
	"fmt"
	"os"
	"time"
)

// tell tells of a letter or of a pattern, when no lock is held.
func (b *LetterBox) tell(ctx context.Context, e Event) {
	if b.news != nil {
		e.Time = time.Now()
		b.news.add(ctx, e)
	}
}

// tellPattern tells what became of a pattern. Whoever holds b.mu has it told by
// b.news.tell.
func (b *LetterBox) tellPattern(ctx context.Context, s *LetterSummary, n patternNews) {
	if n.id != "" {
		b.tell(ctx, Event{Kind: PatternChanged, Name: s.method(), Reason: n.reason, Key: n.id, Value: s.Queue})
	}
}

func (b *LetterBox) tellDropped(ctx context.Context, d doomed) {
	b.tell(ctx, Event{Kind: LetterDropped, Name: d.method(), Reason: d.why, Key: d.ID, Value: d.Queue})
}

// method is the full name of the method of a letter.
func (s *LetterSummary) method() string {
	if s.Method == "" {
		return s.Queue
	}
	_, iface := splitPath(s.Interface)
	return iface + "." + s.Method + s.Instance
}

// lose is the end of a letter that the store did not take: the program is told,
// and the operator in one line without anything of the call in it.
func (b *LetterBox) lose(ctx context.Context, method string, l *Letter, err error) {
	b.mu.Lock()
	b.lost++
	b.lostAt = time.Now()
	b.mu.Unlock()
	if b.o.OnLost != nil {
		ask(func() bool { b.o.OnLost(*l, err); return true })
	}
	if more, ok := b.prints(l.Queue, time.Now()); ok {
		s := b.scrubber
		fmt.Fprintf(os.Stderr, "resilience: letter lost: id=%s queue=%q method=%q reason=%s pattern=%s: %q%s\n",
			l.ID, l.Queue, method, l.Reason, l.Group, s.text(message(err)), more)
	}
	b.tell(ctx, Event{Kind: LetterLost, Name: method, Reason: string(l.Reason), Key: l.ID, Value: l.Queue, Err: err})
	b.news.tell()
}

// lossLine is what was printed of the lost letters of a queue.
type lossLine struct {
	at     time.Time // the last line
	silent int       // letters since then
}

// prints reports whether the loss of a letter is printed, which is done once a second
// for each queue, and returns what the line says of those before it.
func (b *LetterBox) prints(queue string, now time.Time) (more string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	line := b.losses[queue]
	switch {
	case line == nil:
		if b.losses == nil {
			b.losses = map[string]*lossLine{}
		}
		line = &lossLine{}
		b.losses[queue] = line
	case now.Sub(line.at) < time.Second:
		line.silent++
		return "", false
	}
	if line.silent > 0 {
		more = fmt.Sprintf(" (and %d others since the line before)", line.silent)
	}
	line.at, line.silent = now, 0
	return more, true
}

// LetterStats are the letters of a Runtime, counted.
type LetterStats struct {
	Queues   []LetterQueueStats `json:"queues"` // by name
	Patterns int                `json:"patterns"`
	Lost     int64              `json:"lost"` // letters that could not be kept, since the process began
}

// LetterQueueStats are the letters of a queue.
type LetterQueueStats struct {
	Name    string              `json:"name"`
	Letters int                 `json:"letters"`
	Open    int                 `json:"open"` // that wait for somebody
	States  map[LetterState]int `json:"states"`
	Bytes   int64               `json:"bytes"`
	Oldest  time.Time           `json:"oldest,omitzero"` // when the oldest open one died
	// Dropped are letters that are gone, by why: maxAge, keepReplayed, maxCount,
	// maxBytes, erased.
	Dropped  map[string]int64 `json:"dropped,omitempty"`
	MaxCount int              `json:"maxCount,omitempty"` // 0: no method of this process says so; -1: none
	MaxBytes int64            `json:"maxBytes,omitempty"`
}
