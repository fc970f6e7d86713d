package resilience

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// seen is a letter as a filter sees it.
type seen struct {
	words map[filterKey]string
	n     map[filterKey]int
	at    time.Time
	tag   []string
	errs  []ErrNode
	arg   []LetterArg
	reads int // of what may be on disk
}

func (s *seen) word(k filterKey) string { return s.words[k] }
func (s *seen) count(k filterKey) int   { return s.n[k] }
func (s *seen) died() time.Time         { return s.at }
func (s *seen) tags() []string          { return s.tag }
func (s *seen) errors() []ErrNode       { s.reads++; return s.errs }
func (s *seen) args(string) []LetterArg { s.reads++; return s.arg }

var filterNow = time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)

func seenLetter() *seen {
	return &seen{
		words: map[filterKey]string{byQueue: "payments.notify", byInterface: "example.com/pay.Gateway", byMethod: "Notify", byState: "dead",
			byReason: "exhausted", byGroup: "fp1:0123456789ab", byID: "01JNW", bySig: "abcd", byHost: "web-1", byVersion: "v1.2"},
		n:  map[filterKey]int{byAttempts: 3, byReplays: 1},
		at: filterNow.Add(-36 * time.Hour), tag: []string{"vip", "eu*"},
		errs: []ErrNode{{Type: "*net.OpError", Msg: "dial tcp: connection refused (again)"}, {Type: "syscall.Errno", Code: "111"}},
		arg: []LetterArg{
			{Name: "customerID", JSON: json.RawMessage(`"c-9"`)},
			{Name: "event", JSON: json.RawMessage(`{"id":9007199254740993,"a.b":{"x y":true},"none":null,"rate":1.50,"num":"42",
				"items":[{"sku":"a"},{"sku":"b","n":7}],"*":"star"}`)},
			{Name: "secret", JSON: json.RawMessage(`null`), Sealed: []byte("x")},
		},
	}
}

func TestFilterMatches(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                    true,
		"  ":                                  true,
		"queue:payments.notify":               true,
		"queue:payments":                      false,
		"queue:payments*":                     true,
		`queue:"payments*"`:                   false,
		"tag:vip":                             true,
		`tag:"eu*"`:                           true,
		"tag:e*":                              true,
		"tag:us":                              false,
		"trace:abc":                           false,
		`trace:""`:                            true,
		"interface:pay.Gateway":               true,
		"interface:example.com/pay.Gateway":   true,
		"interface:Gateway":                   false,
		"interface:example.com/*":             true,
		"method:Notify state:dead":            true,
		"state:in_doubt":                      false,
		"state:dead and reason:exhausted":     true,
		"state:claimed or state:dead":         true,
		"not state:claimed":                   true,
		"not not state:dead":                  true,
		"NOT (state:dead AND method:Notify)":  true == false,
		"state:claimed or state:dead id:no":   false,
		"state:dead or state:claimed id:no":   true,
		"(state:dead or state:claimed) id:no": false,
		"group:fp1:0123456789ab":              true,
		"id:01J* sig:abcd host:web-1":         true,
		"version:v1.3":                        false,
		"error:refused":                       true,
		`error:"connection refused (again)"`:  true,
		"error:*net.OpError":                  true,
		"error:net.DNSError":                  false,
		"since:2d":                            true,
		"since:24h":                           false,
		"until:24h":                           true,
		"since:2026-03-07 until:2026-03-08":   true,
		"since:2026-03-07T00:00:01+00:00":     false,
		"since:2026-03-07T00:00:00Z":          true,
		"until:2026-03-07T00:00:00Z":          false,
		"age>1d12h":                           false,
		"age>=1d12h":                          true,
		"age<1w":                              true,
		"age<=35h59m":                         false,
		"attempts>2 attempts<4":               true,
		"attempts=3":                          true,
		"attempts:3":                          true,
		"replays>1":                           false,
		"args.customerID=c-9":                 true,
		"args.customerid=c-9":                 false,
		"args.event.id=9007199254740993":      true,
		"args.event.id=9007199254740992":      false,
		`args.event.id="9007199254740993"`:    false,
		"args.event.rate=1.5":                 true,
		"args.event.rate=15e-1":               true,
		"args.event.num=42":                   true,
		`args.event.num="42"`:                 true,
		`args.event."a.b"."x y"=true`:         true,
		"args.event.none=null":                true,
		`args.event.none="null"`:              false,
		"args.event.items.1.sku=b":            true,
		"args.event.items.0.sku=b":            false,
		"args.event.items.*.sku=b":            true,
		"args.event.items.*.n=7":              true,
		"args.*.id=9007199254740993":          true,
		`args.event."*"=star`:                 true,
		`args.event."*"=c-9`:                  false,
		"args.event.items=b":                  false,
		"args.event=b":                        false,
		"args.secret=x":                       false,
		"args.event.id.deeper=1":              false,
	} {
		f, err := ParseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.matches(seenLetter(), filterNow); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if f.String() != strings.TrimSpace(text) && f.String() != text {
			t.Errorf("%q became %q", text, f.String())
		}
	}
}

