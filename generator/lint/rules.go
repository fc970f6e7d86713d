package lint

import "slices"

// Severity says what a finding does to a run.
type Severity int

// Severities.
const (
	// Fact is an error that nothing silences: what was asked for cannot work.
	Fact Severity = iota
	// Judgement is an error about what may be right for reasons that only the
	// author knows: a lint key silences it, -lint=warn makes it a warning.
	Judgement
	// Warning is printed; a lint key silences it.
	Warning
)

// Rule is a check by its number, wherever it is made.
type Rule struct {
	ID, Doc  string
	Severity Severity
	// Milder says that some of its findings are warnings only.
	Milder bool
}

// Rules returns every check there is, sorted by number.
func Rules() []Rule {
	list := slices.Clone(elsewhere)
	for _, c := range checks {
		r := Rule{ID: c.ID, Doc: c.Doc, Severity: Warning}
		if c.Error {
			r.Severity = Fact
			r.Milder = slices.ContainsFunc(checks, func(other Check) bool { return other.ID == c.ID && !other.Error })
		}
		if !slices.ContainsFunc(list, func(other Rule) bool { return other.ID == c.ID }) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b Rule) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return list
}

// Lookup returns the rule with the number.
func Lookup(id string) (Rule, bool) {
	for _, r := range Rules() {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}

// elsewhere are the checks that need more than a method and its policy.
var elsewhere = []Rule{
	{ID: "RG010", Doc: "there is at least one attempt", Severity: Fact},
	{ID: "RG011", Doc: "what is retried may run twice", Severity: Judgement},
	{ID: "RG020", Doc: "a rate is percent", Severity: Fact},
	{ID: "RG040", Doc: "a fallback has the signature of its method", Severity: Fact},
	{ID: "RG047", Doc: "a second implementation does not do the work twice", Severity: Judgement},
	{ID: "RG090", Doc: "every key is known", Severity: Fact},
	{ID: "RG091", Doc: "every entry has an interface and methods", Severity: Fact},
	{ID: "RG092", Doc: "every name resolves to what it is used as", Severity: Fact},
	{ID: "RG093", Doc: "a list that replaces another is meant to", Severity: Warning},
	{ID: "RG094", Doc: "policies exist and do not go in circles", Severity: Fact},
	{ID: "RG095", Doc: "durations have a unit", Severity: Fact},
	{ID: "RG098", Doc: "every policy is used", Severity: Warning},
}
