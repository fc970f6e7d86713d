package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// Sizes of what is drawn, in pixels.
const (
	glyph      = 7.3  // width of a character
	lineTall   = 16.0 // of text
	boxPadding = 12.0
	endRadius  = 8.0
	loopRoom   = 26.0 // to the left of a vertex that leads to itself
	stubRoom   = 14.0 // of the line to a fallback or to the letters
	letterWide = 18.0
	portsApart = 18.0 // between arrows that leave one vertex
	maxNote    = 48   // characters of a line in a vertex
)

// graphStyle gives the picture colours for light and dark pages.
const graphStyle = `<style>
text { font: 12px ui-monospace, monospace; fill: #333 }
.title { font-size: 14px; font-weight: bold } .name { font-weight: bold; text-anchor: middle } .note { fill: #666; text-anchor: middle }
.ground { fill: #fff } .box { fill: #eef3fa; stroke: #47a } .signal { fill: #fdf3dc } .whole { fill: #f0ecf9 }
.bar { stroke: #247; stroke-width: 5 } .choice { fill: #fff; stroke: #47a } .end { fill: none; stroke: #555; stroke-width: 1.5 } .dot { fill: #555 }
.arrow { fill: none; stroke: #555; stroke-width: 1.3 } .head { fill: #555 } .may { stroke-dasharray: 6 4 } .back { stroke: #a50; } .backhead { fill: #a50 }
.spare { fill: #e8f5e9; stroke: #384 } .letter { fill: #fdecec; stroke: #b33 } .stub { fill: none; stroke: #b33; stroke-dasharray: 2 3 }
.done { fill: #dff2e1; stroke: #283 } .failed { fill: #fbdada; stroke: #b22 } .running { fill: #dbe9ff; stroke: #15c; stroke-width: 2 } .waiting { fill: #fff0c9; stroke: #a70 } .unseen { fill: #f5f5f5; stroke: #999 }
.taken { stroke: #283; stroke-width: 2 } .takenhead { fill: #283 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .note { fill: #aaa } .ground { fill: #161b22 } .box { fill: #1e2a3c } .signal { fill: #3a3220 } .whole { fill: #2c2740 }
.choice { fill: #161b22 } .end, .arrow { stroke: #aaa } .dot, .head { fill: #aaa } .bar { stroke: #8be } .back { stroke: #f93 } .backhead { fill: #f93 }
.spare { fill: #1d3324 } .letter { fill: #3d2020 } .done { fill: #1d3324 } .failed { fill: #4a2020 } .running { fill: #1b3054 } .waiting { fill: #3f3315 } .unseen { fill: #222 }
.taken { stroke: #4b6 } .takenhead { fill: #4b6 }
}
</style>
`

// extent is the room that a vertex takes: beside the middle of its box, and down.
type extent struct {
	box         float64 // width of the box
	left, right float64 // with what stands beside the box
	height      float64
}

// sizeOf measures a vertex of c.
func sizeOf(c *chart, at int) extent {
	v := c.vertices[at]
	if v.kind == kindEnd {
		return extent{box: 2 * endRadius, left: endRadius, right: endRadius, height: 2 * endRadius}
	}
	widest := columns(graphText(v.name))
	for _, note := range vertexNotes(v) {
		widest = max(widest, columns(graphText(note)))
	}
	ports := float64(len(c.out(at))-1) * portsApart
	box := math.Ceil(max(float64(widest)*glyph+2*boxPadding, ports+2*boxPadding, 60))
	s := extent{box: box, left: box / 2, right: box / 2, height: float64(1+len(vertexNotes(v)))*lineTall + boxPadding}
	if v.fallback {
		s.right += stubRoom + pillWide
	}
	if v.letter {
		s.right += stubRoom + letterWide
	}
	for _, a := range c.out(at) {
		if a.to == at {
			s.left += loopRoom
			break
		}
	}
	return s
}

// pillWide is the width of the box of a fallback.
const pillWide = 8*glyph + 10

// vertexNotes are the lines under the name.
func vertexNotes(v vertex) []string {
	notes := v.notes
	if v.mark != markNone {
		notes = append([]string{string(v.mark)}, notes...)
	}
	return notes
}

// graphText is text as a picture shows it.
func graphText(s string) string { return clip(clean(s), maxNote) }

// maxDrawn is how many vertices a picture has at most: nobody could read it.
const maxDrawn = 200

