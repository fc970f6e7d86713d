package generator

import (
	"fmt"
	"go/ast"
	"go/types"
	"reflect"
	"strings"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// checkpoint resolves how results of a method are kept durably, nil if they are
// not, or cannot be.
func (r *resolver) checkpoint(w *templates.Wrapper, out *templates.Method, sig *types.Signature, e *policy.Effective) *templates.Checkpoint {
	v, ok := e.Given("checkpoint.key")
	if !ok || !e.Has("checkpoint") {
		return nil
	}
	x := &templates.Checkpoint{}
	var err string
	if x.Key, err = r.expression(v.V.(string), sig, wantString); err != "" {
		r.complain(v.Pos, "RG092", e.Method+".checkpoint.key", fmt.Sprintf("%q: %s", v.V, err))
		return nil
	}
	if _, use := lint.Outliving(sig); use != lint.Complete {
		return nil // RG086 has said so
	}
	if what := notKept(out, sig); what != "" {
		part, _ := e.Given("checkpoint")
		r.judge(e, part.Pos, "RG078", e.Method+".checkpoint", what)
		return nil
	}
	r.compared(x, w, out, sig)
	x.Policy = r.checkpointPolicy(x, out, sig, e)
	return x
}

// notKept says which result no checkpoint can hold, "" if each can be.
func notKept(m *templates.Method, sig *types.Signature) string {
	for i := range sig.Results().Len() {
		if i == m.Err {
			continue
		}
		t := sig.Results().At(i).Type()
		if path, reason, ok := carry(t, rootOf(t, sig.Results().At(i).Name()), nil); !ok {
			return fmt.Sprintf("the result cannot be kept: %s: %s", path, reason)
		}
	}
	return ""
}

// rootOf is what a path into a value of type t begins with: the name of its type, or
// else its own.
func rootOf(t types.Type, name string) string {
	if named, ok := types.Unalias(elem(types.Unalias(t))).(*types.Named); ok {
		return named.Obj().Name()
	}
	if name == "" || name == "_" {
		return "result"
	}
	return name
}

// compared says which arguments a checkpoint compares: those that JSON carries.
func (r *resolver) compared(x *templates.Checkpoint, w *templates.Wrapper, m *templates.Method, sig *types.Signature) {
	x.Plain = true
	fields := map[string]bool{}
	for i, name := range paramNames(sig) {
		p := sig.Params().At(i)
		if i == m.Ctx {
			continue
		}
		if _, _, ok := carry(p.Type(), name, nil); !ok {
			x.Unseen = append(x.Unseen, name)
			continue
		}
		x.Seen = append(x.Seen, i)
		x.ArgNames, x.ArgJSON = append(x.ArgNames, choose(exported(name), fields)), append(x.ArgJSON, name)
		x.Plain = x.Plain && plain(p.Type())
	}
	x.Plain = x.Plain && len(x.Seen) > 0
	if len(x.Seen) > 1 {
		x.Args = r.names.declare(lower(w.Base) + m.Name + "Work")
	}
}

// plain reports whether == compares all that values of t hold, and what they hold
// stays as it is.
func plain(t types.Type) bool {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Info()&(types.IsBoolean|types.IsNumeric|types.IsString) != 0
	case *types.Array:
		return plain(u.Elem())
	case *types.Struct:
		for f := range u.Fields() {
			if !plain(f.Type()) {
				return false
			}
		}
		return true
	}
	return false
}

