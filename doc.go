// Package resilgen is the root of the tool in cmd/resilgen and of the runtime
// in runtime/resilience. It holds no code.
package resilgen
