package generator

import (
	"slices"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// layerLiteral is the nesting that the runtime is told, nil for the default
// one. Every part in force is in it, so that the generated code tells all.
func layerLiteral(e *policy.Effective) any {
	if len(e.Ordered()) == 0 {
		return nil
	}
	order := policy.Lookup("order")
	var list templates.List
	var places []int
	for _, part := range e.Nesting() {
		if order.Constant(part) == "" {
			continue // the runtime has no place for it: it is around all that has one
		}
		list.Consts = append(list.Consts, order.Constant(part))
		places = append(places, slices.IndexFunc(order.Values, func(v policy.EnumValue) bool { return v.Name == part }))
	}
	if slices.IsSorted(places) {
		return nil
	}
	list.Type = "Layer"
	return list
}
