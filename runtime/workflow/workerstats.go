package workflow

import "sync/atomic"

// workerCounts is what a worker counts.
type workerCounts struct {
	serving, ended, waits, keyWaits, busy, fenced, failed, claimErrors atomic.Int64
}

// WorkerStats are what a [Worker] has done.
type WorkerStats struct {
	Running     int64 `json:"running"`     // runs that it executes now
	Ended       int64 `json:"ended"`       // entries that are done with: their runs have ended
	Waits       int64 `json:"waits"`       // times that a run was given back because it waits or is parked
	KeyWaits    int64 `json:"keyWaits"`    // times that a run waited for its key
	Busy        int64 `json:"busy"`        // times that somebody else had the run
	Fenced      int64 `json:"fenced"`      // times that somebody else took the run away
	Failed      int64 `json:"failed"`      // times that a run could not go on here: its graph, its records or the store
	ClaimErrors int64 `json:"claimErrors"` // times that a queue did not answer
}

// Stats returns what w has done.
func (w *Worker) Stats() WorkerStats {
	c := &w.counts
	return WorkerStats{
		Running: c.serving.Load(), Ended: c.ended.Load(), Waits: c.waits.Load(), KeyWaits: c.keyWaits.Load(),
		Busy: c.busy.Load(), Fenced: c.fenced.Load(), Failed: c.failed.Load(), ClaimErrors: c.claimErrors.Load(),
	}
}
