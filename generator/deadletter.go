package generator

import (
	"fmt"
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/resilgen/resilgen/generator/lint"
	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// letters resolves how calls of a method that finally failed are kept, nil if they
// are not.
func (r *resolver) letters(i *policy.Interface, w *templates.Wrapper, m *types.Func, out *templates.Method, e *policy.Effective) *templates.Letters {
	if !e.Has("deadLetter") {
		return nil
	}
	sig, key := m.Signature(), i.Key+"."+m.Name()
	base := lower(w.Base) + upper(m.Name())
	l := &templates.Letters{
		Args: r.names.declare(base + "Args"), Queue: queueOf(w, e), AfterFallback: e.Bool("deadLetter.afterFallback"),
		Panics: e.List("deadLetter.when").Has("panic"), Idempotent: alwaysIdempotent(e),
	}
	left := r.excluded(sig, out, e)
	l.InspectOnly = len(left) > 0
	l.Fields = letterFields(sig, out, left)
	r.codecs(base, l, sig, out, e)
	r.references(l, sig, out, e)
	var places []LetterField
	l.Redact, places = r.redactions(key, l, e)
	l.Sig = letterSig(m, l)
	l.Schema = r.names.declare(base + "Schema")
	l.SchemaJSON = letterSchema(l)
	l.Order = r.orderKey(sig, l, e)
	if out.Ctx < 0 && !l.InspectOnly {
		l.Under, l.Ctx = lower(m.Name())+"Under", "ctx"
	}
	l.Policy = letterPolicy(e)
	r.letterBuiltins(l, e)
	r.kept = append(r.kept, report(w, m, l, places, slices.Sorted(maps.Keys(left))))
	return l
}

// queueOf is the queue of a method, as its comment says it.
func queueOf(w *templates.Wrapper, e *policy.Effective) string {
	if queue := e.Str("deadLetter.queue"); queue != "" {
		return queue
	}
	return w.Key + "." + e.Method
}

// alwaysIdempotent reports whether every call may be executed twice: a condition
// may not hold for the call that is replayed.
func alwaysIdempotent(e *policy.Effective) bool {
	v, ok := e.Get("idempotent")
	_, key := e.Given("idempotent.key")
	return ok && (v.V == true || key)
}

// letterFields are the parameters that a letter holds: all but the context, and
// those that are left out.
func letterFields(sig *types.Signature, m *templates.Method, left map[int]bool) []templates.LetterField {
	var list []templates.LetterField
	fields := map[string]bool{}
	for i, name := range paramNames(sig) {
		if i != m.Ctx && !left[i] {
			t := sig.Params().At(i).Type()
			list = append(list, templates.LetterField{Param: i, Name: choose(exported(name), fields), JSON: name, Type: t, Said: briefly(t)})
		}
	}
	return list
}

// paramNames are what a letter calls the parameters: as they were declared,
// whatever the generated method has to call them.
func paramNames(sig *types.Signature) []string {
	taken := map[string]bool{}
	var names []string
	for v := range sig.Params().Variables() {
		name := v.Name()
		if name == "" || name == "_" {
			name = nameOf(v.Type())
		}
		names = append(names, choose(name, taken))
	}
	return names
}

// exported is name as an exported field: encoding/json sees no other.
func exported(name string) string {
	if name = strings.TrimLeft(name, "_"); initialisms[name] != "" {
		return initialisms[name]
	}
	name = upper(name)
	if first := []rune(name); len(first) == 0 || !unicode.IsUpper(first[0]) {
		return "X" + name
	}
	return name
}

// initialisms are names that Go writes in capitals.
var initialisms = map[string]string{
	"api": "API", "html": "HTML", "http": "HTTP", "id": "ID", "ids": "IDs", "ip": "IP", "json": "JSON", "sql": "SQL", "ttl": "TTL",
	"uid": "UID", "uri": "URI", "url": "URL", "urls": "URLs", "uuid": "UUID", "xml": "XML",
}

// excluded returns the parameters that are not kept.
func (r *resolver) excluded(sig *types.Signature, m *templates.Method, e *policy.Effective) map[int]bool {
	left := map[int]bool{}
	for _, n := range e.List("deadLetter.exclude").Names {
		if at := r.param(sig, m, n, "deadLetter.exclude", e); at >= 0 {
			left[at] = true
		}
	}
	return left
}

// param finds a parameter by its name, -1 if there is none.
func (r *resolver) param(sig *types.Signature, m *templates.Method, n policy.Name, key string, e *policy.Effective) int {
	known := paramNames(sig)
	if at := slices.Index(known, n.Text); at >= 0 && at != m.Ctx {
		return at
	}
	r.complain(n.Pos, "RG075", e.Method+"."+key, n.Text+": the method has no such parameter"+hint(n.Text, known))
	return -1
}

// codecs gives the fields their codecs.
func (r *resolver) codecs(base string, l *templates.Letters, sig *types.Signature, m *templates.Method, e *policy.Effective) {
	for f, name := range r.paired("deadLetter.codec", l, sig, m, e) {
		if obj := r.carrier(f, name, "deadLetter.codec", codecMethods, e); obj != nil {
			f.Codec = &templates.Codec{Type: r.names.declare(base + f.Name), Func: obj}
		}
	}
}

// references gives the fields what keeps them outside of letters.
func (r *resolver) references(l *templates.Letters, sig *types.Signature, m *templates.Method, e *policy.Effective) {
	for f, name := range r.paired("deadLetter.ref", l, sig, m, e) {
		if f.Codec != nil {
			r.complain(name.Pos, "RG075", e.Method+".deadLetter.ref", f.JSON+": it has a codec, which would not be asked")
			continue
		}
		if obj := r.carrier(f, name, "deadLetter.ref", storeMethods, e); obj != nil {
			f.Store = obj
		}
	}
}

// paired yields the fields that key names, each with the Go name that it gives them.
func (r *resolver) paired(key string, l *templates.Letters, sig *types.Signature, m *templates.Method, e *policy.Effective) func(func(*templates.LetterField, policy.Name) bool) {
	return func(yield func(*templates.LetterField, policy.Name) bool) {
		v, _ := e.Given(key)
		pairing, _ := v.V.(policy.Pairing)
		for _, p := range pairing {
			at := r.param(sig, m, p.Param, key, e)
			n := slices.IndexFunc(l.Fields, func(f templates.LetterField) bool { return f.Param == at })
			switch {
			case at < 0:
			case n < 0:
				r.complain(p.Param.Pos, "RG075", e.Method+"."+key, p.Param.Text+": it is excluded, and needs no "+strings.TrimPrefix(key, "deadLetter."))
			default:
				if !yield(&l.Fields[n], p.Name) {
					return
				}
			}
		}
	}
}

// carrierMethod is a method that carries values of a type, which %s stands for.
type carrierMethod struct{ name, signature string }

var (
	codecMethods = []carrierMethod{{"Encode", "func(%s) ([]byte, error)"}, {"Decode", "func([]byte) (%s, error)"}}
	storeMethods = []carrierMethod{{"Put", "func(context.Context, %s) (string, error)"}, {"Get", "func(context.Context, string) (%s, error)"}}
)

// carrier resolves what carries a field: a variable, or a struct type without
// fields that matter, that has the methods. It is nil if there is none.
func (r *resolver) carrier(f *templates.LetterField, name policy.Name, key string, needs []carrierMethod, e *policy.Effective) types.Object {
	obj, why := r.pkg.lookup(name)
	if why == "" {
		why = r.carries(obj, f.Type, needs)
	}
	if why != "" {
		r.complain(name.Pos, "RG092", e.Method+"."+key, name.Text+": "+why)
		return nil
	}
	return r.use(obj)
}

// carries says why obj does not carry values of t by the methods.
func (r *resolver) carries(obj types.Object, t types.Type, needs []carrierMethod) string {
	switch obj.(type) {
	case *types.Var, *types.TypeName:
	default:
		return "want a variable or a type; have " + types.ObjectString(obj, types.RelativeTo(obj.Pkg()))
	}
	if _, isType := obj.(*types.TypeName); isType {
		if _, isStruct := obj.Type().Underlying().(*types.Struct); !isStruct {
			return "want a variable, or a struct type"
		}
	}
	for _, need := range needs {
		want := fmt.Sprintf(need.signature, r.text(t))
		have, _, _ := types.LookupFieldOrMethod(obj.Type(), false, r.pkg.types, need.name)
		f, ok := have.(*types.Func)
		if !ok {
			return "has no method " + need.name + ", want " + want
		}
		if got := strings.ReplaceAll(r.text(unnamedSignature(f.Signature())), "[]uint8", "[]byte"); got != strings.ReplaceAll(want, "[]uint8", "[]byte") {
			return need.name + " is " + got + ", want " + want
		}
	}
	return ""
}

// unnamedSignature is sig without a receiver and the names of parameters.
func unnamedSignature(sig *types.Signature) *types.Signature {
	unnamed := func(t *types.Tuple) *types.Tuple {
		var list []*types.Var
		for v := range t.Variables() {
			list = append(list, types.NewParam(0, nil, "", v.Type()))
		}
		return types.NewTuple(list...)
	}
	return types.NewSignatureType(nil, nil, nil, unnamed(sig.Params()), unnamed(sig.Results()), sig.Variadic())
}

// uncarried says which argument JSON does not bring back as it was, and how it
// could be kept all the same; "" for none.
func (p *goPackage) uncarried(m *types.Func, e *policy.Effective) (what, do string) {
	sig := m.Signature()
	at := m.Name()
	if place := p.place(m.Pos()); place != "" {
		at += ", declared at " + place + ","
	}
	for i, name := range paramNames(sig) {
		t := sig.Params().At(i).Type()
		path, reason, ok := carry(t, name, leftOut)
		elsewhere := carriedElsewhere(name, e)
		switch {
		case i == contextIndex(sig) || e.List("deadLetter.exclude").Has(name) || ok && !elsewhere:
			continue
		case lint.Spent(t):
			path, reason, do = name, "a reader has been read when the call has failed", "a func that opens it in its place, or exclude: [%s], which keeps the rest, to be read only"
		case elsewhere:
			continue
		default:
			do = "exclude: [%s], which keeps the rest, to be read only, codec: {%[1]s: …}, which says how it is written, or ref: {%[1]s: …}, which keeps it elsewhere"
		}
		return fmt.Sprintf("the argument %s would not come back from a letter as it was: %s: %s", name, path, reason),
			fmt.Sprintf("%s needs "+do+"; else ", at, name)
	}
	return "", ""
}

// carriedElsewhere reports whether a parameter has a codec, or is referred to.
func carriedElsewhere(name string, e *policy.Effective) bool {
	for _, key := range []string{"deadLetter.codec", "deadLetter.ref"} {
		v, _ := e.Given(key)
		if pairing, _ := v.V.(policy.Pairing); slices.ContainsFunc(pairing, func(p policy.Pair) bool { return p.Param.Text == name }) {
			return true
		}
	}
	return false
}

// leftOut reports whether a field is meant to be lost: it is not in the JSON, and
// its tag says that this is right.
func leftOut(f *types.Var, tag string) bool {
	return strings.Contains(tag, `resilience:"omit"`) && (!f.Exported() || strings.Contains(tag, `json:"-"`))
}

// redactions decides what is redacted of the arguments, and returns every place
// in them.
func (r *resolver) redactions(key string, l *templates.Letters, e *policy.Effective) ([]templates.Redaction, []LetterField) {
	x := &redactor{r: r, redact: rules(e.List("deadLetter.redact")), allow: rules(e.List("deadLetter.allow"))}
	for _, f := range l.Fields {
		switch {
		case f.Codec != nil:
			x.carried(f, types.Universe.Lookup("any").Type(), x.r.text(f.Type)+", by "+f.Codec.Func.Name())
		case f.Store != nil:
			x.carried(f, types.Typ[types.String], "reference to "+x.r.text(f.Type)+", by "+f.Store.Name())
		default:
			x.place(f.Type, []string{f.JSON}, []string{f.JSON}, "")
		}
	}
	x.unused(func(n policy.Name, path, msg string) { r.complain(n.Pos, "RG075", key+"."+path, msg) })
	for _, text := range x.badTags {
		r.complain(e.Pos, "RG075", key, fmt.Sprintf("an argument has the tag resilience:%q: want one of %s", text, strings.Join(slices.Sorted(maps.Keys(tagModes)), ", ")))
	}
	var list []templates.Redaction
	for _, f := range x.fields {
		if f.Mode != "" {
			list = append(list, templates.Redaction{Pointer: f.Pointer, Mode: upper(f.Mode)})
		}
	}
	for _, rule := range x.redact {
		if rule.raw {
			list = append(list, templates.Redaction{Pointer: rule.pointer(), Mode: upper(rule.mode)})
		}
	}
	return list, x.fields
}

// carried is a place for which the policy says what a letter holds: a t. said is
// what reports call it.
func (x *redactor) carried(f templates.LetterField, t types.Type, said string) {
	before := len(x.fields)
	x.place(t, []string{f.JSON}, []string{f.JSON}, "")
	for i := range x.fields[before:] {
		x.fields[before+i].Type = said
	}
}

// letterSig is the fingerprint of what a letter of m holds, and of what calling it
// returns.
func letterSig(m *types.Func, l *templates.Letters) string {
	var b strings.Builder
	b.WriteString(m.Name() + "(")
	for _, f := range l.Fields {
		b.WriteString(f.JSON + " ")
		switch {
		case f.Codec != nil:
			b.WriteString(f.Codec.Func.Pkg().Path() + "." + f.Codec.Func.Name() + ", ")
		case f.Store != nil:
			b.WriteString("ref " + f.Store.Pkg().Path() + "." + f.Store.Name() + ", ")
		default:
			b.WriteString(expansion(f.Type) + ", ")
		}
	}
	b.WriteString(")")
	for v := range m.Signature().Results().Variables() {
		b.WriteString(" " + expansion(v.Type()))
	}
	return fingerprint(b.String())
}

// orderKey resolves what tells which letters are replayed one after the other.
func (r *resolver) orderKey(sig *types.Signature, l *templates.Letters, e *policy.Effective) *templates.Expr {
	x := r.expr(sig, e, "deadLetter.orderKey", wantString)
	if x == nil {
		return nil
	}
	for _, at := range x.Params {
		if !slices.ContainsFunc(l.Fields, func(f templates.LetterField) bool { return f.Param == at && f.Store == nil }) {
			v, _ := e.Given("deadLetter.orderKey")
			r.complain(v.Pos, "RG075", e.Method+".deadLetter.orderKey", fmt.Sprintf("%q: %s is not kept in a letter", x.Text, paramNames(sig)[at]))
			return nil
		}
	}
	return x
}

// letterPolicy is the policy as the runtime is told it.
func letterPolicy(e *policy.Effective) *templates.Literal {
	l := &templates.Literal{Type: "DeadLetterPolicy"}
	for _, field := range []struct{ key, name string }{
		{"queue", "Queue"}, {"when", "When"}, {"afterFallback", "AfterFallback"}, {"maxReplays", "MaxReplays"}, {"maxAge", "MaxAge"},
		{"keepReplayed", "KeepReplayed"}, {"maxCount", "MaxCount"}, {"maxBytes", "MaxBytes"}, {"overflow", "Overflow"},
		{"maxWait", "BlockTimeout"}, {"fingerprint.extra", "Extra"},
	} {
		key := "deadLetter." + field.key
		if v, ok := e.Given(key); ok {
			if value := letterValue(policy.Lookup(key), v); value != nil {
				l.Fields = append(l.Fields, templates.Field{Name: field.name, Value: value})
			}
		}
	}
	return l
}

func letterValue(k *policy.Key, v policy.Value) any {
	if v.None {
		return templates.Const("None")
	}
	switch value := v.V.(type) {
	case policy.List:
		if k.Type != policy.Words {
			var texts []string
			for _, n := range value.Names {
				texts = append(texts, n.Text)
			}
			return texts
		}
		list := templates.List{Type: "Reasons", Named: true}
		for _, n := range value.Names {
			list.Consts = append(list.Consts, k.Constant(n.Text))
		}
		return list
	case string:
		if k.Type == policy.Enum {
			return templates.Const(k.Constant(value))
		}
		return value
	case bool:
		if !value {
			return nil
		}
		return true
	case int:
		if k.Type == policy.Bytes {
			return templates.Size(value)
		}
	}
	return v.V
}

// letterBuiltins refuses a package that declares what the code for letters takes
// for predeclared.
func (r *resolver) letterBuiltins(l *templates.Letters, e *policy.Effective) {
	var names []string
	if l.Panics {
		names = append(names, "panic", "recover")
	}
	if l.Order != nil {
		names = append(names, "string")
	}
	if slices.ContainsFunc(l.Fields, func(f templates.LetterField) bool { return f.Codec != nil }) {
		names = append(names, "byte")
	}
	for _, name := range names {
		if r.pkg.types.Scope().Lookup(name) != nil || slices.ContainsFunc(slices.Collect(r.typeParams.TypeParams()), func(p *types.TypeParam) bool { return p.Obj().Name() == name }) {
			r.complain(e.Pos, "", e.Method+".deadLetter", "the package declares a "+name+" of its own, and generated code needs Go's: rename it")
		}
	}
}

// hiding notes what a method must not hide with its parameters and variables.
func (r *resolver) hiding(l *templates.Letters, taken map[string]bool) {
	taken[l.Args] = true
	for _, f := range l.Fields {
		switch {
		case f.Codec != nil:
			taken[f.Codec.Type] = true
		case f.Store != nil:
			taken[r.names.imports[runtimePath]] = true
			visit(f.Type, func(obj *types.TypeName, _ bool) { taken[r.spelled(obj)] = true })
		}
	}
	if l.Panics {
		taken["panic"], taken["recover"] = true, true
	}
}

// letterNames names what the letters of a method are held in and returned by.
// fields are the names of fields and methods that are taken.
func letterNames(m *templates.Method, fields map[string]bool) {
	if m.Letters == nil {
		return
	}
	if ast.IsExported(m.Name) {
		m.Letters.Handle = choose(m.Name+"Letters", fields)
	}
	m.Letters.Field = choose(m.Field+"Letters", fields)
	if m.Letters.Under != "" {
		m.Letters.Under = choose(m.Letters.Under, fields)
	}
}

// replayVars names the variables of the funcs that replay, which stand in the
// constructor and must not hide what is declared.
func (r *resolver) replayVars(w *templates.Wrapper) {
	for _, m := range w.Methods {
		if m.Letters == nil {
			continue
		}
		taken := maps.Clone(r.names.taken)
		for p := range r.typeParams.TypeParams() {
			taken[p.Obj().Name()] = true
		}
		for _, name := range []string{w.Vars.Runtime, w.Vars.Next, w.Vars.Fallback, w.Vars.Secondary, w.Vars.Wrap, w.Vars.Self} {
			taken[name] = true
		}
		m.Letters.ReplayCtx, m.Letters.ReplayArgs, m.Letters.ReplayErr = choose("ctx", taken), choose("args", taken), choose("err", taken)
	}
}

// letterSentence says what becomes of calls that fail.
func letterSentence(m *templates.Method, e *policy.Effective) string {
	if m.Letters == nil {
		return ""
	}
	text := " If that fails, "
	switch {
	case m.Letters.AfterFallback:
		text = " If that fails, whatever the fallback answers, "
	case m.Fallback != (templates.Answer{}):
		text = " If nobody answers, "
	}
	if when, given := e.Given("deadLetter.when"); given {
		text = strings.TrimSuffix(text, ", ") + " and the reason is " + either(when.V.(policy.List).Names) + ", "
	}
	return text + "the call is kept in the queue " + strconv.Quote(m.Letters.Queue) + ", and its error matches [resilience.ErrDeadLettered]."
}

// letterWords says where the letters are.
func letterWords(m *templates.Method) string {
	words := "dead letters in " + strconv.Quote(m.Letters.Queue)
	if m.Letters.InspectOnly {
		words += ", to be read only"
	}
	return words
}
