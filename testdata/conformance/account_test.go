package conformance

import (
	"reflect"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/runtime/resilience"
)

// corrected are the rows that are wrong, with what is right. The case asserts
// that.
var corrected = map[string]string{
	"CKT-05": "halfOpen mode rate decides when the sample is complete, not as soon as it is certain; R4J-09 wants the same",
	"GOB-03": "a call counts in the bucket of its end: a window takes finished calls, and a closed breaker need not know when they began",
}

// inPart are cases that pass but for something that is not built.
var inPart = map[string]string{
	"POL-06": "no events",
	"POL-35": "no events",
	"R4J-16": "no events",
	"R4J-20": "no events",
	"R4J-26": "a snapshot has no average duration, and one count of slow calls",
	"R4J-38": "no events",
}

// notYet are the cases that wait for something, and what shows that it is not
// there.
var notYet = map[string]missing{

	"FSG-11": refused("adaptive", "adaptive: {k: 1.11, maxRejectionRatio: 0.8}"),
	"AWS-04": refused("adaptive", "adaptive: {mode: throttle}"),
	"SRE-01": refused("adaptive", "adaptive: {mode: throttle, k: 2, window: 2m}"),

	"FSG-07": refused("order", "idempotent: true, order: [retry, fallback], retry: true, fallback: true"),

	"MP-MX-01": metrics, "MP-MX-02": metrics, "MP-MX-03": metrics, "MP-MX-07": metrics, "MP-MX-08": metrics,
	"MP-MX-09": metrics, "MP-MX-11": metrics, "MP-MX-12": metrics, "MP-MX-13": metrics,
}

// missing is what a case waits for.
type missing struct {
	key   string
	check func(*testing.T) // fails as soon as it is there
}

// refused is a key that the reader refuses today.
func refused(key, yaml string) missing {
	return missing{key, func(t *testing.T) {
		text := "version: 1\ninterfaces:\n  Service: {" + yaml + "}\n"
		_, err := policy.Read([]policy.Input{{Path: "resilience.yaml", Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), ": "+key+": not available yet") {
			t.Errorf("got %v, want %s: not available yet; if it is there now, play the case", err, key)
		}
	}}
}

var (
	metrics = missing{"metrics", func(t *testing.T) {
		options := reflect.TypeFor[resilience.Options]()
		for i := range options.NumField() {
			if name := options.Field(i).Name; strings.HasPrefix(name, "Observ") {
				t.Errorf("Options.%s is there now: play the case", name)
			}
		}
	}}
)

// TestInPart fails when what a case lacked is there.
func TestInPart(t *testing.T) {
	metrics.check(t)
	for _, field := range []string{"SlowFailures", "Duration"} {
		if _, ok := reflect.TypeFor[resilience.BreakerSnapshot]().FieldByName(field); ok {
			t.Errorf("BreakerSnapshot.%s is there now: play R4J-26", field)
		}
	}
}
