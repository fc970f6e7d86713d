package resilience

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// SealKey is a key of 32 bytes for AES-256, and its name.
type SealKey struct {
	ID  string
	Key []byte
}

// ParseSealKey reads a key as it is written in a file or a variable: 32 bytes in
// hexadecimal digits or base64, with an optional "name:" before them. Without one
// it is called "1".
func ParseSealKey(text string) (SealKey, error) {
	text = strings.TrimSpace(text)
	id, encoded, found := strings.Cut(text, ":")
	if !found {
		id, encoded = "1", text
	}
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString} {
		if key, err := decode(encoded); err == nil && len(key) == 32 {
			return SealKey{id, key}, nil
		}
	}
	return SealKey{}, errors.New("seal key: want 32 bytes in hexadecimal digits or base64, perhaps behind a name and a colon")
}

// SealKeyFromFile reads a key from a file, which nobody but its owner and group may
// read.
func SealKeyFromFile(path string) (SealKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return SealKey{}, fmt.Errorf("seal key: %w", err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o007 != 0 {
		return SealKey{}, fmt.Errorf("seal key: everybody may use %s: its mode is %o, want 0600", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return SealKey{}, fmt.Errorf("seal key: %w", err)
	}
	key, err := ParseSealKey(string(text))
	if err != nil {
		return key, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// SealKeyFromEnv reads a key from a variable of the environment.
func SealKeyFromEnv(name string) (SealKey, error) {
	key, err := ParseSealKey(os.Getenv(name))
	if err != nil {
		return key, fmt.Errorf("$%s: %w", name, err)
	}
	return key, nil
}

// ErrNoSealKey says that an argument is sealed under a key that is not there.
var ErrNoSealKey = errors.New("no such seal key")

// aesSealer is a [Sealer] by AES-256-GCM.
type aesSealer struct {
	with string
	keys map[string]cipher.AEAD
}

// NewSealer returns a [Sealer] by AES-256-GCM with random nonces (NIST SP 800-38D).
// It seals with the first key and opens with all of them. A key serves for 2^32
// letters.
func NewSealer(keys ...SealKey) (Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("sealer: no key")
	}
	s := &aesSealer{with: keys[0].ID, keys: map[string]cipher.AEAD{}}
	for _, key := range keys {
		if len(key.Key) != 32 {
			return nil, fmt.Errorf("sealer: key %q has %d bytes, want 32", key.ID, len(key.Key))
		}
		if s.keys[key.ID] != nil {
			return nil, fmt.Errorf("sealer: two keys are called %q", key.ID)
		}
		block, err := aes.NewCipher(key.Key)
		if err != nil {
			return nil, err
		}
		if s.keys[key.ID], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Seal implements [Sealer].
func (s *aesSealer) Seal(_ context.Context, aad, plain []byte) (string, []byte, error) {
	aead := s.keys[s.with]
	out := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(out) // never fails
	return s.with, aead.Seal(out, out, plain, aad), nil
}

// Open implements [Sealer].
func (s *aesSealer) Open(_ context.Context, keyID string, aad, sealed []byte) ([]byte, error) {
	aead := s.keys[keyID]
	if aead == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoSealKey, keyID)
	}
	n := aead.NonceSize()
	if len(sealed) < n+aead.Overhead() {
		return nil, fmt.Errorf("sealed with key %q: too short", keyID)
	}
	plain, err := aead.Open(nil, sealed[:n], sealed[n:], aad)
	if err != nil {
		return nil, fmt.Errorf("sealed with key %q: changed, or of another letter", keyID)
	}
	return plain, nil
}

// aad is what a sealed argument of l is bound to, so that it cannot be put into
// another place: each part behind its length.
func (l *Letter) aad(arg string) []byte {
	var out []byte
	for _, part := range []string{l.ID, l.Call.Interface, l.Call.Method, arg, l.Call.Sig} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}
