package resilience

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// checkpointFormat is the version of the records of checkpoints.
const checkpointFormat = 1

// Checkpoint is a kept result as it stands in the store, in the log under
// "ckpt/<interface>/<method>/<key>".
type Checkpoint struct {
	V         int           `json:"v"`         // version of the format
	Interface string        `json:"interface"` // with the path of its package
	Method    string        `json:"method"`
	Key       string        `json:"key"`            // its hash where it is made from a secret
	Type      string        `json:"type"`           // of the value, for people
	Shape     string        `json:"shape"`          // fingerprint of the type
	Args      string        `json:"args,omitempty"` // hash of the arguments: its kind, a colon, hexadecimal digits
	At        time.Time     `json:"at"`             // when the call succeeded
	TTL       time.Duration `json:"ttl,omitempty"`  // in nanoseconds; 0: for ever
	Attempts  int           `json:"attempts"`       // of the call

	Value  json.RawMessage `json:"value,omitempty"`
	KeyID  string          `json:"keyID,omitempty"`  // of the [Sealer]
	Sealed []byte          `json:"sealed,omitempty"` // instead of Value
}

// Expired reports whether c is too old at a moment.
func (c *Checkpoint) Expired(now time.Time) bool {
	return c.TTL > 0 && now.Sub(c.At) >= c.TTL
}

// ID returns the key of the log under which the checkpoint stands.
func (c *Checkpoint) ID() string { return StoreKey("ckpt", c.Interface, c.Method, c.Key) }

// aad binds a sealed value to its place.
func (c *Checkpoint) aad() []byte {
	return []byte(strings.Join([]string{"checkpoint", c.Interface, c.Method, c.Key, c.Shape}, "|"))
}

// decodeCheckpoint reads the record under a key of the log, and nothing that is not
// one, or that belongs elsewhere.
func decodeCheckpoint(r Record) (*Checkpoint, error) {
	c := &Checkpoint{}
	var head struct {
		V int `json:"v"`
	}
	if err := checkJSON(r.Body); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Key, err)
	}
	if err := json.Unmarshal(r.Body, &head); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Key, err)
	}
	if head.V != checkpointFormat {
		return nil, fmt.Errorf("%s: written in format %d, and this version knows %d", r.Key, head.V, checkpointFormat)
	}
	if err := decodeStrict(r.Body, c); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Key, err)
	}
	return c, c.check(r.Key)
}

// check refuses a checkpoint that stands under the wrong key or is not whole.
func (c *Checkpoint) check(key string) error {
	switch {
	case c.ID() != key:
		return fmt.Errorf("%s: it belongs under %s", key, c.ID())
	case (c.Value == nil) == (c.Sealed == nil):
		return fmt.Errorf("%s: want either value or sealed", key)
	case c.At.IsZero() || c.TTL < 0 || c.Attempts < 0:
		return fmt.Errorf("%s: its time, its ttl or its attempts are out of range", key)
	}
	return nil
}

// seal puts a value into c, sealed where s is given.
func (c *Checkpoint) seal(ctx context.Context, s Sealer, value json.RawMessage) (err error) {
	if s == nil {
		c.Value = value
		return nil
	}
	c.KeyID, c.Sealed, err = s.Seal(ctx, c.aad(), value)
	return err
}

// open returns the value of c.
func (c *Checkpoint) open(ctx context.Context, s Sealer) (json.RawMessage, error) {
	switch {
	case c.Sealed == nil:
		return c.Value, nil
	case s == nil:
		return nil, errors.New("the value is sealed, and Options.Letters has no Sealer")
	}
	return s.Open(ctx, c.KeyID, c.aad(), c.Sealed)
}

// hashArgs returns the hash of arguments that were encoded, "" where it would tell
// secrets. With a key it is an HMAC, and names the key.
func hashArgs(key, args []byte, secret bool) string {
	if len(key) == 0 {
		if secret {
			return ""
		}
		sum := sha256.Sum256(args)
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	name := hmacOf(key, []byte("name of the key"))
	return "hmac-" + name[:8] + ":" + hmacOf(key, args)
}

func hmacOf(key, text []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write(text)
	return hex.EncodeToString(m.Sum(nil))
}

// sameArgs reports whether two hashes are of the same arguments, as far as can be
// told: those of different kinds cannot be compared.
func sameArgs(a, b string) bool {
	kind, _, _ := strings.Cut(a, ":")
	other, _, _ := strings.Cut(b, ":")
	return kind != other || a == b
}
