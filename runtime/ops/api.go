package ops

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// Prefix is what every path of the API begins with.
const Prefix = "/debug/resilience/api/v1/"

// Limits of requests.
const (
	maxBody   = 64 << 10
	maxSignal = 9 << 20 // of a signal, whose value may have 8 MiB
	maxQuery  = 8 << 10 // bytes of a query
)

// confirmHeader carries what a request that changes something confirms: the token
// of the plan that it carries out, or the revision that it changes.
const confirmHeader = "X-Resilience-Confirm"

// Route is one of the API. [Routes] lists all.
type Route struct {
	Method  string   `json:"method"`
	Path    string   `json:"path"` // under Prefix
	Verb    string   `json:"verb"` // of resilgen that asks for it: "runs ls", or one of dlq, which is not named
	Doc     string   `json:"doc"`
	Query   []string `json:"query,omitempty"`   // parameters that it takes
	Confirm bool     `json:"confirm,omitempty"` // wants the header X-Resilience-Confirm
	Stream  bool     `json:"stream,omitempty"`  // answers with JSON Lines

	body   int64 // most bytes of a body; 0: it takes none
	serve  func(*request) (any, error)
	stream func(*request, *lines) error
}

// request is what a route is given.
type request struct {
	*http.Request
	rt    *resilience.Runtime
	query url.Values
	by    string // who asks
}

// newAPI returns the handler of all routes.
func newAPI(rt *resilience.Runtime) http.Handler {
	byPath := map[string][]Route{}
	for _, r := range routes() {
		byPath[r.Path] = append(byPath[r.Path], r)
	}
	mux := http.NewServeMux()
	for pattern, list := range byPath {
		if pattern == "" {
			pattern = "{$}"
		}
		mux.HandleFunc(Prefix+pattern, func(w http.ResponseWriter, r *http.Request) { answer(rt, list, w, r) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(NotFound, "nothing is served at %s; GET %s lists what is", brief(r.URL.Path), Prefix).write(w)
	})
	return guarded(mux)
}

// guarded checks what holds for every request, before its path decides anything.
func guarded(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		switch {
		case !knownHost(r.Host):
			misdirected(w, r.Host)
		case r.URL.RawPath != "" || r.URL.Path != "/" && path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/"):
			problem(NotFound, "a path is written in one way only").write(w)
		case len(r.URL.RawQuery) > maxQuery:
			problem(TooLarge, "a query of %d bytes: at most %d are taken", len(r.URL.RawQuery), maxQuery).write(w)
		case crossOrigin.Check(r) != nil:
			problem(Refused, "a page of another origin asks").write(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knownHost reports whether a client means this server: a page that has its name
// point here comes with its own.
func knownHost(host string) bool {
	return host == "" || host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}

func misdirected(w http.ResponseWriter, host string) {
	p := problem(Refused, "host %s: want localhost", brief(host))
	p.Status = http.StatusMisdirectedRequest
	p.write(w)
}

// answer finds the route for the method, checks the request against it and serves
// it.
func answer(rt *resilience.Runtime, list []Route, w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	at := slices.IndexFunc(list, func(r Route) bool { return r.Method == method })
	if at < 0 {
		notAllowed(w, list, r.Method)
		return
	}
	req := &request{Request: r, rt: rt, by: principal(r.Context())}
	if err := list[at].check(req, w); err != nil {
		asProblem(err).write(w)
		return
	}
	if list[at].stream != nil {
		list[at].streamTo(w, req)
		return
	}
	var v any
	err := safely(func() (err error) {
		v, err = list[at].serve(req)
		return err
	})
	if err != nil {
		asProblem(err).write(w)
		return
	}
	writeJSON(w, v)
}

// safely makes an error of a panic in f.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = problem(Internal, "a panic: %v", p)
		}
	}()
	return f()
}

func notAllowed(w http.ResponseWriter, list []Route, method string) {
	var allowed []string
	for _, r := range list {
		allowed = append(allowed, r.Method)
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	p := problem(BadRequest, "%s is not allowed here: want %s", brief(method), strings.Join(allowed, " or "))
	p.Status = http.StatusMethodNotAllowed
	p.write(w)
}

// check refuses what the route does not take.
func (route *Route) check(r *request, w http.ResponseWriter) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return problem(BadRequest, "query: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case !slices.Contains(route.Query, name):
			return problem(BadRequest, "query: no parameter %s; there are: %s", brief(name), cmp.Or(strings.Join(route.Query, ", "), "none"))
		case len(query[name]) > 1:
			return problem(BadRequest, "query: %s is given %d times", name, len(query[name]))
		}
	}
	r.query = query
	if route.body == 0 {
		r.Body = http.MaxBytesReader(w, r.Body, 0)
		return nil
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := strings.ToLower(params["charset"]); err != nil || kind != "application/json" || charset != "" && charset != "utf-8" {
		p := problem(BadRequest, "Content-Type: want application/json")
		p.Status = http.StatusUnsupportedMediaType
		return p
	}
	if route.Confirm && r.confirmed() == "" {
		return problem(Refused, "the header %s is missing: it says what is confirmed", confirmHeader)
	}
	r.Body = http.MaxBytesReader(w, r.Body, route.body)
	return nil
}

// box are the letters.
func (r *request) box() *resilience.LetterBox { return r.rt.DeadLetters() }

func (r *request) confirmed() string { return r.Header.Get(confirmHeader) }

// number returns a parameter that is clamped to a range; fallback where it is not
// given.
func (r *request) number(name string, fallback, least, most int) (int, error) {
	text := r.query.Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case errors.Is(err, strconv.ErrRange) && !strings.HasPrefix(text, "-"):
		n = most
	case errors.Is(err, strconv.ErrRange):
		n = least
	case err != nil:
		return 0, problem(BadRequest, "query: %s is %s: want a number", name, brief(text))
	}
	return min(max(n, least), most), nil
}

// flag returns a parameter that is true or false.
func (r *request) flag(name string) (bool, error) {
	switch text := r.query.Get(name); text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, problem(BadRequest, "query: %s is %s: want true or false", name, brief(text))
	}
}

// decode reads the body, which must be one JSON object without unknown members.
func (r *request) decode(to any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(to)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	if err != nil {
		return problem(BadRequest, "body: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return problem(BadRequest, "body: more than one JSON value")
	}
	return nil
}

func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		problem(Internal, "%v", err).write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // a recorder in memory has none
	_, _ = w.Write(append(body, '\n'))                                            // who does not read it has left
}

// Index is the answer to GET [Prefix].
type Index struct {
	API    int     `json:"api"` // version
	PID    int     `json:"pid"`
	Routes []Route `json:"routes"`
}

// Routes returns what is served, by path.
func Routes() []Route { return routes() }

func index(*request) (any, error) { return Index{API: 1, PID: os.Getpid(), Routes: routes()}, nil }

// String returns the method and the path.
func (route Route) String() string { return fmt.Sprintf("%s %s%s", route.Method, Prefix, route.Path) }
