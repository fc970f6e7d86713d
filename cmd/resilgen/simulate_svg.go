package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/simulation"
)

// The picture, in pixels of its view box.
const (
	pictureWidth, pictureHeight = 900, 384
	left, right                 = 56.0, 876.0
	top, bottom                 = 64.0, 300.0 // of the lines
	strip                       = 16.0        // height of a breaker's
)

// style gives the picture colours for light and dark pages.
const style = `<style>
text { font: 12px sans-serif; fill: #333 }
.title { font-size: 14px; font-weight: bold }
.ground { fill: #fff } .grid { stroke: #ddd } .outage { fill: #c33; opacity: .1 }
polyline { fill: none; stroke-width: 1.5; stroke-linejoin: round }
.arrivals { stroke: #888 } .attempts { stroke: #c60 } .success { stroke: #283 } .fallback { stroke: #36c }
.closed { fill: #9cb } .open { fill: #c33 } .half_open { fill: #eb3 } .forced_open { fill: #822 } .disabled { fill: #999 }
@media (prefers-color-scheme: dark) {
text { fill: #ccc } .ground { fill: #161b22 } .grid { stroke: #333 } .outage { opacity: .25 }
.arrivals { stroke: #999 } .attempts { stroke: #f93 } .success { stroke: #4b6 } .fallback { stroke: #69f }
.closed { fill: #365 }
}
</style>
`

// drawing is the time line of a simulation as an SVG.
func drawing(name string, c simulation.Config, result *simulation.Result) []byte {
	var b bytes.Buffer
	p := &picture{out: &b, config: c, most: most(c, result)}
	told, _ := breakers(name, result)
	height := pictureHeight + max(len(told)-1, 0)*int(strip+20)
	p.say(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s under load">`+"\n", pictureWidth, height, escape(name))
	p.say("%s", style)
	p.say(`<rect class="ground" width="%d" height="%d"/>`+"\n", pictureWidth, height)
	p.say(`<text class="title" x="%.0f" y="22">%s</text>`+"\n", left, escape(name))
	p.axes()
	if c.Outage.Length > 0 {
		from := p.x(c.Outage.Start.Seconds())
		p.say(`<rect class="outage" x="%.1f" y="%.0f" width="%.1f" height="%.0f"/>`+"\n", from, top, p.x((c.Outage.Start+c.Outage.Length).Seconds())-from, bottom-top)
		p.say(`<text x="%.1f" y="%.0f">outage</text>`+"\n", from+4, top+14)
	}
	p.lines(result.Slices)
	for i, x := range told {
		p.breaker(x, bottom+54+float64(i)*(strip+20))
	}
	p.say("</svg>\n")
	return b.Bytes()
}

// picture is a drawing that is being made.
type picture struct {
	out    *bytes.Buffer
	config simulation.Config
	most   float64 // a second, at the top
}

func (p *picture) say(format string, args ...any) { fmt.Fprintf(p.out, format, args...) }

func (p *picture) x(seconds float64) float64 {
	return left + min(seconds/p.config.Duration.Seconds(), 1)*(right-left)
}
func (p *picture) y(rate float64) float64 { return bottom - rate/p.most*(bottom-top) }

// most is the top of the scale: what the highest line needs, rounded up.
func most(c simulation.Config, result *simulation.Result) float64 {
	highest := 0
	for _, s := range result.Slices {
		highest = max(highest, s.Arrivals, s.Attempts, s.Succeeded, s.Answered)
	}
	rate := max(float64(highest)*float64(len(result.Slices))/c.Duration.Seconds(), 1e-9)
	return step(rate/5) * math.Ceil(rate/step(rate/5))
}

// step is the least of 1, 2 and 5 times a power of ten that is not below x.
func step(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, n := range []float64{1, 2, 5} {
		if n*power >= x {
			return n * power
		}
	}
	return 10 * power
}

// axes draws rates to the left and times below.
func (p *picture) axes() {
	for by, n := step(p.most/5), 0; float64(n)*by <= p.most*1.001; n++ {
		y := p.y(float64(n) * by)
		p.say(`<path class="grid" d="M%.0f %.1fH%.0f"/><text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n", left, y, right, left-6, y+4, number(float64(n)*by))
	}
	p.say(`<text x="6" y="44">a second</text>` + "\n")
	unit, name := 1.0, "s"
	if p.config.Duration >= 10*time.Minute {
		unit, name = 60, "m"
	}
	total := p.config.Duration.Seconds() / unit
	for by, n := step(total/12), 0; float64(n)*by <= total*1.001; n++ {
		p.say(`<text x="%.1f" y="%.0f" text-anchor="middle">%s %s</text>`+"\n", p.x(float64(n)*by*unit), bottom+18, number(float64(n)*by), name)
	}
}

// lines draws what came and what became of it, with a legend.
func (p *picture) lines(list []simulation.Slice) {
	at := left + 24
	for _, line := range []struct {
		class, legend string
		width         float64
		of            func(simulation.Slice) int
	}{
		{"arrivals", "calls", 80, func(s simulation.Slice) int { return s.Arrivals }},
		{"attempts", "attempts that reach the callee", 220, func(s simulation.Slice) int { return s.Attempts }},
		{"success", "calls that succeed", 150, func(s simulation.Slice) int { return s.Succeeded }},
		{"fallback", "answers of the fallback", 180, func(s simulation.Slice) int { return s.Answered }},
	} {
		width := p.config.Duration.Seconds() / float64(len(list))
		var points strings.Builder
		sum := 0
		for i, s := range list {
			sum += line.of(s)
			fmt.Fprintf(&points, "%.1f,%.1f ", p.x((float64(i)+0.5)*width), p.y(float64(line.of(s))/width))
		}
		if sum == 0 {
			continue
		}
		p.say(`<polyline class="%s" points="%s"/>`+"\n", line.class, strings.TrimSpace(points.String()))
		p.say(`<path class="%s" stroke-width="3" d="M%.0f 40h18"/><text x="%.0f" y="44">%s</text>`+"\n", line.class, at, at+24, line.legend)
		at += line.width
	}
}

// breaker draws the states of one as a strip.
func (p *picture) breaker(b simulation.Breaker, y float64) {
	seen := map[string]bool{}
	list := spans(b, p.config.Duration)
	for _, s := range list {
		seen[s.state] = true
		p.say(`<rect class="%s" x="%.2f" y="%.0f" width="%.2f" height="%.0f"/>`+"\n", s.state, p.x(s.from), y, max(p.x(s.to)-p.x(s.from), 0.75), strip)
	}
	p.say(`<text x="%.0f" y="%.0f">breaker %s:</text>`+"\n", left, y-6, escape(titled(b, p.config)))
	at := left + 62 + 7*float64(len(titled(b, p.config)))
	for _, state := range []string{"closed", "half_open", "open", "forced_open", "disabled"} {
		if seen[state] {
			p.say(`<rect class="%s" x="%.0f" y="%.0f" width="12" height="10"/><text x="%.0f" y="%.0f">%s</text>`+"\n", state, at, y-15, at+16, y-6, strings.ReplaceAll(state, "_", " "))
			at += 90
		}
	}
}

// escape makes a name text of XML.
func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // to memory
	return b.String()
}
