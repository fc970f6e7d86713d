package forecast

import (
	"context"
	"io"
	"testing"
	"testing/synctest"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/resiliencetest"
)

// scripted is the other service of a test: what it does is in a script.
type scripted struct {
	today resiliencetest.Faulty[Forecast]
}

func (s *scripted) Today(ctx context.Context, _ string) (Forecast, error) { return s.today.Call(ctx) }
func (s *scripted) Report(context.Context, Observation) error             { return nil }
func (s *scripted) Map(context.Context, string) (io.ReadCloser, error)    { return nil, nil }

// TestToday tests the policy of Today: the generated wrapper and the Runtime are
// the real ones, and nothing waits, since a bubble of synctest has a clock of its
// own.
func TestToday(t *testing.T) {
	for name, c := range map[string]struct{ script, events string }{
		"busy once": {"busy S", `
			0s forecast.Forecasts.Today: attempt failed, attempt 1: forecasts: 503
			0s forecast.Forecasts.Today: retry scheduled, attempt 2 in 1.08s`},
		"it is not there": {"unknown", `
			0s forecast.Forecasts.Today: attempt failed, attempt 1: forecasts: 404
			0s forecast.Forecasts.Today: gave up, attempt 1: forecasts: 404`},
		"hangs": {"H H S", `
			0s forecast.Forecasts.Today: attempt failed, attempt 1, by timeout: timeout.attempt of 500ms passed: context deadline exceeded
			0s forecast.Forecasts.Today: retry scheduled, attempt 2 in 16.7ms
			516.695399ms forecast.Forecasts.Today: attempt failed, attempt 2, by timeout: timeout.attempt of 500ms passed: context deadline exceeded
			516.695399ms forecast.Forecasts.Today: retry scheduled, attempt 3 in 39.4ms`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events resiliencetest.Recorder
				rt, err := resilience.Open(resilience.Options{Seed: 1, Observe: events.Observe})
				if err != nil {
					t.Fatal(err)
				}
				peer := &scripted{resiliencetest.Faulty[Forecast]{Script: c.script, Errors: map[string]error{
					"busy": &StatusError{503, "1"}, "unknown": &StatusError{404, ""},
				}}}
				service, err := NewResilientForecasts(rt, peer, &Known{})
				if err != nil {
					t.Fatal(err)
				}
				_, _ = service.Today(t.Context(), "Oslo") // the transcript tells what became of it
				events.Expect(t, c.events)
			})
		})
	}
}
