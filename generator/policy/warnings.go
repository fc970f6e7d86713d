package policy

import "slices"

// Warnings returns what is legal and probably not meant: a list that replaces
// an inherited one (RG093), a policy that nothing uses (RG098) and a file that
// is about no interface.
func (f *File) Warnings() []*Error {
	var errs, warns Errors
	for _, p := range f.policies {
		m := &merged{file: f, errs: &errs, warns: &warns}
		m.clear()
		m.use(p.name.Text)
	}
	chains := make(map[string]*merged) // a hostile file uses a long one often
	for _, i := range f.Interfaces {
		base := i.base(&errs, &warns)
		for _, entry := range i.methods {
			m := base
			if e := entry.entry; e.none.IsValid() || e.base.Text != "" {
				if m = chains[e.base.Text]; m == nil {
					m = &merged{file: f, errs: &errs, warns: &warns}
					m.clear()
					m.use(e.base.Text)
					chains[e.base.Text] = m
				}
			}
			m.clone().apply(entry.entry, true)
		}
	}
	warns = append(warns, f.unused()...)
	if len(f.Interfaces) == 0 {
		w := f.errorAt(f.pos, "", "interfaces", "there are none here, so nothing is generated; name one, like interfaces: {Gateway: {use: api}}")
		w.Warning = true
		warns = append(warns, w)
	}
	return warns.Sorted()
}

// unused warns about policies that no interface reaches.
func (f *File) unused() Errors {
	used := make(map[string]bool)
	mark := func(name string) {
		for p := f.policy(name); p != nil && !used[p.name.Text]; p = f.policy(p.entry.base.Text) {
			used[p.name.Text] = true
		}
	}
	for _, i := range f.Interfaces {
		for _, l := range i.layers {
			mark(l.base.Text)
		}
		for _, m := range i.methods {
			mark(m.entry.base.Text)
		}
	}
	var warns Errors
	for _, p := range f.policies {
		m := merged{file: f, lint: slices.Concat(f.lint, p.entry.lint)}
		if used[p.name.Text] || m.ignores("RG098") {
			continue
		}
		w := f.errorAt(p.name.Pos, "RG098", "policies."+p.name.Text, "used nowhere")
		w.Warning = true
		warns = append(warns, w)
	}
	return warns
}
