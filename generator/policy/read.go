package policy

import (
	"cmp"
	"slices"
	"strings"
)

// Input is a policy file, or an annotation in a Go file.
type Input struct {
	Path string
	Data []byte

	// Interface, and Method if it is about one, are set for an annotation
	// //resilience:policy {…}. Line and Col are where Data starts in Path. Each
	// of its lines starts at Col, since each begins with the directive.
	Interface, Method string
	Line, Col         int
}

// Set is what the sources of a package say.
type Set struct {
	// Files are the policy files in the order of their paths. Annotations are
	// merged into the file that names their interface, else into
	// resilience.yaml, else into a File with no Path.
	Files []*File
}

// Read reads the sources of a package. The error is of type Errors: every
// complaint there is, sorted by position.
func Read(inputs []Input) (*Set, error) {
	s := &set{}
	inputs = slices.Clone(inputs)
	slices.SortStableFunc(inputs, func(a, b Input) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), a.Line-b.Line, a.Col-b.Col)
	})
	for _, in := range inputs {
		if in.Interface == "" {
			r := &reader{newSource(in)}
			s.files = append(s.files, r.file())
			s.errs = append(s.errs, r.errs...)
		}
	}
	for _, in := range inputs {
		if in.Interface != "" {
			s.annotate(&reader{newSource(in)})
		}
	}
	s.check()
	if len(s.errs) > 0 {
		return nil, s.errs.Sorted()
	}
	for _, f := range s.files {
		f.Permanent = f.expand(f.permanent)
	}
	return &Set{Files: s.files}, nil
}

// set is a Set in the making.
type set struct {
	files []*File
	errs  Errors
}

