// Package typename names types by the full paths of their packages, so that types
// of two packages with one name stay apart. It is a package of its own because
// nothing else of the runtime needs package reflect, which makes it tempting to
// look into strangers' values; it asks for names only.
package typename

import "reflect"

// Of returns the name of the type of v: "*net.OpError", "*example.com/pay.Error".
// A type without a name is told as fmt's %T does.
func Of(v any) string {
	t := reflect.TypeOf(v)
	if t == nil {
		return "nil"
	}
	stars := ""
	for t.Kind() == reflect.Pointer && t.Name() == "" {
		stars += "*"
		t = t.Elem()
	}
	if t.Name() == "" || t.PkgPath() == "" {
		return stars + t.String()
	}
	return stars + t.PkgPath() + "." + t.Name()
}
