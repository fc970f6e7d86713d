package resilience

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The index is written by a clean close, so that the next open need not read every
// letter. It stands in chunks beside a head that names them; the head goes before
// anything changes, and without it nothing is believed.
const (
	indexKey    = "index/dlq"
	indexFormat = 1
	indexChunk  = 256 << 10
)

// indexHead says of which chunks an index is made.
type indexHead struct {
	Format  int       `json:"format"`
	Chunks  int       `json:"chunks"`
	Sum     string    `json:"sha256"`
	At      time.Time `json:"at"`
	Letters int       `json:"letters"`
}

// keptPattern is a pattern as the index holds it.
type keptPattern struct {
	Pattern LetterPattern `json:"pattern"`
	Minutes counterRing   `json:"minutesRing"`
	Hours   counterRing   `json:"hoursRing"`
	Usual   float64       `json:"usual"`
	Through string        `json:"through"`
}

func chunkKey(n int) string { return StoreKey("index", "dlq", fmt.Sprintf("%06d", n)) }

// saveIndex writes the index.
func (b *LetterBox) saveIndex(ctx context.Context, v values) error {
	body, letters, err := b.encodeIndex()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	head := indexHead{Format: indexFormat, Sum: hex.EncodeToString(sum[:]), At: time.Now().UTC(), Letters: letters}
	for ; len(body) > 0; head.Chunks++ {
		n := min(len(body), indexChunk)
		if _, err := v.append(ctx, chunkKey(head.Chunks), 0, body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	_, err = replace(ctx, v, indexKey, 0, head)
	return err
}

// dropIndex takes the index away: the head first, without which the chunks mean
// nothing.
func (b *LetterBox) dropIndex(ctx context.Context, v values) error {
	for _, prefix := range []string{indexKey, indexKey + "/"} {
		for head, err := range v.heads(ctx, prefix, "") {
			if err != nil {
				return err
			}
			if prefix == indexKey && head.Key != indexKey {
				break
			}
			if err := v.drop(ctx, head.Key, head.Version); err != nil {
				return err
			}
		}
	}
	return nil
}

// errNoIndex says that there is no index to be believed.
var errNoIndex = errors.New("no index of letters")

// readIndex reads the index. One is not to be believed that is older than a letter: it
// stays where a store that could not be read, or whose drop failed, took a letter, also
// one that went into a file beside it.
func (b *LetterBox) readIndex(ctx context.Context, v values) ([]LetterSummary, []keptPattern, error) {
	var head indexHead
	var since Version
	for rec, err := range v.scan(ctx, indexKey, 0) {
		if err != nil {
			return nil, nil, err
		}
		if json.Unmarshal(rec.Body, &head) != nil {
			return nil, nil, errNoIndex
		}
		since = rec.Version
	}
	if head.Format != indexFormat {
		return nil, nil, errNoIndex
	}
	if newest, err := v.newest(ctx, letterPrefix); err != nil || newest > since {
		return nil, nil, cmp.Or(err, errNoIndex)
	}
	var chunks [][]byte
	for n := range head.Chunks {
		for rec, err := range v.scan(ctx, chunkKey(n), 0) {
			if err != nil {
				return nil, nil, err
			}
			chunks = append(chunks, rec.Body)
		}
		if len(chunks) <= n {
			return nil, nil, errNoIndex
		}
	}
	body, sum := joinChunks(chunks)
	if sum != head.Sum {
		return nil, nil, errNoIndex
	}
	return decodeIndex(body)
}

// joinChunks returns chunks as one text, which is copied once, and its sum.
func joinChunks(chunks [][]byte) (body, sum string) {
	size := 0
	for _, c := range chunks {
		size += len(c)
	}
	var b strings.Builder
	b.Grow(size)
	h := sha256.New()
	for _, c := range chunks {
		b.Write(c)
		h.Write(c)
	}
	return b.String(), hex.EncodeToString(h.Sum(nil))
}

// encodeIndex returns the summaries and patterns as bytes.
func (b *LetterBox) encodeIndex() (body []byte, letters int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []keptPattern
	for _, p := range b.patterns.by {
		list = append(list, keptPattern{p.LetterPattern, p.minutes, p.hours, p.usual, p.through})
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, 0, err
	}
	w := indexWriter{at: map[string]uint64{}}
	w.number(uint64(len(text)))
	w.out = append(w.out, text...)
	w.number(uint64(len(b.byID)))
	for _, s := range b.byID {
		w.summary(s)
	}
	return w.out, len(b.byID), nil
}

func decodeIndex(body string) ([]LetterSummary, []keptPattern, error) {
	r := indexReader{in: body}
	n := r.number()
	if n > uint64(len(body)-r.at) {
		return nil, nil, errNoIndex
	}
	var patterns []keptPattern
	if json.Unmarshal([]byte(body[r.at:r.at+int(n)]), &patterns) != nil {
		return nil, nil, errNoIndex
	}
	r.at += int(n)
	count := r.number()
	if count > uint64(len(body)) { // a summary takes more than a byte
		return nil, nil, errNoIndex
	}
	list := make([]LetterSummary, count)
	r.words = make([]string, 0, min(3*count, uint64(len(body))/16)) // the id, the hash and the error are new with most
	for i := range list {
		r.summary(&list[i])
	}
	if r.failed || r.at != len(body) {
		return nil, nil, errNoIndex
	}
	return list, patterns, nil
}

// texts, times and numbers are the fields of a summary in the order in which the
// index has them.
func (s *LetterSummary) texts() []*string {
	return []*string{
		&s.ID, &s.Queue, (*string)(&s.State), (*string)(&s.Reason), &s.Interface, &s.Method, &s.Instance, &s.Sig, &s.Group, &s.Error,
		&s.ErrorTypes, &s.OrderKey, &s.ArgsHash, &s.TraceID, &s.Host, &s.Version, &s.Policy, &s.Claim.Owner, &s.Claim.JobID, &s.Claim.Attempt,
	}
}

func (s *LetterSummary) times() []*time.Time {
	return []*time.Time{&s.DeadAt, &s.Last, &s.MovedAt, &s.Claim.At, &s.Claim.Until}
}

func (s *LetterSummary) numbers() []*int {
	return []*int{&s.AttemptCount, &s.ReplayCount, &s.EditCount, &s.Size}
}

func (s *LetterSummary) flags() []*bool { return []*bool{&s.NeedsEdit, &s.Sealed} }

// indexWriter writes a text that came before as its number.
type indexWriter struct {
	out []byte
	at  map[string]uint64
}

func (w *indexWriter) number(n uint64) { w.out = binary.AppendUvarint(w.out, n) }

func (w *indexWriter) word(text string) {
	if n, ok := w.at[text]; ok {
		w.number(n + 1)
		return
	}
	w.at[text] = uint64(len(w.at))
	w.number(0)
	w.number(uint64(len(text)))
	w.out = append(w.out, text...)
}

func (w *indexWriter) summary(s *LetterSummary) {
	for _, text := range s.texts() {
		w.word(*text)
	}
	w.number(uint64(len(s.Tags)))
	for _, tag := range s.Tags {
		w.word(tag)
	}
	for _, t := range s.times() {
		var at int64
		if !t.IsZero() {
			at = t.UnixNano()
		}
		w.out = binary.AppendVarint(w.out, at)
	}
	for _, n := range s.numbers() {
		w.number(uint64(*n))
	}
	var flags uint64
	for i, is := range s.flags() {
		if *is {
			flags |= 1 << i
		}
	}
	w.number(flags)
	w.number(uint64(s.Rev))
}

// indexReader reads what an indexWriter wrote. What is wrong it notes, and goes on
// with zeros.
type indexReader struct {
	in     string // of which texts are parts
	at     int
	words  []string
	failed bool
}

// next returns the bytes in which a number may stand.
func (r *indexReader) next() []byte {
	return []byte(r.in[r.at:min(r.at+binary.MaxVarintLen64, len(r.in))])
}

func (r *indexReader) number() uint64 {
	if r.at < len(r.in) && r.in[r.at] < 0x80 { // as most are
		r.at++
		return uint64(r.in[r.at-1])
	}
	n, size := binary.Uvarint(r.next())
	if size <= 0 {
		r.failed, size = true, 0
	}
	r.at += size
	return n
}

func (r *indexReader) signed() int64 {
	n, size := binary.Varint(r.next())
	if size <= 0 {
		r.failed, size = true, 0
	}
	r.at += size
	return n
}

func (r *indexReader) word() string {
	n := r.number()
	if n > 0 {
		if n > uint64(len(r.words)) {
			r.failed = true
			return ""
		}
		return r.words[n-1]
	}
	size := r.number()
	if size > uint64(len(r.in)-r.at) {
		r.failed = true
		return ""
	}
	text := r.in[r.at : r.at+int(size)]
	r.at += int(size)
	r.words = append(r.words, text)
	return text
}

func (r *indexReader) summary(s *LetterSummary) {
	if r.failed {
		return
	}
	for _, text := range s.texts() {
		*text = r.word()
	}
	tags := r.number()
	if tags > uint64(len(r.in)-r.at) {
		r.failed = true
		return
	}
	for range tags {
		s.Tags = append(s.Tags, r.word())
	}
	for _, t := range s.times() {
		if at := r.signed(); at != 0 {
			*t = time.Unix(0, at).UTC()
		}
	}
	for _, n := range s.numbers() {
		*n = int(r.number())
	}
	flags := r.number()
	for i, is := range s.flags() {
		*is = flags&(1<<i) != 0
	}
	s.Rev = Version(r.number())
}
