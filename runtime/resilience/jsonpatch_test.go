package resilience

import (
	"strings"
	"testing"
)

// TestPatch plays the examples of appendix A of RFC 6902, in other words, what the
// text of it and of RFC 6901 demands, and what we refuse.
func TestPatch(t *testing.T) {
	for _, c := range []struct{ name, doc, patch, want string }{
		{"A.1 add a member", `{"kind":"card"}`, `[{"op":"add","path":"/sum","value":12}]`, `{"kind":"card","sum":12}`},
		{"A.2 add an element", `{"tags":["a","c"]}`, `[{"op":"add","path":"/tags/1","value":"b"}]`, `{"tags":["a","b","c"]}`},
		{"A.3 remove a member", `{"sum":12,"kind":"card"}`, `[{"op":"remove","path":"/sum"}]`, `{"kind":"card"}`},
		{"A.4 remove an element", `{"tags":["a","b","c"]}`, `[{"op":"remove","path":"/tags/1"}]`, `{"tags":["a","c"]}`},
		{"A.5 replace a value", `{"sum":12,"kind":"card"}`, `[{"op":"replace","path":"/sum","value":"?"}]`, `{"sum":"?","kind":"card"}`},
		{"A.6 move a value", `{"a":{"x":1,"y":2},"b":{"z":3}}`, `[{"op":"move","from":"/a/y","path":"/b/y"}]`, `{"a":{"x":1},"b":{"z":3,"y":2}}`},
		{"A.7 move an element", `{"l":["one","two","three","four"]}`, `[{"op":"move","from":"/l/1","path":"/l/3"}]`, `{"l":["one","three","four","two"]}`},
		{"A.8 test, and it holds", `{"a":"x","l":[1,"y",2]}`, `[{"op":"test","path":"/a","value":"x"},{"op":"test","path":"/l/1","value":"y"}]`, `{"a":"x","l":[1,"y",2]}`},
		{"A.9 test, and it does not", `{"a":"x"}`, `[{"op":"test","path":"/a","value":"y"}]`, `patch, operation 1, test "/a": the value is another one`},
		{"A.10 add an object", `{"a":1}`, `[{"op":"add","path":"/b","value":{"c":{}}}]`, `{"a":1,"b":{"c":{}}}`},
		{"A.11 unknown members are ignored", `{"a":1}`, `[{"op":"add","path":"/b","value":2,"why":"so"}]`, `{"a":1,"b":2}`},
		{"A.12 add where there is nothing", `{"a":1}`, `[{"op":"add","path":"/b/c","value":2}]`, `patch, operation 1, add "/b/c": /b: there is no member "b"`},
		{"A.13 an operation twice", `{"a":1}`, `[{"op":"add","path":"/b","value":2,"op":"remove"}]`, `patch: JSON, byte 36: the name "op" stands there twice`},
		{"A.14 escapes", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":10},{"op":"replace","path":"/~1","value":8}]`, `{"/":8,"~1":10}`},
		{"A.15 a string is no number", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":"10"}]`, `patch, operation 1, test "/~01": the value is another one`},
		{"A.16 add a list to a list", `{"l":["a"]}`, `[{"op":"add","path":"/l/-","value":["b","c"]}]`, `{"l":["a",["b","c"]]}`},

		{"add replaces a member in its place", `{"a":1,"b":2}`, `[{"op":"add","path":"/a","value":null}]`, `{"a":null,"b":2}`},
		{"add replaces the document", `{"a":1}`, `[{"op":"add","path":"","value":[1]}]`, `[1]`},
		{"replace the document", `{"a":1}`, `[{"op":"replace","path":"","value":{"b":2}}]`, `{"b":2}`},
		{"add at the end of a list", `[1,2]`, `[{"op":"add","path":"/2","value":3}]`, `[1,2,3]`},
		{"add behind the end of a list", `[1,2]`, `[{"op":"add","path":"/3","value":3}]`, `patch, operation 1, add "/3": there is no element 3 in a list of 2`},
		{"replace at the end of a list", `[1,2]`, `[{"op":"replace","path":"/2","value":3}]`, `patch, operation 1, replace "/2": /2: there is no element 2 in a list of 2`},
		{"remove - of a list", `[1,2]`, `[{"op":"remove","path":"/-"}]`, `patch, operation 1, remove "/-": "-" is no place in a list`},
		{"a place with a zero in front", `[1,2]`, `[{"op":"test","path":"/01","value":2}]`, `patch, operation 1, test "/01": /01: "01" is no place in a list`},
		{"a negative place", `[1,2]`, `[{"op":"add","path":"/-1","value":2}]`, `patch, operation 1, add "/-1": "-1" is no place in a list`},
		{"a place with a sign", `[1,2]`, `[{"op":"add","path":"/+1","value":2}]`, `patch, operation 1, add "/+1": "+1" is no place in a list`},
		{"a place that no int holds", `[1,2]`, `[{"op":"add","path":"/99999999999999999999","value":2}]`, `patch, operation 1, add "/99999999999999999999": "99999999999999999999" is no place in a list`},
		{"a number as a name", `{"0":1,"-":2}`, `[{"op":"replace","path":"/0","value":3},{"op":"remove","path":"/-"}]`, `{"0":3}`},
		{"an empty name", `{"":{"":1}}`, `[{"op":"replace","path":"//","value":2}]`, `{"":{"":2}}`},
		{"remove what is not there", `{"a":1}`, `[{"op":"remove","path":"/b"}]`, `patch, operation 1, remove "/b": there is no member "b"`},
		{"replace what is not there", `{"a":1}`, `[{"op":"replace","path":"/b","value":1}]`, `patch, operation 1, replace "/b": /b: there is no member "b"`},
		{"remove the document", `{"a":1}`, `[{"op":"remove","path":""}]`, `patch, operation 1, remove "": the whole document cannot be removed`},
		{"into a number", `{"a":1}`, `[{"op":"add","path":"/a/b","value":1}]`, `patch, operation 1, add "/a/b": "b" leads into a value that has no members`},
		{"copy", `{"a":{"x":[1]},"b":[]}`, `[{"op":"copy","from":"/a","path":"/b/0"},{"op":"add","path":"/b/0/x/-","value":2}]`, `{"a":{"x":[1]},"b":[{"x":[1,2]}]}`},
		{"copy the document into itself", `{"a":1}`, `[{"op":"copy","from":"","path":"/b"}]`, `{"a":1,"b":{"a":1}}`},
		{"copy what is not there", `{"a":1}`, `[{"op":"copy","from":"/x","path":"/b"}]`, `patch, operation 1, copy "/b": /x: there is no member "x"`},
		{"move over a member", `{"a":1,"b":2}`, `[{"op":"move","from":"/a","path":"/b"}]`, `{"b":1}`},
		{"move to where it is", `{"a":1,"b":2}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":1,"b":2}`},
		{"move to where it is, and is not", `{"b":2}`, `[{"op":"move","from":"/a","path":"/a"}]`, `patch, operation 1, move "/a": /a: there is no member "a"`},
		{"move into its own child", `{"a":{"b":1}}`, `[{"op":"move","from":"/a","path":"/a/b"}]`, `patch, operation 1, move "/a/b": a value cannot be moved into itself, from "/a"`},
		{"move beside a name that begins alike", `{"a":1,"ab":{}}`, `[{"op":"move","from":"/a","path":"/ab/c"}]`, `{"ab":{"c":1}}`},
		{"test does not care for order", `{"a":{"x":1,"y":[true,null]}}`, `[{"op":"test","path":"/a","value":{"y":[true,null],"x":1}}]`, `{"a":{"x":1,"y":[true,null]}}`},
		{"test cares for the order of lists", `[1,2]`, `[{"op":"test","path":"","value":[2,1]}]`, `patch, operation 1, test "": the value is another one`},
		{"test compares numbers by value", `{"a":100,"b":-0,"c":12.50}`, `[{"op":"test","path":"/a","value":1e2},{"op":"test","path":"/b","value":0.0},{"op":"test","path":"/c","value":1.25E+1}]`, `{"a":100,"b":-0,"c":12.50}`},
		{"test tells large numbers apart", `9007199254740993`, `[{"op":"test","path":"","value":9007199254740992}]`, `patch, operation 1, test "": the value is another one`},
		{"test takes names for characters", `{"\u0061":1}`, `[{"op":"test","path":"","value":{"a":1}}]`, `{"a":1}`},
		{"numbers stay as they are written", `{"a":9007199254740993,"b":1.0,"c":1E400,"d":-0.10}`, `[{"op":"move","from":"/a","path":"/z"},{"op":"add","path":"/e","value":12345678901234567890.0}]`, `{"b":1.0,"c":1E400,"d":-0.10,"z":9007199254740993,"e":12345678901234567890.0}`},
		{"texts stay", `{"é\u0000\"\\":"\u2028😀<&>\n"}`, `[]`, `{"é\u0000\"\\":"\u2028😀<&>\n"}`},
		{"all or nothing", `{"a":1}`, `[{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}]`, `patch, operation 2, remove "/a": there is no member "a"`},
		{"null is a value", `{}`, `[{"op":"add","path":"/a","value":null},{"op":"test","path":"/a","value":null}]`, `{"a":null}`},

		{"no list", `{}`, `{"op":"add"}`, `patch: a list of operations is expected`},
		{"no operation", `{}`, `[1]`, `patch, operation 1: an object is expected`},
		{"without op", `{}`, `[{"path":""}]`, `patch, operation 1: op must be there, and a string`},
		{"without path", `{}`, `[{"op":"remove"}]`, `patch, operation 1: path must be there, and a string`},
		{"without value", `{}`, `[{"op":"add","path":"/a"}]`, `patch, operation 1: add without a value`},
		{"without from", `{}`, `[{"op":"move","path":"/a"}]`, `patch, operation 1: from must be there, and a string`},
		{"another operation", `{}`, `[{"op":"merge","path":""}]`, `patch, operation 1: there is no operation "merge": want add, remove, replace, move, copy or test`},
		{"a path without slash", `{}`, `[{"op":"remove","path":"a"}]`, `patch, operation 1: path: pointer "a" does not begin with a slash`},
		{"a wrong escape", `{}`, `[{"op":"remove","path":"/a~2"}]`, `patch, operation 1: path: pointer "/a~2": ~ stands for itself only as ~0`},
		{"an open escape", `{}`, `[{"op":"remove","path":"/a~"}]`, `patch, operation 1: path: pointer "/a~": ~ stands for itself only as ~0`},
		{"too many", `{}`, "[" + strings.Repeat(`{"op":"test","path":"","value":{}},`, 1000) + `{"op":"test","path":"","value":{}}]`, `patch: 1001 operations, at most 1000 are taken`},
		{"something behind it", `{}`, `[] []`, `patch: JSON, byte 4: something follows the value`},
		{"it doubles", `[1,2,3]`, "[" + strings.Repeat(`{"op":"copy","from":"","path":"/-"},`, 60) + `{"op":"test","path":"","value":{}}]`, `patch, operation 19, copy "/-": the patch makes more than 4194304 bytes`},
		{"it grows deep", `{"a":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + "}", `[{"op":"copy","from":"/a","path":"/a` + strings.Repeat("/0", 500) + `/-"}]`, `nested more than 1000 deep`},
	} {
		doc, err := parseJSON([]byte(c.doc))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		before := string(doc.encode(nil))
		got := ""
		patch, err := parsePatch([]byte(c.patch))
		if err == nil {
			var after *jsonNode
			if after, err = patch.apply(doc); err == nil {
				got = string(after.encode(nil))
			}
		}
		if err != nil {
			got = err.Error()
		}
		if got != c.want && !(len(c.patch) > 1000 && strings.HasSuffix(got, c.want)) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if string(doc.encode(nil)) != before {
			t.Errorf("%s: the document itself was changed", c.name)
		}
	}
}

func TestPointer(t *testing.T) {
	for _, text := range []string{"", "/", "/a/b", "/a~1b/m~0n", "/ /é", "//"} {
		p, err := parsePointer(text)
		if err != nil || p.String() != text {
			t.Errorf("parsePointer(%q) = %q, %v", text, p, err)
		}
	}
}

func FuzzPatch(f *testing.F) {
	f.Add(`{"a":{"b":[1,2,{"c":null}]}}`, `[{"op":"move","from":"/a/b/2","path":"/d"},{"op":"copy","from":"","path":"/a/e"},{"op":"replace","path":"/a/b/0","value":[]},{"op":"remove","path":"/a/b/1"},{"op":"test","path":"/d/c","value":null},{"op":"add","path":"/a/b/-","value":1}]`)
	f.Add(`[]`, `[{"op":"add","path":"/-","value":{"~":1}}]`)
	f.Fuzz(func(t *testing.T, text, with string) {
		doc, err := parseJSON([]byte(text))
		if err != nil {
			return
		}
		patch, err := parsePatch([]byte(with))
		if err != nil {
			return
		}
		before := string(doc.encode(nil))
		after, err := patch.apply(doc)
		if string(doc.encode(nil)) != before {
			t.Fatalf("the patch %s changed the document %s", with, text)
		}
		if err != nil {
			return
		}
		out := after.encode(nil)
		if again, err := parseJSON(out); err != nil || !again.equal(after) {
			t.Fatalf("%s with %s made %s, which cannot be read: %v", text, with, out, err)
		}
	})
}
