// Package llm is a server that behaves like a provider of a language model.
package llm

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Provider answers prompts over HTTP, and misbehaves. What is asked again under one
// idempotency key is answered again, and put on the bill once. It is safe for
// concurrent use.
type Provider struct {
	trouble float64
	token   time.Duration

	mu      sync.Mutex
	random  *rand.Rand
	answers map[string]string // by idempotency key
	unlucky map[string]int    // requests in a row that something went wrong with, by idempotency key
	bill    Bill
}

// Bill is what a provider did.
type Bill struct {
	Requests  int            `json:"requests"`
	Sold      int            `json:"sold"`     // answers that are on the bill
	Repeated  int            `json:"repeated"` // answers that were given again for nothing
	Limited   int            `json:"limited"`  // 429
	Busy      int            `json:"busy"`     // 529
	Truncated int            `json:"truncated"`
	Stalled   int            `json:"stalled"`
	Dollars   float64        `json:"dollars"`
	ByNode    map[string]int `json:"byNode"` // answers sold, by the first word of the prompt
}

const (
	centsPerAnswer = 2
	maxPrompt      = 1 << 20
	// mostUnlucky is after how many requests in a row one gets its answer: whoever has
	// patience for a few more sees the end of every trouble.
	mostUnlucky = 5
)

// NewProvider returns a provider that something goes wrong with for so large a
// share of the requests, and which needs so long for each word of an answer.
func NewProvider(seed uint64, trouble float64, token time.Duration) *Provider {
	return &Provider{trouble: trouble, token: token, random: rand.New(rand.NewPCG(seed, seed)),
		answers: map[string]string{}, unlucky: map[string]int{}, bill: Bill{ByNode: map[string]int{}}}
}

// Bill returns what the provider did so far.
func (p *Provider) Bill() Bill {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bill
	b.Dollars = float64(b.Sold*centsPerAnswer) / 100
	return b
}

// ServeHTTP implements [http.Handler].
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/bill" {
		_ = json.NewEncoder(w).Encode(p.Bill())
		return
	}
	var asked struct{ Prompt string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPrompt)).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	text, fate := p.answer(r.Header.Get(resilience.IdempotencyHeader), asked.Prompt)
	switch fate {
	case limited:
		w.Header().Set("Retry-After", "0.1")
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case busy:
		http.Error(w, "overloaded", 529)
	default:
		p.write(w, r, text, fate)
	}
}

type fate int

const (
	well fate = iota
	limited
	busy
	truncated // in the middle of the answer
	stalled   // after a few tokens
)

// answer sells an answer, unless something goes wrong before.
func (p *Provider) answer(key, prompt string) (string, fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bill.Requests++
	fate := p.draw(key)
	if fate == limited || fate == busy {
		return "", fate
	}
	text, again := p.answers[key]
	if key != "" && again {
		p.bill.Repeated++
		return text, fate
	}
	text = words(prompt)
	p.answers[key] = text
	p.bill.Sold++
	node, _, _ := strings.Cut(prompt, ":")
	p.bill.ByNode[node]++
	return text, fate
}

func (p *Provider) draw(key string) fate {
	if p.unlucky[key] == mostUnlucky || p.random.Float64() >= p.trouble {
		delete(p.unlucky, key)
		return well
	}
	p.unlucky[key]++
	f := fate(1 + p.random.IntN(4))
	*[]*int{&p.bill.Limited, &p.bill.Busy, &p.bill.Truncated, &p.bill.Stalled}[f-1]++
	return f
}

// write sends an answer word by word.
func (p *Provider) write(w http.ResponseWriter, r *http.Request, text string, f fate) {
	body := fmt.Sprintf(`{"text": %q, "cost": %g}`, text, centsPerAnswer/100.0)
	tokens := strings.SplitAfter(body, " ")
	for i, token := range tokens {
		if f != well && i == len(tokens)/2 {
			if f == stalled {
				<-r.Context().Done()
			}
			return
		}
		select {
		case <-time.After(p.token):
		case <-r.Context().Done():
			return
		}
		_, _ = w.Write([]byte(token))
		_ = http.NewResponseController(w).Flush()
	}
}

// words are what the model says: the same for the same prompt.
func words(prompt string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(prompt))
	random := rand.New(rand.NewPCG(h.Sum64(), 0))
	list := make([]string, 5)
	for i := range list {
		list[i] = vocabulary[random.IntN(len(vocabulary))]
	}
	return strings.Join(list, " ")
}

var vocabulary = strings.Fields("river harbour signal lantern orchard granite meadow compass timber copper willow anchor marble canyon ember saddle violet kettle prairie thistle")
