package resilience

import "context"

// KeepOutcome is [DeadLetters.Keep] for a call under ctx whose execution others
// may share: behind checkpoints. Each of them is kept by itself.
func (d *DeadLetters[A]) KeepOutcome(ctx context.Context, o Outcome, args A, err error) error {
	c := o.call(ctx)
	return d.Keep(&c, args, err)
}

// PanickedUnder is [DeadLetters.Panicked] for such a call.
func (d *DeadLetters[A]) PanickedUnder(ctx context.Context, args A, value any) {
	c := Outcome{}.call(ctx)
	d.Panicked(&c, args, value)
}

// call is the call under ctx that ended so: the one that was executed, where there
// is one.
func (o Outcome) call(ctx context.Context) Call {
	if ctx == nil {
		ctx = context.Background()
	}
	if o.failed == nil {
		return Call{plan: o.plan, caller: ctx, kinds: o.kinds, attempts: o.tries}
	}
	c := *o.failed
	if key, ok := IdempotencyKey(c.caller); ok { // the execution's, which a replay is to have
		ctx = WithIdempotencyKey(ctx, key)
	}
	c.caller, c.kinds = ctx, o.kinds
	return c
}

// noted adds to o what a letter of the call wants to know.
func (c *Call) noted(o Outcome) Outcome {
	if c.plan != nil && c.plan.letters && o.err != nil {
		kept := *c
		o.failed = &kept
	}
	return o
}
