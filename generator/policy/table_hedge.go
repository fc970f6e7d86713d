package policy

func hedgeKeys() []*Key {
	return []*Key{
		{Path: "hedge", Type: Part, Since: first, RunTime: true, Unset: none, GoField: "Hedge.On",
			Doc: "Starts another attempt while the one before has not answered. `true` takes every default. Not together with `retry`.", Example: "hedge: {maxHedges: 1, delay: 50ms}"},
		{Path: "hedge.maxHedges", Type: Int, Since: first, RunTime: true, min: 1, max: 100, def: "1", GoField: "Hedge.MaxHedges",
			Doc: "Attempts beside the first one.", Example: "maxHedges: 2"},
		{Path: "hedge.delay", Type: Duration, Since: first, RunTime: true, Unset: none, GoField: "Hedge.Delay",
			Doc: "How long the attempt before has. At 0 all begin at once. It replaces `percentile`.", Example: "delay: 50ms"},
		{Path: "hedge.percentile", Type: Percent, Since: first, RunTime: true, def: "95", GoField: "Hedge.Percentile",
			Doc: "The attempt before has as long as so many percent of the latest successes took.", Example: "percentile: 99"},
		{Path: "hedge.warmup", Type: Int, Since: first, RunTime: true, min: 1, max: 1_000_000, def: "100", GoField: "Hedge.Warmup",
			Doc: "Successes that are waited for before the first hedge by `percentile`.", Example: "warmup: 1000"},
	}
}

// byPercentile reports whether the key says when to hedge by what calls took,
// which a delay replaces.
func byPercentile(path string) bool { return path == "hedge.percentile" || path == "hedge.warmup" }
