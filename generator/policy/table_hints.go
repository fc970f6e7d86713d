package policy

// hintKeys are what a user may say about a method for the checks alone.
func hintKeys() []*Key {
	return []*Key{
		{Path: "expectedRate", Type: Number, Since: first, Hint: true, above: true, Range: "> 0",
			Doc: "Hint for checks: the calls a second that are expected.", Example: "expectedRate: 2"},
		{Path: "p99", Type: Duration, Since: first, Hint: true, above: true,
			Doc: "Hint for checks: the latency that one call in a hundred exceeds.", Example: "p99: 400ms"},
		{Path: "upstream", Type: Text, Since: first, Hint: true,
			Doc: "Hint for checks: the peer behind the method, by a name of your own.", Example: "upstream: bank"},
		{Path: "lease", Type: Duration, Since: first, Hint: true, above: true,
			Doc: "Hint for checks: how long the peer recognises a repeated execution.", Example: "lease: 2m"},
	}
}