func TestFilterErrors(t *testing.T) {
	for text, want := range map[string]string{
		"quue:a":                        `column 1: there is no key "quue" (did you mean queue?)`,
		"state:dead metod:Notify":       `column 12: there is no key "metod" (did you mean method?)`,
		"timeout":                       `column 1: "timeout" is no term: to find it in errors write error:timeout`,
		"états:x":                       `column 1: there is no key "états"`,
		`tag:é quue:a`:                  `column 7: there is no key "quue" (did you mean queue?)`,
		"state:deed":                    "column 7: there is no such value: want dead, claimed, in_doubt, replayed, discarded, expired, quarantined",
		"reason:breaker_open":           "column 8: there is no such value: want exhausted, permanent, deadline, panic, rejected, breakerOpen, budget, decode, in_doubt",
		"queue:":                        `column 7: a value of queue is expected; "" is an empty one`,
		"queue=a":                       "column 6: queue wants a colon: queue:…",
		"age 3":                         "column 4: age wants > >= < <= or =",
		"age>3":                         `column 5: "3" is no duration: want one such as 90m, 24h or 7d`,
		"age>-3h":                       `column 5: "-3h" is no duration: want one such as 90m, 24h or 7d`,
		"attempts>many":                 `column 10: "many" is no whole number`,
		"since:yesterday":               `column 7: "yesterday" is no time: want 2026-03-01, 2026-03-01T12:00:00Z, or how long ago, such as 24h or 7d`,
		"since:2026-02-30":              `column 7: "2026-02-30" is no time: want 2026-03-01, 2026-03-01T12:00:00Z, or how long ago, such as 24h or 7d`,
		"(state:dead":                   "column 1: this parenthesis is not closed",
		"state:dead)":                   "column 11: this parenthesis closes none",
		"()":                            "column 2: a term is expected",
		"state:dead or":                 "column 14: a term is expected",
		"state:dead and and":            `column 16: "and" is no term: to find it in errors write error:and`,
		"not":                           "column 4: a term is expected",
		":x":                            "column 1: a term begins with a key, not with ':'",
		`error:"a`:                      "column 7: a string without end",
		`error:a"b"`:                    "column 8: quotes stand around the whole value",
		"args=3":                        "column 5: args wants a path and a value: args.req.ID=42",
		"args.a":                        "column 7: args wants a path and a value: args.req.ID=42",
		"args.a..b=1":                   "column 8: a name is expected after the dot",
		"args.a=":                       `column 8: a value of args is expected; "" is an empty one`,
		"\xff":                          "column 1: it is not UTF-8",
		strings.Repeat("(", 100):        "column 34: nested more than 32 deep",
		strings.Repeat("not ", 100):     "column 133: nested more than 32 deep",
		strings.Repeat("id:a ", 65):     "column 321: more than 64 terms",
		strings.Repeat("id:abcd ", 600): "column 4097: it has 4800 bytes, at most 4096 are taken",
	} {
		var at *FilterError
		if _, err := ParseFilter(text); !errors.As(err, &at) || err.Error() != "filter, "+want {
			t.Errorf("%.60s\n got %v\nwant filter, %s", text, err, want)
		}
	}
}

// TestFilterAsksWhatIsCheapFirst holds that arguments are not read of letters that
// another term leaves out.
func TestFilterAsksWhatIsCheapFirst(t *testing.T) {
	f, err := ParseFilter("args.event.id=1 error:refused not (queue:payments* or args.event.id=2) state:claimed")
	if err != nil {
		t.Fatal(err)
	}
	s := seenLetter()
	if f.matches(s, filterNow) || s.reads != 0 {
		t.Errorf("it read %d times from disk", s.reads)
	}
}

// TestFilterIsLinear matches the longest filter against a large letter: each term
// passes over it once.
func TestFilterIsLinear(t *testing.T) {
	s := seenLetter()
	item := `{"a":{"a":{"a":{"a":[1,2,3]}}}},`
	for _, size := range []int{1000, 2000} {
		s.arg = []LetterArg{{Name: "a", JSON: json.RawMessage("[" + strings.Repeat(item, size) + "0]")}}
		f, err := ParseFilter("args.*.*.*.*.*.*.*=9")
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(1, func() { f.matches(s, filterNow) }); n > float64(size*50) {
			t.Errorf("%d items take %v allocations", size, n)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"queue:a (state:dead or not age>3d)", `args.a."b c".*=1e5 error:"x"`, "since:24h until:2026-03-01", "run:r1 or not run:r*", "((", "tag:\"\\u00e9\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := ParseFilter(text)
		if err != nil {
			var at *FilterError
			if !errors.As(err, &at) || at.Column < 1 || at.Column > len([]rune(text))+1 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		have := filter.matches(seenLetter(), filterNow)
		if not, err := ParseFilter(fmt.Sprintf("not (%s)", text)); text != "" && strings.TrimSpace(text) != "" && err == nil && not.matches(seenLetter(), filterNow) == have {
			t.Fatalf("%q and its negation are both %v", text, have)
		}
	})
}
