// Provider behaves like a service that sells answers of a language model: it is
// overloaded at times, limits the rate, is slow, cuts answers off, and sends a
// bill. It prints its address, serves until its standard input is closed, and then
// prints the bill.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/resilgen/resilgen/examples/agents/llm"
)

func main() {
	seed := flag.Uint64("seed", 4, "of what goes wrong")
	trouble := flag.Float64("trouble", 0.3, "share of requests that something goes wrong with")
	slow := flag.Duration("token", 2*time.Millisecond, "between two tokens of an answer")
	flag.Parse()
	if err := run(llm.NewProvider(*seed, *trouble, *slow)); err != nil {
		log.Fatal(err)
	}
}

func run(p *llm.Provider) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(p.Bill())
}
