package resilience

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestStrictJSON(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"a":[1,-0.5e+7,true,null,"\u00e9\n\ud83d\ude00"],"b":{}}`, ""},
		{" \t\r\n[ ] \n", ""},
		{`0`, ""},
		{``, "byte 1: it ends where a value is expected"},
		{`{"a":1,"b":2,"a":3}`, `byte 14: the name "a" stands there twice`},
		{`{"a":1,"\u0061":3}`, `byte 8: the name "a" stands there twice`},
		{`[{"x":{"y":1,"y":1}}]`, `byte 14: the name "y" stands there twice`},
		{`{"a":1} {}`, "byte 9: something follows the value"},
		{`{"a":1}]`, "byte 8: something follows the value"},
		{`{"a":1,}`, "byte 8: a name is expected"},
		{`{"a" 1}`, "byte 6: a colon is expected"},
		{`[1 2]`, "byte 4: a comma or ']' is expected"},
		{`[1,]`, `byte 4: "" is no value`},
		{`01`, `byte 1: "01" is no value`},
		{`-`, `byte 1: "-" is no value`},
		{`1.`, `byte 1: "1." is no value`},
		{`1e`, `byte 1: "1e" is no value`},
		{`+1`, `byte 1: "+1" is no value`},
		{`.5`, `byte 1: ".5" is no value`},
		{`NaN`, `byte 1: "NaN" is no value`},
		{`nulls`, `byte 1: "nulls" is no value`},
		{`"\ud800"`, "byte 1: a string with an escape that is none"},
		{`"\ud800\u0041"`, "byte 1: a string with an escape that is none"},
		{`"\x41"`, "byte 1: a string with an escape that is none"},
		{`"\u00g0"`, "byte 1: a string with an escape that is none"},
		{"\"\\u00\x10\x11\"", "byte 1: a string with an escape that is none"},
		{"\"a\nb\"", "byte 1: a string with a control character"},
		{"\"\xff\"", "byte 1: a string that is not UTF-8"},
		{`"a`, "byte 1: a string without end"},
		{`"a\`, "byte 1: a string with an escape that is none"},
		{strings.Repeat("[", 1000) + strings.Repeat("]", 1000), ""},
		{strings.Repeat("[", 1001) + strings.Repeat("]", 1001), "byte 1001: nested more than 1000 deep"},
		{strings.Repeat(`{"a":`, 2_000_000), "byte 5001: nested more than 1000 deep"},
	} {
		err := checkJSON([]byte(c.text))
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || err.Error() != "JSON, "+c.want):
			t.Errorf("checkJSON(%.60s) = %v, want %s", c.text, err, c.want)
		}
	}
}

func TestDecodeStrict(t *testing.T) {
	type args struct {
		ID   int64 `json:"id"`
		Free any   `json:"free"`
	}
	var a args
	if err := decodeStrict([]byte(`{"id":9223372036854775807,"free":9007199254740993}`), &a); err != nil || a.ID != 1<<63-1 || a.Free != json.Number("9007199254740993") {
		t.Errorf("decoded %+v, %v: numbers are damaged", a, err)
	}
	for text, want := range map[string]string{
		`{"id":1,"ID2":2}`:       "unknown field",
		`{"id":1,"id":2}`:        "twice",
		`{"id":1}{"id":2}`:       "follows",
		`{"id":1.5}`:             "cannot unmarshal",
		`{"id":1e400}`:           "cannot unmarshal",
		`{"id":"1"}`:             "cannot unmarshal",
		`{"free":{"a":"\ud8`:     "escape",
		`{"id":1` + "\x00" + `}`: "no value",
	} {
		if err := decodeStrict([]byte(text), &args{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("decodeStrict(%q) = %v, want %q", text, err, want)
		}
	}
}

// TestStrictJSONNeedsLittleMemory reads what would be expensive as a tree.
func TestStrictJSONNeedsLittleMemory(t *testing.T) {
	var names strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&names, `,"%x":0`, i)
	}
	for what, text := range map[string]string{
		"a long list":  "[0" + strings.Repeat(",0", 500_000) + "]",
		"many names":   "{" + names.String()[1:] + "}",
		"a long text":  `"` + strings.Repeat("x", 1_000_000) + `"`,
		"many strings": `["a"` + strings.Repeat(`,"a"`, 250_000) + "]",
	} {
		data := []byte(text)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := checkJSON(data)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err != nil || used > 2*uint64(len(data))+1<<20 {
			t.Errorf("%s of %d bytes took %d bytes, %v", what, len(data), used, err)
		}
	}
}

// FuzzStrictJSON holds the reader against encoding/json: what it takes, that takes,
// too, and what it refuses beyond is one of a few kinds.
func FuzzStrictJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.5e7,"\u00e9\ud83d\ude00",true,null]}`, `{"a":1,"a":2}`, `"\ud800"`, "\"\xff\"", `[1]2`, `-0`, `1E+2`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err, valid := checkJSON(data), json.Valid(data)
		if err == nil && !valid {
			t.Fatalf("%q is not JSON", data)
		}
		if err != nil && valid {
			for _, known := range []string{"twice", "escape that is none", "not UTF-8", "deep"} {
				if strings.Contains(err.Error(), known) {
					return
				}
			}
			t.Fatalf("%q is JSON: %v", data, err)
		}
		if err != nil {
			return
		}
		tree, err := parseJSON(data)
		if err != nil {
			t.Fatal(err)
		}
		var before, after any
		if decodeStrict(data, &before) != nil || decodeStrict(tree.encode(nil), &after) != nil || !reflect.DeepEqual(before, after) {
			t.Fatalf("%q became %q", data, tree.encode(nil))
		}
	})
}
