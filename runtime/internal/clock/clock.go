// Package clock says where the instants of the runtime begin.
package clock

import "time"

// Century is one.
const Century = 100 * 365 * 24 * time.Hour

// Epoch is a century before the process began, because a synctest bubble lives
// before that.
var Epoch = time.Now().Add(-Century)

// Simulated is the time since [Epoch] at which a simulation begins: the same one
// in every process. Windows and periods are cut at multiples of their lengths
// since Epoch, and would lie otherwise in each. It is after the beginning of any
// synctest bubble, and a century and more before a time.Duration ends.
const Simulated time.Duration = 1 << 62