// annotate merges the annotation into the interface that it stands on.
func (s *set) annotate(r *reader) {
	from := r.annotation()
	s.errs = append(s.errs, r.errs...)
	host := s.host(from.Key)
	f := host.file
	f.sources = append(f.sources, r.source)
	for _, list := range []*[]string{&f.Sources, &host.Sources} {
		if name := base(r.in.Path); !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	if !host.Pos.IsValid() {
		host.Pos = from.Pos
	}
	s.leaveOut(host, from)
	for _, layer := range from.layers {
		for _, other := range host.layers {
			s.conflict(f, layer, other)
		}
		host.layers = append(host.layers, layer)
	}
	host.methods = append(host.methods, from.methods...)
}

func (s *set) leaveOut(host, from *Interface) {
	if !from.leavePos.IsValid() {
		return
	}
	if host.leavePos.IsValid() {
		s.twice(host.file, from.leavePos, "leaveOut", host.leavePos)
		return
	}
	host.LeaveOutAll, host.LeaveOut, host.leavePos = from.LeaveOutAll, from.LeaveOut, from.leavePos
}

// host returns the interface that annotations on name belong to.
func (s *set) host(name string) *Interface {
	var home *File
	for _, f := range s.files {
		for _, i := range f.Interfaces {
			if i.Key == name && i.Of == name {
				return i
			}
		}
		if f.Path == "" || base(f.Path) == "resilience.yaml" {
			home = f
		}
	}
	if home == nil {
		home = &File{}
		s.files = slices.Insert(s.files, 0, home)
	}
	i := &Interface{Key: name, Of: name, Name: name, file: home}
	home.Interfaces = append(home.Interfaces, i)
	return i
}

// check reports what only the whole set shows.
func (s *set) check() {
	s.names()
	s.handlers()
	for _, f := range s.files {
		s.errs = append(s.errs, f.checkPolicies()...)
		s.errs = append(s.errs, f.checkLists()...)
		for _, i := range f.Interfaces {
			s.exactTwice(i)
		}
	}
}

// names reports a generated file or a generated name that two sources claim.
func (s *set) names() {
	outs := make(map[string]*File)
	bases := make(map[string]*Interface)
	for _, f := range s.files {
		if other := outs[f.Out()]; other != nil {
			p := cmp.Or(f.pos, other.pos)
			s.claimed(f, p, "", "generates %s, and so does %s: rename one of them", f.Out(), cmp.Or(other.Path, "an annotation"))
		}
		outs[f.Out()] = f
		for _, i := range f.Interfaces {
			if other := bases[i.Name]; other != nil {
				s.twoNames(f, i, other)
				continue
			}
			bases[i.Name] = i
		}
	}
}

// twoNames reports an interface that generates the names of another one.
func (s *set) twoNames(f *File, i, other *Interface) {
	key := i.Section() + "." + i.Key
	switch {
	case i.Of == other.Of && i.synthetic() != other.synthetic():
		// See handlers.
	case i.synthetic() && other.Section() == i.Section():
		s.claimed(f, i.Pos, key, "already in %s: give one of them another name", other.Pos)
	case i.synthetic() || other.synthetic():
		s.claimed(f, i.Pos, key, "generates the names of %s.%s, at %s: give one of them another name", other.Section(), other.Key, other.Pos)
	case other.file != f || other.Key == i.Key:
		s.claimed(f, i.Pos, key, "already in %s: give one of them a name of its own with of:", other.Pos)
	default:
		s.claimed(f, i.Pos, key, "generates the names of %s, at %s: give one of them a name of its own with of:", other.Key, other.Pos)
	}
}

// handlers reports an interface that is wrapped, and is that of handlers, which
// are guarded already.
func (s *set) handlers() {
	graphs := make(map[string]*Interface)
	for _, f := range s.files {
		for _, i := range f.Interfaces {
			if i.synthetic() {
				graphs[i.Of] = i
			}
		}
	}
	for _, f := range s.files {
		for _, i := range f.Interfaces {
			if of := graphs[i.Of]; of != nil && !i.synthetic() {
				s.errs = append(s.errs, f.errorAt(i.Pos, "RG0A0", "interfaces."+i.Key,
					"%s are the handlers of %s.%s, at %s, which calls each under its policy: write the policies there", i.Of, of.Section(), of.Key, of.Pos))
			}
		}
	}
}

// exactTwice reports a key that two entries for one method name give.
func (s *set) exactTwice(i *Interface) {
	seen := make(map[string][]*entry)
	for _, m := range i.methods {
		for _, p := range m.patterns {
			if !p.exact() {
				continue
			}
			for _, other := range seen[p.text] {
				s.conflict(i.file, m.entry, other)
			}
			seen[p.text] = append(seen[p.text], m.entry)
		}
	}
}

func (s *set) add(f *File, p Pos, key, format string, args ...any) {
	s.errs = append(s.errs, f.errorAt(p, "", key, format, args...))
}

// claimed reports a generated name that two sources claim.
func (s *set) claimed(f *File, p Pos, key, format string, args ...any) {
	s.errs = append(s.errs, f.errorAt(p, "RG09A", key, format, args...))
}

func (s *set) twice(f *File, p Pos, key string, other Pos) {
	if p.Compare(other) < 0 {
		p, other = other, p
	}
	s.add(f, p, key, "given at %s already; nothing wins silently", other)
}

// conflict reports what both entries say about the same methods.
func (s *set) conflict(f *File, a, b *entry) {
	for _, c := range conflicts(a, b) {
		s.twice(f, c.a, c.key, c.b)
	}
}

// clash is a key that two entries of the same weight give.
type clash struct {
	key  string
	a, b Pos
}

func conflicts(a, b *entry) []clash {
	switch {
	case a.none.IsValid():
		return []clash{{none, a.none, b.pos}}
	case b.none.IsValid():
		return []clash{{none, a.pos, b.none}}
	}
	var list []clash
	if a.base.Text != "" && b.base.Text != "" {
		list = append(list, clash{"use", a.base.Pos, b.base.Pos})
	}
	other := make(map[string]Value, len(b.values))
	for _, v := range b.values {
		other[v.Key.Path] = v
	}
	for _, v := range a.values {
		if w, ok := other[v.Key.Path]; ok && !(mapping(v) && mapping(w)) {
			list = append(list, clash{v.Key.Path, v.Pos, w.Pos})
		}
	}
	return list
}

// mapping reports whether v opens a group whose keys follow.
func mapping(v Value) bool { return v.Key.group() && !v.None && v.V == false }
