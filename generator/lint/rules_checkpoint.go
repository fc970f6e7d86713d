package lint

var checkpointRules = []Rule{
	{ID: "RG078", Doc: "a checkpoint can hold the result", Severity: Fact,
		Why:   "A checkpoint is written as JSON and read by another process, perhaps by another version. What JSON loses is gone from the answer of every call but the first, and what it cannot write is done again with each call: so a result that it does not bring back as it was is refused, with the way to what would be lost. A type that has MarshalJSON and UnmarshalJSON decides for itself.",
		Fires: Example{Policy: "{timeout: {total: 1s}, checkpoint: {key: id}}", Go: "import \"context\"\n\ntype Quote struct {\n\tPrice int\n\tnote  string\n}\n\ntype Gateway interface {\n\tQuote(ctx context.Context, id string) (Quote, error)\n}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, checkpoint: {key: id}}", Go: "import \"context\"\n\ntype Quote struct{ Price int }\n\ntype Gateway interface {\n\tQuote(ctx context.Context, id string) (Quote, error)\n}"}},
}
