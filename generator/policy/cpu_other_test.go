//go:build !unix

package policy

import "time"

var begun = time.Now()

// processTime stands in for the time that this process has worked.
func processTime() time.Duration { return time.Since(begun) }
