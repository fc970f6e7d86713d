package main

import (
	"fmt"
	"slices"
	"strings"
)

// outline draws the box of a vertex in the shape of its kind.
func (p *painting) outline(v vertex, x, y float64, s extent) {
	class, right, low := "box", x+s.box, y+s.height
	switch {
	case v.mark != markNone:
		class = strings.ReplaceAll(string(v.mark), string(markNotYet), "unseen")
	case v.kind == kindSignal:
		class = "box signal"
	case v.kind == kindWhole:
		class = "box whole"
	}
	switch v.kind {
	case kindSignal: // pointed to the left and the right: it comes from outside
		p.say(`<path class="%s" d="M%.1f %.1fL%.1f %.1fH%.1fL%.1f %.1fL%.1f %.1fH%.1fZ"/>`+"\n", class, x, (y+low)/2, x+8, y, right-8, right, (y+low)/2, right-8, low, x+8)
	case kindWhole: // a box in a box: there is more in it
		p.rect(class, x, y, s.box, s.height)
		p.rect(class, x+4, y+4, s.box-8, s.height-8)
	default:
		p.rect(class, x, y, s.box, s.height)
	}
	if v.choice {
		p.say(`<path class="choice" d="M%.1f %.1fl9 6l-9 6l-9 -6Z"/>`+"\n", (x+right)/2, low-6)
	}
}

func (p *painting) rect(class string, x, y, width, height float64) {
	p.say(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="5"/>`+"\n", class, x, y, width, height)
}

// stubs draws what becomes of a call that finally failed, to the right of a box.
func (p *painting) stubs(v vertex, x, y float64) {
	if v.fallback {
		p.say(`<path class="stub" d="M%.1f %.1fh%.0f"/><rect class="spare" x="%.1f" y="%.1f" width="%.1f" height="18" rx="9"/><text x="%.1f" y="%.1f" text-anchor="middle">fallback</text>`+"\n",
			x, y, stubRoom, x+stubRoom, y-9, pillWide, x+stubRoom+pillWide/2, y+4)
		x += stubRoom + pillWide
	}
	if v.letter {
		left := x + stubRoom
		p.say(`<path class="stub" d="M%.1f %.1fh%.0f"/><path class="letter" d="M%.1f %.1fh%.0fv12h-%.0fZl%.1f 7l%.1f -7"/>`+"\n",
			x, y, stubRoom, left, y-6, letterWide, letterWide, letterWide/2, letterWide/2)
	}
}

// arrow draws an arrow with its head.
func (p *painting) arrow(i int) {
	r, a := p.routes[i], p.chart.arrows[i]
	class, head := "arrow", "head"
	switch {
	case r.back:
		class, head = "arrow back", "backhead"
	case a.taken:
		class, head = "arrow taken", "takenhead"
	}
	if a.choice {
		class += " may"
	}
	if r.loop {
		p.loop(a.from, class, head)
		return
	}
	x0, y0 := p.lowerEnd(i)
	x1, y1 := p.upperEnd(i)
	if r.back {
		p.head(x0, y0, head, 1)
	} else {
		p.head(x1, y1, head, -1)
	}
	p.say(`<path class="%s" d="%s"/>`+"\n", class, p.way(r, x0, y0, x1, y1))
}

// lowerEnd is where arrow i leaves the box above it, upperEnd where it meets the one
// below.
func (p *painting) lowerEnd(i int) (x, y float64) {
	r := p.routes[i]
	v := r.stops[0]
	_, y = p.box(v)
	y += p.sizes[v].height
	if p.chart.vertices[v].choice {
		y += 6
	}
	return p.port(i, v, func(o route) (int, bool) { return o.stops[1], o.stops[0] == v }), y
}

func (p *painting) upperEnd(i int) (x, y float64) {
	r := p.routes[i]
	last := len(r.stops) - 1
	v := r.stops[last]
	_, y = p.box(v)
	return p.port(i, v, func(o route) (int, bool) { return o.stops[len(o.stops)-2], o.stops[len(o.stops)-1] == v }), y
}

// port is where arrow i meets the edge of v: arrows stand side by side there, in
// the order of the items that they come from or go to.
func (p *painting) port(i, v int, neighbour func(route) (int, bool)) float64 {
	var there []int
	at := map[int]float64{}
	for n, r := range p.routes {
		if r.loop {
			continue
		}
		if item, ok := neighbour(r); ok {
			there = append(there, n)
			at[n] = p.x[item]
		}
	}
	slices.SortStableFunc(there, func(a, b int) int {
		switch {
		case at[a] < at[b]:
			return -1
		case at[a] > at[b]:
			return 1
		}
		return 0
	})
	apart := min(portsApart, (p.sizes[v].box-2*boxPadding)/max(float64(len(there)-1), 1))
	if p.sizes[v].box < 2*boxPadding {
		apart = 0
	}
	return p.x[v] + apart*(float64(slices.Index(there, i))-float64(len(there)-1)/2)
}

// way is the path of an arrow: straight through layers, bent between them. Two
// that do not change sides between layers do not cross.
func (p *painting) way(r route, x, y, toX, toY float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "M%.1f %.1f", x, y)
	for n, stop := range r.stops[:len(r.stops)-1] {
		layer := p.items[stop].layer
		bottom, next := p.top+p.y[layer]+p.tall[layer]+8, p.top+p.y[layer+1]
		nextX := toX
		if n+2 < len(r.stops) {
			nextX = p.x[r.stops[n+1]]
		}
		middle := (bottom + next) / 2
		fmt.Fprintf(&b, "V%.1fC%.1f %.1f %.1f %.1f %.1f %.1f", bottom, x, middle, nextX, middle, nextX, next-8)
		x = nextX
	}
	fmt.Fprintf(&b, "V%.1f", toY)
	return b.String()
}

// head draws the head of an arrow that ends at a point, downwards or upwards.
func (p *painting) head(x, y float64, class string, down float64) {
	p.say(`<path class="%s" d="M%.1f %.1fl-4 %.0fh8Z"/>`+"\n", class, x, y, 8*down)
}

// loop draws an arrow from a vertex to itself, to the left of it.
func (p *painting) loop(v int, class, head string) {
	x, y := p.box(v)
	middle := y + p.sizes[v].height/2
	p.say(`<path class="%s" d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f"/><path class="%s" d="M%.1f %.1fl-8 -4v8Z"/>`+"\n",
		class, x, middle+7, x-loopRoom, middle+16, x-loopRoom, middle-16, x-7, middle-7, head, x, middle-7)
}
