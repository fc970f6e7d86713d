package generator

import (
	"go/types"
	"slices"
	"strings"
	"unicode"
)

// secretNames are the names of what must not be read in a letter, as the words of
// an identifier.
var secretNames = [][]string{
	{"password"}, {"passwd"}, {"passphrase"}, {"passcode"}, {"pwd"}, {"secret"}, {"token"}, {"credential"},
	{"api", "key"}, {"apikey"}, {"access", "key"}, {"secret", "key"}, {"private", "key"}, {"signing", "key"}, {"encryption", "key"},
	{"authorization"}, {"auth", "header"}, {"bearer"}, {"cookie"}, {"session", "id"}, {"jwt"}, {"otp"}, {"pin"},
	{"ssn"}, {"social", "security"}, {"iban"}, {"card"}, {"cardnumber"}, {"pan"}, {"cvv"}, {"cvc"}, {"account", "number"},
}

// soundsSecret reports whether an identifier has the name of a secret in it. A
// number is one only if the name ends so: tokenCount is none, nor is maxTokens.
func soundsSecret(name string, t types.Type) bool {
	basic, _ := t.Underlying().(*types.Basic)
	if basic != nil && basic.Info()&types.IsBoolean != 0 {
		return false
	}
	number := basic != nil && basic.Info()&types.IsNumeric != 0
	words := wordsOf(name)
	for i := range words {
		if !number && len(words[i]) > 3 {
			words[i] = strings.TrimSuffix(words[i], "s")
		}
	}
	return slices.ContainsFunc(secretNames, func(secret []string) bool {
		if number {
			return len(words) >= len(secret) && slices.Equal(words[len(words)-len(secret):], secret)
		}
		for i := range len(words) - len(secret) + 1 {
			if slices.Equal(words[i:i+len(secret)], secret) {
				return true
			}
		}
		return false
	})
}

// wordsOf takes an identifier apart: cardNumber, card_number, CARDNumber.
func wordsOf(name string) []string {
	var words []string
	runes := []rune(name)
	start := 0
	cut := func(end int) {
		if end > start {
			words = append(words, strings.ToLower(string(runes[start:end])))
		}
		start = end
	}
	for i, c := range runes {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsDigit(c):
			cut(i)
			start = i + 1
		case i > 0 && unicode.IsUpper(c) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			cut(i)
		}
	}
	cut(len(runes))
	return words
}
