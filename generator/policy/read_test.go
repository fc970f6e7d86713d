package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// example is the example of the language's description.
const example = `version: 1
preset: production
errors:
  transient: [io.ErrUnexpectedEOF, net.OpError, ErrBusy, isThrottled]
policies:
  payments-api:
    extends: api
    timeout: {total: 20s, attempt: 2s}
    retry: {maxAttempts: 4, retryOn: {add: [transient]}}
    circuitBreaker: {minimumCalls: 10}
permanent: [ErrDeclined]
statusOf: httpStatus
retryAfterOf: retryAfter
interfaces:
  Gateway:
    use: payments-api
    methods:
      Charge:  {fallback: true, idempotent: true}
      Notify:  {retry: {maxAttempts: 3}, idempotent: true}
      "Get*, List*": {idempotent: true}
      Watch:   {timeout: none, retry: none}
      Balance: none
  Backup:
    of: Gateway
    use: database
`

func read(t *testing.T, text string) *File {
	t.Helper()
	set, err := Read([]Input{{Path: "resilience.yaml", Data: []byte(text)}})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return set.Files[0]
}

// resolve returns the policies of the methods of the file's first interface.
func resolve(t *testing.T, text string, methods ...string) map[string]*Effective {
	t.Helper()
	list, errs := read(t, text).Interfaces[0].Resolve(methodsOf(methods))
	for _, err := range errs {
		t.Errorf("Resolve: %v", err)
	}
	byName := make(map[string]*Effective)
	for _, e := range list {
		byName[e.Method] = e
	}
	return byName
}

func methodsOf(names []string) []Method {
	var list []Method
	for _, name := range names {
		list = append(list, Method{Name: name, Closer: name == "Close"})
	}
	return list
}

func TestExample(t *testing.T) {
	m := resolve(t, example, "Charge", "Notify", "GetReceipt", "ListReceipts", "Watch", "Balance", "Close", "Refund")
	c := m["Charge"]
	if !c.Has("fallback") || !c.Has("retry") || !c.Has("timeout") || !c.Has("circuitBreaker") || c.Has("bulkhead") {
		t.Errorf("Charge has the wrong parts: %v", c.All())
	}
	if !c.Idempotent() || m["Refund"].Idempotent() || !m["ListReceipts"].Idempotent() {
		t.Error("idempotent is wrong")
	}
	if got := c.Dur("timeout.total"); got != 20*time.Second {
		t.Errorf("timeout.total = %v, want 20s", got)
	}
	if got := c.Int("retry.maxAttempts"); got != 4 {
		t.Errorf("retry.maxAttempts = %d, want 4", got)
	}
	if got, want := c.List("retry.retryOn").String(), "Transient, io.ErrUnexpectedEOF, net.OpError, ErrBusy, isThrottled"; got != want {
		t.Errorf("retry.retryOn = %s, want %s", got, want)
	}
	if m["Watch"].Has("timeout") || m["Watch"].Has("retry") || !m["Watch"].Has("circuitBreaker") {
		t.Error("Watch has the wrong parts")
	}
	if !m["Balance"].None() || !m["Balance"].Exact || !m["Close"].None() || !m["Close"].Closer {
		t.Error("Balance or Close does not pass through")
	}
	if !m["Notify"].Own("retry") || m["Charge"].Own("retry") || !m["Charge"].Own("fallback") {
		t.Error("Own is wrong")
	}
	f := read(t, example)
	if f.Preset != "production" || f.StatusOf.Text != "httpStatus" || f.RetryAfterOf.Text != "retryAfter" ||
		len(f.Permanent) != 1 || f.Interfaces[1].Of != "Gateway" || f.Interfaces[1].Name != "Backup" {
		t.Errorf("the file is read wrongly: %+v", f)
	}
}

func TestOrigins(t *testing.T) {
	f := read(t, example)
	list, _ := f.Interfaces[0].Resolve(methodsOf([]string{"Charge"}))
	got := make(map[string]string)
	for _, path := range []string{
		"timeout.total", "retry.maxAttempts", "retry.backoff.initialDelay", "retry.backoff.jitter",
		"circuitBreaker.openDuration", "retry.retryAfter.max", "circuitBreaker.halfOpen.maxWait",
	} {
		v, ok := list[0].Get(path)
		if !ok {
			t.Errorf("%s is unset", path)
		}
		got[path] = v.Origin
	}
	want := map[string]string{
		"timeout.total":                   "resilience.yaml:8:22",
		"retry.maxAttempts":               "resilience.yaml:9:26",
		"retry.backoff.initialDelay":      "policy api (built in)",
		"retry.backoff.jitter":            "policy api (built in)",
		"circuitBreaker.openDuration":     "policy api (built in)",
		"retry.retryAfter.max":            "default",
		"circuitBreaker.halfOpen.maxWait": "default",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
