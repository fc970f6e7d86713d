// Demo appraises items and keeps what is said of them in a directory. Run again with
// the same directory, it pays for nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/resilgen/resilgen/examples/appraisal"
	"github.com/resilgen/resilgen/runtime/resilience"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo DIR")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run appraises three items.
func run(ctx context.Context, dir string, out io.Writer) (err error) {
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	expert := &appraisal.Expert{Name: "Erna"}
	appraiser, err := appraisal.NewResilientAppraiser(rt, expert)
	if err != nil {
		return err
	}
	for i, name := range []string{"a clock", "a chair", "a picture of a chair"} {
		a, err := appraiser.Appraise(ctx, appraisal.Item{ID: fmt.Sprint(i), Name: name})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s is worth %d cents\n", name, a.Cents)
	}
	fmt.Fprintf(out, "paid %d times\n", expert.Paid.Load())
	return nil
}
