package resilience

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// redactor takes out of arguments what must not be written. It never changes.
type redactor struct {
	rules []redactRule
	key   []byte // of hashes
}

// redactRule is a [Redaction], its pointer taken apart.
type redactRule struct {
	steps []string
	mode  RedactMode
}

// newRedactor refuses pointers and modes that are none.
func newRedactor(list []Redaction, key []byte) (*redactor, error) {
	r := &redactor{key: key}
	for _, one := range list {
		if !strings.HasPrefix(one.Pointer, "/") {
			return nil, fmt.Errorf("redact: %q is no JSON pointer: want a slash in front", one.Pointer)
		}
		if !slices.Contains([]RedactMode{Omit, Hash, Mask, Seal}, one.Mode) {
			return nil, fmt.Errorf("redact %s: no mode %q", one.Pointer, one.Mode)
		}
		r.rules = append(r.rules, redactRule{strings.Split(one.Pointer[1:], "/"), one.Mode})
	}
	return r, nil
}

// place is how far a rule has come on the way down to a value.
type place struct{ rule, step int }

// begin returns where every rule is at the root.
func (r *redactor) begin() []place {
	var list []place
	for i := range r.rules {
		list = r.reach(list, place{i, 0})
	}
	return list
}

// reach adds a place, and those behind any ** that stands there: it may stand for
// no step.
func (r *redactor) reach(list []place, p place) []place {
	for {
		if slices.Contains(list, p) {
			return list
		}
		list = append(list, p)
		if steps := r.rules[p.rule].steps; p.step >= len(steps) || steps[p.step] != "**" {
			return list
		}
		p.step++
	}
}

// down returns where the rules are after a step.
func (r *redactor) down(list []place, name string) []place {
	var next []place
	for _, p := range list {
		steps := r.rules[p.rule].steps
		if p.step >= len(steps) {
			continue
		}
		switch step := steps[p.step]; {
		case step == "**":
			next = r.reach(next, p)
		case step == "*" || step == escapePointer(name):
			next = r.reach(next, place{p.rule, p.step + 1})
		}
	}
	return next
}

// mode returns what is to be done with the value where the rules have come to, ""
// for nothing. Of several the strictest holds.
func (r *redactor) mode(list []place) RedactMode {
	strictest := []RedactMode{Omit, Hash, Mask, Seal}
	at := len(strictest)
	for _, p := range list {
		if rule := r.rules[p.rule]; p.step == len(rule.steps) {
			at = min(at, slices.Index(strictest, rule.mode))
		}
	}
	if at == len(strictest) {
		return ""
	}
	return strictest[at]
}

// redacted is an argument without its secrets.
type redacted struct {
	shown   json.RawMessage
	toSeal  json.RawMessage // the argument with what only Seal takes out; nil: nothing is to be sealed
	fields  []RedactedField
	secrets []string // what was taken out
}

