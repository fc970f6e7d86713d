package workflow

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
)

// newOwner returns a name for a worker, or for whoever runs a run without one: host,
// process, and what no other one has.
func newOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var unique [6]byte
	_, _ = rand.Read(unique[:]) // never fails
	return processName(host, os.Getpid()) + hex.EncodeToString(unique[:])
}

// processName is what the names of the owners of a process begin with.
func processName(host string, pid int) string { return fmt.Sprintf("%s/%d/", host, pid) }
