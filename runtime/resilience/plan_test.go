package resilience

import (
	"reflect"
	"testing"
	"time"
)

// A part whose literal gives one field is on: set must know every field.
func TestEveryFieldTurnsItsPartOn(t *testing.T) {
	fields(reflect.TypeFor[Retry](), nil, func(path []int, name string) {
		var r Retry
		give(reflect.ValueOf(&r).Elem().FieldByIndex(path))
		if !r.set() {
			t.Errorf("a Retry with %s is off", name)
		}
	})
	fields(reflect.TypeFor[Adaptive](), nil, func(path []int, name string) {
		var a Adaptive
		give(reflect.ValueOf(&a).Elem().FieldByIndex(path))
		if !a.set() {
			t.Errorf("an Adaptive with %s is off", name)
		}
	})
	fields(reflect.TypeFor[Breaker](), nil, func(path []int, name string) {
		var b Breaker
		give(reflect.ValueOf(&b).Elem().FieldByIndex(path))
		if name != "Scope" && !b.set() { // where the state lives says nothing about it
			t.Errorf("a Breaker with %s is off", name)
		}
	})
}

// fields calls do for every field that is no struct, those of structs included.
func fields(t reflect.Type, at []int, do func(path []int, name string)) {
	for i := range t.NumField() {
		f, path := t.Field(i), append(append([]int(nil), at...), i)
		if f.Type.Kind() == reflect.Struct {
			fields(f.Type, path, do)
			continue
		}
		do(path, f.Name)
	}
}

// give sets v to something.
func give(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		v.SetInt(int64(time.Millisecond))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Func:
		v.Set(reflect.MakeFunc(v.Type(), nil))
	case reflect.String:
		v.SetString("x")
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Interface:
		v.Set(reflect.ValueOf(errPeer))
	default:
		if v.CanInt() {
			v.SetInt(1)
		} else {
			v.SetUint(1)
		}
	}
}
