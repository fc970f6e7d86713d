package policy

import (
	"fmt"
	"go/parser"
	"go/token"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"
)

// complaint says what is wrong with a value; the zero complaint is none.
type complaint struct{ id, msg string }

func wrong(format string, args ...any) complaint {
	return complaint{msg: fmt.Sprintf(format, args...)}
}

func (c complaint) bad() bool { return c.msg != "" }

// scalar reads the value of a key that is neither a group nor a list.
func (k *Key) scalar(n *yaml.Node) (any, complaint) {
	if k.Type == Expression || k.Type == Condition && isString(n) && !almostBool(n.Value) {
		return k.expression(n)
	}
	if n.Kind != yaml.ScalarNode || isNull(n) {
		return nil, wrong("wants a %s, not a %s%s", k.Type, kindOf(n), k.like())
	}
	switch k.Type {
	case Duration:
		return k.duration(n)
	case Int:
		return k.integer(n)
	case Number, Percent:
		return k.number(n)
	case Bytes:
		return k.size(n)
	case Bool, Condition:
		return k.boolean(n)
	case Enum:
		return k.enum(n)
	case Cron:
		return k.cron(n)
	case Func:
		if !isString(n) || !token.IsIdentifier(n.Value) && !isQualified(n.Value) {
			return nil, wrong("%s is not the name of a Go func", kindOf(n))
		}
		return Name{Text: n.Value}, complaint{} // the reader knows the place
	}
	return k.text(n)
}

func (k *Key) like() string {
	if k.Example == "" {
		return ""
	}
	return ", like " + k.Example
}

var (
	decimal  = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	fraction = regexp.MustCompile(`^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$`)
	bare     = regexp.MustCompile(`^[-+]?[0-9]+(\.[0-9]+)?$`)
)

func (k *Key) duration(n *yaml.Node) (any, complaint) {
	d, err := time.ParseDuration(n.Value)
	switch {
	case err == nil:
		return d, k.check(float64(d), n.Value)
	case bare.MatchString(n.Value):
		return nil, complaint{"RG095", fmt.Sprintf("the duration %s has no unit: write %sms or %ss", show(n.Value), show(n.Value), show(n.Value))}
	case strings.Contains(n.Value, "d") && bare.MatchString(strings.TrimSuffix(n.Value, "d")):
		return nil, wrong("%q: days are written in hours, 1d as 24h", show(n.Value))
	case bare.MatchString(strings.TrimRight(n.Value, "nuµmsh")):
		return nil, wrong("%q is longer than any duration can be", show(n.Value))
	}
	return nil, wrong("%q is not a duration: write a number and ns, us, ms, s, m or h, like 250ms or 1m30s", show(n.Value))
}

func (k *Key) integer(n *yaml.Node) (any, complaint) {
	if isString(n) || !decimal.MatchString(n.Value) {
		return nil, wrong("wants a whole number, not %s", kindOf(n))
	}
	i, err := strconv.Atoi(n.Value)
	if err != nil || i > math.MaxInt32 || i < math.MinInt32 {
		return nil, complaint{k.rangeID, fmt.Sprintf("must be %s (is %s)", k.Range, show(n.Value))}
	}
	return i, k.check(float64(i), n.Value)
}

