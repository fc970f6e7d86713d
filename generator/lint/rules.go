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
}

// Rules returns every check there is, sorted by number.
func Rules() []Rule {
	list := slices.Clone(elsewhere)
	for _, c := range checks {
		r := Rule{c.ID, c.Doc, Warning}
		if c.Error {
			r.Severity = Fact
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
	{"RG010", "there is at least one attempt", Fact},
	{"RG011", "what is retried may run twice", Judgement},
	{"RG020", "a rate is percent", Fact},
	{"RG040", "a fallback has the signature of its method", Fact},
	{"RG047", "a second implementation does not do the work twice", Judgement},
	{"RG090", "every key is known", Fact},
	{"RG091", "every entry has an interface and methods", Fact},
	{"RG092", "every name resolves to what it is used as", Fact},
	{"RG093", "a list that replaces another is meant to", Warning},
	{"RG094", "policies exist and do not go in circles", Fact},
	{"RG095", "durations have a unit", Fact},
	{"RG098", "every policy is used", Warning},
}
