package workflow

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// random fills a value with what a record may hold; each field is zero now and then.
func random(rnd *rand.Rand, v reflect.Value, depth int) {
	if rnd.IntN(4) == 0 && depth > 1 {
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(rnd.Int64N(4e9), rnd.Int64N(1e9)).UTC()))
		return
	case Value:
		v.Set(reflect.ValueOf(Raw([]json.RawMessage{[]byte(`{"a":"b"}`), []byte(`17`), []byte(`null`)}[rnd.IntN(3)])))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(`{"letter":[1,2]}`)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				random(rnd, v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		random(rnd, v.Elem(), depth+1)
	case reflect.Slice:
		for range rnd.IntN(3) {
			elem := reflect.New(v.Type().Elem()).Elem()
			if elem.Kind() == reflect.Pointer {
				elem.Set(reflect.New(elem.Type().Elem()))
				random(rnd, elem.Elem(), 1)
			} else {
				random(rnd, elem, depth+1)
			}
			v.Set(reflect.Append(v, elem))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rnd.IntN(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			random(rnd, key, 1)
			random(rnd, value, 1)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString([]string{"plain", "sk\u00f8n\u2028", "a\"b\\c", "line\nend", "<&>", "\x7f"}[rnd.IntN(6)])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(rnd.Float64() * 1e-7)
	case reflect.Int, reflect.Int64:
		v.SetInt(rnd.Int64N(1e12))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(rnd.Uint64N(1e9))
	}
}

// TestRecordsAreEncodedAsEncodingJSONDoes holds the fast way to the slow one, byte for
// byte, over every field that the record of a step, or of a start, may have.
func TestRecordsAreEncodedAsEncodingJSONDoes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	fast := map[string]int{}
	for i := range 4000 {
		r := &record{}
		random(rnd, reflect.ValueOf(r).Elem(), 0)
		r.Start, r.Own, r.Step, r.Save, r.Migrate, r.Snapshot = nil, nil, nil, nil, nil, nil
		if i%16 > 0 { // it is left to encoding/json
			r.Refused = nil
		}
		if r.Kind = kindStep; i%4 == 0 {
			r.Kind = kindStart
			r.Start = &startRecord{}
			random(rnd, reflect.ValueOf(r.Start).Elem(), 0)
			r.Start.Fork, r.Start.State = nil, nil
			text, err := json.Marshal(r.Start.Graph)
			if err != nil {
				t.Fatal(err)
			}
			r.Start.graphText = text
		} else {
			r.Step = &stepRecord{}
			random(rnd, reflect.ValueOf(r.Step).Elem(), 0)
		}
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if r.V == 0 {
			continue // there is none without
		}
		if r.isPlain() {
			fast[r.Kind]++
		}
		if got, err := r.encode(); err != nil || string(got) != string(want) {
			t.Fatalf("got  %s\nwant %s\n%v", got, want, err)
		}
	}
	if fast[kindStep] < 1000 || fast[kindStart] < 500 {
		t.Errorf("the fast way was taken by %v", fast)
	}
}
