package policy

import (
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Value is what a key was given, and where.
type Value struct {
	Key    *Key
	V      any // bool, int, float64, time.Duration, []time.Duration, string (Enum), List
	None   bool
	Pos    Pos
	Origin string // "resilience.yaml:7:17", "policy api (built in)", "default"
}

// List is a list of matchers. Add and Remove change the list that it is
// merged over; otherwise it replaces that.
type List struct {
	Any         bool // any error over the floor, plus Names
	Names       []Name
	Add, Remove []Name
	Changes     bool
}

// body is what one mapping says, by the path of the key.
type body map[string]Value

// knownParts are the keys that a policy may hold.
func children(path string) []string {
	prefix := ""
	if path != "" {
		prefix = path + "."
	}
	var list []string
	for _, k := range table {
		if rest, ok := strings.CutPrefix(k.Path, prefix); ok && !strings.Contains(rest, ".") {
			list = append(list, rest)
		}
	}
	return list
}

// readBody reads the keys of n under path into b.
func (s *source) readBody(b body, path string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, v := n.Content[i], n.Content[i+1]
		full := name.Value
		if path != "" {
			full = path + "." + full
		}
		k := byPath[full]
		switch {
		case k == nil:
			s.unknown(name, full, children(path))
		case !k.Built:
			s.errorf(name, "", full, "not available yet")
		default:
			s.readValue(b, k, name, v)
		}
	}
}

// unknown complains about a key that the table does not have.
func (s *source) unknown(n *yaml.Node, full string, known []string) {
	last := full[strings.LastIndexByte(full, '.')+1:]
	if hint := foreign[last]; hint != "" {
		s.errorf(n, "RG090", full, "unknown key; %s", hint)
		return
	}
	if near := Nearest(last, known); near != "" {
		s.errorf(n, "RG090", full, "unknown key (did you mean %s?)", near)
		return
	}
	if len(known) == 0 {
		s.errorf(n, "RG090", full, "unknown key")
		return
	}
	s.errorf(n, "RG090", full, "unknown key; here stand %s", strings.Join(known, ", "))
}

func (s *source) readValue(b body, k *Key, name, n *yaml.Node) {
	v := Value{Key: k, Pos: s.pos(name), Origin: s.pos(name).String()}
	scalar := n.Kind == yaml.ScalarNode
	switch {
	case scalar && n.Value == "none" && n.Tag == "!!str" && k.Type != Enum:
		v.None = true
	case scalar && n.Tag == "!!null":
		s.errorf(n, "", k.Path, "has no value")
		return
	case k.Type == Part || k.Type == Switch && n.Kind == yaml.MappingNode:
		if n.Kind != yaml.MappingNode {
			s.errorf(n, "", k.Path, "want a mapping such as {%s: …}, or none", children(k.Path)[0])
			return
		}
		v.V = true
		s.readBody(b, k.Path, n)
	case k.Type == FuncName:
		names, ok := s.readNames(k.Path, n)
		if !ok || len(names) != 1 {
			return
		}
		v.V = names[0]
	case k.Type == Matchers:
		list, ok := s.readMatchers(k.Path, n)
		if !ok {
			return
		}
		v.V = list
	default:
		value, msg, id := k.parse(n)
		if msg != "" {
			s.errorf(n, id, k.Path, "%s", msg)
			return
		}
		v.V = value
		v.None = k.Type == Switch && value == false
	}
	b[k.Path] = v
}

