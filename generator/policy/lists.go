package policy

import (
	"fmt"
	"go/token"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// words are the values that an entry of Words may have.
func (k *Key) words() []string {
	var list []string
	for _, v := range k.Values {
		list = append(list, v.Name)
	}
	return list
}

// usual returns what a list of Words holds where nobody says anything.
func (k *Key) usual() []Name {
	if k.Type != Words || k.def == "" {
		return nil
	}
	var list []Name
	for text := range strings.SplitSeq(k.def, ", ") {
		list = append(list, Name{Text: text})
	}
	return list
}

// matcherList stands for the keys of a file that are lists of matchers and no
// values of a policy.
var matcherList = &Key{Type: Matchers}

// badEntry says what is wrong with an entry of a list.
func (k *Key) badEntry(n *yaml.Node) string {
	switch {
	case k.Type == Matchers:
		return badName(n)
	case !isString(n) || n.Value == "":
		return "wants texts in quotes, not " + article(n)
	case k.Type == Words && !slices.Contains(k.words(), n.Value):
		return fmt.Sprintf("%q is none of %s%s", show(n.Value), strings.Join(k.words(), ", "), hint(n.Value, k.words()))
	case k.Type == Texts:
		return k.item(n.Value)
	}
	return ""
}

// listLike is a list such as the key wants.
func listLike(k *Key) string {
	if _, list, ok := strings.Cut(k.Example, ": "); ok && k.Type != Matchers {
		return list
	}
	return "[ErrBusy, net.OpError]"
}

// Pairing says for parameters which Go name is meant, in the order in which it is
// written.
type Pairing []Pair

// Pair is an entry of a [Pairing].
type Pair struct{ Param, Name Name }

// String returns the pairing as the language says it.
func (p Pairing) String() string { return p.text() }

func (p Pairing) text() string {
	words := make([]string, len(p))
	for i, one := range p {
		words[i] = word(one.Param.Text) + ": " + word(one.Name.Text)
	}
	return "{" + strings.Join(words, ", ") + "}"
}

func (r *reader) pairing(k *Key, n *yaml.Node) (Pairing, bool) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		r.errorf(n, k.Path, "wants a mapping of parameters to Go names%s, not %s", k.like(), article(n))
		return nil, false
	}
	var list Pairing
	ok := true
	for _, p := range pairs(n) {
		switch {
		case !token.IsIdentifier(p.name):
			r.errorf(p.key, k.Path, "%q is not the name of a parameter", show(p.name))
			ok = false
		case !isString(p.value) || !token.IsIdentifier(p.value.Value) && !isQualified(p.value.Value):
			r.errorf(p.value, k.Path+"."+p.name, "%s is not a Go name", article(p.value))
			ok = false
		default:
			list = append(list, Pair{Name{p.name, r.at(p.key)}, Name{p.value.Value, r.at(p.value)}})
		}
	}
	return list, ok
}

var sized = regexp.MustCompile(`^([1-9][0-9]*)(B|KiB|MiB|GiB)?$`)

var sizeUnits = map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// size reads a number of bytes.
func (k *Key) size(n *yaml.Node) (any, complaint) {
	match := sized.FindStringSubmatch(n.Value)
	if match == nil {
		return nil, wrong("%q is not a size: write a whole number and B, KiB, MiB or GiB, like 256MiB", show(n.Value))
	}
	number, err := strconv.ParseInt(match[1], 10, 64)
	if unit := sizeUnits[match[2]]; err != nil || number > math.MaxInt64/unit {
		return nil, wrong("%q is more than any disk has", show(n.Value))
	}
	return int(number * sizeUnits[match[2]]), complaint{}
}

// SizeText is a number of bytes as the language says it.
func SizeText(n int) string {
	for _, unit := range []string{"GiB", "MiB", "KiB"} {
		if size := int(sizeUnits[unit]); n >= size && n%size == 0 {
			return strconv.Itoa(n/size) + unit
		}
	}
	return strconv.Itoa(n) + "B"
}
