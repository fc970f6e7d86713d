// Gateway is a payment gateway that misbehaves: it is slow, throttles, resets
// connections, answers 5xx, hangs, and is dead for some seconds. It prints its
// address, serves until its standard input ends, then prints what it saw and what
// stands in its ledger. POST /revive ends its death early, POST /heal all of the
// misbehaviour.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/resilgen/resilgen/examples/payments"
)

// Seen is what the gateway counted.
type Seen struct {
	Requests, WhileDead int
	Payments            int   // in the ledger: one for each ID
	Cents               int64 // of all payments
	Again               int   // charges of an ID that was in the ledger: not taken again
}

type gateway struct {
	dieAfter, deadFor time.Duration

	mu     sync.Mutex
	random *rand.Rand
	dieAt  time.Time // counted from the first request
	alive  time.Time // again
	seen   Seen
	ledger map[string]int64 // cents by ID
	healed bool
}

func main() {
	dieAfter := flag.Duration("dead-after", 3*time.Second, "when the gateway dies, counted from its first request")
	deadFor := flag.Duration("dead-for", 4*time.Second, "how long it stays dead")
	seed := flag.Uint64("seed", 1, "of its moods")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	g := &gateway{dieAfter: *dieAfter, deadFor: *deadFor, random: rand.New(rand.NewPCG(*seed, 1)), ledger: map[string]int64{}}
	fmt.Println(listener.Addr())
	mux := http.NewServeMux()
	mux.Handle("/", g)
	mux.HandleFunc("POST /revive", g.revive)
	mux.HandleFunc("POST /heal", g.heal)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() {
		// The parent holds the other end: when it goes, for whatever reason, so
		// does the gateway.
		_, _ = io.Copy(io.Discard, os.Stdin)
		g.mu.Lock()
		defer g.mu.Unlock()
		_ = json.NewEncoder(os.Stdout).Encode(g.seen)
		os.Exit(0)
	}()
	log.Fatal(server.Serve(listener))
}

// revive ends the death of the gateway.
func (g *gateway) revive(http.ResponseWriter, *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alive = time.Now()
}

// heal ends the misbehaviour.
func (g *gateway) heal(http.ResponseWriter, *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.healed = true
}

// mood draws a number in [0,1) and counts the request.
func (g *gateway) mood() (r float64, dead bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.seen.Requests++; g.seen.Requests == 1 {
		g.dieAt = now.Add(g.dieAfter)
		g.alive = g.dieAt.Add(g.deadFor)
	}
	dead = now.After(g.dieAt) && now.Before(g.alive)
	if g.healed {
		return 1, false
	}
	if dead {
		g.seen.WhileDead++
	}
	return g.random.Float64(), dead
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req payments.ChargeRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	mood, dead := g.mood()
	switch {
	case dead || mood < 0.08:
		reset(w)
	case mood < 0.16:
		w.WriteHeader(http.StatusServiceUnavailable)
	case mood < 0.22:
		w.Header().Set("Retry-After", "0.2")
		w.WriteHeader(http.StatusTooManyRequests)
	case mood < 0.26:
		<-r.Context().Done() // hangs until the client gives up
	case mood < 0.36:
		time.Sleep(250 * time.Millisecond)
		g.take(w, req)
	default:
		time.Sleep(5 * time.Millisecond)
		g.take(w, req)
	}
}

// reset ends the connection without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // RST, not FIN
	}
	_ = conn.Close()
}

// take takes the money of an ID once, and answers.
func (g *gateway) take(w http.ResponseWriter, req payments.ChargeRequest) {
	g.mu.Lock()
	if _, known := g.ledger[req.ID]; known {
		g.seen.Again++
	} else {
		g.ledger[req.ID] = req.Cents
		g.seen.Payments++
		g.seen.Cents += req.Cents
	}
	g.mu.Unlock()
	_ = json.NewEncoder(w).Encode(payments.Receipt{ID: "r-" + req.ID})
}
