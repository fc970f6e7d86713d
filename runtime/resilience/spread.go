package resilience

import (
	"sync/atomic"
	"unsafe"
)

// spread is a count that cores add to without waiting for each other: four
// counters, a line of the cache each. In a struct it comes before what calls only
// read, so that this is on another line.
type spread [4]struct {
	atomic.Int64
	_ [56]byte
}

// here is the counter of the goroutine, as long as its stack stays where it is.
func (s *spread) here() *atomic.Int64 {
	var here byte
	return &s[placeOf(unsafe.Pointer(&here))>>30].Int64
}

// swap gives every counter a value, and returns the sum of the former ones, of
// which those below 0 count as 0.
func (s *spread) swap(value int64) (n int64) {
	for i := range s {
		n += max(s[i].Swap(value), 0)
	}
	return n
}

// placeOf spreads goroutines by the place of a variable on the stack: those that
// run at the same time are on different ones. It is Fibonacci hashing (Knuth, The
// Art of Computer Programming, vol. 3, 6.4), whose first bits are the best. Two of
// them meet in one of four counters less often than in one of two.
func placeOf(variable unsafe.Pointer) uint32 { return uint32(uintptr(variable)>>10) * 0x9e3779b1 }
