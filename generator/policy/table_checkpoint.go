package policy

func checkpointKeys() []*Key {
	return []*Key{
		{Path: "checkpoint", Type: Part, Since: first, Unset: none,
			Doc: "Keeps results of the method durably, by a key: what succeeded once is not done again. Calls that come with one key share an execution. It needs a Runtime with a store.", Example: "checkpoint: {key: \"req.ID\"}"},
		{Path: "checkpoint.key", Type: Expression, Since: first,
			Doc: "What names the work that is not to be done twice: a Go expression over the parameters, of a string type. The same key with other arguments is an error.", Example: "key: \"req.ID\""},
		{Path: "checkpoint.ttl", Type: Duration, Since: first, above: true, def: "24h", Unset: none, NoneIs: true,
			Doc: "How long a result answers; `none`: for ever.", Example: "ttl: 168h"},
		{Path: "checkpoint.onMismatch", Type: Enum, Since: first, def: "refuse",
			Doc: "What happens where a kept result is of a type that has changed since and no `resilience.Upcast` knows how, or is damaged.", Example: "onMismatch: recompute",
			Values: []EnumValue{
				{Name: "refuse", GoConst: "Refuse", Doc: "the call fails with a `*resilience.CheckpointError`, and the method is not called"},
				{Name: "recompute", GoConst: "Recompute", Doc: "the method is called, and its result replaces the kept one"},
			}},
	}
}
