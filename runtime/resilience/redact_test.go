package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	const req = `{"card":{"number":"4111111111111111","cvv":123},"lines":[{"token":"t1","sku":"a"},{"token":"t2","sku":"b"}],"big":9007199254740993}`
	for _, c := range []struct {
		name    string
		rules   []Redaction
		seals   bool
		shown   string
		toSeal  string
		secrets string
	}{
		{"nothing", []Redaction{{"/other/x", Omit}}, false, req, "", ""},
		{"one", []Redaction{{"/req/card/number", Omit}}, false, `{"big":9007199254740993,"card":{"cvv":123},"lines":[{"sku":"a","token":"t1"},{"sku":"b","token":"t2"}]}`, "", "4111111111111111"},
		{"any depth", []Redaction{{"/**/token", Omit}, {"/req/**/cvv", Omit}}, false, `{"big":9007199254740993,"card":{"number":"4111111111111111"},"lines":[{"sku":"a"},{"sku":"b"}]}`, "", "123 t1 t2"},
		{"one step", []Redaction{{"/req/lines/*/token", Mask}}, false, `{"big":9007199254740993,"card":{"cvv":123,"number":"4111111111111111"},"lines":[{"sku":"a","token":"***"},{"sku":"b","token":"***"}]}`, "", "t1 t2"},
		{"mask", []Redaction{{"/req/card/number", Mask}, {"/req/lines", Omit}}, false, `{"big":9007199254740993,"card":{"cvv":123,"number":"***1111"}}`, "", "4111111111111111 t1 a t2 b"},
		{"all", []Redaction{{"/req", Omit}}, false, `null`, "", "9007199254740993 123 4111111111111111 a t1 b t2"},
		{"element", []Redaction{{"/req/lines/1", Omit}}, false, `{"big":9007199254740993,"card":{"cvv":123,"number":"4111111111111111"},"lines":[{"sku":"a","token":"t1"},null]}`, "", "b t2"},
		{"seal", []Redaction{{"/req/card", Seal}, {"/req/card/cvv", Omit}}, true, `{"big":9007199254740993,"lines":[{"sku":"a","token":"t1"},{"sku":"b","token":"t2"}]}`,
			`{"big":9007199254740993,"card":{"number":"4111111111111111"},"lines":[{"sku":"a","token":"t1"},{"sku":"b","token":"t2"}]}`, "123 4111111111111111"},
		{"seal without a sealer", []Redaction{{"/req/card", Seal}}, false, `{"big":9007199254740993,"lines":[{"sku":"a","token":"t1"},{"sku":"b","token":"t2"}]}`, "", "123 4111111111111111"},
		{"the strictest wins", []Redaction{{"/req/card", Seal}, {"/req/card", Omit}}, true, `{"big":9007199254740993,"lines":[{"sku":"a","token":"t1"},{"sku":"b","token":"t2"}]}`, "", "123 4111111111111111"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := newRedactor(c.rules, []byte("0123456789abcdef"))
			if err != nil {
				t.Fatal(err)
			}
			out, err := r.argument("req", json.RawMessage(req), c.seals)
			if err != nil {
				t.Fatal(err)
			}
			if string(out.shown) != c.shown || string(out.toSeal) != c.toSeal {
				t.Errorf("shown  %s\nwant   %s\nsealed %s\nwant   %s", out.shown, c.shown, out.toSeal, c.toSeal)
			}
			for _, secret := range strings.Fields(c.secrets) {
				if !strings.Contains(" "+strings.Join(out.secrets, " ")+" ", " "+secret+" ") {
					t.Errorf("secrets %q, want %q", out.secrets, secret)
				}
			}
		})
	}
}

func TestRedactHash(t *testing.T) {
	hash := func(key, value string) string {
		r, _ := newRedactor([]Redaction{{"/id", Hash}}, []byte(key))
		out, err := r.argument("id", json.RawMessage(value), false)
		if err != nil {
			t.Fatal(err)
		}
		return string(out.shown)
	}
	first := hash("k1", `"a"`)
	if first != hash("k1", `"a"`) || hash("k1", `"a"`) == hash("k1", `"b"`) || hash("k1", `"a"`) == hash("k2", `"a"`) {
		t.Error("a hash is the same for the same value under the same key, and for no other")
	}
	if !strings.HasPrefix(hash("k1", `"a"`), `"hmac:`) {
		t.Errorf("hash %s", hash("k1", `"a"`))
	}
}

