package policy

import (
	"strings"
	"sync"
	"time"
)

// Type is the kind of value that a [Key] takes.
type Type string

// The types of values.
const (
	Part       Type = "part"       // a mapping that is a policy of its own: retry
	Section    Type = "section"    // a mapping inside a part: retry.backoff
	Duration   Type = "duration"   // time.Duration, written 250ms
	Durations  Type = "durations"  // []time.Duration
	Int        Type = "int"        // int
	Number     Type = "number"     // float64
	Percent    Type = "percent"    // float64 in (0,100]
	Bool       Type = "bool"       // bool
	Enum       Type = "enum"       // string, one of Key.Values
	Text       Type = "name"       // string, a name that the user makes up
	Func       Type = "func"       // Name, a Go func
	Expression Type = "expression" // string, a Go expression over the method's parameters
	Condition  Type = "condition"  // bool, or string: a Go expression, or "" for a mapping of keys
	Matchers   Type = "matchers"   // List
	Layers     Type = "layers"     // Order, of Key.Values
	Words      Type = "words"      // List, of Key.Values
	Texts      Type = "texts"      // List, of what Key.item lets in
	Pairs      Type = "pairs"      // Pairing, of Go names
	Bytes      Type = "size"       // int, written 256MiB
	Cron       Type = "cron"       // string, five fields
	structural Type = "structure"  // read by code of its own: interfaces, methods
)

// Place is where a key may be written.
type Place uint8

// The places of a policy source.
const (
	InFile Place = 1 << iota
	InPolicy
	InInterface
	InMethod
	InWorkflow
	InNode
	InPipeline
	InStage

	inEntry = InPolicy | InInterface | InMethod
)

// Key is a key of the policy language. Keys are shared and not to be changed.
type Key struct {
	Path    string // retry.backoff.initialDelay
	Type    Type
	Default string // as the reference says it; "" for none
	Range   string // as the reference says it; "" for any value of the type
	Doc     string
	Example string
	Since   string // the version that built it; "" as long as none did
	Built   bool   // false: reading it ends in "not available yet"
	RunTime bool   // may change at run time; else it is compiled in
	// ZeroAtRunTime says that an override may be 0, below the range: it shuts the
	// part, which nobody means who generates it.
	ZeroAtRunTime bool
	Places        Place
	Values        []EnumValue // of an Enum, or of what Layers and Words list

	// GoField is the field of resilience.Policy that holds the value,
	// Retry.Backoff.InitialDelay; of a part the field that says it is on. It is
	// "" where generated code or something else holds it.
	GoField string
	// GoInverted says that the bool GoField is true where the key is false.
	GoInverted bool
	// Hint says that the key tells checks something, and the runtime nothing.
	Hint bool
	// Bare says that true, and an empty mapping, take every default of a part that
	// no GoField says is on.
	Bare bool
	// Unset is the word that takes an inherited value back: none, any or
	// unbounded. It is "" where nothing does.
	Unset string
	// NoneIs says that Unset is a value of its own, printed as resilience.None.
	NoneIs bool

	within  string // the part it belongs to
	written string // what a structure looks like, for the reference
	def     string // the default as written in YAML, "" if there is none
	rangeID string // check that an outlying number violates
	noneID  string // check that none violates
	min     float64
	max     float64 // 0: as large as the type
	above   bool    // min is outside the range
	needs   []need
	noneKey string                           // what none of a section stands for: strategy=none
	item    func(text string) (wrong string) // of an entry of Texts
}

// EnumValue is a value that an Enum may have.
type EnumValue struct {
	Name    string
	GoConst string // its constant in package resilience; "" if it has none
	Doc     string
}

// need says that a key acts only where the key at path has one of the values,
// or is set at all if there are none.
type need struct {
	path   string
	values []string
}

// Value is what a key is set to.
type Value struct {
	Key *Key
	// V is of the type that Key.Type names. Parts and sections have true.
	V any
	// None says that the key was switched off by Key.Unset.
	None   bool
	Pos    Pos    // zero for what is built in
	Origin string // resilience.yaml:7:17, policy api (built in), preset production, default
	own    bool   // written for the method itself
}