// argument redacts the argument name. Where nothing seals, what was to be sealed
// is omitted.
func (r *redactor) argument(name string, value json.RawMessage, seals bool) (redacted, error) {
	at := r.down(r.begin(), name)
	if len(at) == 0 {
		return redacted{shown: value}, nil
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber() // and not float64, which damages numbers
	var tree any
	if err := d.Decode(&tree); err != nil {
		return redacted{}, err
	}
	w := &redaction{redactor: r, seals: seals}
	shown, keep := w.walk(tree, at, "/"+escapePointer(name), w.all)
	if !keep {
		shown = nil
	}
	if len(w.fields) == 0 {
		return redacted{shown: value}, nil
	}
	out := redacted{fields: w.fields, secrets: w.secrets}
	var err error
	if out.shown, err = json.Marshal(shown); err != nil || !w.sealed {
		return out, err
	}
	sealed, keep := w.walk(tree, at, "", w.allButSeal)
	if !keep {
		sealed = nil
	}
	out.toSeal, err = json.Marshal(sealed)
	return out, err
}

// redaction is one walk over an argument.
type redaction struct {
	*redactor
	seals   bool
	sealed  bool // something is to be sealed
	fields  []RedactedField
	secrets []string
}

// walk returns value without what do takes out of it; false: nothing is left. It
// changes nothing.
func (w *redaction) walk(value any, at []place, path string, do func(value any, mode RedactMode, path string) (any, bool, bool)) (any, bool) {
	if mode := w.mode(at); mode != "" && value != nil {
		if other, keep, done := do(value, mode, path); done {
			return other, keep
		}
	}
	if len(at) == 0 {
		return value, true
	}
	switch v := value.(type) {
	case map[string]any:
		return w.walkObject(v, at, path, do), true
	case []any:
		list := make([]any, len(v))
		for i, element := range v {
			index := strconv.Itoa(i)
			list[i], _ = w.walk(element, w.down(at, index), path+"/"+index, do) // null holds the place
		}
		return list, true
	}
	return value, true
}

func (w *redaction) walkObject(v map[string]any, at []place, path string, do func(any, RedactMode, string) (any, bool, bool)) any {
	object := make(map[string]any, len(v))
	for _, name := range sortedKeys(v) {
		if other, keep := w.walk(v[name], w.down(at, name), path+"/"+escapePointer(name), do); keep {
			object[name] = other
		}
	}
	return object
}

// all takes out everything that a rule names, and notes it.
func (w *redaction) all(value any, mode RedactMode, path string) (other any, keep, done bool) {
	w.secrets = leaves(w.secrets, value)
	if mode == Seal && !w.seals {
		mode = Omit
	}
	w.fields = append(w.fields, RedactedField{path, mode})
	switch mode {
	case Seal:
		w.sealed = true
		return nil, false, true
	default:
		other, keep = w.replace(value, mode)
		return other, keep, true
	}
}

// allButSeal takes out what is not even sealed.
func (w *redaction) allButSeal(value any, mode RedactMode, _ string) (other any, keep, done bool) {
	if mode == Seal {
		return nil, false, false // go on below it: something there may be stricter
	}
	other, keep = w.replace(value, mode)
	return other, keep, true
}

// replace returns what stands for a value.
func (w *redaction) replace(value any, mode RedactMode) (other any, keep bool) {
	switch mode {
	case Hash:
		text, _ := json.Marshal(value) // it was decoded from JSON
		return letterHash(w.key, "", text), true
	case Mask:
		return masked(value), true
	}
	return nil, false
}

// masked shows the last four characters of a long text.
func masked(value any) string {
	text, _ := value.(string)
	if n, ok := value.(json.Number); ok {
		text = n.String()
	}
	runes := []rune(text)
	if len(runes) < 12 {
		return scrubbed
	}
	return scrubbed + string(runes[len(runes)-4:])
}

// maxSecrets bounds how many of the values that were taken out are looked for in
// the texts of errors.
const maxSecrets = 64

// leaves adds the texts and numbers in a value.
func leaves(list []string, value any) []string {
	if len(list) >= maxSecrets {
		return list
	}
	switch v := value.(type) {
	case string:
		list = append(list, v)
	case json.Number:
		list = append(list, v.String())
	case []any:
		for _, element := range v {
			list = leaves(list, element)
		}
	case map[string]any:
		for _, name := range sortedKeys(v) {
			list = leaves(list, v[name])
		}
	}
	return list
}

func sortedKeys(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// escapePointer writes a name as a step of a JSON pointer (RFC 6901).
func escapePointer(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// letterHash is the begin of an HMAC of what, as text. domain keeps hashes for one
// use from being compared with those for another.
func letterHash(key []byte, domain string, what []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(domain))
	mac.Write([]byte{0})
	mac.Write(what)
	return "hmac:" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// hashKey returns the key of hashes: the one that was given, else one of this
// process.
func (o *LetterOptions) hashKey() ([]byte, error) {
	switch n := len(o.HashKey); {
	case n == 0:
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		return key, nil
	case n < 16:
		return nil, errors.New("Options.Letters.HashKey: want 16 bytes or more")
	}
	return o.HashKey, nil
}
