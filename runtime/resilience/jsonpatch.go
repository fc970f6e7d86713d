package resilience

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a patch.
const (
	maxPatchOps    = 1000
	maxPatchResult = 4 << 20 // bytes that all operations together may add
)

// patchOp is an operation of a JSON Patch (RFC 6902).
type patchOp struct {
	op         string
	path, from pointer
	value      *jsonNode
}

// jsonPatch is a JSON Patch.
type jsonPatch []patchOp

// pointer is a JSON pointer (RFC 6901), step by step; none is the whole document.
type pointer []string

// parsePointer reads a pointer.
func parsePointer(text string) (pointer, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' {
		return nil, fmt.Errorf("pointer %q does not begin with a slash", text)
	}
	steps := strings.Split(text[1:], "/")
	for i, step := range steps {
		for rest := step; ; {
			_, after, found := strings.Cut(rest, "~")
			if !found {
				break
			}
			if after == "" || after[0] != '0' && after[0] != '1' {
				return nil, fmt.Errorf("pointer %q: ~ stands for itself only as ~0", text)
			}
			rest = after[1:]
		}
		steps[i] = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
	}
	return steps, nil
}

// String returns what [parsePointer] reads.
func (p pointer) String() string {
	var b strings.Builder
	for _, step := range p {
		b.WriteString("/" + strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// index returns which element of a list a step names. end is len of the list, or
// one less where there must be one.
func (n *jsonNode) index(step string, end int) (int, error) {
	if step == "-" && end == len(n.items) {
		return end, nil
	}
	i, err := strconv.ParseUint(step, 10, 31)
	if err != nil || step != strconv.FormatUint(i, 10) {
		return 0, fmt.Errorf("%q is no place in a list", step)
	}
	if int(i) > end {
		return 0, fmt.Errorf("there is no element %s in a list of %d", step, len(n.items))
	}
	return int(i), nil
}

// place returns where in n a step leads.
func (n *jsonNode) place(step string) (int, error) {
	switch n.kind {
	case '[':
		return n.index(step, len(n.items)-1)
	case '{':
		if i := n.member(step); i >= 0 {
			return i, nil
		}
		return 0, fmt.Errorf("there is no member %q", step)
	}
	return 0, fmt.Errorf("%q leads into a value that has no members", step)
}

// at returns the value that p leads to.
func (n *jsonNode) at(p pointer) (*jsonNode, error) {
	for i, step := range p {
		at, err := n.place(step)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p[:i+1], err)
		}
		n = n.items[at]
	}
	return n, nil
}

// parsePatch reads a patch.
func parsePatch(data []byte) (jsonPatch, error) {
	doc, err := parseJSON(data)
	if err != nil {
		return nil, fmt.Errorf("patch: %w", err)
	}
	if doc.kind != '[' {
		return nil, errors.New("patch: a list of operations is expected")
	}
	if len(doc.items) > maxPatchOps {
		return nil, fmt.Errorf("patch: %d operations, at most %d are taken", len(doc.items), maxPatchOps)
	}
	patch := make(jsonPatch, len(doc.items))
	for i, item := range doc.items {
		if patch[i], err = parseOp(item); err != nil {
			return nil, fmt.Errorf("patch, operation %d: %w", i+1, err)
		}
	}
	return patch, nil
}

func parseOp(n *jsonNode) (op patchOp, err error) {
	if n.kind != '{' {
		return op, errors.New("an object is expected")
	}
	if op.op, err = n.string("op"); err != nil {
		return op, err
	}
	switch op.op {
	case "add", "replace", "test":
		i := n.member("value")
		if i < 0 {
			return op, fmt.Errorf("%s without a value", op.op)
		}
		op.value = n.items[i]
	case "move", "copy":
		if op.from, err = n.pointer("from"); err != nil {
			return op, err
		}
	case "remove":
	default:
		return op, fmt.Errorf("there is no operation %.40q: want add, remove, replace, move, copy or test", op.op)
	}
	op.path, err = n.pointer("path")
	return op, err
}

// string returns the member of an operation that must be a string.
func (n *jsonNode) string(name string) (string, error) {
	i := n.member(name)
	if i < 0 || n.items[i].kind != '"' {
		return "", fmt.Errorf("%s must be there, and a string", name)
	}
	return n.items[i].text, nil
}

// pointer returns the member of an operation that must be a pointer.
func (n *jsonNode) pointer(name string) (pointer, error) {
	text, err := n.string(name)
	if err != nil {
		return nil, err
	}
	p, err := parsePointer(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// apply returns doc with the operations done to it, and leaves doc as it is. One
// that fails is an error, and then nothing was done.
func (patch jsonPatch) apply(doc *jsonNode) (*jsonNode, error) {
	d := patched{doc.clone(), maxPatchResult}
	for i, op := range patch {
		if err := d.apply(op); err != nil {
			return nil, fmt.Errorf("patch, operation %d, %s %q: %w", i+1, op.op, op.path, err)
		}
	}
	return d.root, nil
}

// patched is a document while it is changed.
type patched struct {
	root *jsonNode
	room int // bytes that may yet be added
}

func (d *patched) apply(op patchOp) error {
	switch op.op {
	case "add":
		return d.add(op.path, op.value)
	case "remove":
		_, err := d.remove(op.path)
		return err
	case "replace":
		return d.replace(op.path, op.value)
	case "test":
		have, err := d.root.at(op.path)
		if err == nil && !have.equal(op.value) {
			err = errors.New("the value is another one") // and may be secret
		}
		return err
	case "copy":
		value, err := d.root.at(op.from)
		if err != nil {
			return err
		}
		return d.add(op.path, value)
	default:
		return d.move(op.from, op.path)
	}
}

// admit refuses a value that would make the document too large or too deep.
func (d *patched) admit(path pointer, value *jsonNode) error {
	if d.room -= value.weight(); d.room < 0 {
		return fmt.Errorf("the patch makes more than %d bytes", maxPatchResult)
	}
	if len(path)+value.depth() > maxJSONDepth {
		return fmt.Errorf("nested more than %d deep", maxJSONDepth)
	}
	return nil
}

// add adds a copy of value.
func (d *patched) add(path pointer, value *jsonNode) error {
	if err := d.admit(path, value); err != nil {
		return err
	}
	value = value.clone()
	if len(path) == 0 {
		d.root = value
		return nil
	}
	step := path[len(path)-1]
	into, err := d.root.at(path[:len(path)-1])
	if err != nil {
		return err
	}
	switch into.kind {
	case '[':
		i, err := into.index(step, len(into.items))
		if err != nil {
			return err
		}
		into.items = slices.Insert(into.items, i, value)
	case '{':
		if i := into.member(step); i >= 0 {
			into.items[i] = value
		} else {
			into.names, into.items = append(into.names, step), append(into.items, value)
		}
	default:
		return fmt.Errorf("%q leads into a value that has no members", step)
	}
	return nil
}

// remove takes a value out and returns it.
func (d *patched) remove(path pointer) (*jsonNode, error) {
	if len(path) == 0 {
		return nil, errors.New("the whole document cannot be removed")
	}
	from, err := d.root.at(path[:len(path)-1])
	if err != nil {
		return nil, err
	}
	i, err := from.place(path[len(path)-1])
	if err != nil {
		return nil, err
	}
	value := from.items[i]
	from.items = slices.Delete(from.items, i, i+1)
	if from.kind == '{' {
		from.names = slices.Delete(from.names, i, i+1)
	}
	return value, nil
}

func (d *patched) replace(path pointer, value *jsonNode) error {
	have, err := d.root.at(path)
	if err == nil {
		err = d.admit(path, value)
	}
	if err == nil {
		*have = *value.clone()
	}
	return err
}

func (d *patched) move(from, path pointer) error {
	if _, err := d.root.at(from); err != nil {
		return err
	}
	if slices.Equal(from, path) {
		return nil
	}
	if len(from) < len(path) && slices.Equal(from, path[:len(from)]) {
		return fmt.Errorf("a value cannot be moved into itself, from %q", from)
	}
	value, err := d.remove(from)
	if err != nil {
		return err
	}
	return d.add(path, value)
}
