package policy

import "slices"

// generated is the word for a key that is made up for each call.
const generated = "generate"

func otherKeys() []*Key {
	return []*Key{
		{Path: "idempotent", Type: Condition, Since: first, def: "false",
			Doc:     "Whether executing the method twice does no more than once. Retries act on idempotent methods only. A Go condition over the parameters decides for each call: where it is false, the call is executed once. A mapping gives the call a key by which the peer knows it again.",
			Example: "idempotent: \"req.IfMatch != nil\""},
		{Path: "idempotent.key", Type: Expression, Since: first,
			Doc:     "The key that all attempts of a call and its fallback carry, in the context (`resilience.IdempotencyKey`): a Go expression of a string type, or `generate` for a random one, unless the context or the argument has one already.",
			Example: "key: \"req.ID\""},
		{Path: "idempotent.into", Type: Expression, Since: first,
			needs:   []need{{path: "idempotent.key"}},
			Doc:     "The parameter, or the field of one, that the key is assigned to, once for all attempts. An argument that is a pointer is copied: the caller's stays as it is.",
			Example: "into: \"req.Key\""},
	}
}

// Generated reports whether the idempotency key is to be made up.
func (e *Effective) Generated() bool { return e.Str("idempotent.key") == generated }

// HasExpressions reports whether the files hold Go expressions.
func (s *Set) HasExpressions() bool {
	return s.holds(func(v Value) bool {
		text, ok := v.V.(string)
		return ok && text != "" && text != generated && (v.Key.Type == Expression || v.Key.Type == Condition)
	})
}

// holds reports whether the files hold such a value.
func (s *Set) holds(is func(Value) bool) bool {
	return slices.ContainsFunc(s.Files, func(f *File) bool {
		return slices.ContainsFunc(f.entries(), func(e *entry) bool { return slices.ContainsFunc(e.values, is) })
	})
}

// entries are all that the file says, wherever it is in force.
func (f *File) entries() []*entry {
	var list []*entry
	for _, p := range f.policies {
		list = append(list, p.entry)
	}
	for _, i := range f.Interfaces {
		list = append(list, i.layers...)
		for _, m := range i.methods {
			list = append(list, m.entry)
		}
	}
	return list
}
