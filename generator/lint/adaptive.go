package lint

import (
	"fmt"

	"github.com/resilgen/resilgen/generator/policy"
)

// limitsDecrease compares the limits in force, defaults among them, and names
// the first that is more than one above it.
func limitsDecrease(m *Method) string {
	low, high, ok := decreasing(m)
	if !ok {
		return ""
	}
	text := fmt.Sprintf("%s %d is more than %s %d", low.Key.Path, low.V, high.Key.Path, high.V)
	if high.Origin == "default" {
		text += ", the default"
	}
	return text
}

// tooHigh is where the number is that limitsDecrease complains of. A default is
// never more than one above it.
func tooHigh(m *Method) policy.Pos {
	low, _, _ := decreasing(m)
	return low.Pos
}

func decreasing(m *Method) (low, high policy.Value, ok bool) {
	for _, pair := range [][2]string{
		{"adaptive.minLimit", "adaptive.maxLimit"}, // first: the default between them depends on both
		{"adaptive.minLimit", "adaptive.initialLimit"},
		{"adaptive.initialLimit", "adaptive.maxLimit"},
	} {
		low, given := m.Policy.Get(pair[0])
		high, too := m.Policy.Get(pair[1])
		if given && too && low.V.(int) > high.V.(int) {
			return low, high, true
		}
	}
	return policy.Value{}, policy.Value{}, false
}
