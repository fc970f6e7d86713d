package resilience

import (
	"context"
	"log/slog"
)

// LogHandler returns an observer (see [Options.Observe]) that writes each event
// to l, or to slog.Default if l is nil: at level Warn a call that gave up, a
// breaker that leaves the closed state, a component that gets worse, an override
// that is refused, a checkpoint that is refused or not kept, at Info what else breakers, components and operators
// do and fallbacks, at Debug the rest. Attributes are left out where the field is
// zero.
func LogHandler(l *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		to := l
		if to == nil {
			to = slog.Default()
		}
		if h, level := to.Handler(), e.level(); h.Enabled(ctx, level) {
			r := slog.NewRecord(e.Time, level, e.Kind.String(), 0)
			e.attributes(func(a slog.Attr) { r.AddAttrs(a) })
			_ = h.Handle(ctx, r) // as slog.Logger does: there is nobody to tell
		}
	}
}

func (e *Event) level() slog.Level {
	switch {
	case e.Kind == LetterLost, e.Kind == RunPaused && e.Reason == "failed":
		return slog.LevelError
	case e.Kind == GaveUp, e.Kind == BreakerTransition && e.From == StateClosed, e.Kind == OverrideRefused, e.worse() && !e.Quiet,
		e.Kind == CheckpointNotKept, e.Kind == CheckpointRefused, e.Kind == LetterKept, e.Kind == LetterDropped, e.Kind == PatternChanged,
		e.Kind == StepFailed, e.Kind == MessageNoted && e.Err != nil, e.Kind == RunPaused && (e.Err != nil || e.Reason == "parked"), e.Kind == RunEnded && e.Reason != "completed":
		return slog.LevelWarn
	case e.Kind == LimitChanged, e.Kind == AttemptFailed, e.Kind == RetryScheduled, e.Kind == Rejected, e.Kind == HedgeStarted, e.Kind == HedgeWon,
		e.Kind == CheckpointUsed, e.Kind == CheckpointKept, e.Kind == StepDone, e.Kind == MessageNoted:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// worse reports whether a component got worse, or began to flap.
func (e *Event) worse() bool {
	bad := e.HealthTo == Degraded || e.HealthTo == Unhealthy || e.HealthTo == Unknown
	return e.Kind == HealthChanged && (e.Flapping || bad && e.HealthTo > e.HealthFrom)
}

// attributes calls add with each field that is given.
func (e *Event) attributes(add func(slog.Attr)) {
	text := func(key, value string) {
		if value != "" {
			add(slog.String(key, value))
		}
	}
	number := func(key string, value int) {
		if value != 0 {
			add(slog.Int(key, value))
		}
	}
	text("name", e.Name)
	number("attempt", e.Attempt)
	if e.Elapsed != 0 {
		add(slog.Duration("elapsed", e.Elapsed))
	}
	if e.Kind == RetryScheduled || e.Delay != 0 {
		add(slog.Duration("delay", e.Delay))
	}
	text("by", e.By)
	text("reason", e.Reason)
	if e.From != 0 {
		text("from", e.From.String())
		text("to", e.To.String())
	}
	if e.Kind == HealthChanged {
		text("from", e.HealthFrom.String())
		text("to", e.HealthTo.String())
	}
	number("from", e.LimitFrom)
	number("to", e.LimitTo)
	text("key", e.Key)
	text("value", e.Value)
	number("calls", e.Counts.Calls)
	number("failures", e.Counts.Failures)
	number("slow", e.Counts.Slow)
	number("consecutive", e.Counts.Consecutive)
	if e.Shadow {
		add(slog.Bool("shadow", true))
	}
	if e.Flapping {
		add(slog.Bool("flapping", true))
	}
	if e.Err != nil {
		text("error", e.Err.Error())
	}
}
