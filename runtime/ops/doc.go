// Package ops serves what a [resilience.Runtime] keeps to those who run the
// service: dead letters by filter and by pattern, plans of replays and the jobs
// that carry them out, runs of workflows and what may be done to them, as JSON over
// HTTP on a unix socket that only the user of the service may open.
//
//	server, err := ops.Listen(rt, "unix:/run/payments/resilience.sock")
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//
// resilgen dlq and resilgen runs, with --addr unix:/run/payments/resilience.sock, are
// its clients, and so is [Dial] in Go. Importing the package registers nothing anywhere.
package ops
