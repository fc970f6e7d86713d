package resilience

// CheckpointBox are the checkpoints of every method, without their types. It is
// safe for concurrent use.
type CheckpointBox struct{ rt *Runtime }

// Checkpoints returns the checkpoints of rt.
func (rt *Runtime) Checkpoints() *CheckpointBox {
	root, _ := rt.root()
	return &CheckpointBox{root}
}

// Stats returns what the checkpoints of each method did, in the order in which the
// wrappers were made.
func (b *CheckpointBox) Stats() []CheckpointSnapshot {
	var list []CheckpointSnapshot
	for _, k := range b.rt.listCheckpointed() {
		list = append(list, k.snapshot())
	}
	return list
}
