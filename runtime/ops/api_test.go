package ops

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// send asks the API in memory.
func send(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	newAPI(nil).ServeHTTP(rec, r)
	resp := rec.Result()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp, string(body)
}

func request1(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost"
	return r
}

// isProblem fails unless an answer is a problem with a status.
func isProblem(t *testing.T, name string, resp *http.Response, body string, status int) {
	t.Helper()
	var p Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || resp.StatusCode != status || p.Status != status || p.Title == "" ||
		p.Type != "urn:resilience:"+string(p.Code) || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: %s %s %s, want a problem with status %d", name, resp.Status, resp.Header.Get("Content-Type"), body, status)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	from := func(r *http.Request, headers ...string) *http.Request {
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return r
	}
	host := func(name string) *http.Request {
		r := request1("GET", Prefix, "")
		r.Host = name
		return r
	}
	for name, c := range map[string]struct {
		request *http.Request
		status  int
	}{
		"rebound name":       {host("evil.example"), 421},
		"rebound port":       {host("localhost:80"), 421},
		"elsewhere":          {request1("GET", "/", ""), 404},
		"page of dashboards": {request1("GET", "/debug/resilience/", ""), 404},
		"no such path":       {request1("GET", Prefix+"nothing", ""), 404},
		"escaped slash":      {request1("GET", "/debug/resilience/api%2Fv1/", ""), 404},
		"doubled slash":      {request1("GET", "//debug/resilience/api/v1/", ""), 404},
		"dots":               {request1("GET", "/debug/../debug/resilience/api/v1/", ""), 404},
		"semicolons":         {request1("GET", Prefix+"..;/", ""), 404},
		"method":             {request1("DELETE", Prefix, ""), 405},
		"unknown parameter":  {request1("GET", Prefix+"?limt=1", ""), 400},
		"bad query":          {request1("GET", Prefix+"?a=%zz", ""), 400},
		"large query":        {request1("GET", Prefix+"?a="+strings.Repeat("a", maxQuery), ""), 413},
		"foreign page":       {from(request1("POST", Prefix, "{}"), "Sec-Fetch-Site", "cross-site"), 403},
		"foreign origin":     {from(request1("POST", Prefix, "{}"), "Origin", "http://evil.example"), 403},
		"origin null":        {from(request1("POST", Prefix, "{}"), "Origin", "null"), 403},
	} {
		resp, body := send(t, c.request)
		isProblem(t, name, resp, body, c.status)
		for header := range resp.Header {
			if strings.HasPrefix(header, "Access-Control-") || header == "Set-Cookie" || header == "Location" {
				t.Errorf("%s: answer has %s", name, header)
			}
		}
		if strings.ContainsAny(body[:len(body)-1], "\n<>") {
			t.Errorf("%s: body %q", name, body)
		}
	}
}

func TestIndexListsRoutes(t *testing.T) {
	resp, body := send(t, request1("GET", Prefix, ""))
	var got Index
	must(t, json.Unmarshal([]byte(body), &got))
	if resp.StatusCode != 200 || len(got.Routes) != len(Routes()) || resp.Header.Get("Cache-Control") != "no-store" ||
		resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v %s", resp.Status, resp.Header, body)
	}
}

// TestRoutes holds every route against what holds for all.
func TestRoutes(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Routes() {
		if seen[r.String()] || r.Doc == "" || (r.serve == nil) == (r.stream == nil) || r.Stream != (r.stream != nil) {
			t.Errorf("%v: twice, without words or without a func", r)
		}
		seen[r.String()] = true
		if reads := r.Method == http.MethodGet; reads != (r.body == 0) || reads && r.Confirm || !reads && r.Stream {
			t.Errorf("%v: GET has no body and confirms nothing, others have one", r)
		}
		target := Prefix + strings.NewReplacer("{id}", "1", "{token}", "1", "{turn}", "pause").Replace(r.Path)
		if r.body == 0 {
			continue
		}
		for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=latin1", "application/jsonp"} {
			req := request1(r.Method, target, "{}")
			req.Header.Set("Content-Type", kind)
			resp, body := send(t, req)
			isProblem(t, r.String()+" with "+kind, resp, body, 415)
		}
		if r.Confirm {
			req := request1(r.Method, target, "{}")
			req.Header.Set("Content-Type", "application/json")
			resp, body := send(t, req)
			isProblem(t, r.String()+" unconfirmed", resp, body, 403)
		}
	}
}
