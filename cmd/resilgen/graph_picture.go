package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/resilgen/resilgen/generator"
)

// pictureFlags say how a graph is drawn, and where to.
type pictureFlags struct{ format, file string }

func (p *pictureFlags) declare(flags *flag.FlagSet) {
	flags.StringVar(&p.format, "format", "text", "the `format`: text, mermaid or svg")
	flags.StringVar(&p.file, "o", "", "write to a `file`, by whose ending .svg or .mmd the format is known")
}

// check settles the format.
func (p *pictureFlags) check() error {
	if p.format == "text" && strings.HasSuffix(p.file, ".svg") {
		p.format = "svg"
	}
	if p.format == "text" && (strings.HasSuffix(p.file, ".mmd") || strings.HasSuffix(p.file, ".mermaid")) {
		p.format = "mermaid"
	}
	if p.format != "text" && p.format != "mermaid" && p.format != "svg" {
		return usageError{fmt.Sprintf("no format %s; there are text, mermaid and svg", clean(clip(p.format, 40)))}
	}
	return nil
}

// graphLine is what --json prints of a graph.
type graphLine struct {
	Format string `json:"format"`
	Graph  string `json:"graph"`
}

// write draws c and writes it.
func (p *pictureFlags) write(ctx context.Context, out *output, c *chart) error {
	content, err := p.draw(c, out.env.colorOut && p.file == "" && !out.json)
	switch {
	case err != nil:
		return err
	case p.file != "":
		return writeAll(ctx, []generator.File{{Path: p.file, Content: content}})
	case out.json:
		return out.value(graphLine{p.format, string(content)})
	}
	_, err = out.env.stdout.Write(content)
	return err
}

func (p *pictureFlags) draw(c *chart, color bool) ([]byte, error) {
	switch p.format {
	case "svg":
		return svg(c)
	case "mermaid":
		return mermaid(c), nil
	}
	return text(c, color), nil
}
