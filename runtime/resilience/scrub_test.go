package resilience

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestScrub(t *testing.T) {
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	for _, c := range []struct{ text, want string }{
		{"dial https://bob:s3cret@db.example.com/x: refused", "dial https://***@db.example.com/x: refused"},
		{"dial https://bob:s3/cret@db.example.com/x: refused", "dial https://***@db.example.com/x: refused"},
		{"GET https://example.com/a@b: 404", "GET https://example.com/a@b: 404"},
		{"postgres://u:p@h:5432/db?sslmode=off", "postgres://***@h:5432/db?sslmode=off"},
		{"dsn root:hunter2@tcp(10.0.0.1:3306)/pay", "dsn ***@tcp(10.0.0.1:3306)/pay"},
		{"host=db user=bob password=hunter2 port=5432", "host=db user=bob password=*** port=5432"},
		{`{"password":"hunter 2","a":1}`, `{"password":***,"a":1}`},
		{`body {\"api_key\":\"hunter2\",\"a\":1}`, `body {\"api_key\":***,\"a\":1}`},
		{"Authorization: Bearer abc.def.ghi, next", "Authorization: ***, next"},
		{"sent bearer abcdefgh to peer", "sent bearer *** to peer"},
		{"token is " + jwt + "!", "token is ***"},
		{"jwt=" + jwt, "jwt=***"},
		{"key -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- is bad", "key <pem> is bad"},
		{"key -----BEGIN PRIVATE KEY-----\nMIIE", "key <pem>"},
		{"using AKIAIOSFODNN7EXAMPLE now", "using *** now"},
		{"aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = ***"},
		{"X-Api-Key: 123", "X-Api-Key: ***"},
		{"Set-Cookie: a=b; Path=/", "Set-Cookie: ***; Path=/"},
		{"pin: 1234", "pin: ***"},
		{"shipping: 1234", "shipping: 1234"},
		{"unexpected token: x", "unexpected token: ***"}, // rather too much than too little
		{"mail bob@example.com bounced", "mail bob@example.com bounced"},
		{"card 4111111111111111 declined", "card *** declined"},
		{"\x1b[31mred\x1b[0m\x00", "[31mred[0m"},
		{"nothing here", "nothing here"},
	} {
		s := (&scrubber{}).knowing([]string{"4111111111111111", "a"})
		if got := s.text(c.text); got != c.want {
			t.Errorf("%q became %q, want %q", c.text, got, c.want)
		}
	}
	if got := (&scrubber{email: true}).text("mail bob@example.com bounced"); got != "mail <email> bounced" {
		t.Errorf("e-mail became %q", got)
	}
}

// TestScrubIsLinear gives the scrubber texts that drive scanners back to where they
// began.
func TestScrubIsLinear(t *testing.T) {
	for _, piece := range []string{"password=\"", "eyJ", "://", "-----BEGIN ", "a:b@", "token:", "\\\"", "AKIA", "x"} {
		text := strings.Repeat(piece, 1<<20/len(piece))
		var got string
		took := time.Hour
		for tries := 0; tries < 5 && took > 500*time.Millisecond; tries++ { // a machine that does other things, too, rests now and then
			begun := time.Now()
			got = (&scrubber{email: true}).text(text)
			_ = templated(text)
			took = time.Since(begun)
		}
		if took > 500*time.Millisecond {
			t.Errorf("%q…: %v", piece, took)
		}
		if len(got) > maxErrText || !utf8.ValidString(got) {
			t.Errorf("%q…: %d bytes", piece, len(got))
		}
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("https://u:hunter22@h", "hunter22")
	f.Add("password='x\\", "")
	f.Fuzz(func(t *testing.T, text, secret string) {
		for _, got := range []string{(&scrubber{email: true}).knowing([]string{secret}).text(text), templated(text)} {
			if len(got) > maxErrText || !utf8.ValidString(got) {
				t.Errorf("%q became %q", text, got)
			}
		}
	})
}
