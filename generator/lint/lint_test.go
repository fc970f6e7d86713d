package lint

import (
	"slices"
	"testing"

	"github.com/resilgen/resilgen/generator/policy"
)

// A part that acts on errors must be refused where there are none.
func TestEveryPartNeedsAnErrorResult(t *testing.T) {
	for _, part := range policy.Parts() {
		if !slices.ContainsFunc(Checks(), func(c Check) bool { return c.ID == "RG080" && c.Part == part }) {
			t.Errorf("no check RG080 for %s", part)
		}
	}
	for _, c := range Checks() {
		if !slices.Contains(policy.Parts(), c.Part) {
			t.Errorf("%s is about %q, which is no part", c.ID, c.Part)
		}
		if c.Shape && !c.Error {
			t.Errorf("%s: what cannot act is an error", c.ID)
		}
	}
}
