package resilience

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a filter: they bound what looking at one letter costs.
const (
	maxFilter      = 4096 // bytes
	maxFilterTerms = 64
	maxFilterDepth = 32
)

// Filter chooses letters. The zero value chooses all. See [ParseFilter].
type Filter struct {
	text string
	root filterNode
}

// FilterError says where a filter cannot be understood.
type FilterError struct {
	Column int // of the first character that does not fit, from 1
	Why    string
}

func (e *FilterError) Error() string { return fmt.Sprintf("filter, column %d: %s", e.Column, e.Why) }

// ParseFilter reads a filter, as it is written on the command line and over HTTP:
//
//	queue:payments.notify (reason:exhausted or reason:deadline) since:24h
//	interface:pay.Gateway method:Charge not state:replayed attempts>3
//	error:"connection refused" args.req.Customer.ID=42
//
// Terms beside each other must all hold, as with "and"; "or" binds less, "not"
// more, and parentheses group. Terms are
//
//	queue: interface: method: state: reason: group: tag: trace: id: sig: host: version: run:
//	             the whole word, or with * at the end how it begins; interface: also
//	             takes the name without the path of its package; run: is the id of the
//	             run whose message the letter is
//	error:       a part of the type or of the text of one of the errors
//	since: until:
//	             when the letter died: a time (2026-03-01, 2026-03-01T12:00:00Z) or how
//	             long ago (90m, 24h, 7d)
//	age> attempts> replays>
//	             with > >= < <= or =; age is since the letter died
//	args.path=   a value in the arguments, by the names in their JSON; a number is an
//	             element of a list, * is every element or member
//
// A value with spaces, parentheses or a * of its own stands in quotes, and then a
// number is a text, with the escapes of JSON. Errors are a [*FilterError].
func ParseFilter(text string) (Filter, error) {
	p := filterParser{text: text}
	if len(text) > maxFilter {
		return Filter{}, p.fail(maxFilter, "it has %d bytes, at most %d are taken", len(text), maxFilter)
	}
	if !utf8.ValidString(text) {
		return Filter{}, &FilterError{1, "it is not UTF-8"}
	}
	if p.space(); p.at == len(text) {
		return Filter{}, nil
	}
	root, err := p.some(0)
	if err == nil && p.at < len(text) {
		err = p.fail(p.at, "this parenthesis closes none")
	}
	if err != nil {
		return Filter{}, err
	}
	return Filter{text, root}, nil
}

// String returns the text of f.
func (f Filter) String() string { return f.text }

// matches reports whether f chooses v. It reads v no more than once for each term.
func (f Filter) matches(v letterView, now time.Time) bool {
	return f.root == nil || f.root.match(v, now)
}

// letterView is what a filter asks of a letter. What is asked for last in this list
// costs most: it may be on disk.
type letterView interface {
	word(k filterKey) string // "" where there is none
	count(k filterKey) int
	died() time.Time
	tags() []string
	errors() []ErrNode
	// args are the arguments; it may be none where a text is in none of them.
	args(text string) []LetterArg
}

// filterKey is what a term is about.
type filterKey uint8

const (
	_ filterKey = iota
	byQueue
	byInterface
	byMethod
	byState
	byReason
	byGroup
	byTrace
	byID
	bySig
	byHost
	byVersion
	byRun
	byTag
	byError
	bySince
	byUntil
	byAge
	byAttempts
	byReplays
	byArgs
)

var filterKeys = map[string]filterKey{"queue": byQueue, "interface": byInterface, "method": byMethod, "state": byState, "reason": byReason,
	"group": byGroup, "trace": byTrace, "id": byID, "sig": bySig, "host": byHost, "version": byVersion, "run": byRun, "tag": byTag, "error": byError,
	"since": bySince, "until": byUntil, "age": byAge, "attempts": byAttempts, "replays": byReplays, "args": byArgs}

// filterWords are the values of terms that have only some.
var filterWords = map[filterKey][]string{
	byState: {string(LetterDead), string(LetterClaimed), string(LetterInDoubt), string(LetterReplayed), string(LetterDiscarded), string(LetterExpired), string(LetterQuarantined)},
	byReason: {string(ReasonExhausted), string(ReasonPermanent), string(ReasonDeadline), string(ReasonPanic), string(ReasonRejected),
		string(ReasonBreakerOpen), string(ReasonBudget), string(ReasonDecode), string(ReasonInDoubt)},
}

// filterNode is a filter or a part of one. cost orders what must all be asked.
type filterNode interface {
	match(v letterView, now time.Time) bool
	cost() int
}

