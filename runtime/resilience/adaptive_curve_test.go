package resilience

import (
	"bytes"
	"container/heap"
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "draw docs/adaptive.svg")

// simulated is a peer that works on so many calls at a time and queues the rest,
// under more calls than it can serve.
type simulated struct {
	s        *steering
	r        *rand.Rand
	now      time.Duration
	capacity int
	queue    []*job
	working  int
	events   jobs
}

// job is a call; done is when the peer has done it.
type job struct{ began, done time.Duration }

type jobs []*job

func (q jobs) Len() int           { return len(q) }
func (q jobs) Less(i, j int) bool { return q[i].done < q[j].done }
func (q jobs) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *jobs) Push(x any)        { *q = append(*q, x.(*job)) }
func (q *jobs) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

const service = 10 * time.Millisecond

// begin lets the peer work on what it has room for.
func (p *simulated) begin() {
	for p.working < p.capacity && len(p.queue) > 0 {
		j := p.queue[0]
		p.queue = p.queue[1:]
		j.done = p.now + service*3/4 + time.Duration(p.r.Float64()*float64(service)/2)
		heap.Push(&p.events, j)
		p.working++
	}
}

func (p *simulated) arrive() {
	if p.s.enter() {
		p.queue = append(p.queue, &job{began: p.now})
		p.begin()
	}
}

func (p *simulated) finish() (latency time.Duration) {
	j := heap.Pop(&p.events).(*job)
	p.now = j.done
	p.working--
	p.s.sample(context.Background(), p.now-j.began, false)
	p.s.leave()
	p.begin()
	return p.now - j.began
}

// reading is the state of a simulation over a tenth of a second.
type reading struct {
	capacity, limit float64
	served          int
	latency         time.Duration // mean
}

const tick = 100 * time.Millisecond

// capacities are those of the peer, 15s each.
var capacities = []int{40, 10, 60, 25}

const stretch = 15 * time.Second

// simulate returns the readings under a demand of half more than the most that
// the peer can serve.
func simulate(conf Adaptive) []reading {
	p := &simulated{s: newSteering("a", conf.withDefaults(), nil), r: rand.New(rand.NewPCG(1, 2))}
	gap := float64(service) / (1.5 * 60)
	arrival := time.Duration(0)
	var list []reading
	for n, end := 0, time.Duration(0); end < stretch*time.Duration(len(capacities)); n++ {
		end += tick
		p.capacity = capacities[int((end-1)/stretch)]
		p.begin()
		r := reading{capacity: float64(p.capacity)}
		for p.now < end {
			if len(p.events) > 0 && p.events[0].done <= arrival {
				r.latency += p.finish()
				r.served++
				continue
			}
			p.now = arrival
			p.arrive()
			arrival += time.Duration(p.r.ExpFloat64() * gap)
		}
		r.limit = float64(p.s.limit.Load())
		r.latency /= time.Duration(max(r.served, 1))
		list = append(list, r)
	}
	return list
}

var algorithms = []Algorithm{Gradient, Vegas}

// TestAdaptiveConverges: in the second half of each stretch the peer is used, and
// what waits there is no more than what it works on.
func TestAdaptiveConverges(t *testing.T) {
	for _, a := range algorithms {
		list := simulate(Adaptive{Mode: Concurrency, Algorithm: a})
		per := int(stretch / tick)
		for n, capacity := range capacities {
			var limit float64
			var latency time.Duration
			served := 0
			half := list[n*per+per/2 : (n+1)*per]
			for _, r := range half {
				limit += r.limit / float64(len(half))
				latency += r.latency / time.Duration(len(half))
				served += r.served
			}
			most := float64(capacity) * float64(len(half)) * float64(tick) / float64(service)
			use := float64(served) / most
			t.Logf("algorithm %d, capacity %d: limit %.0f, latency %v, use %.2f", a, capacity, limit, latency, use)
			if use < 0.9 || limit > 2*float64(capacity)+4 || latency > 2*service+4*time.Millisecond {
				t.Errorf("algorithm %d, capacity %d: limit %.0f, latency %v, use %.2f", a, capacity, limit, latency, use)
			}
		}
	}
}

// TestAdaptiveCurveIsUpToDate draws the limits over the changing capacity.
func TestAdaptiveCurveIsUpToDate(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("other processors round other sums")
	}
	const path = "../../docs/adaptive.svg"
	want := curve()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
		t.Errorf("%s is behind (%v): make docs", path, err)
	}
}

func curve() []byte {
	var b bytes.Buffer
	const width, height, left, bottom, top = 900, 360, 50, 320, 120.0
	seconds := stretch.Seconds() * float64(len(capacities))
	x := func(s float64) float64 { return left + s/seconds*(width-left-20) }
	y := func(n float64) float64 { return bottom - min(n, top)/top*(bottom-20) }
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	for n := 0.0; n <= top; n += 20 {
		fmt.Fprintf(&b, `<path d="M%d %.0fH%d" stroke="#ddd"/><text x="%d" y="%.0f" text-anchor="end">%.0f</text>`+"\n", left, y(n), width-20, left-6, y(n)+4, n)
	}
	for s := 0.0; s <= seconds; s += 5 {
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">%.0f s</text>`+"\n", x(s), bottom+16, s)
	}
	line := func(color, name string, at int, list []reading, value func(reading) float64) {
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="`, color)
		for i, r := range list {
			if i%2 == 0 {
				fmt.Fprintf(&b, "%.0f,%.0f ", x(float64(i)*tick.Seconds()), math.Round(y(value(r))))
			}
		}
		fmt.Fprintf(&b, `"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n", at, height-8, color, name)
	}
	gradient, vegas := simulate(Adaptive{Mode: Concurrency}), simulate(Adaptive{Mode: Concurrency, Algorithm: Vegas})
	line("#888", "capacity of the peer: calls that it works on at a time", left, gradient, func(r reading) float64 { return r.capacity })
	line("#c33", "limit, gradient", 420, gradient, func(r reading) float64 { return r.limit })
	line("#36c", "limit, vegas", 540, vegas, func(r reading) float64 { return r.limit })
	b.WriteString("</svg>\n")
	return b.Bytes()
}