// checkpointPolicy is the literal that the constructor gives.
func (r *resolver) checkpointPolicy(x *templates.Checkpoint, m *templates.Method, sig *types.Signature, e *policy.Effective) *templates.Literal {
	l := &templates.Literal{Type: "CheckpointPolicy"}
	add := func(name string, value any) { l.Fields = append(l.Fields, templates.Field{Name: name, Value: value}) }
	if ttl, ok := e.Get("checkpoint.ttl"); ok {
		d := e.Dur("checkpoint.ttl")
		if ttl.None {
			d = 0
		}
		add("TTL", d)
	}
	if v, ok := e.Given("checkpoint.onMismatch"); ok && v.V == "recompute" {
		add("OnMismatch", templates.Const("Recompute"))
	}
	var texts, shapes []string
	secret := false
	for i, name := range resultsIn(sig) {
		if i == m.Err {
			continue
		}
		t := sig.Results().At(i).Type()
		texts, shapes = append(texts, briefly(t)), append(shapes, name+" "+expansion(t))
		secret = secret || holdsSecret(t)
	}
	if len(texts) == 1 {
		add("Type", texts[0])
		add("Shape", shapeOf(sig.Results().At(1-m.Err).Type()))
	} else {
		add("Type", "("+strings.Join(texts, ", ")+")")
		add("Shape", fingerprint(strings.Join(shapes, "; ")))
	}
	if r.secretKey(e.Str("checkpoint.key"), sig) {
		add("SecretKey", true)
	}
	for _, i := range x.Seen {
		if holdsSecret(sig.Params().At(i).Type()) {
			add("SecretArgs", true)
			break
		}
	}
	if secret {
		add("SecretValue", true)
	}
	return l
}

// resultsIn are the names of the results in JSON: as they are declared, whatever the
// generated method has to call them.
func resultsIn(sig *types.Signature) []string {
	taken := map[string]bool{}
	var names []string
	for v := range sig.Results().Variables() {
		name := v.Name()
		if name == "" || name == "_" {
			name = nameOf(v.Type())
		}
		names = append(names, choose(name, taken))
	}
	return names
}

// bundleNames names the fields of the struct that holds several results. One that is
// kept durably is one of JSON's.
func bundleNames(m *templates.Method, sig *types.Signature) {
	fields := map[string]bool{}
	for i, name := range resultsIn(sig) {
		field := m.Results[i].Name
		if m.Checkpoint != nil {
			field = choose(exported(name), fields)
		}
		m.BundleNames, m.BundleJSON = append(m.BundleNames, field), append(m.BundleJSON, name)
	}
}

// secretTag is the key of a struct tag by which a field says that it is not for
// everybody's eyes.
const secretTag = "resilience"

// holdsSecret reports whether a type has a field, however deep, with such a tag.
func holdsSecret(t types.Type) bool {
	var seen typeutil.Map
	var look func(t types.Type) bool
	look = func(t types.Type) bool {
		if seen.Set(t, true) != nil {
			return false
		}
		switch u := t.Underlying().(type) {
		case *types.Pointer:
			return look(u.Elem())
		case *types.Slice:
			return look(u.Elem())
		case *types.Array:
			return look(u.Elem())
		case *types.Map:
			return look(u.Key()) || look(u.Elem())
		case *types.Struct:
			for i := range u.NumFields() {
				if reflect.StructTag(u.Tag(i)).Get(secretTag) != "" || look(u.Field(i).Type()) {
					return true
				}
			}
		}
		return false
	}
	return look(t)
}

// secretKey reports whether an expression reads a field with such a tag.
func (r *resolver) secretKey(text string, sig *types.Signature) bool {
	x, info, err := r.checked(text, sig)
	if err != "" {
		return false
	}
	found := false
	ast.Inspect(x.Node, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			found = found || secretField(info.Selections[s])
		}
		return !found
	})
	return found
}

// secretField reports whether the way to a field leads over one with such a tag.
func secretField(sel *types.Selection) bool {
	if sel == nil || sel.Kind() != types.FieldVal {
		return false
	}
	t := sel.Recv()
	for _, i := range sel.Index() {
		s, ok := structOf(types.Unalias(t))
		if !ok {
			return false
		}
		if reflect.StructTag(s.Tag(i)).Get(secretTag) != "" {
			return true
		}
		t = s.Field(i).Type()
	}
	return false
}
