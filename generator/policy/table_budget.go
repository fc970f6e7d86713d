package policy

func budgetKeys() []*Key {
	return []*Key{
		{Path: "retry.budget", Type: Section, Since: first, RunTime: true, Unset: none, noneKey: "ratio=none", GoField: "Budget.On",
			Doc:     "Limits the calls in flight that are repeated; a retry beyond it ends the call with ErrBudgetExhausted. `true` takes every default.",
			Example: "budget: {ratio: 0.1}"},
		{Path: "retry.budget.name", Type: Text, Since: first, Unset: none, GoField: "Budget.Name",
			Doc: "Shares the budget with every budget of this name in the Runtime. Without it the budget is the method's.", Example: "name: payments"},
		{Path: "retry.budget.ratio", Type: Number, Since: first, RunTime: true, above: true, max: 1, Range: "in (0,1]", def: "0.2", Unset: none, NoneIs: true, GoField: "Budget.Ratio",
			Doc: "The share of the calls in flight that may be at a retry or a hedge, or wait for a retry.", Example: "ratio: 0.1"},
		{Path: "retry.budget.minConcurrency", Type: Int, Since: first, RunTime: true, def: "3", GoField: "Budget.MinConcurrency",
			Doc: "Calls that may be repeated at a time whatever `ratio` says.", Example: "minConcurrency: 10"},
	}
}

// inBudget reports whether the key belongs to the budget, which is the method's:
// a hedge draws from it, too.
func inBudget(path string) bool { return path == "retry.budget" || below(path, "retry.budget") }

// mayRepeat reports whether there is something that a budget limits.
func (e *Effective) mayRepeat() bool { return e.Has("retry") || e.Has("hedge") }

// lendsBudget reports whether retry says nothing but a budget, and that is for
// the hedge beside it.
func (e *Effective) lendsBudget() bool {
	_, budget := e.values["retry.budget"]
	if hedge, ok := e.values["hedge"]; !budget || !ok || hedge.None { // one that was left out made no retry of it
		return false
	}
	for path := range e.values {
		if below(path, "retry") && !inBudget(path) {
			return false
		}
	}
	return true
}

// Budgeted reports whether a budget is in force: one was given, or the preset
// brings it.
func (e *Effective) Budgeted() bool {
	if ratio, ok := e.values["retry.budget.ratio"]; ok && ratio.None || !e.mayRepeat() {
		return false
	}
	_, preset := presets()[e.file.Preset]["retry.budget.ratio"]
	_, given := e.values["retry.budget"]
	return given || preset
}
