package workflow

// childResult is what a child came to.
type childResult struct {
	Value Value  `json:"value,omitzero"`
	Err   string `json:"err,omitempty"`
}

// result applies what a child came to.
func (s *state) result(e *inboxEntry) {
	if s.Results == nil {
		s.Results = map[string]*childResult{}
	}
	s.Results[e.Message] = &childResult{e.Value, e.Err}
}

// adopt has an invocation wait for its child.
func (r *run) adopt(inv *invocation) {
	if r.children == nil {
		r.children = map[string]*invocation{}
	}
	r.children[inv.id] = inv
	r.matchChildren()
}

// matchChildren gives what children came to to those who wait for them.
func (r *run) matchChildren() {
	for id, inv := range r.children {
		if res := r.s.Results[id]; res != nil {
			delete(r.children, id)
			value, err := res.taken(&inv.node.Out)
			r.give(inv, value, err)
		}
	}
}

// taken returns the result as a node's value.
func (c *childResult) taken(out *Codec) (Value, error) {
	if c.Err != "" {
		return Value{}, &childError{c.Err}
	}
	return out.take(c.Value)
}

// childError says that a child has no output.
type childError struct{ why string }

func (e *childError) Error() string { return "the child: " + e.why }