// readCost is that of a part that may read a letter from disk. All other parts of a
// filter cost less together.
const readCost = 100

// reads reports whether f looks at more of a letter than what is in memory.
func (f Filter) reads() bool { return f.root != nil && f.root.cost() >= readCost }

// filterAll holds if all of its parts do, filterSome if one does.
type (
	filterAll  []filterNode
	filterSome []filterNode
	filterNot  struct{ part filterNode }
)

func (list filterAll) match(v letterView, now time.Time) bool {
	for _, part := range list {
		if !part.match(v, now) {
			return false
		}
	}
	return true
}

func (list filterSome) match(v letterView, now time.Time) bool {
	for _, part := range list {
		if part.match(v, now) {
			return true
		}
	}
	return false
}

func (n filterNot) match(v letterView, now time.Time) bool { return !n.part.match(v, now) }

func (list filterAll) cost() int  { return costOf(list) }
func (list filterSome) cost() int { return costOf(list) }
func (n filterNot) cost() int     { return n.part.cost() }

func costOf(list []filterNode) (sum int) {
	for _, part := range list {
		sum += part.cost()
	}
	return sum
}

// filterWord compares words.
type filterWord struct {
	key    filterKey
	value  string
	prefix bool
}

func (t filterWord) match(v letterView, _ time.Time) bool {
	switch t.key {
	case byTag:
		return slices.ContainsFunc(v.tags(), t.is)
	case byError:
		return slices.ContainsFunc(v.errors(), func(e ErrNode) bool { return strings.Contains(e.Type, t.value) || strings.Contains(e.Msg, t.value) })
	}
	word := v.word(t.key)
	if t.key == byInterface && t.is(word[strings.LastIndexByte(word, '/')+1:]) {
		return true
	}
	return t.is(word)
}

func (t filterWord) is(word string) bool {
	return word == t.value || t.prefix && strings.HasPrefix(word, t.value)
}

func (t filterWord) cost() int {
	if t.key == byError || t.key == byRun {
		return readCost
	}
	return 1
}

// filterNumber compares a count, or an age in nanoseconds.
type filterNumber struct {
	key  filterKey
	op   string
	want int64
}

func (t filterNumber) match(v letterView, now time.Time) bool {
	have := int64(0)
	if t.key == byAge {
		have = int64(now.Sub(v.died()))
	} else {
		have = int64(v.count(t.key))
	}
	switch order := cmp.Compare(have, t.want); t.op {
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	default:
		return order == 0
	}
}

func (filterNumber) cost() int { return 1 }

// filterTime is since or until, at a time or some time ago.
type filterTime struct {
	key filterKey
	at  time.Time // zero: ago
	ago time.Duration
}

func (t filterTime) match(v letterView, now time.Time) bool {
	at := t.at
	if at.IsZero() {
		at = now.Add(-t.ago)
	}
	return v.died().Before(at) == (t.key == byUntil)
}

func (filterTime) cost() int { return 1 }

// filterArg looks for a value in the arguments.
type filterArg struct {
	path   []string // "*" is every member; see stars
	stars  []bool
	value  string
	quoted bool // value is a text
}

func (t filterArg) match(v letterView, _ time.Time) bool {
	for _, a := range v.args(t.text()) {
		if t.stars[0] || a.Name == t.path[0] {
			r := jsonReader{data: a.JSON}
			if found, err := t.find(&r, 1); found && err == nil {
				return true
			}
		}
	}
	return false
}

// text is what stands in arguments that have the value, "" if they may write it in
// another way.
func (t filterArg) text() string {
	if !t.quoted && isNumber([]byte(t.value)) {
		return ""
	}
	return t.value
}

func (filterArg) cost() int { return 10 * readCost }

// find reports whether the value that r stands at has what is searched from a step
// of the path on. It goes past the value, once.
func (t filterArg) find(r *jsonReader, step int) (found bool, err error) {
	c, err := r.begin(step - 1)
	if err != nil {
		return false, err
	}
	at := func(fits bool) error {
		if !fits {
			return r.skip(step)
		}
		hit, err := t.find(r, step+1)
		found = found || hit
		return err
	}
	switch {
	case step == len(t.path):
		return t.holds(r, c)
	case c == '[':
		err = r.list(func(i int) error { return at(t.stars[step] || strconv.Itoa(i) == t.path[step]) })
	case c == '{':
		err = r.object(func(name int32) error { return at(t.stars[step] || string(r.name(name)) == t.path[step]) })
	default:
		err = r.skip(step)
	}
	return found, err
}