// svg draws a chart.
func svg(c *chart) ([]byte, error) {
	if len(c.vertices) > maxDrawn || len(c.arrows) > 3*maxDrawn {
		return nil, fmt.Errorf("%d nodes and %d arrows make no picture that can be read: --format text lists them", len(c.vertices), len(c.arrows))
	}
	sizes := make([]extent, len(c.vertices))
	for v := range c.vertices {
		sizes[v] = sizeOf(c, v)
	}
	words := append([]string{c.title}, c.notes...)
	p := &painting{layout: layOut(c, sizes), top: lineTall*float64(len(words)) + 24}
	below := legend(c)
	wide := 0
	for _, text := range append(words, below...) {
		wide = max(wide, columns(clean(text)))
	}
	width, height := max(p.width, float64(wide)*8.6+2*margin), p.top+p.height+lineTall*float64(len(below))
	p.say(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`+"\n", width, height, escape(clean(c.title)))
	p.say("%s", graphStyle)
	p.say(`<rect class="ground" width="%.0f" height="%.0f"/>`+"\n", width, height)
	for i, text := range words {
		p.say(`<text class="%s" x="%.0f" y="%.0f">%s</text>`+"\n", []string{"title", "words"}[min(i, 1)], margin, 24+lineTall*float64(i), escape(clean(text)))
	}
	for i := range c.arrows {
		p.arrow(i)
	}
	for v := range c.vertices {
		p.vertex(v)
	}
	for i, text := range below {
		p.say(`<text class="words" x="%.0f" y="%.0f">%s</text>`+"\n", margin, p.top+p.height+lineTall*float64(i), escape(clean(text)))
	}
	p.say("</svg>\n")
	return p.out.Bytes(), nil
}

// legend explains what is in the picture and does not explain itself.
func legend(c *chart) []string {
	var list []string
	told := func(text string, holds bool) {
		if holds {
			list = append(list, text)
		}
	}
	var choice, join, letter, back bool
	for _, v := range c.vertices {
		choice, join, letter = choice || v.choice, join || v.join != "", letter || v.letter
	}
	for _, b := range c.back() {
		back = back || b
	}
	told("dashed arrows: the node picks which are taken", choice)
	told("bar on top: waits for those whose arrows end there", join)
	told("arrows upwards: cycles", back)
	told(strings.TrimSuffix("⊠ what finally failed is kept as a dead letter, in "+c.letters, ", in "), letter)
	return list
}

// painting is a picture that is being made.
type painting struct {
	*layout
	out bytes.Buffer
	top float64 // of the layers
}

func (p *painting) say(format string, args ...any) { fmt.Fprintf(&p.out, format, args...) }

// box returns the upper left corner of the box of a vertex.
func (p *painting) box(v int) (x, y float64) {
	return p.x[v] - p.sizes[v].box/2, p.top + p.y[p.items[v].layer]
}

// vertex draws one.
func (p *painting) vertex(at int) {
	v, s := p.chart.vertices[at], p.sizes[at]
	x, y := p.box(at)
	if v.kind == kindEnd {
		p.say(`<circle class="end" cx="%.1f" cy="%.1f" r="%.1f"/><circle class="dot" cx="%.1f" cy="%.1f" r="4"/>`+"\n", p.x[at], y+endRadius, endRadius-1, p.x[at], y+endRadius)
		return
	}
	p.outline(v, x, y, s)
	if at == 0 {
		p.say(`<circle class="dot" cx="%.1f" cy="%.1f" r="4"/><path class="arrow" d="M%.1f %.1fv12"/>`+"\n", p.x[0], y-20, p.x[0], y-20)
		p.head(p.x[0], y, "head", -1)
	}
	if v.join != "" {
		p.say(`<path class="bar" d="M%.1f %.1fh%.1f"/>`+"\n", x, y, s.box)
	}
	p.say(`<text class="name" x="%.1f" y="%.1f">%s</text>`+"\n", p.x[at], y+lineTall+2, escape(graphText(v.name)))
	for i, note := range vertexNotes(v) {
		p.say(`<text class="note" x="%.1f" y="%.1f">%s</text>`+"\n", p.x[at], y+lineTall*float64(i+2)+2, escape(graphText(note)))
	}
	p.stubs(v, x+s.box, y+s.height/2)
}
