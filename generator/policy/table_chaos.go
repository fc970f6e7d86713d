package policy

func chaosKeys() []*Key {
	return []*Key{
		{Path: "chaos", Type: Part, Since: first, RunTime: true, Unset: none, GoField: "Chaos.On",
			Doc: "Injects faults, innermost: the other parts see them as if the delegate had made them. They are in a binary only if it is built with the tag `resilience_chaos`; such a binary refuses to start under preset production, unless `resilience.Options.ChaosInProduction` is set.", Example: "chaos: {injectionRatio: 0.01, fault: ErrUnavailable, latency: 2s}"},
		{Path: "chaos.injectionRatio", Type: Number, Since: first, RunTime: true, min: 0, above: true, max: 1, Range: "in (0,1]", def: "0.001", GoField: "Chaos.InjectionRatio",
			Doc: "The share of the attempts that are disturbed.", Example: "injectionRatio: 0.01"},
		{Path: "chaos.fault", Type: Func, Since: first, Unset: none, GoField: "Chaos.Fault",
			Doc: "An error variable: the attempt ends with it, and the delegate is not called.", Example: "fault: ErrUnavailable"},
		{Path: "chaos.latency", Type: Duration, Since: first, RunTime: true, above: true, Unset: none, GoField: "Chaos.Latency",
			Doc: "Goes before the delegate or the fault, until the context of the attempt ends.", Example: "latency: 2s"},
		{Path: "chaos.panic", Type: Bool, Since: first, def: "false", GoField: "Chaos.Panic",
			Doc: "The attempt panics with `resilience.ErrChaos`.", Example: "panic: true"},
		{Path: "chaos.result", Type: Func, Since: first, Unset: none, GoField: "Chaos.Result",
			Doc: "A func of the package that returns the results without the error, `func() T`: what it returns stands for the results of the delegate, which is not called, beside no error. In the place of `fault` and `panic`; not of methods with a hedge or with `timeout.mode: abandon`.", Example: "result: brokenQuote"},
	}
}
