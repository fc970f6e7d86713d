package simulation

import (
	"slices"
	"time"
)

// Result is what came of a load. Times are in seconds, times of events since the
// load began.
type Result struct {
	Phases   []Phase        `json:"phases"` // before, outage and after, if there is one; all
	Slices   []Slice        `json:"slices"` // of equal lengths
	Rejected map[string]int `json:"rejected"`
	GaveUp   map[string]int `json:"gaveUp"`
	Retries  int            `json:"retries"`
	Hedges   int            `json:"hedges"`
	// MostInFlight is how many attempts the peer had at a time.
	MostInFlight int       `json:"mostInFlight"`
	Breakers     []Breaker `json:"breakers"`
	// Late is how much later than it should a call began, at most: nothing in
	// virtual time, and in real time what the machine did not keep up with.
	Late float64 `json:"lateSeconds"`
}

// Phase is a part of a load: the calls that began in it, and the attempts that
// came to the peer in it. What comes after the load is in the last one.
type Phase struct {
	Name     string  `json:"name"`
	Seconds  float64 `json:"seconds"`
	Calls    int     `json:"calls"`
	Success  int     `json:"success"`
	Fallback int     `json:"fallback"`
	Failed   int     `json:"failed"`
	// P50 and P99 are of the time until a call was over, whatever came of it.
	P50      float64 `json:"p50Seconds"`
	P99      float64 `json:"p99Seconds"`
	Attempts int     `json:"attempts"`
}

// Slice are the calls that came, the attempts that reached the peer and the calls
// that ended in a part of the time.
type Slice struct {
	Arrivals  int `json:"arrivals"`
	Attempts  int `json:"attempts"`
	Succeeded int `json:"success"`
	Answered  int `json:"fallback"`
	Failed    int `json:"failed"`
}

// Breaker is what a breaker of an instance did.
type Breaker struct {
	Instance    int          `json:"instance"` // from 0
	Name        string       `json:"name"`
	Initial     string       `json:"initial"` // state
	Transitions []Transition `json:"transitions"`
}

// Transition is one of a breaker, with the counts of the state that it left.
type Transition struct {
	At          float64 `json:"atSeconds"`
	From        string  `json:"from"`
	To          string  `json:"to"`
	Reason      string  `json:"reason"`
	Calls       int     `json:"calls"`
	Failures    int     `json:"failures"`
	Slow        int     `json:"slow"`
	Consecutive int     `json:"consecutive"`
}

var phaseNames = [3]string{"before", "outage", "after"}

// result sums the run up, when every call is over.
func (r *run) result() *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peer.mu.Lock()
	defer r.peer.mu.Unlock()
	out := &Result{Rejected: r.rejected, GaveUp: r.gaveUp, Retries: r.retries, Hedges: r.hedges,
		MostInFlight: r.peer.peak, Breakers: r.breakers, Slices: r.slices[:sliceCount], Late: r.late.Seconds()}
	for i := range out.Slices {
		out.Slices[i].Attempts = r.peer.attempts[i]
	}
	all := Phase{Name: "all"}
	for i, length := range r.config.lengths() {
		of := slices.DeleteFunc(slices.Clone(r.calls), func(e ended) bool { return r.config.phase(e.at) != i })
		p := phaseOf(phaseNames[i], of)
		p.Seconds, p.Attempts = length.Seconds(), r.peer.phases[i]
		all.Attempts += p.Attempts
		if r.config.Outage.Length > 0 {
			out.Phases = append(out.Phases, p)
		}
	}
	whole := phaseOf("all", r.calls)
	whole.Seconds, whole.Attempts = r.config.Duration.Seconds(), all.Attempts
	out.Phases = append(out.Phases, whole)
	return out
}

func phaseOf(name string, calls []ended) Phase {
	p := Phase{Name: name, Calls: len(calls)}
	took := make([]time.Duration, 0, len(calls))
	for _, e := range calls {
		took = append(took, e.took)
		switch e.outcome {
		case succeeded:
			p.Success++
		case answered:
			p.Fallback++
		case failed:
			p.Failed++
		}
	}
	slices.Sort(took)
	p.P50, p.P99 = quantile(took, 0.5), quantile(took, 0.99)
	return p
}

// quantile is the smallest duration that a share q of them do not exceed.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1)+0.5)].Seconds()
}
