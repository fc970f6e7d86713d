package forecast

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Server is the other service. It has two weaknesses: the question with the
// number BusyAt is answered 503 with a Retry-After of one second, and the first
// time it is told of an observation it keeps it and answers 502.
type Server struct {
	BusyAt int

	mu       sync.Mutex
	asked    int
	observed map[string]int // how often each was told
}

// MapSize is the size of every map.
const MapSize = 1 << 20

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/today":
		s.today(w, r)
	case "/report":
		s.report(w, r)
	case "/map":
		s.picture(w)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) today(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	busy := s.asked == s.BusyAt
	s.mu.Unlock()
	if busy {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many questions", http.StatusServiceUnavailable)
		return
	}
	city := r.FormValue("city")
	_ = json.NewEncoder(w).Encode(Forecast{City: city, Celsius: 10 + len(city)}) // else the client has gone
}

// report keeps an observation once, by its idempotency key.
func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	var o Observation
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil || o.ID != r.Header.Get(resilience.IdempotencyHeader) {
		http.Error(w, "no observation, or not the key of this one", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	if s.observed == nil {
		s.observed = map[string]int{}
	}
	s.observed[o.ID]++
	first := s.observed[o.ID] == 1
	s.mu.Unlock()
	if first {
		http.Error(w, "lost on the way back", http.StatusBadGateway) // the client cannot know that it was kept
	}
}

// picture sends a map in pieces.
func (s *Server) picture(w http.ResponseWriter) {
	piece := strings.Repeat("~", MapSize/16)
	for range 16 {
		if _, err := w.Write([]byte(piece)); err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}
