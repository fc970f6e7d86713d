package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// researchChart has one of everything that is drawn.
func researchChart() *chart {
	c := &chart{title: "Research: Question → Report", notes: []string{"at most 50 invocations, 10m; 4 nodes at a time"}, letters: "workflow.Research"}
	for _, v := range []vertex{
		{name: "Plan", letter: true, notes: []string{"3 attempts of 2s"}},
		{name: "Analyse", letter: true, choice: true},
		{name: "Write", letter: true, fallback: true},
		{name: "Approve", kind: kindSignal, notes: []string{"signal approval, 72h"}},
		{name: "Review", letter: true, join: "all"},
		{name: "Publish", kind: kindWhole, notes: []string{"workflow Publishing"}, letter: true},
	} {
		c.add(v)
	}
	for from, next := range [][]string{{"Analyse", "Write", "Approve"}, {"Review", "Plan"}, {"Review", "Write"}, {"Review"}, {"Publish"}, {"end"}} {
		for _, to := range next {
			c.connect(from, to, c.vertices[from].choice, false)
		}
	}
	return c
}

func TestChartAsText(t *testing.T) {
	require.Equal(t, `Research: Question → Report
at most 50 invocations, 10m; 4 nodes at a time

Plan                     3 attempts of 2s · letters
├─ Analyse               picks what follows · letters
│  ├┄ Review, below
│  └┄ Plan, again (a cycle)
├─ Write                 fallback · letters
│  ├─ Review, below
│  └─ Write, again (a cycle)
└─ Approve               signal approval, 72h
   ↓ Review              joins all · letters
   ↓ Publish             workflow Publishing · letters
   ↓ end
`, string(text(researchChart(), false)))
}

func TestChartAsMermaid(t *testing.T) {
	require.Equal(t, `---
title: "Research: Question → Report"
---
flowchart TD
  %% at most 50 invocations, 10m; 4 nodes at a time
  n0["Plan<br/>3 attempts of 2s"]
  n1{"Analyse"}
  n2["Write<br/>fallback"]
  n3{{"Approve<br/>signal approval, 72h"}}
  n4["Review<br/>joins all"]
  n5[["Publish<br/>workflow Publishing"]]
  n6(("end"))
  letters[("dead letters<br/>workflow.Research")]
  n0 --> n1
  n0 --> n2
  n0 --> n3
  n1 -.-> n4
  n1 -.-> n0
  n2 --> n4
  n2 --> n2
  n3 --> n4
  n4 --> n5
  n5 --> n6
  n0 -. fails .-> letters
  n1 -. fails .-> letters
  n2 -. fails .-> letters
  n4 -. fails .-> letters
  n5 -. fails .-> letters
`, string(mermaid(researchChart())))
}

func TestChartAsSVG(t *testing.T) {
	matches(t, "testdata/research.svg", drawn(t, researchChart()))
}

// A chart shows what it is given, and obeys nothing of it.
func TestChartIsNotMovedByNames(t *testing.T) {
	evil := "\x1b]52;c;eA==\a<script>alert(1)</script>\"]; click n0 \"javascript:x\"\n%%{init: {}}%%`&\u202e\x00\x9b"
	c := &chart{title: evil, notes: []string{evil}, letters: evil}
	c.add(vertex{name: evil, notes: []string{evil}, letter: true, fallback: true, join: "all", choice: true})
	c.add(vertex{name: evil + "2", kind: kindSignal})
	c.connect(0, evil+"2", true, false)
	c.connect(1, evil, false, false)

	picture := string(drawn(t, c))
	wellFormed(t, picture)
	require.NotContains(t, picture, "<script")
	for _, out := range []string{picture, string(mermaid(c)), string(text(c, false))} {
		require.NotContains(t, out, "\x1b")
		require.NotContains(t, out, "\u202e")
		require.NotContains(t, out, "\x9b")
	}
	for line := range strings.Lines(string(mermaid(c))) {
		if body, ok := strings.CutPrefix(line, "  n0"); ok {
			require.Regexp(t, `^(\{"[^"<>`+"`"+`]*(<br/>[^"<>`+"`"+`]*)*"\}| -\.?->? n1| -\. fails \.-> letters)\n$`, body)
		}
		require.False(t, strings.HasPrefix(strings.TrimSpace(line), "click"))
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// randomChart has up to n vertices that the entry reaches, and some cycles.
func randomChart(random *rand.Rand, n int) *chart {
	c := &chart{title: "random"}
	for i := range 1 + random.IntN(n) {
		c.add(vertex{name: fmt.Sprint("Node", i), letter: random.IntN(3) == 0, fallback: random.IntN(5) == 0, choice: random.IntN(5) == 0})
		if i > 0 {
			c.connect(random.IntN(i), c.vertices[i].name, false, false)
		}
	}
	for range random.IntN(len(c.vertices) + 1) {
		c.connect(random.IntN(len(c.vertices)), c.vertices[random.IntN(len(c.vertices))].name, random.IntN(2) == 0, false)
	}
	return c
}

// Boxes stand clear of each other, arrows of boxes that are not theirs, and every
// arrow but those of cycles leads down.
func TestLayoutIsReadable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		c := randomChart(random, 30)
		sizes := make([]extent, len(c.vertices))
		for v := range c.vertices {
			sizes[v] = sizeOf(c, v)
		}
		p := &painting{layout: layOut(c, sizes)}
		apartOrFail(t, p)
		for i, r := range p.routes {
			if r.loop {
				continue
			}
			a := c.arrows[i]
			require.Equal(t, r.back, p.items[a.from].layer > p.items[a.to].layer, "back arrows lead up, others down")
			for n := 1; n < len(r.stops); n++ {
				require.Equal(t, p.items[r.stops[n-1]].layer+1, p.items[r.stops[n]].layer)
			}
		}
		picture := drawn(t, c)
		wellFormed(t, string(picture))
		require.Equal(t, picture, drawn(t, c))
	}
}

