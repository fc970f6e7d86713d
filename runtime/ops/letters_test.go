package ops

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
)

type notice struct {
	Customer string `json:"customer"`
	Cents    int64  `json:"cents"`
}

// gateway is what a generated wrapper with deadLetter is made of.
type gateway struct {
	guard   *resilience.Guard
	letters *resilience.DeadLetters[notice]
	err     error
}

func newGateway(t testing.TB, rt *resilience.Runtime) *gateway {
	t.Helper()
	g := &gateway{err: errors.New("gateway is down")}
	w := rt.Wrap("payments.Gateway", g)
	g.guard = w.Guard("Notify", resilience.Policy{})
	g.letters = resilience.NewDeadLetters(w, "Notify", resilience.DeadLetterPolicy{Queue: "notices"}, resilience.LetterMethod[notice]{
		Sig: "0123456789abcdef", Idempotent: true,
		Fields: []resilience.LetterField{{Name: "customer", Type: "string"}, {Name: "cents", Type: "int64"}},
		Replay: g.notify, Direct: func(context.Context, notice) error { return g.err },
	})
	must(t, w.Err())
	return g
}

func (g *gateway) notify(ctx context.Context, args notice) (err error) {
	call := g.guard.Begin(ctx)
	defer call.End()
	for call.Next() {
		err = g.err
		call.Record(err)
	}
	if err = call.Err(); err != nil {
		return g.letters.Keep(&call, args, err)
	}
	return nil
}

// keep has n calls fail and returns the ids of their letters, sorted: those of
// one millisecond have no order.
func (g *gateway) keep(t testing.TB, n int) (ids []string) {
	t.Helper()
	for i := range n {
		var kept *resilience.KeptError
		if err := g.notify(t.Context(), notice{"c-" + strconv.Itoa(i), 1<<62 + 1}); !errors.As(err, &kept) {
			t.Fatal(err)
		}
		ids = append(ids, kept.ID)
	}
	slices.Sort(ids)
	return ids
}

func open(t testing.TB) *resilience.Runtime {
	t.Helper()
	rt, err := resilience.Open(resilience.Options{Stores: resilience.MemoryStores()})
	must(t, err)
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

// both calls f with a client over a socket and with one in the process.
func both(t *testing.T, rt *resilience.Runtime, f func(t *testing.T, c *Client)) {
	t.Helper()
	s, err := Listen(rt, "unix:"+private(t)+"/x.sock")
	must(t, err)
	defer s.Close()
	remote, err := Dial(s.Addr())
	must(t, err)
	defer remote.Close()
	t.Run("socket", func(t *testing.T) { f(t, remote) })
	t.Run("process", func(t *testing.T) { f(t, Local(rt)) })
}

func TestLetters(t *testing.T) {
	rt := open(t)
	ids := newGateway(t, rt).keep(t, 7)
	both(t, rt, func(t *testing.T, c *Client) {
		page, err := c.List(t.Context(), resilience.LetterQuery{Limit: 3, OldestFirst: true})
		must(t, err)
		if len(page.Letters) != 3 || page.Letters[0].ID != ids[0] || page.Next == "" {
			t.Errorf("first page: %+v", page)
		}
		page, err = c.List(t.Context(), resilience.LetterQuery{Cursor: page.Next, OldestFirst: true})
		must(t, err)
		if len(page.Letters) != 4 || page.Letters[3].ID != ids[6] || page.Next != "" {
			t.Errorf("second page: %+v", page)
		}
		l, err := c.Get(t.Context(), ids[2])
		must(t, err)
		if l.ID != ids[2] || string(l.Call.Args[1].JSON) != "4611686018427387905" {
			t.Errorf("letter %+v", l)
		}
		for _, id := range []string{"01j00000000000000000000000", "nothing", "..", "", "a/b", "a%2fb", strings.Repeat("a", 1e4), "\x1b[0m"} {
			_, err := c.Get(t.Context(), id)
			var p *Problem
			if !errors.As(err, &p) || p.Code != NotFound || len(err.Error()) > 300 {
				t.Errorf("Get(%.40q): %v", id, err)
			}
		}
		page, err = c.List(t.Context(), resilience.LetterQuery{Filter: "args.customer=c-3"})
		must(t, err)
		if len(page.Letters) != 1 {
			t.Errorf("filtered: %+v", page)
		}
		var wrong *Problem
		_, err = c.List(t.Context(), resilience.LetterQuery{Filter: "queue:(\x1b"})
		if !errors.As(err, &wrong) || wrong.Code != BadRequest || !strings.Contains(err.Error(), "column 7") {
			t.Errorf("a filter that is none: %v", err)
		}
		_, err = c.Get(t.Context(), "01j00000000000000000000000")
		if !errors.Is(err, resilience.ErrNoLetter) {
			t.Errorf("a letter that is not there: %v", err)
		}
	})
}

func TestLettersOfNoStore(t *testing.T) {
	rt, err := resilience.Open(resilience.Options{})
	must(t, err)
	both(t, rt, func(t *testing.T, c *Client) {
		if _, err := c.List(t.Context(), resilience.LetterQuery{}); !errors.Is(err, resilience.ErrNoStore) || !strings.Contains(err.Error(), "Options.Dir") {
			t.Errorf("List: %v", err)
		}
	})
}

// FuzzQuery asks with any query: an answer is JSON or a problem, and nothing
// panics or is written.
func FuzzQuery(f *testing.F) {
	rt, err := resilience.Open(resilience.Options{Stores: resilience.MemoryStores()})
	must(f, err)
	newGateway(f, rt).keep(f, 3)
	api := newAPI(rt)
	for _, seed := range []string{"", "limit=-1", "limit=99999999999999999999", "limit=x", "oldest=true&cursor=%00", "filter=queue:notices+args.a=1", "filter=%28%28%28", "a=1&a=2", ";", "limit=1&limit=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, route := range Routes() {
			if route.Method != http.MethodGet {
				continue
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = "localhost"
			r.URL = &url.URL{Path: Prefix + strings.NewReplacer("{id}", "a", "{token}", "a", "{turn}", "pause").Replace(route.Path), RawQuery: query}
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, r)
			var v any
			body := rec.Body.Bytes()
			for dec := json.NewDecoder(rec.Body); dec.More(); {
				if err := dec.Decode(&v); err != nil {
					t.Fatalf("%v?%s: %d %s", route, query, rec.Code, body)
				}
			}
			if rec.Code >= 500 {
				t.Fatalf("%v?%s: %d %s", route, query, rec.Code, body)
			}
		}
	})
}
