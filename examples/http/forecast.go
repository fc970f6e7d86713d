// Package forecast is a service that asks another one over HTTP, through a
// wrapper that is generated from resilience.yaml. README.md tells the story; go
// run ./examples/http/demo plays it.
package forecast

import (
	"context"
	"io"
	"sync"
)

//go:generate go run github.com/resilgen/resilgen/cmd/resilgen generate .

// Forecasts is what the service needs of the other one. It depends on this, and
// not on HTTP, so that the wrapper fits around it.
type Forecasts interface {
	// Today returns the forecast for a city.
	Today(ctx context.Context, city string) (Forecast, error)
	// Report tells what was observed.
	Report(ctx context.Context, o Observation) error
	// Map returns a large picture, which the caller reads and closes.
	Map(ctx context.Context, city string) (io.ReadCloser, error)
}

// Forecast is the answer for a city.
type Forecast struct {
	City    string `json:"city"`
	Celsius int    `json:"celsius"`
	Old     bool   `json:"-"` // what was known before, see Known
}

// Observation is what somebody saw. The same ID is the same observation.
type Observation struct {
	ID   string `json:"id"`
	City string `json:"city"`
	Sky  string `json:"sky"`
}

// Known remembers the last forecast of each city, for when there is no new one.
// Its zero value is ready.
type Known struct {
	mu   sync.Mutex
	last map[string]Forecast
}

// Keep remembers f.
func (k *Known) Keep(f Forecast) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil {
		k.last = map[string]Forecast{}
	}
	k.last[f.City] = f
}

// TodayFallback answers with the last forecast, if there was one, else with why
// there is none.
func (k *Known) TodayFallback(_ context.Context, city string, cause error) (Forecast, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f, ok := k.last[city]
	if !ok {
		return Forecast{}, cause
	}
	f.Old = true
	return f, nil
}
