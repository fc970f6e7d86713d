package generator

import (
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Types of which carryCases tell what JSON makes.

type carryLeaves struct {
	S    string
	I    int64
	F    float64
	B    bool
	Raw  []byte
	JSON json.RawMessage
	N    json.Number
	At   time.Time
	Big  *big.Int
	Addr netip.Addr
	Arr  [2]int
	Keys map[int]string
	Text map[netip.Addr]uint8
	H    http.Header
	Opt  *string `json:"opt,omitempty"`
	Q    int     `json:"q,string"`
}

type carryNode struct {
	Next  *carryNode
	Kids  map[string]*carryNode
	Value int
}

type carryBase struct{ ID string }

type carryEmbeds struct {
	carryBase
	*CarryShared
	Note string
}

type CarryShared struct{ Count int }

type carryLock struct {
	mu sync.Mutex
	_  int
	N  int
}

type carryOther struct{ Next *carryReader }
type carryReader struct {
	Name string
	Body io.Reader
}
type carryDeep struct{ Quotes []map[string]carryOther }
type carryChan struct{ Done chan struct{} }
type carryFunc struct{ Do func() }
type carryUnsafe struct{ P unsafe.Pointer }
type carryComplex struct{ Z complex128 }
type carryAny struct{ Value any }
type carryError struct{ Err error }
type carryHidden struct{ secret string }
type carryMixed struct {
	Name string
	rest []byte
}
type carryDash struct {
	Name string
	Card string `json:"-"`
}
type carryTwinTag struct {
	X string
	B string `json:"X"`
}
type carryShadow struct {
	carryBase
	ID string
}
type carryLeft struct{ carryBase }
type carryRight struct{ carryBase }
type carryDiamond struct {
	carryLeft
	carryRight
}
type carrySelf struct {
	*carrySelf
	X int
}
type carryHiddenPointer struct{ *carryBase }
type carryStamped struct {
	time.Time
	Zone string
}
type carryOnlyStamp struct{ time.Time }
type carryURL struct{ At url.URL }
type carryKey struct{ M map[carryBase]int }
type carryFloatKey struct{ M map[float64]int }

type carryWrites struct{ N int }

func (carryWrites) MarshalJSON() ([]byte, error) { return []byte(`"one way"`), nil }

type carryReads struct{ N int }

func (*carryReads) UnmarshalJSON([]byte) error { return errors.New("it has its own ways") }

type carryWritesText string

func (carryWritesText) MarshalText() ([]byte, error) { return []byte("other"), nil }

// carryPointed has methods of the pointer alone.
type carryPointed struct{ n string }

func (p *carryPointed) MarshalJSON() ([]byte, error)    { return json.Marshal(p.n) }
func (p *carryPointed) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &p.n) }

type carryPointedIn struct {
	Plain carryPointed
	List  []carryPointed
	Ptrs  map[string]*carryPointed
}
type carryPointedMap struct{ M map[string]carryPointed }

type carryCase struct {
	name  string
	value any // a pointer to a value of the type of that name
	path  string
	why   string // a part of the reason
}

func carryCases() []carryCase {
	text := "x"
	return []carryCase{
		{"carryLeaves", &carryLeaves{
			"é", 1 << 60, 0.1, true, []byte{0, 255}, json.RawMessage(`{"a":1}`), "1.50", time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), big.NewInt(7),
			netip.MustParseAddr("::1"), [2]int{1, 2}, map[int]string{-1: "a"}, map[netip.Addr]uint8{netip.MustParseAddr("1.2.3.4"): 9},
			http.Header{"A": {"b"}}, &text, 3,
		}, "", ""},
		{"carryNode", &carryNode{&carryNode{nil, map[string]*carryNode{"a": {Value: 3}}, 2}, nil, 1}, "", ""},
		{"carryEmbeds", &carryEmbeds{carryBase{"a"}, &CarryShared{2}, "n"}, "", ""},
		{"carryLock", &carryLock{mu: sync.Mutex{}, N: 1}, "", ""},
		{"carryOnlyStamp", &carryOnlyStamp{time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}, "", ""},
		{"carryPointed", &carryPointed{"a"}, "", ""},
		{"carryPointedIn", &carryPointedIn{carryPointed{"a"}, []carryPointed{{"b"}}, map[string]*carryPointed{"k": {"c"}}}, "", ""},

		{"carryDeep", &carryDeep{[]map[string]carryOther{{"k": {&carryReader{"n", strings.NewReader("a")}}}}}, "v.Quotes[][].Next.Body", "io.Reader is an interface"},
		{"carryChan", &carryChan{make(chan struct{})}, "v.Done", "channel"},
		{"carryFunc", &carryFunc{func() {}}, "v.Do", "func"},
		{"carryUnsafe", &carryUnsafe{unsafe.Pointer(&text)}, "v.P", "unsafe.Pointer"},
		{"carryComplex", &carryComplex{1i}, "v.Z", "complex"},
		{"carryAny", &carryAny{1}, "v.Value", "any is an interface"},
		{"carryError", &carryError{io.EOF}, "v.Err", "error is an interface"},
		{"carryHidden", &carryHidden{"a"}, "v.secret", "not exported"},
		{"carryMixed", &carryMixed{"a", []byte("b")}, "v.rest", "not exported"},
		{"carryDash", &carryDash{"a", "b"}, "v.Card", `json:"-"`},
		{"carryTwinTag", &carryTwinTag{"a", "b"}, "v.X", `v.B hides it under the JSON name "X"`},
		{"carryShadow", &carryShadow{carryBase{"a"}, "b"}, "v.carryBase.ID", "another field hides it"},
		{"carryDiamond", &carryDiamond{carryLeft{carryBase{"a"}}, carryRight{carryBase{"b"}}}, "v.carryRight.carryBase.ID", "too"},
		{"carrySelf", &carrySelf{&carrySelf{nil, 1}, 2}, "v.carrySelf", "not exported"},
		{"carryHiddenPointer", &carryHiddenPointer{&carryBase{"a"}}, "v.carryBase", "cannot set"},
		{"carryStamped", &carryStamped{time.Unix(1, 0).UTC(), "z"}, "v", "leaves out the field Zone"},
		{"carryURL", &carryURL{url.URL{Host: "h", User: url.User("me")}}, "v.At.User.username", "not exported"},
		{"carryKey", &carryKey{map[carryBase]int{{}: 1}}, "v.M[key]", "neither a string nor an integer"},
		{"carryFloatKey", &carryFloatKey{map[float64]int{1: 1}}, "v.M[key]", "neither a string nor an integer"},
		{"carryWrites", &carryWrites{1}, "v", "has MarshalJSON and no UnmarshalJSON"},
		{"carryReads", &carryReads{1}, "v", "has UnmarshalJSON and no MarshalJSON"},
		{"carryWritesText", ptr(carryWritesText("a")), "v", "has MarshalText and no UnmarshalText"},
		{"carryPointedMap", &carryPointedMap{map[string]carryPointed{"k": {"a"}}}, "v.M[]", "on a value in a map"},
	}
}

func ptr[T any](v T) *T { return &v }
