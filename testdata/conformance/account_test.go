package conformance

import (
	"errors"
	"os"
	"reflect"
	"testing"

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
	"MP-MX-09": "no histogram of the time that calls wait for a slot",
	"MP-MX-13": "no exporter, whose names would end in _seconds: of statistics the type of a number is its unit",
}

// notYet are the cases that wait for something, and what shows that it is not
// there.
var notYet = map[string]missing{}

// missing is what a case waits for.
type missing struct {
	key   string
	check func(*testing.T) // fails as soon as it is there
}

// TestInPart fails when what a case lacked is there.
func TestInPart(t *testing.T) {
	if _, ok := reflect.TypeFor[resilience.BulkheadSnapshot]().FieldByName("Waited"); ok {
		t.Error("BulkheadSnapshot.Waited is there now: play MP-MX-09")
	}
	for _, exporter := range []string{"resilienceprom", "resilienceotel"} {
		if _, err := os.Stat("../../runtime/" + exporter); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("runtime/%s is there now (%v): play MP-MX-13", exporter, err)
		}
	}
}
