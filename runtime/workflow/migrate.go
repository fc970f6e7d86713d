package workflow

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Moves map runs of an older graph to the present one, where that cannot be known:
// see [Migrate]. Values that have changed their type are better mapped by
// [resilience.Upcast].
type Moves struct {
	// Rename has the present names of nodes by the old ones.
	Rename map[string]string
	// Drop are nodes whose messages are thrown away, with what would follow.
	Drop []string
	// Convert makes what messages to a node carry, by its old name, into what the
	// present node takes.
	Convert map[string]func(old json.RawMessage) (json.RawMessage, error)
}

// drops reports whether the messages to a node are thrown away.
func (m *Moves) drops(node string) bool { return slices.Contains(m.Drop, node) }

// Migrate has runs of a workflow, "example.com/app.Research", that were begun in the
// graph with a fingerprint, as [GraphError] says it, go on in the present one, and their
// letters be those of the present nodes. It is called before they are resumed, once for
// each fingerprint.
func Migrate(rt *resilience.Runtime, workflow, fingerprint string, m Moves) error {
	if !rt.Attach(movesKey(workflow, fingerprint), &m) {
		return fmt.Errorf("migrate %s from %s: it was told before", workflow, fingerprint)
	}
	for node := range m.Rename {
		rt.Attach(renamedKey(workflow, node), true)
	}
	return nil
}

// renamedKey is under what is attached that a node of some graph is called otherwise now.
func renamedKey(workflow, node string) string { return "workflow.Renamed/" + workflow + "/" + node }

func movesKey(workflow, fingerprint string) string {
	return "workflow.Moves/" + workflow + "/" + fingerprint
}

// movesOf returns what [Migrate] was told, or no moves.
func movesOf(rt *resilience.Runtime, workflow, fingerprint string) *Moves {
	if m, ok := rt.Attached(movesKey(workflow, fingerprint)).(*Moves); ok {
		return m
	}
	return &Moves{}
}
