package etl

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/resilgen/resilgen/runtime/workflow"
)

// Files are [Stages] over files. A step that a crash repeats writes the same bytes
// at the same place.
type Files struct{}

var _ Stages = Files{}

// Split implements [Stages].
func (Files) Split(_ context.Context, j Job) (Chunk, workflow.Route, error) {
	info, err := os.Stat(j.In)
	if err != nil {
		return Chunk{}, workflow.Route{}, err
	}
	var route workflow.Route
	for lane := range j.Lanes {
		begin, end := info.Size()*int64(lane)/int64(j.Lanes), info.Size()*int64(lane+1)/int64(j.Lanes)
		route = route.And(workflow.Send(ImportExtract, Chunk{Job: j, Lane: lane, At: begin, End: end, Total: Total{Lane: lane}}))
	}
	return Chunk{}, route, nil
}

// Extract implements [Stages]. A line belongs to the lane in whose share it begins.
func (Files) Extract(_ context.Context, c Chunk) (Items, error) {
	items := Items{Next: c}
	in, err := os.Open(c.Job.In)
	if err != nil {
		return items, err
	}
	defer func() { _ = in.Close() }() // it was read
	reader := bufio.NewReader(io.NewSectionReader(in, max(c.At-1, 0), 1<<62))
	if c.At > 0 && c.Total.Items == 0 { // the end of a line that began in the lane before
		rest, err := reader.ReadString('\n')
		if err != nil && err != io.EOF {
			return items, err
		}
		items.Next.At += int64(len(rest)) - 1
	} else if c.At > 0 {
		_, _ = reader.Discard(1)
	}
	for len(items.Lines) < c.Job.Size && items.Next.At < c.End {
		line, err := reader.ReadString('\n')
		if err == io.EOF && line == "" {
			items.Next.At = c.End
			break
		}
		if err != nil && err != io.EOF {
			return items, err
		}
		items.Next.At += int64(len(line))
		items.Lines = append(items.Lines, strings.TrimSuffix(line, "\n"))
	}
	return items, nil
}

// Transform implements [Stages].
func (Files) Transform(_ context.Context, i Items) (Rows, error) {
	var text strings.Builder
	rows := Rows{Next: i.Next}
	for _, line := range i.Lines {
		n, err := strconv.Atoi(line)
		if err != nil {
			return rows, err
		}
		fmt.Fprintf(&text, "%d %d\n", n, n*n)
		rows.Next.Total.Items++
		rows.Next.Total.Sum += n * n
	}
	rows.Text = text.String()
	return rows, nil
}

// Load implements [Stages].
func (Files) Load(_ context.Context, r Rows) (Chunk, workflow.Route, error) {
	next := r.Next
	out, err := os.OpenFile(filepath.Join(next.Job.Out, fmt.Sprintf("lane-%d", next.Lane)), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return next, workflow.Route{}, err
	}
	if _, err := out.WriteAt([]byte(r.Text), next.OutAt); err != nil {
		_ = out.Close()
		return next, workflow.Route{}, err
	}
	next.OutAt += int64(len(r.Text))
	if next.At < next.End {
		return next, workflow.To(ImportExtract), out.Close()
	}
	return next, workflow.To(ImportCount), out.Close()
}

// Count implements [Stages].
func (Files) Count(_ context.Context, c Chunk) (Total, error) { return c.Total, nil }
