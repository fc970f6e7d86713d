package resilience

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// scrubber takes secrets out of texts of errors before they are written. The zero
// value knows what secrets look like; it leaves e-mail addresses alone.
type scrubber struct {
	email bool
	known []string // texts that were redacted from the arguments
}

// Bounds of what is looked at and what is kept of one text.
const (
	scrubbedAtMost = 8 << 10
	scrubbed       = "***"
)

// text returns the begin of text without secrets, at most maxErrText bytes of
// UTF-8 without control characters. Its time grows with the length of text alone.
func (s *scrubber) text(text string) string {
	if len(text) > scrubbedAtMost {
		text = text[:scrubbedAtMost]
		if at := strings.LastIndexAny(text, " \t\r\n"); at > scrubbedAtMost/2 {
			text = text[:at] // a secret that is cut is not known for one
		}
		text += "…"
	}
	for _, secret := range s.known {
		text = strings.ReplaceAll(text, secret, scrubbed)
	}
	text = scrubPEM(text)
	text = scrubNamed(text)
	text = s.words(text)
	return cutText(strings.Map(printable, text), maxErrText)
}

// printable has the escapes of terminals gone.
func printable(c rune) rune {
	if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 {
		return -1
	}
	return c
}

// scrubPEM takes out what stands between the lines of a PEM, and one that has no
// end whole.
func scrubPEM(text string) string {
	const begin, end = "-----BEGIN ", "-----END "
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, begin)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("<pem>")
		_, rest, found = strings.Cut(rest, end)
		if !found {
			return out.String()
		}
		_, rest, found = strings.Cut(rest, "-----")
		if !found {
			return out.String()
		}
		text = rest
	}
}

// secretNames are parts of names whose values are secrets, in lower case and
// without what joins words.
var secretNames = []string{
	"password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "accesskey", "authorization", "cookie",
	"privatekey", "credential", "session", "ssn", "iban", "cardnumber", "cvv", "cvc", "pin",
}

// isSecretName reports whether a name is one of a secret: "password",
// "aws_secret_access_key", "X-Api-Key". Short ones must be the whole name.
func isSecretName(name string) bool {
	var plain []byte
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			plain = append(plain, c|0x20)
		case c != '_' && c != '-' && c != '.':
			plain = append(plain, c)
		}
	}
	for _, secret := range secretNames {
		if len(secret) <= 4 && string(plain) == secret || len(secret) > 4 && bytes.Contains(plain, []byte(secret)) {
			return true
		}
	}
	return false
}

// scrubNamed takes out what follows the name of a secret and = or :, as in
// password=x, "token": "x", Authorization: Bearer x.
func scrubNamed(text string) string {
	var out strings.Builder
	for at := 0; at < len(text); {
		name := wordAt(text, at)
		if name == 0 {
			out.WriteByte(text[at])
			at++
			continue
		}
		out.WriteString(text[at : at+name])
		begin, end := valueAt(text, at+name)
		if end > begin && isSecretName(text[at:at+name]) {
			out.WriteString(text[at+name : begin])
			out.WriteString(scrubbed)
			at = end
			continue
		}
		at += name
	}
	return out.String()
}

// wordAt returns the length of the name that begins at a place.
func wordAt(text string, at int) int {
	n := 0
	for at+n < len(text) && isWord(text[at+n]) {
		n++
	}
	return n
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c >= 0x80
}

