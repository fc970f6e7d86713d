// Demo sends the same load to a misbehaving gateway twice, through the bare
// client and through the generated wrapper, and prints both side by side. Then it
// kills a service in the middle of such a load, and shows that nothing is lost.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/resilgen/resilgen/examples/payments"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// The load: every interval one charge, as customers come.
const (
	charges  = 1000
	interval = 12 * time.Millisecond
	// patience is what a bare client must have to survive a gateway that hangs.
	patience = 5 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: demo gateway service resilgen, the paths of three commands")
	}
	bare, err := measure(ctx, args[0], "bare", func(c *payments.Client) (payments.Gateway, error) { return c, nil })
	if err != nil {
		return err
	}
	wrapped, err := measure(ctx, args[0], "wrapped", func(c *payments.Client) (payments.Gateway, error) {
		return payments.NewResilientGateway(nil, c, payments.Deferred{})
	})
	if err != nil {
		return err
	}
	table(bare, wrapped)
	return durable(ctx, args[0], args[1], args[2])
}

// result is what one run of the load saw.
type result struct {
	succeeded, failed, deferred int
	took                        []time.Duration
	transitions                 int64
	seen                        seen
}

// seen is what the gateway counted.
type seen struct{ Requests, WhileDead, Payments, Cents, Again int }

// measure starts a gateway of its own and sends the load through the client
// that wrap makes.
func measure(ctx context.Context, command, name string, wrap func(*payments.Client) (payments.Gateway, error)) (*result, error) {
	server, err := start(ctx, command)
	if err != nil {
		return nil, err
	}
	defer server.kill()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	defer transport.CloseIdleConnections()
	gateway, err := wrap(&payments.Client{URL: server.url, HTTP: &http.Client{Transport: transport, Timeout: patience}})
	if err != nil {
		return nil, err
	}
	r, err := load(ctx, name, gateway)
	if err != nil {
		return nil, err
	}
	if b := (*resilience.Runtime)(nil).Breaker("payments.Gateway.Charge"); b != nil {
		r.transitions = b.Snapshot().Transitions
	}
	return r, server.end(&r.seen)
}

// load sends the charges, each in a goroutine of its own, and waits for all.
func load(ctx context.Context, name string, gateway payments.Gateway) (*result, error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	r := &result{}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := range charges {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		group.Go(func() {
			start := time.Now()
			receipt, err := gateway.Charge(ctx, payments.ChargeRequest{ID: fmt.Sprint(i), Cents: 995})
			mu.Lock()
			defer mu.Unlock()
			r.add(receipt, err, time.Since(start))
		})
		if i%25 == 0 || i == charges-1 {
			fmt.Fprintf(os.Stderr, "\r%-8s %4d of %d charges sent", name, i+1, charges)
		}
	}
	group.Wait()
	fmt.Fprintln(os.Stderr)
	return r, nil
}

func (r *result) add(receipt payments.Receipt, err error, took time.Duration) {
	r.took = append(r.took, took)
	switch {
	case err != nil:
		r.failed++
	case receipt.Deferred:
		r.deferred++
	default:
		r.succeeded++
	}
}

func (r *result) quantile(q float64) time.Duration {
	slices.Sort(r.took)
	return r.took[int(q*float64(len(r.took)-1))].Round(time.Millisecond)
}

func table(bare, wrapped *result) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(name string, of func(*result) any) {
		fmt.Fprintf(w, "%s\t%v\t%v\t\n", name, of(bare), of(wrapped))
	}
	fmt.Fprintf(w, "\n%d charges\tbare\twrapped\t\n", charges)
	row("succeeded", func(r *result) any { return r.succeeded })
	row("failed", func(r *result) any { return r.failed })
	row("answered by fallback", func(r *result) any { return r.deferred })
	row("p50", func(r *result) any { return r.quantile(0.5) })
	row("p99", func(r *result) any { return r.quantile(0.99) })
	row("longest", func(r *result) any { return r.quantile(1) })
	row("attempts", func(r *result) any { return r.seen.Requests })
	row("sent while it was dead", func(r *result) any { return r.seen.WhileDead })
	row("breaker transitions", func(r *result) any { return r.transitions })
	_ = w.Flush()
	switch {
	case wrapped.failed == 0:
		fmt.Printf("\nfailures bare : wrapped = %d : 0", bare.failed)
	default:
		fmt.Printf("\nfailures bare : wrapped = %.1f : 1", float64(bare.failed)/float64(wrapped.failed))
	}
	fmt.Printf("; %d answered by fallback, counted apart\n", wrapped.deferred)
}