func TestRedactRefuses(t *testing.T) {
	for _, r := range []Redaction{{"req", Omit}, {"/req", "hide"}} {
		if _, err := newRedactor([]Redaction{r}, nil); err == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
}

// TestRedactionsMatch compares with an obvious matcher that tries every length of
// each **.
func TestRedactionsMatch(t *testing.T) {
	steps := []string{"a", "b", "*", "**"}
	paths := [][]string{{"a"}, {"b"}, {"a", "a"}, {"a", "b"}, {"b", "a"}, {"b", "b"}, {"a", "b", "a"}, {"b", "b", "a"}, {"a", "a", "a"}}
	var all [][]string
	var build func(p []string)
	build = func(p []string) {
		if len(p) > 0 {
			all = append(all, p)
		}
		if len(p) < 4 {
			for _, s := range steps {
				build(append(append([]string(nil), p...), s))
			}
		}
	}
	build(nil)
	for _, pattern := range all {
		r, err := newRedactor([]Redaction{{"/" + strings.Join(pattern, "/"), Omit}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			at := r.begin()
			for _, name := range path {
				at = r.down(at, name)
			}
			if got, want := r.mode(at) != "", slowMatch(pattern, path); got != want {
				t.Errorf("%q names %q: %v, want %v", pattern, path, got, want)
			}
		}
	}
}

func slowMatch(pattern, path []string) bool {
	switch {
	case len(pattern) == 0:
		return len(path) == 0
	case pattern[0] == "**":
		for n := range len(path) + 1 {
			if slowMatch(pattern[1:], path[n:]) {
				return true
			}
		}
		return false
	}
	return len(path) > 0 && (pattern[0] == "*" || pattern[0] == path[0]) && slowMatch(pattern[1:], path[1:])
}

func testKey(id string, fill byte) SealKey {
	return SealKey{id, []byte(strings.Repeat(string(rune(fill)), 32))}
}

func TestSealedLetter(t *testing.T) {
	sealer, err := NewSealer(testKey("k1", 'x'))
	if err != nil {
		t.Fatal(err)
	}
	stores := MemoryStores()
	rt := openLetters(t, Options{Stores: stores, Letters: LetterOptions{Sealer: sealer}})
	n := newNotifier(t, rt, Policy{}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{Redact: []Redaction{{"/event/card", Seal}}})
	args := notifyArgs{"c", map[string]string{"card": "4111111111111111", "a": "b"}, 1}
	l := keptLetter(t, n, n.call(t.Context(), args))
	if l.NeedsEdit() || string(l.Call.Args[1].JSON) != `{"a":"b"}` || l.Call.Args[1].KeyID != "k1" {
		t.Errorf("argument %+v", l.Call.Args[1])
	}
	got, _, err := n.letters.Get(t.Context(), l.ID)
	if err != nil || got.Event["card"] != "4111111111111111" {
		t.Errorf("opened %+v, %v", got, err)
	}

	other := l
	other.ID = newLetterID(l.DeadAt)
	if _, err := rt.DeadLetters().arguments(t.Context(), &other); err == nil || !strings.Contains(err.Error(), "of another letter") {
		t.Errorf("a sealed argument in another letter: %v", err)
	}
	blind := openLetters(t, Options{Stores: stores})
	if _, err := blind.DeadLetters().arguments(t.Context(), &l); !errors.Is(err, ErrNoSealKey) {
		t.Errorf("without a key: %v", err)
	}
	if next, err := NewSealer(testKey("k2", 'y')); err != nil {
		t.Fatal(err)
	} else if _, err := next.Open(context.Background(), "k1", nil, nil); !errors.Is(err, ErrNoSealKey) {
		t.Errorf("with another key: %v", err)
	}
}

func TestSealKeys(t *testing.T) {
	hexKey := strings.Repeat("0f", 32)
	for text, id := range map[string]string{hexKey: "1", "2026:" + hexKey + "\n": "2026", "DQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0=": "1"} {
		if key, err := ParseSealKey(text); err != nil || key.ID != id || len(key.Key) != 32 {
			t.Errorf("%q: %+v, %v", text, key, err)
		}
	}
	for _, text := range []string{"", "abc", hexKey[2:], hexKey + "00"} {
		if _, err := ParseSealKey(text); err == nil || strings.Contains(err.Error(), "0f0f") {
			t.Errorf("%q: %v", text, err)
		}
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(hexKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SealKeyFromFile(path); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := SealKeyFromFile(path); err == nil {
		t.Error("a key that everybody may read was accepted")
	}
	t.Setenv("SEAL_KEY_OF_TEST", "k:"+hexKey)
	if key, err := SealKeyFromEnv("SEAL_KEY_OF_TEST"); err != nil || key.ID != "k" {
		t.Error(key.ID, err)
	}
	if _, err := NewSealer(testKey("a", 'x'), testKey("a", 'y')); err == nil {
		t.Error("two keys of one name were accepted")
	}
}

func TestReplayAddsToItsLetter(t *testing.T) {
	rt := openLetters(t, Options{})
	n := newNotifier(t, rt, Policy{Fallback: Fallback{On: true}}, DeadLetterPolicy{}, LetterMethod[notifyArgs]{})
	l := keptLetter(t, n, n.call(t.Context(), notifyArgs{}))
	r := &replaying{id: l.ID, queue: l.Queue, guard: n.guard}
	err := n.call(withReplay(t.Context(), r), notifyArgs{})
	var kept *KeptError
	if !errors.As(err, &kept) || kept.ID != l.ID || !errors.Is(err, errDown) {
		t.Errorf("replay returned %v", err)
	}
	if f := r.failure(); f == nil || f.Group != l.Group || f.Count != 1 || f.Reason != ReasonExhausted || r.fellBack() != nil {
		t.Errorf("failure %+v", f)
	}
	if page, _ := rt.DeadLetters().List(t.Context(), LetterQuery{}); len(page.Letters) != 1 {
		t.Errorf("%d letters after a replay, want the one", len(page.Letters))
	}
	call := n.guard.Begin(withReplay(t.Context(), r))
	defer call.End()
	for call.Next() {
		call.Record(errDown)
	}
	if !call.WantsFallback() || !errors.Is(r.fellBack(), errDown) {
		t.Errorf("a fallback that answers a replay left %v", r.fellBack())
	}
}