func (k *Key) number(n *yaml.Node) (any, complaint) {
	text := n.Value
	if k.Type == Percent {
		text = strings.TrimSuffix(text, "%")
		if text != n.Value {
			return nil, complaint{k.rangeID, fmt.Sprintf("write %s: the threshold is in percent already", show(text))}
		}
	}
	if isString(n) || !fraction.MatchString(text) {
		return nil, complaint{k.rangeID, fmt.Sprintf("wants a number, not %s", kindOf(n))}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, complaint{k.rangeID, fmt.Sprintf("must be %s (is %s)", k.Range, show(text))}
	}
	if k.Type == Percent && f > 0 && f < 1 {
		return nil, complaint{k.rangeID, fmt.Sprintf("must be %s (is %s); it is percent: write %s for %s %%, not %s",
			k.Range, text, formatFloat(f*100), formatFloat(f*100), text)}
	}
	return f, k.check(f, text)
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

func (k *Key) boolean(n *yaml.Node) (any, complaint) {
	if n.Tag == "!!bool" {
		return strings.EqualFold(n.Value, "true"), complaint{}
	}
	return nil, wrong("wants true or false, not %s", kindOf(n))
}

func (k *Key) enum(n *yaml.Node) (any, complaint) {
	names := make([]string, len(k.Values))
	for i, v := range k.Values {
		if v.Name == n.Value {
			return v.Name, complaint{}
		}
		names[i] = v.Name
	}
	if near := Nearest(n.Value, names); near != "" {
		return nil, wrong("%q is none of %s (did you mean %s?)", show(n.Value), strings.Join(names, ", "), near)
	}
	return nil, wrong("%q is none of %s", show(n.Value), strings.Join(names, ", "))
}

func (k *Key) text(n *yaml.Node) (any, complaint) {
	if !isString(n) {
		return nil, wrong("wants a name, not %s: quote it", kindOf(n))
	}
	if n.Value == "" || len(n.Value) > 200 {
		return nil, wrong("wants a name of 1 to 200 characters")
	}
	for _, c := range n.Value {
		if !unicode.IsPrint(c) || c == ' ' || c == '@' {
			return nil, wrong("%q: a name has no spaces, no @ and no invisible characters", show(n.Value))
		}
	}
	return n.Value, complaint{}
}

func (k *Key) expression(n *yaml.Node) (any, complaint) {
	if n.Kind != yaml.ScalarNode {
		return nil, wrong("wants a Go expression in quotes; without them YAML reads a %s%s", kindOf(n), k.like())
	}
	if isNull(n) || strings.TrimSpace(n.Value) == "" {
		return nil, wrong("wants a Go expression%s", k.like())
	}
	if strings.ContainsAny(n.Value, "\n\r") || len(n.Value) > 1000 {
		return nil, wrong("an expression is one line of at most 1000 characters")
	}
	if _, err := parser.ParseExpr(n.Value); err != nil {
		return nil, wrong("%q is not a Go expression: %s", show(n.Value), exprError(err))
	}
	return n.Value, complaint{}
}

// exprError cuts the position, which is one inside the expression.
func exprError(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if _, after, ok := strings.Cut(text, ": "); ok {
		text = after
	}
	return text
}

// check says whether a number is in the range of the key.
func (k *Key) check(f float64, written string) complaint {
	out := f < k.min || k.above && f <= k.min || k.max > 0 && f > k.max || math.IsInf(f, 0) || math.IsNaN(f)
	if !out {
		return complaint{}
	}
	if k.Type == Duration && f < 0 {
		return complaint{k.rangeID, fmt.Sprintf("must be %s (is %s)", k.Range, show(written))}
	}
	hint := ""
	if f <= 0 && k.Unset == none && !k.NoneIs {
		hint = "; none switches it off"
	}
	if k.rangeID == "RG010" {
		hint = "; it counts the first attempt too, so “maxRetries: 3” means maxAttempts: 4"
	}
	return complaint{k.rangeID, fmt.Sprintf("must be %s (is %s)%s", k.Range, show(written), hint)}
}

// rangeText says the range in words of the reference.
func (k *Key) rangeText() string {
	switch k.Type {
	case Percent:
		return "in (0,100]"
	case Int, Number:
		if k.max > 0 {
			return fmt.Sprintf("%s to %s", strconv.FormatFloat(k.min, 'f', -1, 64), strconv.FormatFloat(k.max, 'f', -1, 64))
		}
		return "≥ " + strconv.FormatFloat(k.min, 'f', -1, 64)
	case Duration, Bytes:
		if k.above {
			return "> 0"
		}
		return "≥ 0"
	}
	return ""
}

// isQualified reports whether text is pkg.Ident.
func isQualified(text string) bool {
	pkg, name, ok := strings.Cut(text, ".")
	return ok && token.IsIdentifier(pkg) && token.IsIdentifier(name)
}
