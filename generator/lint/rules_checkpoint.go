package lint

var checkpointRules = []Rule{
	{ID: "RG078", Doc: "a checkpoint can hold the result", Severity: Fact,
		Why:   "A checkpoint is written as JSON and read by another process, perhaps by another version. What JSON loses is gone from the answer of every call but the first, and what it cannot write is done again with each call: so a result that it does not bring back as it was is refused, with the way to what would be lost. A type that has MarshalJSON and UnmarshalJSON decides for itself.",
		Fires: Example{Policy: "{timeout: {total: 1s}, checkpoint: {key: id}}", Go: "import \"context\"\n\ntype Quote struct {\n\tPrice int\n\tnote  string\n}\n\ntype Gateway interface {\n\tQuote(ctx context.Context, id string) (Quote, error)\n}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, checkpoint: {key: id}}", Go: "import \"context\"\n\ntype Quote struct{ Price int }\n\ntype Gateway interface {\n\tQuote(ctx context.Context, id string) (Quote, error)\n}"}},
	{ID: "RG079", Doc: "a method records results or keeps failed calls, not both", Severity: Fact,
		Why:   "Calls with one key share the execution that a checkpoint is of, and a failed execution would be kept once for each of them, or for none. Whoever calls again under the key of a checkpoint has what a replay would do.",
		Fires: Example{Policy: "{timeout: {total: 1s}, idempotent: true, checkpoint: {key: id}, deadLetter: {overflow: reject}}", Go: "import \"context\"\n\ntype Gateway interface {\n\tQuote(ctx context.Context, id string) (int, error)\n}"},
		Holds: Example{Policy: "{timeout: {total: 1s}, idempotent: true, checkpoint: {key: id}}", Go: "import \"context\"\n\ntype Gateway interface {\n\tQuote(ctx context.Context, id string) (int, error)\n}"}},
}
