package generator

import (
	"go/types"
	"strings"
	"testing"
)

func TestSoundsSecret(t *testing.T) {
	text, number, flag := types.Typ[types.String], types.Typ[types.Int], types.Typ[types.Bool]
	for _, c := range []struct {
		name string
		t    types.Type
		want bool
	}{
		{"password", text, true}, {"Password", text, true}, {"userPassword", text, true}, {"user_password", text, true}, {"PASSWD", text, true},
		{"passwordHash", text, true}, {"apiKey", text, true}, {"APIKey", text, true}, {"api_key", text, true}, {"x-api-key", text, true},
		{"accessToken", text, true}, {"tokens", text, true}, {"Authorization", text, true}, {"cookies", text, true}, {"cvv", number, true},
		{"CVV", text, true}, {"cardCVV", number, true}, {"pin", number, true}, {"iban", text, true}, {"SSN", text, true}, {"card", text, true},
		{"JWT", text, true}, {"privateKey", text, true}, {"credentials", text, true},

		{"key", text, false}, {"keyboard", text, false}, {"discard", text, false}, {"pinned", text, false}, {"address", text, false},
		{"tokenCount", number, false}, {"maxTokens", number, false}, {"passwordSet", flag, false}, {"hasCard", flag, false}, {"panel", text, false},
		{"secretary", text, false}, {"", text, false}, {"_", text, false}, {"monkey", text, false}, {"authorized", text, false},
	} {
		if got := soundsSecret(c.name, c.t); got != c.want {
			t.Errorf("soundsSecret(%q, %v) = %v", c.name, c.t, got)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		steps, path          string
		sure, maybe, reaches bool
	}{
		{"/req/card", "/req/card", true, true, false},
		{"/req/card", "/req", false, false, true},
		{"/req/card", "/req/card/number", false, false, false},
		{"/req/*", "/req/card", true, true, false},
		{"/*/card", "/req/card", true, true, false},
		{"/**/token", "/token", true, true, true},
		{"/**/token", "/req/a/b/token", true, true, true},
		{"/**/token", "/req/tokens", false, false, true},
		{"/req/**/token", "/event/token", false, false, false},
		{"/req/**", "/req/a/b", true, true, true},
		{"/items/0/id", "/items/*/id", false, true, false},
		{"/items/*/id", "/items/*/id", true, true, false},
		{"/meta/token", "/meta/*", false, true, false},
		{"/meta/token/x", "/meta/*", false, false, true},
		{"/**/token", "/meta/*", false, true, true},
	} {
		steps, path := strings.Split(c.steps[1:], "/"), strings.Split(c.path[1:], "/")
		sure, maybe := matches(steps, path)
		if sure != c.sure || maybe != c.maybe {
			t.Errorf("matches(%s, %s) = %v, %v", c.steps, c.path, sure, maybe)
		}
		if got := reaches(steps, path); got != c.reaches {
			t.Errorf("reaches(%s, %s) = %v", c.steps, c.path, got)
		}
	}
}
