package resilience

import (
	"errors"
	"time"
)

var errRatio = errors.New("must be in (0,1] (is 0)")

// hedgeSettings are those of retry.budget and hedge.
var hedgeSettings = []setting{
	budgetRatio(),
	whole("retry.budget.minConcurrency", "3", 0, "", func(p *Policy) *int { return &p.Budget.MinConcurrency }),
	whole("hedge.maxHedges", "1", 1, "", func(p *Policy) *int { return &p.Hedge.MaxHedges }),
	delay("hedge.delay", "", "", func(p *Policy) *time.Duration { return &p.Hedge.Delay }).instead(func(p *Policy) {
		p.Hedge.Percentile, p.Hedge.Warmup = 0, 0
	}),
	number("hedge.percentile", "95", 0, 100, func(p *Policy) *float64 { return &p.Hedge.Percentile }).instead(byDelay).beside(learns),
	whole("hedge.warmup", "100", 1, "", func(p *Policy) *int { return &p.Hedge.Warmup }).instead(byDelay).beside(learns),
}

// byDelay takes the delay out, which percentile and warmup replace.
func byDelay(p *Policy) { p.Hedge.Delay = 0 }

func learns(p *Policy) bool { return p.Hedge.Delay == 0 }

// instead has a value that is given take the place of others.
//
//go:noinline
func (s setting) instead(replaced func(*Policy)) setting {
	set := s.set
	s.set = func(p *Policy, text string) error {
		err := set(p, text)
		if err == nil && text != "" {
			replaced(p)
		}
		return err
	}
	return s
}

// budgetRatio is a share, or none for no budget.
func budgetRatio() setting {
	s := number("retry.budget.ratio", "0.2", 0, 1, func(p *Policy) *float64 { return &p.Budget.Ratio })
	get, set := s.get, s.set
	s.get = func(p *Policy) string {
		if p.Budget.Ratio < 0 {
			return none
		}
		return get(p)
	}
	s.set = func(p *Policy, text string) error {
		if text == none {
			text = "0"
		} else if text == "0" {
			return errRatio
		}
		return set(p, text)
	}
	return s
}
