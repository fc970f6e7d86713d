package workflow

import (
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// TestRecordsWithHoles are refused where they are read.
func TestRecordsWithHoles(t *testing.T) {
	start := `{"v":1,"k":"start","by":"x","at":"2026-01-01T00:00:00Z","start":{"id":"r","graph":{"workflow":"example.com/p.Research","fingerprint":"f0","entry":"A"},"input":"in"`
	snap := `{"v":1,"k":"snapshot","by":"x","at":"2026-01-01T00:00:00Z","snapshot":{"id":"r","status":"running","token":"x","graph":{"workflow":"example.com/p.Research","fingerprint":"f0","entry":"A"}`
	for name, body := range map[string]string{
		"fork, message":     start + `,"state":{"status":"running","pending":{"x":null}}}}`,
		"pending":           snap + `,"pending":{"x":null}}}`,
		"again":             snap + `,"again":{"x":null}}}`,
		"again, no message": snap + `,"again":{"x":{"node":"A"}}}}`,
		"again, null":       snap + `,"again":{"x":{"node":"A","messages":[null]}}}}`,
		"letters":           snap + `,"letters":{"x":null}}}`,
		"discarded":         snap + `,"discarded":{"x":null}}}`,
		"outputs":           snap + `,"outputs":[null]}}`,
		"owed":              snap + `,"owed":{"x":null}}}`,
		"no graph":          `{"v":1,"k":"snapshot","by":"x","at":"2026-01-01T00:00:00Z","snapshot":{"id":"r","status":"running"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			stores := resilience.MemoryStores()
			e := opened(t, &stores, graph(says("A", end)))
			if _, err := stores.Log.Append(t.Context(), e.e.g.runKey("r"), 0, []byte(body)); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Resume(t.Context(), "r"); err == nil {
				t.Error("it was believed")
			}
		})
	}
	if _, err := decodeRecord([]byte(`{"v":1,"k":"step","by":"x","at":"2026-01-01T00:00:00Z","step":{"node":"A","message":"0","sends":[null]}}`)); err == nil {
		t.Error("a step that sends nothing was believed")
	}
}
