package lint

import "fmt"

// limitsDecrease compares the limits that were given, each with those above it.
func limitsDecrease(m *Method) string {
	keys := []string{"adaptive.minLimit", "adaptive.initialLimit", "adaptive.maxLimit"}
	for i, low := range keys {
		for _, high := range keys[i+1:] {
			a, given := m.Policy.Given(low)
			b, too := m.Policy.Given(high)
			if given && too && a.V.(int) > b.V.(int) {
				return fmt.Sprintf("%s %d is more than %s %d", low, a.V, high, b.V)
			}
		}
	}
	return ""
}
