// Command ledger keeps what others did, for as long as they are killed: POST adds
// a line, which is there when the answer comes, GET returns all of them in order. It
// prints its address and ends with its standard input.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + listener.Addr().String())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, &ledger{}))
}

// ledger is a list of lines.
type ledger struct {
	mu    sync.Mutex
	lines []byte
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line, err := io.ReadAll(r.Body)
	if err != nil { // whoever sent it was killed
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Method == http.MethodPost {
		l.lines = append(append(l.lines, line...), '\n')
		return
	}
	_, _ = w.Write(l.lines)
}
