package policy

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"unicode"
)

// exactLiteral is the literal length of a pattern without wildcards: more
// than any glob has.
const exactLiteral = math.MaxInt

// pattern is a method name or a glob over method names.
type pattern struct {
	text    string
	literal int // characters that are not wildcards; exactLiteral for a name
}

func (p pattern) exact() bool { return p.literal == exactLiteral }

func (p pattern) matches(method string) bool {
	if p.exact() {
		return p.text == method
	}
	ok, _ := path.Match(p.text, method)
	return ok
}

// parsePatterns reads "Get*, List*".
func parsePatterns(key string) ([]pattern, error) {
	var list []pattern
	for text := range strings.SplitSeq(key, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			return nil, errors.New("wants the name of a method, a glob like Get*, or a list of them like \"Get*, List*\"")
		}
		literal, wild := 0, false
		for i, c := range text {
			switch {
			case c == '*' || c == '?':
				wild = true
			case c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) && (i > 0 || wild):
				literal++
			default:
				return nil, fmt.Errorf("%q is not a method: a pattern has letters, digits, _, * and ?", show(text))
			}
		}
		if strings.Count(text, "*") > 8 || len(text) > 200 {
			return nil, fmt.Errorf("%q is too long or has too many wildcards", show(text))
		}
		if !wild {
			literal = exactLiteral
		}
		if slices.ContainsFunc(list, func(p pattern) bool { return p.text == text }) {
			return nil, fmt.Errorf("%s is named twice", text)
		}
		list = append(list, pattern{text: text, literal: literal})
	}
	return list, nil
}
