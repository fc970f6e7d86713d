// Service takes payments over HTTP and passes them to the gateway through a
// wrapper that keeps what must not be lost: what was charged once is not charged
// again, and a charge that finally failed is kept, to be replayed. It prints its
// address and serves until it is killed, which may be at any moment.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/resilgen/resilgen/examples/payments"
	"github.com/resilgen/resilgen/runtime/ops"
	"github.com/resilgen/resilgen/runtime/resilience"
)

func main() {
	dir := flag.String("dir", "", "where checkpoints and dead letters are kept")
	gateway := flag.String("gateway", "", "URL of the gateway")
	socket := flag.String("ops", "", "where resilgen dlq --addr finds this service, such as unix:/run/payments.sock")
	flag.Parse()
	if err := run(*dir, *gateway, *socket); err != nil {
		log.Fatal(err)
	}
}

func run(dir, gateway, socket string) error {
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer rt.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	client := &payments.Client{URL: gateway, HTTP: &http.Client{Transport: transport}}
	wrapped, err := payments.NewResilientDurable(rt, client, payments.Deferred{})
	if err != nil {
		return err
	}
	admin, err := ops.Listen(rt, socket)
	if err != nil {
		return err
	}
	defer admin.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: pay(wrapped), ReadHeaderTimeout: time.Second}
	return server.Serve(listener)
}

// pay answers with a receipt once the payment is taken, or kept for later.
func pay(gateway payments.Gateway) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req payments.ChargeRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		receipt, err := gateway.Charge(r.Context(), req)
		switch {
		case errors.Is(err, payments.ErrDeclined):
			http.Error(w, err.Error(), http.StatusPaymentRequired)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadGateway)
		default:
			_ = json.NewEncoder(w).Encode(receipt)
		}
	}
}
