package resilience

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestStoreKey(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{[]string{"ckpt", "example.com/pay.Gateway", "Charge", "order-7"}, "ckpt/example_2ecom_2fpay_2e_47ateway/_43harge/order-7"},
		{[]string{"a", "", "b"}, "a/_/b"},
		{[]string{"_", "__"}, "_5f/_5f_5f"},
		{[]string{"\x00", "\xff", "ä"}, "_00/_ff/_c3_a4"},
		{[]string{"a/b"}, "a_2fb"},
		{[]string{long[:200]}, long[:200]},
		{[]string{long[:201]}, hashPart(long[:201])},
		{[]string{"k", long}, "k/" + hashPart(long)},
		{[]string{long, "k"}, hashPart(long) + "/k"},
		{[]string{"a", long, long, long}, "a/_" + hashPart(strings.Join([]string{long, long, long}, "/"))},
	} {
		got := StoreKey(c.parts...)
		if got != c.want {
			t.Errorf("StoreKey(%.40q) = %s, want %s", c.parts, got, c.want)
		}
		if err := checkStoreKey(got); err != nil {
			t.Errorf("StoreKey(%.40q) is no key: %v", c.parts, err)
		}
	}
}

func TestKeysThatAreNone(t *testing.T) {
	for _, key := range []string{"", "/", "a/", "/a", "a//b", "A", "a.b", "a b", "ä", "a\x00", strings.Repeat("x", 201)} {
		if checkStoreKey(key) == nil {
			t.Errorf("%q is taken for a key", key)
		}
	}
}

// FuzzStoreKey makes keys of two lists of parts: each is a key, and they are equal
// only where the lists are.
func FuzzStoreKey(f *testing.F) {
	long := strings.Repeat("A", 70)
	for _, s := range []string{"", "a", "a\nb", "A/b\n_", "_\n\n", long, long + "\n" + long, long + "\nb\n" + long + "\n" + long, "__" + strings.Repeat("0", 64)} {
		f.Add([]byte(s), []byte(long+"\n"+s))
		f.Add([]byte(s), []byte("_"+s))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		as, bs := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
		ka, kb := StoreKey(texts(as)...), StoreKey(texts(bs)...)
		if err := checkStoreKey(ka); err != nil {
			t.Errorf("%.300q: %v", as, err)
		}
		if (ka == kb) != slices.EqualFunc(as, bs, bytes.Equal) {
			t.Errorf("%.300q and %.300q: %s and %s", as, bs, ka, kb)
		}
	})
}

func texts(parts [][]byte) []string {
	list := make([]string, len(parts))
	for i, p := range parts {
		list[i] = string(p)
	}
	return list
}

// TestShortKeysCostTwoAllocations holds the way of a checkpoint that hits.
func TestShortKeysCostTwoAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { StoreKey("ckpt", "pay", "charge", "order-7") }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
