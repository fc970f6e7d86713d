package main

import (
	"math/rand/v2"
	"slices"
)

// Bounds of the search for an order without crossings: tries with another
// beginning, sweeps of each, and pairs of neighbours that are looked at in all,
// about, so that a large chart gets fewer of both.
const (
	orderTries  = 60
	orderSweeps = 12
	orderWork   = 4_000_000
)

// order arranges the items of each layer so that few links cross.
func (l *layout) order() {
	s := newSorter(l)
	s.begin(nil)
	pairs := 1
	for _, layer := range s.layers {
		pairs += len(layer) * len(layer)
	}
	s.afford = max(orderWork/pairs, 2)
	s.improve()
	best, least := s.copied(), s.crossings()
	random := rand.New(rand.NewPCG(7, 7)) // the same chart, the same layout
	for n := 0; n < min(orderTries, s.afford/orderSweeps) && least > 0; n++ {
		s.begin(random)
		s.improve()
		if n := s.crossings(); n < least {
			best, least = s.copied(), n
		}
	}
	l.layers = best
}

// sorter orders layers.
type sorter struct {
	layers [][]int
	at     []int   // where an item is in its layer
	up     [][]int // items that an item is linked to in the layer above
	down   [][]int
	items  []item
	afford int // sweeps
}

func newSorter(l *layout) *sorter {
	return &sorter{items: l.items, at: make([]int, len(l.items)), up: l.up, down: l.below}
}

// begin fills the layers in the order in which a walk downwards meets the items;
// with a source of chance, one that takes turns as they come.
func (s *sorter) begin(random *rand.Rand) {
	s.layers = nil
	seen := make([]bool, len(s.items))
	for v := range s.items {
		if len(s.up[v]) == 0 {
			s.visit(v, seen, random)
		}
	}
	s.settle()
}

func (s *sorter) visit(v int, seen []bool, random *rand.Rand) {
	stack := []int{v}
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[v] {
			continue
		}
		seen[v] = true
		layer := s.items[v].layer
		for len(s.layers) <= layer {
			s.layers = append(s.layers, nil)
		}
		s.layers[layer] = append(s.layers[layer], v)
		next := slices.Clone(s.down[v])
		slices.Reverse(next) // the stack gives them back in their order
		if random != nil {
			random.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
		}
		stack = append(stack, next...)
	}
}

// settle notes where items are.
func (s *sorter) settle() {
	for _, layer := range s.layers {
		for at, v := range layer {
			s.at[v] = at
		}
	}
}

func (s *sorter) copied() [][]int {
	layers := make([][]int, len(s.layers))
	for i, layer := range s.layers {
		layers[i] = slices.Clone(layer)
	}
	return layers
}

// improve sweeps down and up while it helps, and leaves the best that it met.
func (s *sorter) improve() {
	best, least := s.copied(), s.crossings()
	for n := 0; n < min(orderSweeps, s.afford) && least > 0; n++ {
		s.sweep(n%2 == 0)
		s.swap()
		if n := s.crossings(); n < least {
			best, least = s.copied(), n
		}
	}
	s.layers = best
	s.settle()
}

// sweep sorts each layer by the middle of what its items are linked to in the
// layer before.
func (s *sorter) sweep(down bool) {
	for i := 1; i < len(s.layers); i++ {
		layer, linked := s.layers[i], s.up
		if !down {
			layer, linked = s.layers[len(s.layers)-1-i], s.down
		}
		middle := make(map[int]float64, len(layer))
		for at, v := range layer {
			middle[v] = float64(at)
			if n := len(linked[v]); n > 0 {
				sum := 0
				for _, w := range linked[v] {
					sum += s.at[w]
				}
				middle[v] = float64(sum) / float64(n)
			}
		}
		slices.SortStableFunc(layer, func(a, b int) int {
			switch {
			case middle[a] < middle[b]:
				return -1
			case middle[a] > middle[b]:
				return 1
			}
			return 0
		})
		for at, v := range layer {
			s.at[v] = at
		}
	}
}

// swap exchanges neighbours while fewer links cross then.
func (s *sorter) swap() {
	for better, n := true, 0; better && n < min(orderSweeps, s.afford); n++ {
		better = false
		for _, layer := range s.layers {
			for i := 1; i < len(layer); i++ {
				v, w := layer[i-1], layer[i]
				if s.between(w, v) < s.between(v, w) {
					layer[i-1], layer[i] = w, v
					s.at[v], s.at[w] = i, i-1
					better = true
				}
			}
		}
	}
}

// between counts the crossings of the links of v and w if v is to the left.
func (s *sorter) between(v, w int) int {
	return s.inversions(s.up[v], s.up[w]) + s.inversions(s.down[v], s.down[w])
}

// inversions counts the pairs of which the one that should be left is right.
func (s *sorter) inversions(left, right []int) int {
	n := 0
	for _, a := range left {
		for _, b := range right {
			if s.at[a] > s.at[b] {
				n++
			}
		}
	}
	return n
}

// crossings counts all.
func (s *sorter) crossings() int {
	n := 0
	for _, layer := range s.layers {
		for i, v := range layer {
			for _, w := range layer[i+1:] {
				n += s.inversions(s.down[v], s.down[w])
			}
		}
	}
	return n
}
