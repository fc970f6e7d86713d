package resilience

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
)

func TestStoresOfARuntime(t *testing.T) {
	rt, err := Open(Options{Stores: MemoryStores()})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := rt.Named("eu").Stores(); err != nil || s.Log == nil {
		t.Errorf("%v, %v", s, err)
	}
	_ = rt.Close()
	if _, err := rt.Stores(); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := new(Runtime).Stores(); !errors.Is(err, ErrNoStore) {
		t.Errorf("without a store: %v", err)
	}
}

func TestLargeBodiesComeBackWhole(t *testing.T) {
	ctx := t.Context()
	small := newMemoryLog()
	log := Large(small)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	first, err := log.Append(ctx, "run/a", 0, []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := log.Append(ctx, "run/a", first, body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(ctx, "run/a", first, body); !errors.Is(err, ErrConflict) {
		t.Errorf("append in pieces after what is not the last: %v", err)
	}
	var n int
	for r, err := range log.Scan(ctx, "run/a", first) {
		if n++; err != nil || r.Version != second || !bytes.Equal(r.Body, body) {
			t.Errorf("%d bytes in version %d, %v", len(r.Body), r.Version, err)
		}
	}
	for r, err := range log.Heads(ctx, "run/", "") {
		if n++; err != nil || r.Version != second || !bytes.Equal(r.Body, body) {
			t.Errorf("head of %d bytes in version %d, %v", len(r.Body), r.Version, err)
		}
	}
	if err := log.Drop(ctx, "run/a", second); err != nil || n != 2 || len(small.keys) != 0 {
		t.Errorf("%d records seen, %d keys left, %v", n, len(small.keys), err)
	}
}

func TestDurableOfAName(t *testing.T) {
	rt := &Runtime{}
	if !rt.Durable("workflow/Research") {
		t.Error("not durable by default")
	}
	rt.SetDurable(false, "workflow/Research")
	if rt.Durable("workflow/Research") || !rt.Durable("workflow/Orders") {
		t.Error("the switch of one is not that of another")
	}
	rt.SetDurable(false)
	if rt.Durable("workflow/Orders") {
		t.Error("the switch of all is none")
	}
	if rt, _ := Open(Options{Preset: Testing}); rt.Durable("workflow/Orders") {
		t.Error("preset testing is durable")
	}
}

func TestTellTellsWhoListens(t *testing.T) {
	l := &listener{}
	rt, err := Open(Options{Observe: l.observe})
	if err != nil {
		t.Fatal(err)
	}
	rt.Named("eu").Tell(t.Context(), Event{Kind: RunStarted, Name: "workflow/Research", Key: "7"})
	if len(l.events) != 1 || l.events[0].Time.IsZero() || !rt.Listened() {
		t.Errorf("%+v", l.events)
	}
	quiet := &Runtime{}
	quiet.Tell(context.Background(), Event{Kind: RunStarted})
	if quiet.Listened() {
		t.Error("nobody listens")
	}
}

func TestDecodeJSONIsStrict(t *testing.T) {
	var v struct{ A int }
	for _, text := range []string{`{"A":1,"B":2}`, `{"A":1}{}`, `{"A":1,"A":2}`, ``} {
		if err := DecodeJSON([]byte(text), &v); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
	if err := DecodeJSON([]byte(`{"A":7}`), &v); err != nil || v.A != 7 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestUpcasterOfAShape(t *testing.T) {
	rt := &Runtime{}
	if rt.Upcaster("0123456789abcdef") != nil {
		t.Error("there is one")
	}
	if err := Upcast(rt, "0123456789abcdef", func(int) (string, error) { return "was", nil }); err != nil {
		t.Fatal(err)
	}
	if got, err := rt.Upcaster("0123456789abcdef")(json.RawMessage("1")); err != nil || string(got) != `"was"` {
		t.Errorf("%s, %v", got, err)
	}
}
