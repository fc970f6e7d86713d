package resilience

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// maxKey is how many bytes the key of a record may have.
const maxKey = 200

// StoreKey makes a key of a [Log] from parts that may hold any bytes:
// [a-z0-9-] stay, others become _ and two hexadecimal digits, an empty part is
// "_". A part is kept readable where the key stays within 200 bytes; else parts
// from the last one backwards are replaced by "__" and their SHA-256, and where
// that does not do, all but the first together by "___" and theirs. Parts that
// differ never make the same key, but for a collision of SHA-256; whoever must
// exclude that keeps the parts in the record and compares.
func StoreKey(parts ...string) string {
	escaped := make([]string, len(parts))
	n := len(parts) - 1
	for i, p := range parts {
		escaped[i] = escapePart(p)
		n += len(escaped[i])
	}
	if n <= maxKey {
		return strings.Join(escaped, "/")
	}
	rest := strings.Join(escaped[1:], "/")
	for i := len(parts) - 1; i >= 0 && n > maxKey; i-- {
		if hashed := hashPart(parts[i]); len(hashed) < len(escaped[i]) {
			n += len(hashed) - len(escaped[i])
			escaped[i] = hashed
		}
	}
	if n > maxKey {
		return escaped[0] + "/_" + hashPart(rest)
	}
	return strings.Join(escaped, "/")
}

func hashPart(p string) string {
	sum := sha256.Sum256([]byte(p))
	return "__" + hex.EncodeToString(sum[:])
}

func plainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
}

func escapePart(p string) string {
	n := 0
	for i := range len(p) {
		if !plainByte(p[i]) {
			n++
		}
	}
	if n == 0 && p != "" {
		return p
	}
	const digits = "0123456789abcdef"
	b := make([]byte, 0, max(len(p)+2*n, 1))
	for i := range len(p) {
		if plainByte(p[i]) {
			b = append(b, p[i])
		} else {
			b = append(b, '_', digits[p[i]>>4], digits[p[i]&15])
		}
	}
	if p == "" {
		b = append(b, '_')
	}
	return string(b)
}

// checkStoreKey refuses what no StoreKey is.
func checkStoreKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("key of %d bytes: want 1 to %d", len(key), maxKey)
	}
	for i := range len(key) {
		if c := key[i]; !plainByte(c) && c != '_' && (c != '/' || i == 0 || i == len(key)-1 || key[i-1] == '/') {
			return fmt.Errorf("key %q: want [a-z0-9_-]+ in parts between slashes, see StoreKey", key)
		}
	}
	return nil
}
