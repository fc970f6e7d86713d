package main

import (
	"bytes"
	"testing"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	const want = `the rate is 1.0842
a typing error: bank: 404
stored, at the third attempt: true
bank.rates: 2 calls, 4 attempts
rates: 1 calls, 3 attempts
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
