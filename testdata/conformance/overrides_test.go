package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/runtime/overrides"
	"github.com/resilgen/resilgen/runtime/resilience"
)

var overridesCases = family{
	"MP-TO-05": all(
		play(NewResilientMPTO05, "S/600ms>ok"),
		environment("RESILIENCE_TIMEOUT_ATTEMPT=500ms", play(NewResilientMPTO05, "S/600ms>timeout took=500ms S/400ms>ok")),
		overridden(NewResilientMPTO05, "conformance.MPTO05: {methods: {Do: {timeout: {attempt: 500ms}}}}", "S/600ms>timeout took=500ms S/400ms>ok"),
	),
	"MP-BH-06": overridden(NewResilientMPBH06, "conformance.MPBH06: {bulkhead: {maxConcurrent: 3}}", "a:hold b:hold c:hold S>full a!S a>ok S>ok"),
	"MP-CF-02": environment("RESILIENCE_RETRY_MAXATTEMPTS=8", all(
		play(NewResilientMPCF02, "F>E execs=8"),
		overridden(NewResilientMPCF02, "conformance.MPCF02: {retry: {maxAttempts: 6}}", "F>E execs=6"),
		overridden(NewResilientMPCF02, "conformance.MPCF02: {retry: {maxAttempts: 6}, methods: {Do: {retry: {maxAttempts: 7}}}}", "F>E execs=7"),
	)),
	"MP-CF-04": overridden(NewResilientMPCF02, "conformance.MPCF02: {methods: {Do: {retry: {maxAttempts: 7}}}, retry: {maxAttempts: 6}}", "F>E execs=7"),
	"MP-CF-08": overridden(NewResilientMPCF08, "conformance.MPCF08: {circuitBreaker: {openDuration: 1000ms}}", "F*2>E S>open +999ms S>open +1ms S>ok"),
	"MP-CF-10": overridden(NewResilientMPCF10, "conformance.MPCF10: {circuitBreaker: {halfOpen: {successThreshold: 2}}}",
		"F*10>E S>open +1s S>ok S>ok =CLOSED F*10>E S>open +1s S>ok F>E S>open"),
	"MP-CF-12": all(
		overridden(NewResilientMPCF12, "conformance.MPCF12: {bulkhead: {maxConcurrent: 1, maxWait: 1m, maxQueue: 1}}", "a:hold b:S S>full a!S a>ok b>ok F>fb"),
		notOverridden(NewResilientMPCF12, "conformance.MPCF12: {fallback: {func: other}}", "fallback.func: compiled in"),
		notOverridden(NewResilientMPCF12, "conformance.MPCF12: {fallback: {applyOn: [X]}}", "fallback.applyOn: compiled in"),
		notOverridden(NewResilientMPCF12, "conformance.MPCF12: {fallback: {skipOn: [E]}}", "fallback.skipOn: compiled in"),
	),
	"MP-CF-13": environment("RESILIENCE_DISABLE=retry,timeout,circuitBreaker,bulkhead", all(
		play(NewResilientMPCF13Retry, "F>E execs=1"),
		play(NewResilientMPCF13Breaker, "F*7>E"),
		play(NewResilientMPCF13Timeout, "S/1s>ok"),
		play(NewResilientMPCF13Bulkhead, "a:hold b:hold S>ok a!S a>ok b!S b>ok"),
		play(NewResilientMPCF13Fallback, "F>fb execs=1"),
		environment("RESILIENCE_ENABLED=false", play(NewResilientMPCF13Fallback, "F>E execs=1")),
	)),
	"R4J-46": all(
		generate("interfaces: {Gateway: {bulkhead: {maxConcurrent: 0}}}", "maxConcurrent", "0", "must be ≥ 1"),
		overridden(NewResilientR4J46, "conformance.R4J46: {bulkhead: {maxConcurrent: 0}}", "S*3>full execs=0"),
	),
}

// environment runs a case with a variable of the environment.
func environment(entry string, run func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
		run(t)
	}
}

// overridden is play with what an overrides file says of interfaces.
func overridden[W Service](make func(*resilience.Runtime, Service) (W, error), said string, scripts ...string) func(*testing.T) {
	return with(make, func(s *session, script string) {
		if err := s.override(said); err != nil {
			s.t.Fatal(err)
		}
		s.play(script)
	}, scripts...)
}

// notOverridden is a file that must be refused.
func notOverridden[W Service](make func(*resilience.Runtime, Service) (W, error), said, want string) func(*testing.T) {
	return with(make, func(s *session, _ string) {
		if err := s.override(said); err == nil || !strings.Contains(err.Error(), want) {
			s.t.Errorf("%s: %v, want %s", said, err, want)
		}
	}, "")
}

func (s *session) override(said string) error {
	path := filepath.Join(s.t.TempDir(), "overrides.yaml")
	if err := os.WriteFile(path, []byte("version: 1\ninterfaces: {"+said+"}\n"), 0o644); err != nil {
		return err
	}
	stop, err := overrides.Watch(s.rt, path, overrides.Options{StrictOverrides: true, Report: func(error) {}})
	if err == nil {
		stop() // the values stay
	}
	return err
}