func apartOrFail(t *testing.T, p *painting) {
	t.Helper()
	seen := 0
	for _, layer := range p.layers {
		for i, v := range layer {
			seen++
			require.GreaterOrEqual(t, p.x[v]-p.items[v].left, margin-1)
			require.LessOrEqual(t, p.x[v]+p.items[v].right, p.width-margin+1)
			if i > 0 {
				w := layer[i-1]
				require.GreaterOrEqual(t, p.x[v]-p.items[v].left, p.x[w]+p.items[w].right, "one stands on another")
			}
		}
	}
	require.Equal(t, len(p.items), seen)
}

// The order is the best there is, as trying all shows for small charts.
func TestNoArrowCrossesThatNeedNot(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	worse, tried := 0, 0
	for tried < 300 {
		c := randomChart(random, 9)
		l := layOut(c, make([]extent, len(c.vertices)))
		s := newSorter(l)
		s.layers = l.layers
		s.settle()
		got, least := s.crossings(), 0
		if got > 0 {
			orders := 1
			for _, layer := range l.layers {
				for n := range layer {
					orders = min(orders*(n+1), 1_000_000)
				}
			}
			if orders > 50_000 {
				continue
			}
			least = leastCrossings(s, 0, got)
		}
		tried++
		if got > least {
			worse++
		}
	}
	require.Zero(t, worse)
}

// leastCrossings tries every order of the layers from one on.
func leastCrossings(s *sorter, from, least int) int {
	if from == len(s.layers) {
		return min(least, s.crossings())
	}
	layer := s.layers[from]
	var permute func(n int)
	permute = func(n int) {
		if n == len(layer) {
			s.settle()
			least = leastCrossings(s, from+1, least)
			return
		}
		for i := n; i < len(layer) && least > 0; i++ {
			layer[n], layer[i] = layer[i], layer[n]
			permute(n + 1)
			layer[n], layer[i] = layer[i], layer[n]
		}
	}
	permute(0)
	return least
}

// A store may hold a graph of any size: what can be drawn is drawn in time.
func TestLargeChart(t *testing.T) {
	for _, n := range []int{100, 600} {
		c := &chart{title: "large"}
		for i := range n {
			c.add(vertex{name: fmt.Sprint("Node", i)})
		}
		for i := range n {
			c.connect(i, fmt.Sprint("Node", (i*7+1)%n), false, false)
			c.connect(i, fmt.Sprint("Node", min(i+1, n-1)), false, false)
		}
		require.Equal(t, 3*n, strings.Count(string(mermaid(c)), "\n")-4)
		require.GreaterOrEqual(t, strings.Count(string(text(c, false)), "\n"), n)
		require.True(t, slices.Contains(c.back(), true))
		picture, err := svg(c)
		if n > maxDrawn {
			require.EqualError(t, err, "600 nodes and 1200 arrows make no picture that can be read: --format text lists them")
			continue
		}
		require.NoError(t, err)
		wellFormed(t, string(picture))
	}
}

func drawn(t *testing.T, c *chart) []byte {
	t.Helper()
	picture, err := svg(c)
	require.NoError(t, err)
	return picture
}

// matches compares with a file that -update writes.
func matches(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}
