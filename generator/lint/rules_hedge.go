package lint

var hedgeRules = []Rule{
	{ID: "RG060", Doc: "a method is retried or hedged, not both", Severity: Fact,
		Why:   "Each begins the next attempt after a failure: together they would multiply, and nobody could tell which of the two an attempt belongs to. A hedge is a retry that does not wait for the failure.",
		Fires: Example{Policy: "{methods: {Charge: {idempotent: true, timeout: {attempt: 1s}, retry: {maxAttempts: 2}, hedge: {delay: 50ms}}}}"},
		Holds: Example{Policy: "{methods: {Charge: {idempotent: true, timeout: {attempt: 1s}, retry: {budget: {ratio: 0.1}}, hedge: {delay: 50ms}}}}"}},
	{ID: "RG061", Doc: "what is hedged may run twice", Severity: Judgement, Milder: true,
		Why:   "A hedge executes the method twice at the same time although nothing has failed. What moves money then moves it twice, on an ordinary slow day.",
		Fires: Example{Policy: "{methods: {Charge: {timeout: {attempt: 1s}, hedge: {delay: 50ms}}}}"},
		Holds: Example{Policy: "{methods: {Charge: {idempotent: true, timeout: {attempt: 1s}, hedge: {delay: 50ms}}}}"}},
}
