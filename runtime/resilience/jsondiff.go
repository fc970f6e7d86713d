package resilience

// jsonChange is a place where two values differ.
type jsonChange struct {
	at       pointer
	from, to *jsonNode // nil: it is not there
}

// diffJSON returns where n and m differ, in the order of n, then what only m has.
func diffJSON(n, m *jsonNode) []jsonChange { return appendDiff(nil, nil, n, m) }

func appendDiff(list []jsonChange, at pointer, n, m *jsonNode) []jsonChange {
	step := func(name string) pointer { return append(at[:len(at):len(at)], name) }
	switch {
	case n.equal(m):
	case n.kind == '{' && m.kind == '{':
		for i, name := range n.names {
			if j := m.member(name); j >= 0 {
				list = appendDiff(list, step(name), n.items[i], m.items[j])
			} else {
				list = append(list, jsonChange{step(name), n.items[i], nil})
			}
		}
		for j, name := range m.names {
			if n.member(name) < 0 {
				list = append(list, jsonChange{step(name), nil, m.items[j]})
			}
		}
	default:
		list = append(list, jsonChange{at, n, m})
	}
	return list
}

// patchOf is the JSON Patch that makes a value with changes out of the other one.
func patchOf(changes []jsonChange) []byte {
	out := []byte{'['}
	for i, c := range changes {
		if i > 0 {
			out = append(out, ',')
		}
		op := "replace"
		switch {
		case c.from == nil:
			op = "add"
		case c.to == nil:
			op = "remove"
		}
		out = append(out, `{"op":"`+op+`","path":`...)
		out = appendJSONText(out, c.at.String())
		if c.to != nil {
			out = c.to.encode(append(out, `,"value":`...))
		}
		out = append(out, '}')
	}
	return append(out, ']')
}