// holds reports whether the value that r stands at is the one.
func (t filterArg) holds(r *jsonReader, c byte) (bool, error) {
	switch c {
	case '[', '{':
		return false, r.skip(len(t.path))
	case '"':
		text, err := r.text()
		return string(text) == t.value, err
	}
	word, err := r.word()
	if err != nil || t.quoted {
		return false, err
	}
	return word == t.value || isNumber([]byte(t.value)) && isNumber([]byte(word)) && sameNumber(word, t.value), nil
}

// filterParser reads a filter from left to right.
type filterParser struct {
	text  string
	at    int
	terms int
}

func (p *filterParser) fail(at int, why string, args ...any) error {
	at = min(at, len(p.text))
	return &FilterError{utf8.RuneCountInString(p.text[:at]) + 1, fmt.Sprintf(why, args...)}
}

func (p *filterParser) space() {
	for p.at < len(p.text) && isSpace(p.text[p.at]) {
		p.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// some reads parts with or between them.
func (p *filterParser) some(depth int) (filterNode, error) {
	return p.several(depth, "or", (*filterParser).all, func(list []filterNode) filterNode { return filterSome(list) })
}

// all reads parts with and, or nothing, between them.
func (p *filterParser) all(depth int) (filterNode, error) {
	return p.several(depth, "and", (*filterParser).part, func(list []filterNode) filterNode { return filterAll(list) })
}

func (p *filterParser) several(depth int, word string, part func(*filterParser, int) (filterNode, error), join func([]filterNode) filterNode) (filterNode, error) {
	var list []filterNode
	for {
		n, err := part(p, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		p.space()
		follows := p.at < len(p.text) && p.text[p.at] != ')'
		if joined := p.keyword(word); !joined && (word == "or" || !follows || p.sees("or")) {
			break
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	slices.SortStableFunc(list, func(a, b filterNode) int { return cmp.Compare(a.cost(), b.cost()) })
	return join(list), nil
}

// sees reports whether a keyword stands next.
func (p *filterParser) sees(word string) bool {
	rest := p.text[p.at:]
	if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
		return false
	}
	return len(rest) == len(word) || isSpace(rest[len(word)]) || strings.IndexByte("()", rest[len(word)]) >= 0
}

// keyword passes over a keyword, if it stands next.
func (p *filterParser) keyword(word string) bool {
	if !p.sees(word) {
		return false
	}
	p.at += len(word)
	p.space()
	return true
}

// part reads a term, its negation, or what stands in parentheses.
func (p *filterParser) part(depth int) (filterNode, error) {
	p.space()
	from := p.at
	if depth > maxFilterDepth {
		return nil, p.fail(from, "nested more than %d deep", maxFilterDepth)
	}
	if p.keyword("not") {
		n, err := p.part(depth + 1)
		return filterNot{n}, err
	}
	if p.at == len(p.text) || p.text[p.at] != '(' {
		return p.term()
	}
	p.at++
	n, err := p.some(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.at == len(p.text) {
		return nil, p.fail(from, "this parenthesis is not closed")
	}
	p.at++
	return n, nil
}

// term reads a key, what stands between, and a value.
func (p *filterParser) term() (filterNode, error) {
	from := p.at
	if p.terms++; p.terms > maxFilterTerms {
		return nil, p.fail(from, "more than %d terms", maxFilterTerms)
	}
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n()\":.<>=", p.text[p.at]) < 0 {
		p.at++
	}
	name := p.text[from:p.at]
	key, known := filterKeys[name]
	switch {
	case !known:
		return nil, p.unknown(from, name)
	case key == byArgs:
		return p.argument()
	}
	op := p.operator()
	switch number := key >= byAge; {
	case number && op == "":
		return nil, p.fail(p.at, "%s wants > >= < <= or =", name)
	case number && op == ":":
		op = "="
	case !number && op != ":":
		return nil, p.fail(from+len(name), "%s wants a colon: %s:…", name, name)
	}
	at := p.at
	value, quoted, err := p.value(name)
	if err != nil {
		return nil, err
	}
	return p.termOf(key, op, value, quoted, at)
}

// operator passes over what stands between a key and its value.
func (p *filterParser) operator() string {
	for _, op := range []string{">=", "<=", ">", "<", "=", ":"} {
		if strings.HasPrefix(p.text[p.at:], op) {
			p.at += len(op)
			return op
		}
	}
	return ""
}

// unknown explains a term without a key that there is.
func (p *filterParser) unknown(from int, name string) error {
	best, least := "", (len(name)+1)/2
	for known := range filterKeys {
		if d := distance(name, known); d < least || d == least && known < best {
			best, least = known, d
		}
	}
	near := ""
	if best != "" {
		near = " (did you mean " + best + "?)"
	}
	next := byte(0)
	if p.at < len(p.text) {
		next = p.text[p.at]
	}
	switch {
	case name == "" && (next == 0 || next == ')'):
		return p.fail(from, "a term is expected")
	case name == "":
		return p.fail(from, "a term begins with a key, not with %q", next)
	case strings.IndexByte(":.<>=", next) >= 0:
		return p.fail(from, "there is no key %.40q%s", name, near)
	}
	return p.fail(from, "%.40q is no term%s: to find it in errors write error:%.40s", name, near, name)
}

// value reads a word, or a text in quotes.
func (p *filterParser) value(of string) (value string, quoted bool, err error) {
	from := p.at
	if p.at < len(p.text) && p.text[p.at] == '"' {
		return p.quote()
	}
	for p.at < len(p.text) && !isSpace(p.text[p.at]) && strings.IndexByte("()\"", p.text[p.at]) < 0 {
		p.at++
	}
	if p.at < len(p.text) && p.text[p.at] == '"' {
		return "", false, p.fail(p.at, "quotes stand around the whole value")
	}
	if p.at == from {
		return "", false, p.fail(from, `a value of %s is expected; "" is an empty one`, of)
	}
	return p.text[from:p.at], false, nil
}

// quote reads a text in quotes.
func (p *filterParser) quote() (string, bool, error) {
	r := jsonReader{data: []byte(p.text), at: p.at}
	text, err := r.text()
	if err != nil {
		why := err.(*jsonError).why
		return "", false, p.fail(p.at, "%s", why)
	}
	p.at = r.at
	return string(text), true, nil
}

// termOf judges the value that stands at a place.
func (p *filterParser) termOf(key filterKey, op, value string, quoted bool, at int) (filterNode, error) {
	switch key {
	case bySince, byUntil:
		t := filterTime{key: key}
		var err error
		if t.ago, err = parseAge(value); err != nil {
			if t.at, err = parseInstant(value); err != nil {
				return nil, p.fail(at, "%.40q is no time: want 2026-03-01, 2026-03-01T12:00:00Z, or how long ago, such as 24h or 7d", value)
			}
		}
		return t, nil
	case byAge:
		d, err := parseAge(value)
		if err != nil {
			return nil, p.fail(at, "%.40q is no duration: want one such as 90m, 24h or 7d", value)
		}
		return filterNumber{key, op, int64(d)}, nil
	case byAttempts, byReplays:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, p.fail(at, "%.40q is no whole number", value)
		}
		return filterNumber{key, op, n}, nil
	}
	t := filterWord{key: key, value: value}
	if !quoted && key != byError {
		t.value, t.prefix = strings.CutSuffix(value, "*")
	}
	if words := filterWords[key]; words != nil && !t.prefix && !slices.Contains(words, value) {
		return nil, p.fail(at, "there is no such value: want %s", strings.Join(words, ", "))
	}
	return t, nil
}

// argument reads a path after args, and the value.
func (p *filterParser) argument() (filterNode, error) {
	var t filterArg
	for p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		name, quoted, err := p.step()
		if err != nil {
			return nil, err
		}
		t.path, t.stars = append(t.path, name), append(t.stars, name == "*" && !quoted)
	}
	if len(t.path) == 0 || p.operator() != "=" {
		return nil, p.fail(p.at, "args wants a path and a value: args.req.ID=42")
	}
	var err error
	t.value, t.quoted, err = p.value("args")
	return t, err
}

// step reads one name of a path.
func (p *filterParser) step() (name string, quoted bool, err error) {
	from := p.at
	if p.at < len(p.text) && p.text[p.at] == '"' {
		return p.quote()
	}
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n()\".<>=", p.text[p.at]) < 0 {
		p.at++
	}
	if p.at == from {
		return "", false, p.fail(from, "a name is expected after the dot")
	}
	return p.text[from:p.at], false, nil
}

// parseInstant reads a time, or the beginning of a day in UTC.
func parseInstant(text string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, nil
	}
	return time.Parse(time.DateOnly, text)
}

var errNoAge = errors.New("no duration")

// parseAge reads a duration that may have days and weeks: 1w2d3h.
func parseAge(text string) (time.Duration, error) {
	var sum time.Duration
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		head, rest, found := strings.Cut(text, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(head, 10, 15)
		if err != nil {
			return 0, errNoAge
		}
		if sum, text = sum+time.Duration(n)*unit.long, rest; text == "" {
			return sum, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || sum+d < 0 {
		return 0, errNoAge
	}
	return sum + d, nil
}
