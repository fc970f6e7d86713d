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

	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/temporal"
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
	server := temporaltest.NewServer(temporaltest.WithBaseServerOptions(temporal.WithDynamicConfigClient(unthrottled())))
	return server.GetFrontendHostPort() + "/" + server.GetDefaultNamespace(), nil
}

// unthrottled is the settings of the test server, and lifts what lets a server with one
// shard, which all on SQLite are, hand out no more than some 20 tasks in a second.
func unthrottled() dynamicconfig.Client {
	return dynamicconfig.StaticClient{
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		dynamicconfig.TransferProcessorMaxPollRPS.Key():             100_000,
	}
}
