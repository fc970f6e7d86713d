package resilience

import "strings"

// Bounds of templated texts.
const (
	templatedFrom   = 2 << 10
	templatedAtMost = 512
)

// templated returns text with what differs from one occurrence of an error to the
// next replaced by what it is: identifiers, addresses, paths, numbers. Its time
// grows with the length of text alone.
func templated(text string) string {
	text = cutText(text, templatedFrom)
	var out strings.Builder
	for at := 0; at < len(text) && out.Len() < templatedAtMost; {
		switch c := text[at]; {
		case c == '"' || c == '`' || c == '\'' && (at == 0 || !isLetterOrDigit(text[at-1])):
			n := strings.IndexByte(text[at+1:], c)
			if n < 0 {
				out.WriteByte(c)
				at++
				continue
			}
			out.WriteString("<quoted>")
			at += n + 2
		case strings.IndexByte(templateEnds, c) >= 0:
			out.WriteByte(c)
			at++
		default:
			n := strings.IndexAny(text[at:], templateEnds+"\"`")
			if n < 0 {
				n = len(text) - at
			}
			templateWord(&out, text[at:at+n])
			at += n
		}
	}
	return cutText(out.String(), templatedAtMost)
}

// templateEnds are between the words of a message.
const templateEnds = " \t\r\n,;(){}<>=|"

// templateWord writes what a word is, with the punctuation behind it.
func templateWord(out *strings.Builder, word string) {
	bare := strings.TrimRight(word, ":.!?")
	if isAddress(bare) {
		out.WriteString("<addr>" + word[len(bare):])
		return
	}
	bare = strings.TrimRight(bare, "]")
	from := len(bare) - len(strings.TrimLeft(bare, "["))
	bare = bare[from:]
	out.WriteString(word[:from])
	defer out.WriteString(word[from+len(bare):])
	switch {
	case strings.Contains(bare, "://"):
		out.WriteString("<url>")
	case isUUID(bare):
		out.WriteString("<uuid>")
	case isEmail(bare):
		out.WriteString("<email>")
	case isAddress(bare):
		out.WriteString("<addr>")
	case isPath(bare):
		out.WriteString("<path>")
	case isHex(bare):
		out.WriteString("<hex>")
	default:
		templateNumbers(out, bare)
	}
}

func isUUID(word string) bool {
	if len(word) != 36 {
		return false
	}
	for i := range len(word) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (word[i] == '-') || !dash && !isHexDigit(word[i]) {
			return false
		}
	}
	return true
}

func isHexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isEmail(word string) bool {
	at := strings.IndexByte(word, '@')
	return at > 0 && strings.IndexByte(word[at:], '.') > 1
}

// isAddress reports whether a word is an address of IP, or a host with a port.
func isAddress(word string) bool {
	host, port, found := cutLast(word, ':')
	if found && isDigits(port) && host != "" && !isDigits(host) {
		return true
	}
	if dots := strings.Count(word, "."); dots == 3 && strings.Trim(word, "0123456789.") == "" {
		return true
	}
	return strings.Count(word, ":") >= 2 && strings.Trim(word, "0123456789abcdefABCDEF:.[]%") == "" && strings.ContainsAny(word, "0123456789")
}

func cutLast(text string, sep byte) (before, after string, found bool) {
	at := strings.LastIndexByte(text, sep)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+1:], true
}

func isDigits(word string) bool {
	return word != "" && strings.Trim(word, "0123456789") == ""
}

// isPath reports whether a word is a path of files or of a URL.
func isPath(word string) bool {
	return strings.HasPrefix(word, "/") && len(word) > 1 || strings.HasPrefix(word, "./") || strings.Count(word, "/") >= 2 ||
		len(word) > 2 && word[1] == ':' && word[2] == '\\'
}

// isHex reports whether a word is a number or a hash in hexadecimal digits. A word
// such as deadbeef is none.
func isHex(word string) bool {
	if rest, ok := strings.CutPrefix(word, "0x"); ok {
		return rest != "" && isAllHex(rest)
	}
	return len(word) >= 8 && isAllHex(word) && strings.ContainsAny(word, "0123456789") && !isDigits(word)
}

func isAllHex(word string) bool {
	for i := range len(word) {
		if !isHexDigit(word[i]) {
			return false
		}
	}
	return true
}

// templateNumbers writes a word with <n> for each number in it. A long word of
// letters and digits that change often is an identifier.
func templateNumbers(out *strings.Builder, word string) {
	if isOpaque(word) {
		out.WriteString("<id>")
		return
	}
	for i := 0; i < len(word); i++ {
		if c := word[i]; c < '0' || c > '9' {
			out.WriteByte(c)
			continue
		}
		for i+1 < len(word) && (word[i+1] >= '0' && word[i+1] <= '9' || word[i+1] == '.' && i+2 < len(word) && word[i+2] >= '0' && word[i+2] <= '9') {
			i++
		}
		out.WriteString("<n>")
	}
}

// isOpaque reports whether a word is an identifier such as a ULID: 16 characters
// or more, of which at least three changes are between letters and digits.
func isOpaque(word string) bool {
	if len(word) < 16 {
		return false
	}
	changes := 0
	for i := 1; i < len(word); i++ {
		if digit := word[i] >= '0' && word[i] <= '9'; digit != (word[i-1] >= '0' && word[i-1] <= '9') {
			changes++
		}
	}
	return changes >= 5 && strings.IndexFunc(word, func(c rune) bool { return c >= 0x80 || !isLetterOrDigit(byte(c)) && c != '_' && c != '-' }) < 0
}
