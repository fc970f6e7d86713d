package generator

import (
	"context"
	"encoding/json"
	"go/types"

	"github.com/resilgen/resilgen/templates"
)

// LetterReport says what the dead letters of a method hold.
type LetterReport struct {
	Method string `json:"method"` // payments.Gateway.Notify, workflow/Research/Plan
	Queue  string `json:"queue"`
	Sig    string `json:"sig"` // fingerprint of what is kept, and of the results
	// Replayed says that letters can be replayed; else they are there to be read.
	Replayed   bool `json:"replayed"`
	Idempotent bool `json:"idempotent"` // replays need not be told that the work may be done twice
	// Fields are the places in the arguments, and what happens to each.
	Fields   []LetterField `json:"fields"`
	Excluded []string      `json:"excluded,omitempty"` // parameters that are not kept
	// Schema is the JSON Schema of the arguments.
	Schema json.RawMessage `json:"schema"`
}

func report(w *templates.Wrapper, m *types.Func, l *templates.Letters, places []LetterField, left []int) LetterReport {
	r := LetterReport{
		Method: w.Key + "." + m.Name(), Queue: l.Queue, Sig: l.Sig, Replayed: !l.InspectOnly, Idempotent: l.Idempotent,
		Fields: places, Schema: json.RawMessage(l.SchemaJSON),
	}
	for _, at := range left {
		r.Excluded = append(r.Excluded, paramNames(m.Signature())[at])
	}
	return r
}

// Letters returns what the dead letters of each method of the package in c.Dir
// hold, in the order of the policies. Complaints are as those of [Generate].
func Letters(ctx context.Context, c Config) ([]LetterReport, error) {
	set, words, err := read(c.Dir)
	if err != nil {
		return nil, err
	}
	resolved, err := resolveDir(ctx, c, set, words)
	if err != nil {
		return nil, err
	}
	if _, err := resolved.result(c); err != nil {
		return nil, err
	}
	var list []LetterReport
	for _, r := range resolved.resolvers {
		list = append(list, r.kept...)
	}
	return list, nil
}
