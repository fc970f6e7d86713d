package resilience

import "testing"

// TestManyVariablesOfOthers: what two mistakes may make of one of ours is still
// found among them.
func TestManyVariablesOfOthers(t *testing.T) {
	for name, ours := range map[string]bool{
		"RESILIENCE_ENABLD": true, "RESILIENC_ENABLED": true, "ESILIENCE_ENABLED": true, "RESLIENSE_ENABLED": true, "RE_SI_LI_ENCE_ENABLED": true,
		"SILENCE_ENABLED": false, "RELIENCE_ENABLED": true, "HOME": false, "RESILIENCE_SERVICE_HOST": false,
	} {
		rt := &Runtime{enabled: map[string]bool{}}
		if err := rt.readEnvironment([]string{name + "=1"}); (err != nil) != ours {
			t.Errorf("%s: %v", name, err)
		}
	}
}