// valueAt returns where the value stands whose name ends at a place; nowhere if
// neither = nor : follows.
func valueAt(text string, at int) (begin, end int) {
	skip := func(set string) (n int) {
		for at < len(text) && strings.IndexByte(set, text[at]) >= 0 {
			at++
			n++
		}
		return n
	}
	skip(`"'\`)
	skip(" \t")
	if skip("=:>") == 0 {
		return at, at
	}
	skip(" \t")
	begin = at
	if quote := skip(`\"'` + "`["); quote > 0 {
		return begin, quotedEnd(text, at, text[at-1])
	}
	for _, scheme := range []string{"Bearer ", "Basic ", "bearer ", "basic ", "Digest ", "Token "} {
		if strings.HasPrefix(text[at:], scheme) {
			at += len(scheme)
		}
	}
	for at < len(text) && strings.IndexByte(" \t\r\n,;&)]}\"'", text[at]) < 0 {
		at++
	}
	return begin, at
}

// quotedEnd returns where a text in quotes ends that begins at a place.
func quotedEnd(text string, at int, quote byte) int {
	if quote == '[' {
		quote = ']'
	}
	for ; at < len(text); at++ {
		switch text[at] {
		case '\\':
			if at+1 < len(text) && text[at+1] == quote { // one that was quoted twice ends with it
				return at + 2
			}
			at++
		case quote:
			return at + 1
		}
	}
	return len(text)
}

// words scrubs text word by word.
func (s *scrubber) words(text string) string {
	var out strings.Builder
	scheme := false // the word before is one of an Authorization
	for len(text) > 0 {
		n := strings.IndexAny(text, wordEnds)
		if n == 0 {
			out.WriteByte(text[0])
			text = text[1:]
			continue
		}
		if n < 0 {
			n = len(text)
		}
		word := text[:n]
		text = text[n:]
		if scheme && len(word) >= 6 {
			word = scrubbed
		}
		scheme = strings.EqualFold(word, "bearer") || strings.EqualFold(word, "basic")
		out.WriteString(s.word(word))
	}
	return out.String()
}

// wordEnds are the bytes that no secret holds.
const wordEnds = " \t\r\n\"'`<>,;(){}[]|"

// word returns a word without the secrets in it.
func (s *scrubber) word(word string) string {
	if at := strings.Index(word, "://"); at >= 0 {
		word = word[:at+3] + scrubUserinfo(word[at+3:])
	} else if at := strings.LastIndexByte(word, '@'); at > 0 {
		switch user := word[:at]; {
		case strings.Contains(user, ":"): // user:password@tcp
			word = scrubbed + word[at:]
		case s.email && strings.Contains(word[at:], "."):
			return "<email>"
		}
	}
	if at := tokenIn(word); at >= 0 {
		return word[:at] + scrubbed
	}
	return word
}

// scrubUserinfo takes out what stands before the @ of a URL's host.
func scrubUserinfo(rest string) string {
	host := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host = rest[:end]
	}
	at := strings.LastIndexByte(host, '@')
	if at < 0 {
		at = strings.LastIndexByte(rest, '@') // of a password with a slash in it
		if colon := strings.IndexByte(rest, ':'); at < 0 || colon < 0 || colon > strings.IndexAny(rest, "/?#") {
			return rest
		}
	}
	return scrubbed + rest[at:]
}

// tokenPrefixes are how tokens of known makers begin, with the least length of one.
var tokenPrefixes = []struct {
	begin string
	least int
}{
	{"eyJ", 20},                                            // JWT
	{"AKIA", 20}, {"ASIA", 20}, {"AROA", 20}, {"AIDA", 20}, // AWS
	{"ghp_", 20}, {"gho_", 20}, {"ghs_", 20}, {"github_pat_", 20}, {"glpat-", 16},
	{"xoxb-", 16}, {"xoxp-", 16}, {"xoxa-", 16}, {"sk_live_", 16}, {"rk_live_", 16}, {"sk-", 20}, {"AIza", 30},
}

// tokenIn returns where in a word a token begins, -1 if none does.
func tokenIn(word string) int {
	first := -1
	for _, p := range tokenPrefixes {
		for from := 0; ; {
			at := strings.Index(word[from:], p.begin)
			if at < 0 {
				break
			}
			at += from
			if len(word)-at >= p.least && (at == 0 || !isLetterOrDigit(word[at-1])) && (first < 0 || at < first) {
				first = at
			}
			from = at + len(p.begin)
		}
	}
	return first
}

func isLetterOrDigit(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// knowing returns s with texts that must not be shown. Those that are too short to
// be told from any others are left out.
func (s scrubber) knowing(secrets []string) *scrubber {
	s.known = slices.Clone(s.known)
	for _, secret := range secrets {
		if len(secret) >= 4 {
			s.known = append(s.known, secret)
		}
	}
	slices.SortFunc(s.known, func(a, b string) int { return len(b) - len(a) }) // the longer one first, of which another is a part
	return &s
}

// cutText returns the begin of text, at most so many bytes, as UTF-8.
func cutText(text string, most int) string {
	if len(text) > most {
		at := most - len("…")
		for at > 0 && !utf8.RuneStart(text[at]) {
			at--
		}
		text = text[:at] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
