package main

import "math"

// Room in a picture, in pixels.
const (
	margin   = 24.0
	besides  = 28.0 // between items of a layer
	beneath  = 44.0 // between layers
	rounds   = 24   // of the search for places
	straight = 8.0  // how much more a passing arrow wants to be straight than a vertex to be in the middle
)

// place gives items their places: as near to the middle of what they are linked
// to as their neighbours let them.
func (l *layout) place() {
	l.x = make([]float64, len(l.items))
	for _, layer := range l.layers {
		at := 0.0
		for i, v := range layer {
			if i > 0 {
				at += l.apart(layer[i-1], v)
			}
			l.x[v] = at
		}
		for _, v := range layer {
			l.x[v] -= at / 2
		}
	}
	for n := range rounds {
		for i := range l.layers {
			if n%2 == 1 {
				i = len(l.layers) - 1 - i
			}
			l.settle(l.layers[i], n < rounds-4 && n%2 == 0, n < rounds-4 && n%2 == 1)
		}
	}
	l.shift()
	l.stackUp()
}

// apart is how far the middles of neighbours are from each other at least.
func (l *layout) apart(v, w int) float64 {
	gap := besides
	if l.items[v].bend || l.items[w].bend {
		gap = besides / 2
	}
	return l.items[v].right + gap + l.items[w].left
}

// settle moves the items of a layer to where they want to be, looking only up or
// only down, or both ways. Among all places that keep their order and distances it
// finds those with the least sum of weighted squares: neighbours that would
// overlap are pooled and moved as one (pool adjacent violators).
func (l *layout) settle(layer []int, up, down bool) {
	type pool struct{ weight, sum float64 }
	var pools []pool
	var members []int
	offset := make([]float64, len(layer))
	for i, v := range layer {
		if i > 0 {
			offset[i] = offset[i-1] + l.apart(layer[i-1], v)
		}
		want, weight := l.wanted(v, !down, !up)
		pools, members = append(pools, pool{weight, weight * (want - offset[i])}), append(members, 1)
		for n := len(pools) - 1; n > 0 && pools[n-1].sum/pools[n-1].weight > pools[n].sum/pools[n].weight; n-- {
			pools[n-1] = pool{pools[n-1].weight + pools[n].weight, pools[n-1].sum + pools[n].sum}
			members[n-1] += members[n]
			pools, members = pools[:n], members[:n]
		}
	}
	i := 0
	for n, p := range pools {
		for range members[n] {
			l.x[layer[i]] = p.sum/p.weight + offset[i]
			i++
		}
	}
}

// wanted is where v would stand if it were alone, and how much it wants it.
func (l *layout) wanted(v int, up, down bool) (at, weight float64) {
	look := func(list []int) {
		for _, other := range list {
			w := 1.0
			if l.items[v].bend && l.items[other].bend {
				w = straight
			}
			at, weight = at+w*l.x[other], weight+w
		}
	}
	if up {
		look(l.up[v])
	}
	if down {
		look(l.below[v])
	}
	if weight == 0 {
		return l.x[v], 0.01 // nothing to look at: stay
	}
	return at / weight, weight
}

// shift moves everything to the right of the margin, to whole pixels.
func (l *layout) shift() {
	leftmost, rightmost := math.Inf(1), math.Inf(-1)
	for v, it := range l.items {
		leftmost, rightmost = min(leftmost, l.x[v]-it.left), max(rightmost, l.x[v]+it.right)
	}
	if len(l.items) == 0 {
		leftmost, rightmost = 0, 0
	}
	for v := range l.items {
		l.x[v] = math.Round(l.x[v] - leftmost + margin)
	}
	l.width = math.Ceil(rightmost-leftmost) + 2*margin
}

// stackUp decides about heights.
func (l *layout) stackUp() {
	at := margin
	for _, layer := range l.layers {
		tallest := 0.0
		for _, v := range layer {
			if !l.items[v].bend {
				tallest = max(tallest, l.sizes[v].height)
			}
		}
		l.y, l.tall = append(l.y, at), append(l.tall, tallest)
		at += tallest + beneath
	}
	l.height = at - beneath + margin
}
