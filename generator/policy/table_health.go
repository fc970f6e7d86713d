package policy

// healthKeys make a guard a component of the service's health. They are no
// part: they do nothing to a call.
func healthKeys() []*Key {
	return []*Key{
		{Path: "health", Type: Section, Since: first, Unset: none,
			Doc: "Makes the method's guard a component of `rt.Health()`, see health.md.", Example: "health: {register: true}"},
		{Path: "health.register", Type: Bool, Since: first, Default: "false", GoField: "Health.Register",
			needs: []need{{path: "circuitBreaker"}},
			Doc:   "Whether the guard is a component: degraded while its breaker is open or half-open.", Example: "register: true"},
		{Path: "health.failOn", Type: Enum, Since: first, def: "none", GoField: "Health.FailOn",
			needs: []need{{path: "health.register", values: []string{"true"}}},
			Doc:   "What makes the component fail, and with it the readiness of the service.", Example: "failOn: open",
			Values: []EnumValue{
				{Name: "none", GoConst: "FailNever", Doc: "nothing: a peer that is down makes the service warn, and leaves it in traffic"},
				{Name: "open", GoConst: "FailOpen", Doc: "an open breaker: the service cannot do anything without this peer"},
			}},
	}
}
