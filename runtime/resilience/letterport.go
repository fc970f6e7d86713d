package resilience

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

// exported is a line of an export: a letter with all that was added to it.
type exported struct {
	Format int    `json:"format"` // 1
	Letter Letter `json:"letter"`
}

const exportFormat = 1

// foreignTag marks letters that came by an import.
const foreignTag = "foreign"

// Export yields the letters that a filter chooses, oldest first, each as one JSON
// object without line breaks. What is redacted is not in them, and what is sealed
// stays so.
func (b *LetterBox) Export(ctx context.Context, filter string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for l, err := range b.chosen(ctx, filter) {
			var line []byte
			if err == nil {
				l.Rev, l.Claim = 0, LetterClaim{}
				line, err = json.Marshal(exported{exportFormat, l})
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// chosen yields the letters that a filter chooses, oldest first, without those that
// cannot be read. After an error it ends.
func (b *LetterBox) chosen(ctx context.Context, filter string) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		f, err := ParseFilter(filter)
		if err != nil {
			yield(Letter{}, err)
			return
		}
		for s, err := range b.matching(ctx, f, "", true) {
			var l Letter
			if err == nil {
				l, err = b.get(ctx, s.ID)
			}
			if errors.Is(err, ErrNoLetter) || errors.Is(err, errBadLetter) {
				continue
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// ImportOptions say how letters come in.
type ImportOptions struct {
	// Trust takes letters as if they had been written here. Without it they are tagged
	// foreign, and those that wait are quarantined until somebody releases each: who
	// can forge a letter has a service make the call of their choice.
	Trust bool   `json:"trust,omitempty"`
	By    string `json:"by,omitempty"`
}

// LetterImport is what an import did.
type LetterImport struct {
	Imported int      `json:"imported"`
	Skipped  int      `json:"skipped"`           // that are here
	Refused  []string `json:"refused,omitempty"` // why, with the number of the line; at most 100
}

const maxRefused = 100

// Import takes lines that Export wrote. A line that is none is refused, and the
// others are taken all the same; an error of the store ends it.
func (b *LetterBox) Import(ctx context.Context, lines iter.Seq2[json.RawMessage, error], o ImportOptions) (LetterImport, error) {
	var report LetterImport
	if err := b.current(ctx); err != nil {
		return report, err
	}
	n := 0
	for line, err := range lines {
		n++
		if err != nil {
			return report, fmt.Errorf("line %d: %w", n, err)
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		l, err := readExported(line)
		switch {
		case err == nil:
			err = b.bringIn(ctx, l, o, &report)
			if err != nil {
				return report, fmt.Errorf("line %d: %w", n, err)
			}
		case len(report.Refused) < maxRefused:
			report.Refused = append(report.Refused, fmt.Sprintf("line %d: %v", n, err))
		}
	}
	return report, nil
}

// readExported reads a line of an export, and refuses what no letter of ours says.
func readExported(line json.RawMessage) (Letter, error) {
	var e exported
	if len(line) > maxPayload {
		return e.Letter, fmt.Errorf("%d bytes: %w", len(line), ErrTooLarge)
	}
	if err := checkLetterJSON(line); err != nil {
		return e.Letter, err
	}
	if err := decodeStrict(line, &e); err != nil {
		return e.Letter, err
	}
	l := e.Letter
	switch {
	case e.Format != exportFormat:
		return l, fmt.Errorf("format %d, this program reads %d", e.Format, exportFormat)
	case l.V != letterFormat:
		return l, fmt.Errorf("letter of version %d, this program reads %d", l.V, letterFormat)
	case !isLetterID(l.ID):
		return l, fmt.Errorf("%.40q is no id of a letter", l.ID)
	case l.Queue == "" || l.Call.Interface == "" || l.Call.Method == "":
		return l, errors.New("a letter without queue, interface or method")
	}
	return l, l.sane(time.Now())
}

// sane refuses times and counts that no letter has.
func (l *Letter) sane(now time.Time) error {
	soon := now.Add(24 * time.Hour) // a clock may be wrong
	for _, t := range []struct {
		what string
		at   time.Time
	}{{"first", l.First}, {"last", l.Last}, {"deadAt", l.DeadAt}} {
		if t.at.Year() < 1970 || t.at.After(soon) {
			return fmt.Errorf("%s is %s", t.what, t.at.Format(time.RFC3339))
		}
	}
	if !l.ExpiresAt.IsZero() && l.ExpiresAt.Before(l.DeadAt) {
		return fmt.Errorf("expiresAt is %s, before it died", l.ExpiresAt.Format(time.RFC3339))
	}
	if l.MovedAt.After(soon) {
		return fmt.Errorf("movedAt is %s", l.MovedAt.Format(time.RFC3339))
	}
	negative := l.AttemptCount < 0 || l.Size < 0 ||
		slices.ContainsFunc(l.Attempts, func(a LetterAttempt) bool { return a.N < 0 || a.Dur < 0 || a.Delay < 0 }) ||
		slices.ContainsFunc(l.Elided, func(e ElidedRun) bool { return e.Count < 0 }) ||
		slices.ContainsFunc(l.Replays, func(r LetterReplay) bool { return r.Dur < 0 || r.EditRev < 0 })
	if negative {
		return errors.New("a count or a duration below 0")
	}
	return nil
}

// bringIn keeps a letter of another store.
func (b *LetterBox) bringIn(ctx context.Context, l Letter, o ImportOptions, report *LetterImport) error {
	b.mu.Lock()
	known := b.letters[l.ID] != nil
	b.mu.Unlock()
	if known {
		report.Skipped++
		return nil
	}
	l.Rev, l.Size, l.Claim = 0, 0, LetterClaim{}
	if l.State == LetterClaimed {
		l.State = LetterInDoubt
	}
	now := time.Now().Round(0).UTC()
	if !o.Trust {
		if l.State != LetterReplayed && l.State != LetterDiscarded { // which nobody replays
			l.State, l.MovedAt = LetterQuarantined, now
		}
		l.Tags = append(l.Tags, foreignTag)
	}
	l.Notes = append(l.Notes, LetterNote{At: now, By: o.By, Text: "imported"})
	_, err := b.change(ctx, Letter{ID: l.ID, Queue: l.Queue}, letterRecord{Letter: &l})
	if errors.Is(err, ErrConflict) { // it was imported meanwhile
		report.Skipped++
		return nil
	}
	if err == nil {
		report.Imported++
		b.news.tell()
	}
	return err
}

// LetterFault is something in the store that is not as it should be.
type LetterFault struct {
	Key string `json:"key"`
	ID  string `json:"id,omitempty"`
	Why string `json:"why"`
}

// Verify reads every record of letters and patterns, and opens what is sealed where
// the key is there. It yields what is wrong, and changes nothing.
func (b *LetterBox) Verify(ctx context.Context) iter.Seq2[LetterFault, error] {
	return func(yield func(LetterFault, error) bool) {
		v, err := b.rt.values()
		if err != nil {
			yield(LetterFault{}, err)
			return
		}
		for head, err := range v.heads(ctx, letterPrefix, "") {
			if err != nil {
				yield(LetterFault{}, err)
				return
			}
			l, err := readLetter(ctx, v, head.Key)
			if err == nil {
				_, err = b.arguments(ctx, &l)
			}
			if err == nil || errors.Is(err, ErrNoLetter) || errors.Is(err, ErrNoSealKey) {
				continue
			}
			if !errors.Is(err, errBadLetter) && l.V == 0 {
				yield(LetterFault{}, err)
				return
			}
			if !yield(LetterFault{head.Key, l.ID, err.Error()}, nil) {
				return
			}
		}
		b.verifyOthers(ctx, v, yield)
	}
}

// verifyOthers is Verify for what stands beside the letters.
func (b *LetterBox) verifyOthers(ctx context.Context, v values, yield func(LetterFault, error) bool) {
	for prefix, read := range map[string]func([]byte) (key string, err error){
		patternPrefix: func(body []byte) (string, error) {
			var c patternChange
			err := decodeListed(body, &c)
			return patternKey(c.ID), err
		},
		"tombstone/": func(body []byte) (string, error) {
			var t tombstone
			err := decodeListed(body, &t)
			return StoreKey("tombstone", t.Queue), err
		},
	} {
		for head, err := range v.heads(ctx, prefix, "") {
			if err != nil {
				yield(LetterFault{}, err)
				return
			}
			key, err := read(head.Body)
			if err == nil && key != head.Key {
				err = fmt.Errorf("it says that it is %s", key)
			}
			if err != nil && !yield(LetterFault{Key: head.Key, Why: err.Error()}, nil) {
				return
			}
		}
	}
}

// LetterRekey is what Rekey did.
type LetterRekey struct {
	Rekeyed int      `json:"rekeyed"`
	Kept    int      `json:"kept"`             // under the present key, or with nothing sealed
	Failed  []string `json:"failed,omitempty"` // letters that could not be opened, and why; at most 100
}

// Rekey seals the arguments of the letters that a filter chooses with the present
// key of [LetterOptions].Sealer, and takes the old ones away; see also
// [LetterBox.Erase]. Letters that are being replayed are left for another time.
func (b *LetterBox) Rekey(ctx context.Context, filter string) (LetterRekey, error) {
	var report LetterRekey
	for l, err := range b.chosen(ctx, filter) {
		if err != nil {
			return report, err
		}
		changed := false
		if l.State != LetterClaimed {
			changed, err = b.reseal(ctx, &l)
		}
		if changed && err == nil {
			err = b.rewrite(ctx, l)
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return report, err
		case err != nil && len(report.Failed) < maxRefused:
			report.Failed = append(report.Failed, fmt.Sprintf("%s: %v", l.ID, err))
		case err == nil && changed:
			report.Rekeyed++
		case err == nil:
			report.Kept++
		}
	}
	return report, nil
}

// reseal seals what is sealed in l anew, also in its edits. It reports whether the
// key is another one.
func (b *LetterBox) reseal(ctx context.Context, l *Letter) (changed bool, err error) {
	lists := [][]LetterArg{l.Call.Args}
	for _, e := range l.Edits {
		lists = append(lists, e.Args)
	}
	for _, args := range lists {
		for i := range args {
			if args[i].Sealed == nil {
				continue
			}
			plain, err := b.open(ctx, l, &args[i])
			if err != nil {
				return false, fmt.Errorf("argument %s: %w", args[i].Name, err)
			}
			was := args[i].KeyID
			if args[i].KeyID, args[i].Sealed, err = b.o.Sealer.Seal(ctx, l.aad(args[i].Name), plain); err != nil {
				return false, fmt.Errorf("argument %s: %w", args[i].Name, err)
			}
			changed = changed || args[i].KeyID != was
		}
	}
	return changed, nil
}

// rewrite writes l in the place of all its records.
func (b *LetterBox) rewrite(ctx context.Context, l Letter) error {
	v, err := b.rt.values()
	if err != nil {
		return err
	}
	before := l.Rev
	whole := l
	whole.Rev, whole.Size = 0, 0
	if _, err := b.change(ctx, l, letterRecord{Letter: &whole}); err != nil {
		return err
	}
	return v.drop(ctx, letterKey(l.Queue, l.ID), before)
}

// Erase drops the letters that a filter chooses, and returns when no byte of them is
// left in the store's files: what somebody has a right to have forgotten. Their ids
// stay in the tombstone of their queue, and what their patterns counted. An empty
// filter is refused. Copies and exports are not ours to erase.
func (b *LetterBox) Erase(ctx context.Context, filter string) (int, error) {
	if filter == "" {
		return 0, errors.New("erase: a filter must say which letters; state:… with every state is all of them")
	}
	f, err := ParseFilter(filter)
	if err != nil {
		return 0, err
	}
	byQueue, n := map[string][]doomed{}, 0
	for s, err := range b.matching(ctx, f, "", true) {
		if err != nil {
			return 0, err
		}
		byQueue[s.Queue] = append(byQueue[s.Queue], doomed{s, dropErased})
	}
	b.sweeping.Lock()
	defer b.sweeping.Unlock()
	for _, list := range byQueue {
		if err := b.dropAll(ctx, list); err != nil {
			return n, fmt.Errorf("erase: %w", err)
		}
		n += len(list)
	}
	if l, ok := b.rt.stores.Log.(*fileLog); ok {
		if err := l.j.Erase(ctx); err != nil {
			return n, asOurs(err)
		}
	}
	return n, nil
}

// Note writes a note, and changes the tags of a letter.
func (b *LetterBox) Note(ctx context.Context, id string, n LetterNote) (Letter, error) {
	l, err := b.get(ctx, id)
	if err != nil {
		return l, fmt.Errorf("letter %.40q: %w", id, err)
	}
	if n.Text == "" && len(n.Tags) == 0 {
		return l, errors.New("a note without text and tags")
	}
	n.At, n.Text = time.Now().Round(0).UTC(), cutText(n.Text, maxErrText)
	for i, tag := range n.Tags {
		n.Tags[i] = cutText(tag, 64)
	}
	return b.change(ctx, l, letterRecord{Note: &n})
}