// parse reads a scalar, or a list of durations; msg says what is wrong.
func (k *Key) parse(n *yaml.Node) (v any, msg, id string) {
	if k.Type == Durations {
		return k.parseDurations(n)
	}
	if n.Kind != yaml.ScalarNode {
		return nil, "want a " + string(k.Type), ""
	}
	switch k.Type {
	case Bool, Switch:
		if n.Tag != "!!bool" {
			return nil, "want true or false, not " + quoted(n.Value), ""
		}
		return n.Value[0] == 't' || n.Value[0] == 'T', "", ""
	case Enum:
		if _, ok := k.constant(n.Value); !ok {
			return nil, "want one of " + k.names() + ", not " + quoted(n.Value), ""
		}
		return n.Value, "", ""
	case Text:
		if n.Value == "" {
			return nil, "is empty", ""
		}
		return n.Value, "", ""
	case Duration:
		return k.parseDuration(n.Value)
	case Int:
		i, err := strconv.ParseInt(n.Value, 10, 32)
		if err != nil {
			return nil, "want an integer, not " + quoted(n.Value), ""
		}
		return int(i), k.outside(float64(i), n.Value), k.rangeID()
	}
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || f != f || f > 1e9 || f < -1e9 {
		return nil, "want a number, not " + quoted(n.Value), ""
	}
	return f, k.outside(f, n.Value), k.rangeID()
}

func quoted(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strconv.Quote(strings.ToValidUTF8(s, "?"))
}

func (k *Key) outside(f float64, text string) string {
	if strings.HasSuffix(k.Path, "RateThreshold") && f < 1 {
		return "must be in (0,100] (is " + text + "); it is percent: write 50 for 50 %, not 0.5"
	}
	if f < k.Min || k.Max > 0 && f > k.Max {
		if k.Path == "retry.maxAttempts" {
			return "must be ≥ 1 (is " + text + "); it counts the first attempt, so “maxRetries: 3” means maxAttempts: 4"
		}
		return "must be " + k.Range + " (is " + text + ")"
	}
	return ""
}

func (k *Key) rangeID() string {
	switch k.Path {
	case "retry.maxAttempts":
		return "RG010"
	case "circuitBreaker.failureRateThreshold", "circuitBreaker.slowCallRateThreshold":
		return "RG020"
	case "retry.backoff.multiplier", "retry.backoff.jitterFactor":
		return "RG016"
	}
	return ""
}

func (k *Key) parseDuration(text string) (any, string, string) {
	if _, err := strconv.ParseFloat(text, 64); err == nil && text != "0" {
		return nil, "the duration " + quoted(text) + " has no unit; write " + text + "ms or " + text + "s", "RG095"
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return nil, "want a duration such as 250ms or 1m30s, not " + quoted(text), ""
	case d < time.Duration(k.Min):
		return nil, "must be " + k.Range + " (is " + text + "); none switches it off", ""
	case d < 0:
		return nil, "must be ≥ 0 (is " + text + ")", ""
	}
	return d, "", ""
}

func (k *Key) parseDurations(n *yaml.Node) (any, string, string) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, "want a list of durations such as [1s, 5s]", ""
	}
	var list []time.Duration
	for _, item := range n.Content {
		v, msg, id := k.parseDuration(item.Value)
		if msg != "" {
			return nil, msg, id
		}
		list = append(list, v.(time.Duration))
	}
	return list, "", ""
}

// readMatchers reads [A, B], A, or {add: [A], remove: [B]}.
func (s *source) readMatchers(path string, n *yaml.Node) (List, bool) {
	if n.Kind != yaml.MappingNode {
		names, ok := s.readNames(path, n)
		return List{Names: names}, ok
	}
	list, good := List{Changes: true}, true
	for i := 0; i+1 < len(n.Content); i += 2 {
		names, ok := s.readNames(path, n.Content[i+1])
		good = good && ok
		switch n.Content[i].Value {
		case "add":
			list.Add = names
		case "remove":
			list.Remove = names
		default:
			s.unknown(n.Content[i], path+"."+n.Content[i].Value, []string{"add", "remove"})
			good = false
		}
	}
	return list, good
}

func (s *source) readNames(path string, n *yaml.Node) ([]Name, bool) {
	items := n.Content
	if n.Kind == yaml.ScalarNode {
		items = []*yaml.Node{n}
	}
	var names []Name
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.Tag != "!!str" || !isName(item.Value) {
			s.errorf(item, "RG092", path, "want a Go identifier such as ErrBusy or net.OpError, not %s", quoted(item.Value))
			return nil, false
		}
		names = append(names, Name{item.Value, s.pos(item)})
	}
	return names, true
}
