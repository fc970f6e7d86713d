package main

import (
	"context"
	"errors"
	"flag"

	"github.com/resilgen/resilgen/generator"
)

// graphFlags are those of graph.
func (env *environment) graphFlags() (*flag.FlagSet, *pictureFlags) {
	flags := flag.NewFlagSet("graph", flag.ContinueOnError)
	flags.SetOutput(env.stderr)
	flags.Usage = func() {}
	p := &pictureFlags{}
	p.declare(flags)
	return flags, p
}

// graphVerb draws a workflow or a pipeline of the package here.
func graphVerb(ctx context.Context, env *environment, args []string) error {
	flags, picture := env.graphFlags()
	rest, err := parseBetween(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		env.help("graph")
		return nil
	case err != nil:
		return usageError{clean(err.Error())}
	case len(rest) != 1:
		return usageError{"graph wants the name of one workflow or pipeline, like Research"}
	}
	if err := picture.check(); err != nil {
		return err
	}
	d, err := generator.Draw(ctx, generator.Config{Dir: "."}, rest[0])
	if err != nil {
		return err
	}
	return picture.write(ctx, env.output(), chartOf(d))
}

// chartOf is the chart of what the generator knows.
func chartOf(d *generator.Drawing) *chart {
	title := d.Name + ": " + d.Input
	if d.Output != "" {
		title += " → " + d.Output
	}
	c := &chart{title: title, notes: d.Notes, letters: d.Letters}
	for _, n := range d.Nodes {
		c.add(vertex{name: n.Name, kind: vertexKinds[n.Kind], join: n.Join, choice: n.Routes, fallback: n.Fallback, letter: n.Letter, notes: n.Notes})
	}
	for i, n := range d.Nodes {
		for _, to := range n.Next {
			c.connect(i, to, n.Routes, false)
		}
	}
	return c
}
