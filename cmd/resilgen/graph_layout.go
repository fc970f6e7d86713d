package main

import "slices"

// A chart is drawn in layers (after Sugiyama, Tagawa and Toda, "Methods for
// visual understanding of hierarchical system structures", 1981): arrows that
// close a cycle are turned round, each vertex goes below those that lead to it,
// an arrow that passes layers becomes a chain of bends, layers are ordered so
// that few arrows cross, and then everything gets its place.

// layout is a chart in layers.
type layout struct {
	chart  *chart
	sizes  []extent  // of vertices
	items  []item    // vertices first, by their index, then bends
	layers [][]int   // items from left to right
	links  []link    // between neighbouring layers, downwards
	up     [][]int   // what an item is linked to in the layer above
	below  [][]int   // and in the one below
	routes []route   // of arrows, by their index
	x      []float64 // middles of items
	y      []float64 // tops of layers
	tall   []float64 // heights of layers
	width  float64
	height float64
}

// item is a vertex, or the place where an arrow passes a layer.
type item struct {
	layer int
	bend  bool
	left  float64 // room that it takes beside its middle
	right float64
}

// link is the part of an arrow between two layers.
type link struct{ from, to int }

// route is the way of an arrow from top to bottom.
type route struct {
	back  bool  // it is drawn upwards
	loop  bool  // from a vertex to itself
	stops []int // items: both ends and the bends between
}

// layOut gives everything in c a place. The same chart gives the same layout.
func layOut(c *chart, sizes []extent) *layout {
	l := &layout{chart: c, sizes: sizes}
	l.stack()
	l.bend()
	l.order()
	l.place()
	return l
}

// stack decides about layers: the longest way from the entry, and nearer to what
// follows where that makes more arrows shorter than longer.
func (l *layout) stack() {
	back := l.chart.back()
	l.items = make([]item, len(l.chart.vertices))
	for v, s := range l.sizes {
		l.items[v] = item{left: s.left, right: s.right}
	}
	l.routes = make([]route, len(l.chart.arrows))
	for i, a := range l.chart.arrows {
		l.routes[i] = route{back: back[i] && a.from != a.to, loop: a.from == a.to}
	}
	order := l.sorted()
	for _, v := range order {
		for i := range l.down(v) {
			_, to := l.ends(i)
			l.items[to].layer = max(l.items[to].layer, l.items[v].layer+1)
		}
	}
	slices.Reverse(order)
	for _, v := range order {
		l.lower(v)
	}
}

// lower moves v down to what follows it, if it has fewer arrows above.
func (l *layout) lower(v int) {
	lowest, balance := len(l.items), 0
	for i := range l.routes {
		switch from, to := l.ends(i); {
		case l.routes[i].loop:
		case from == v:
			lowest, balance = min(lowest, l.items[to].layer-1), balance+1
		case to == v:
			balance--
		}
	}
	if balance > 0 && v != 0 && lowest < len(l.items) {
		l.items[v].layer = max(l.items[v].layer, lowest)
	}
}

// ends returns the upper and the lower vertex of an arrow.
func (l *layout) ends(i int) (from, to int) {
	a := l.chart.arrows[i]
	if l.routes[i].back {
		return a.to, a.from
	}
	return a.from, a.to
}

// down yields the arrows whose upper end is v.
func (l *layout) down(v int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range l.routes {
			if from, _ := l.ends(i); from == v && !l.routes[i].loop && !yield(i) {
				return
			}
		}
	}
}

// sorted returns the vertices so that every arrow leads to a later one.
func (l *layout) sorted() []int {
	above := make([]int, len(l.chart.vertices))
	for i := range l.routes {
		if _, to := l.ends(i); !l.routes[i].loop {
			above[to]++
		}
	}
	var list []int
	for v, n := range above {
		if n == 0 {
			list = append(list, v)
		}
	}
	for at := 0; at < len(list); at++ {
		for i := range l.down(list[at]) {
			_, to := l.ends(i)
			if above[to]--; above[to] == 0 {
				list = append(list, to)
			}
		}
	}
	return list
}

// bendRoom is what an arrow that passes a layer takes to each side.
const bendRoom = 6

// bend makes the chains of bends.
func (l *layout) bend() {
	for i := range l.routes {
		r := &l.routes[i]
		if r.loop {
			continue
		}
		from, to := l.ends(i)
		r.stops = []int{from}
		for layer := l.items[from].layer + 1; layer < l.items[to].layer; layer++ {
			l.items = append(l.items, item{layer: layer, bend: true, left: bendRoom, right: bendRoom})
			r.stops = append(r.stops, len(l.items)-1)
		}
		r.stops = append(r.stops, to)
		for n := range r.stops[1:] {
			l.links = append(l.links, link{r.stops[n], r.stops[n+1]})
		}
	}
	l.up, l.below = make([][]int, len(l.items)), make([][]int, len(l.items))
	for _, k := range l.links {
		l.below[k.from] = append(l.below[k.from], k.to)
		l.up[k.to] = append(l.up[k.to], k.from)
	}
}