// Zero reports whether the value is an explicit none or zero. Generated
// literals print it as resilience.None, since their zero says "not given".
func (v Value) Zero() bool {
	switch x := v.V.(type) {
	case time.Duration:
		return v.None || x == 0
	case int:
		return v.None || x == 0
	case float64:
		return v.None || x == 0
	}
	return v.None
}

// Constant returns the runtime's constant for a value of an Enum.
func (k *Key) Constant(value string) string {
	for _, v := range k.Values {
		if v.Name == value {
			return v.GoConst
		}
	}
	return ""
}

// List is a list of matchers, merged and expanded.
type List struct {
	Any   bool // any error above the floor, and Names
	Names []Name
}

// Has reports whether the list names text.
func (l List) Has(text string) bool {
	for _, n := range l.Names {
		if n.Text == text {
			return true
		}
	}
	return false
}

// Keys returns the table of keys in the order of the reference: a key comes
// after the part it belongs to.
func Keys() []*Key { return table().keys }

// Lookup returns the key with the path, or nil.
func Lookup(path string) *Key { return table().byPath[path] }

type keyTable struct {
	keys   []*Key
	byPath map[string]*Key
}

var table = sync.OnceValue(func() *keyTable {
	t := &keyTable{byPath: make(map[string]*Key)}
	for _, group := range [][]*Key{
		fileKeys(), interfaceKeys(), timeoutKeys(), retryKeys(),
		hedgeKeys(),
		breakerKeys(),
		rateLimitKeys(), checkpointKeys(), cacheKeys(),
		bulkheadKeys(), fallbackKeys(), deadLetterKeys(),
		adaptiveKeys(),
		chaosKeys(),
		otherKeys(),
		healthKeys(),
		orderKeys(),
		hintKeys(), workflowKeys(), pipelineKeys(), laterKeys(),
	} {
		t.keys = append(t.keys, group...)
	}
	for _, k := range t.keys {
		k.complete()
		t.byPath[k.Path] = k
	}
	for _, k := range t.keys {
		part, _, _ := strings.Cut(k.Path, ".")
		if p := t.byPath[part]; p != nil && p.Type == Part {
			k.within = part
		}
	}
	return t
})

// complete fills in what follows from the rest of the entry.
func (k *Key) complete() {
	if k.Places == 0 {
		k.Places = inEntry
	}
	k.Built = k.Since != ""
	if k.Type == Percent {
		k.min, k.above, k.max = 0, true, 100
	}
	if k.Range == "" {
		k.Range = k.rangeText()
	}
	if k.Default == "" {
		k.Default = k.def
	}
}

// name returns the last element of the path.
func (k *Key) name() string { return k.Path[strings.LastIndexByte(k.Path, '.')+1:] }

// PartOf returns the part that an override of the key acts on, retry.budget being
// one of its own; "" for a key beside the parts.
func (k *Key) PartOf() string {
	switch {
	case inBudget(k.Path):
		return "retry.budget"
	case k.Type == Part:
		return k.Path
	}
	return k.within
}

// part returns the part that the key belongs to, "" for a key beside the parts.
func (k *Key) part() string { return k.within }

// plain reports whether true turns the part on with every default.
func (k *Key) plain() bool { return k.GoField != "" || k.Bare }

// extends reports whether the key is a list that a layer may add to.
func (k *Key) extends() bool { return k.Type == Matchers || k.Type == Words || k.Type == Texts }

// group reports whether the key holds other keys.
func (k *Key) group() bool { return k.Type == Part || k.Type == Section }

// children returns the keys directly below path that may be written in place.
func children(path string, place Place) []*Key {
	var list []*Key
	for _, k := range Keys() {
		parent, _ := splitPath(k.Path)
		if parent == path && k.Places&place != 0 {
			list = append(list, k)
		}
	}
	return list
}

func splitPath(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

func joinPath(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// below reports whether path is inside the part or section.
func below(path, group string) bool { return strings.HasPrefix(path, group+".") }
