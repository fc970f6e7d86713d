// Package simulation sends a modelled load through a wrapper to a modelled peer
// and tells what came of it. In a bubble of testing/synctest two minutes take
// some hundred milliseconds and a seed gives the same result each time; outside
// of one they take two minutes, and the peer may stand behind a real server.
//
// resilgen simulate generates a test that calls [Main].
package simulation
