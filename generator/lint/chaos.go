package lint

import "fmt"

// muchChaos says that faults may reach users.
func muchChaos(m *Method) string {
	ratio := m.Policy.Float("chaos.injectionRatio")
	switch {
	case m.Policy.Preset() == "production":
		return "chaos in a file with preset production: a binary built with the tag resilience_chaos refuses to start under it"
	case ratio > 0.05:
		return fmt.Sprintf("chaos.injectionRatio %v disturbs more than 5 of 100 attempts", ratio)
	}
	return ""
}
