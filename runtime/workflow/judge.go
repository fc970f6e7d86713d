package workflow

// judge decides whether the run that was loaded can go on in the graph of the
// engine.
func (r *run) judge() error {
	if r.s.Graph.Fingerprint == r.e.g.Fingerprint {
		return nil
	}
	return &GraphError{Workflow: r.e.g.Name, Run: r.id, Against: []string{
		"it was begun in the graph " + r.s.Graph.Fingerprint + ", and this one is " + r.e.g.Fingerprint,
	}}
}
