package lint

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

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
	// Info is printed by resilgen lint; a lint key silences it, and nothing
	// fails for it.
	Info
)

// String says what the severity means for a run.
func (s Severity) String() string {
	return [...]string{"error", "error of judgement", "warning", "info"}[s]
}

// Rule is a check by its number, wherever it is made.
type Rule struct {
	ID string
	// Doc says what holds where the rule finds nothing.
	Doc      string
	Severity Severity
	// Milder says that some of its findings are warnings only.
	Milder bool
	// Command is the verb that looks for it, "" if generate and lint do.
	Command string
	// Why says what it costs to do otherwise.
	Why string
	// Fires is an example that the rule complains of, Holds one that it does
	// not.
	Fires, Holds Example
}

// Example is a policy and the Go code beside it.
type Example struct {
	// Policy is what stands below interfaces.Gateway, in braces, or else a
	// policy file without its first line.
	Policy string
	// Go is the package; "" is one with the interface Gateway and its method
	// Charge(ctx context.Context, id string) (int, error).
	Go string
	// Overrides is an overrides file without its first line, "" for none.
	Overrides string
}

// YAML returns the policy as a file.
func (e Example) YAML() string {
	if strings.HasPrefix(e.Policy, "{") {
		return "version: 1\ninterfaces:\n  Gateway: " + e.Policy + "\n"
	}
	return "version: 1\n" + strings.TrimSpace(e.Policy) + "\n"
}

// Source returns the Go file.
func (e Example) Source() string {
	text := strings.TrimSpace(e.Go)
	if text == "" {
		text = "import \"context\"\n\ntype Gateway interface {\n\tCharge(ctx context.Context, id string) (int, error)\n}"
	}
	return "package p\n\n" + text + "\n"
}

// Rules returns every check there is, sorted by number.
func Rules() []Rule { return slices.Clone(sorted()) }

var sorted = sync.OnceValue(func() []Rule {
	list := slices.Concat(timeRules, retryRules, breakerRules, sharingRules, fallbackRules, orderRules, limitRules, hedgeRules, deadLetterRules, checkpointRules, signatureRules, fileRules, workflowRules)
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return list
})

// Lookup returns the rule with the number.
func Lookup(id string) (Rule, bool) {
	i, found := slices.BinarySearchFunc(sorted(), id, func(r Rule, id string) int { return cmp.Compare(r.ID, id) })
	if !found {
		return Rule{}, false
	}
	return sorted()[i], true
}
