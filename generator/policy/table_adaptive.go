package policy

func adaptiveKeys() []*Key {
	throttles := []need{{path: "adaptive.mode", values: []string{"throttle"}}}
	steers := []need{{path: "adaptive.mode", values: []string{"concurrency"}}}
	return []*Key{
		{Path: "adaptive", Type: Part, Since: first, RunTime: true, Unset: none, GoField: "Adaptive.On",
			Doc: "Rejects calls by what it observes of the peer. `true` takes every default.", Example: "adaptive: {mode: concurrency, maxLimit: 200}"},
		{Path: "adaptive.mode", Type: Enum, Since: first, GoField: "Adaptive.Mode", def: "throttle",
			Doc: "What it goes by.", Example: "mode: concurrency",
			Values: []EnumValue{
				{Name: "throttle", GoConst: "Throttle", Doc: "the share of attempts that the peer accepts; a rejection matches ErrRateLimited"},
				{Name: "concurrency", GoConst: "Concurrency", Doc: "the latency of the peer, which moves a limit of the attempts in flight; a rejection matches ErrBulkheadFull"},
			}},
		{Path: "adaptive.k", Type: Number, Since: first, RunTime: true, min: 1, def: "2", GoField: "Adaptive.K", needs: throttles,
			Doc: "How many attempts there may be for each that is accepted. Less rejects sooner.", Example: "k: 1.5"},
		{Path: "adaptive.window", Type: Duration, Since: first, RunTime: true, above: true, min: 1e6 - 1, Range: "≥ 1ms", def: "2m", GoField: "Adaptive.Window", needs: throttles,
			Doc: "How long attempts are remembered, with a slack of a thirtieth.", Example: "window: 30s"},
		{Path: "adaptive.maxRejectionRatio", Type: Number, Since: first, RunTime: true, above: true, max: 1, Range: "in (0,1]", def: "0.9", GoField: "Adaptive.MaxRejectionRatio", needs: throttles,
			Doc: "The largest share that is rejected: the rest finds out when the peer is well again.", Example: "maxRejectionRatio: 0.95"},
		{Path: "adaptive.algorithm", Type: Enum, Since: first, GoField: "Adaptive.Algorithm", def: "gradient", needs: steers,
			Doc: "How the limit is moved.", Example: "algorithm: vegas",
			Values: []EnumValue{
				{Name: "gradient", GoConst: "Gradient", Doc: "in proportion to the least latency over that of now"},
				{Name: "vegas", GoConst: "Vegas", Doc: "so that a short queue stays at the peer, estimated from the two; it leaves less of one"},
			}},
		{Path: "adaptive.initialLimit", Type: Int, Since: first, RunTime: true, min: 1, max: 1_000_000, def: "20", Default: "20, or the nearest that minLimit and maxLimit allow", GoField: "Adaptive.InitialLimit", needs: steers,
			Doc: "The limit at first.", Example: "initialLimit: 50"},
		{Path: "adaptive.minLimit", Type: Int, Since: first, RunTime: true, min: 1, max: 1_000_000, def: "1", GoField: "Adaptive.MinLimit", needs: steers,
			Doc: "The limit is never less.", Example: "minLimit: 5"},
		{Path: "adaptive.maxLimit", Type: Int, Since: first, RunTime: true, min: 1, max: 1_000_000, def: "1000", GoField: "Adaptive.MaxLimit", needs: steers,
			Doc: "The limit is never more.", Example: "maxLimit: 200"},
	}
}
