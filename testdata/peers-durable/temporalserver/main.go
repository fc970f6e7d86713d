// Command temporalserver runs a Temporal server for the benchmarks beside it. It
// prints "host:port/namespace", and serves until its standard input ends. It is a
// module of its own, since the server needs several hundred others.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"go.temporal.io/server/temporaltest"
)

func main() {
	log.SetFlags(0)
	db := flag.String("db", "", "a new file for its SQLite, in WAL mode with synchronous=FULL (default: Temporal's own test server, in memory)")
	flag.Parse()
	address, err := start(*db)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(address)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func start(db string) (address string, err error) {
	if db != "" {
		return startOnDisk(db)
	}
	server := temporaltest.NewServer()
	return server.GetFrontendHostPort() + "/" + server.GetDefaultNamespace(), nil
}
