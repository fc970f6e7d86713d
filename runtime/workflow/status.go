package workflow

// Status is where a run stands.
type Status string

// Statuses of a run. Those from Completed on are ends: nothing follows them.
const (
	Pending                  Status = "pending"                     // it was started, and nobody has taken it yet
	Running                  Status = "running"                     // somebody has it, and hands messages to their nodes
	Interrupted              Status = "interrupted"                 // it could go on, and nobody has it: who had it stopped, or was killed
	Refused                  Status = "refused"                     // its graph has changed, and who tried could not go on with it
	Waiting                  Status = "waiting"                     // for a time, a signal, a child or another run of its key
	Parked                   Status = "parked"                      // dead letters stand between it and its output
	Completed                Status = "completed"                   // it has its output
	CompletedWithDeadLetters Status = "completed_with_dead_letters" // it has its output in spite of them
	Failed                   Status = "failed"                      // no way to an output is left
	Cancelled                Status = "cancelled"                   // somebody ended it
	LimitExceeded            Status = "limit_exceeded"              // a limit of its graph did
)

// Ended reports whether nothing follows s.
func (s Status) Ended() bool {
	switch s {
	case Completed, CompletedWithDeadLetters, Failed, Cancelled, LimitExceeded:
		return true
	}
	return false
}
