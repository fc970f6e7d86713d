package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// maxImport is how large the body of an import may be: a letter has at most 8 MiB.
const maxImport = 9 << 20

// ImportRequest brings letters in, in the form in which they were exported.
type ImportRequest struct {
	Trust   bool         `json:"trust,omitempty"` // see [resilience.ImportOptions]
	Letters []ImportLine `json:"letters"`
}

// ImportLine is a line of an export, and its number, which messages name.
type ImportLine struct {
	Line   int             `json:"line"`
	Letter json.RawMessage `json:"letter"`
}

func exportLetters(r *request, out *lines) error {
	for line, err := range r.box().Export(r.Context(), r.query.Get("filter")) {
		if err != nil {
			return err
		}
		if err := out.send(line); err != nil {
			return err
		}
	}
	return nil
}

func importLetters(r *request) (any, error) {
	var in ImportRequest
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	report, err := r.box().Import(r.Context(), listed(in.Letters), resilience.ImportOptions{Trust: in.Trust, By: r.by})
	for i, text := range report.Refused {
		report.Refused[i] = renumbered(text, in.Letters)
	}
	return report, err
}

// listed yields the letters of lines.
func listed(list []ImportLine) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for _, line := range list {
			if !yield(line.Letter, nil) {
				return
			}
		}
	}
}

// renumbered is "line 2: why" with the number that the line has for who sent it.
func renumbered(text string, list []ImportLine) string {
	var n int
	if _, err := fmt.Sscanf(text, "line %d:", &n); err != nil || n < 1 || n > len(list) {
		return text
	}
	_, why, _ := strings.Cut(text, ":")
	return fmt.Sprintf("line %d:%s", list[n-1].Line, why)
}

func verifyLetters(r *request, out *lines) error {
	for fault, err := range r.box().Verify(r.Context()) {
		if err != nil {
			return err
		}
		if err := out.send(fault); err != nil {
			return err
		}
	}
	return nil
}

// Chosen are the letters of a filter.
type Chosen struct {
	Filter string `json:"filter"`
}

func rekeyLetters(r *request) (any, error) {
	var c Chosen
	if err := r.decode(&c); err != nil {
		return nil, err
	}
	return r.box().Rekey(r.Context(), c.Filter)
}

// Erased is the answer to POST erase.
type Erased struct {
	Erased int `json:"erased"`
}

func eraseLetters(r *request) (any, error) {
	var c Chosen
	if err := r.decode(&c); err != nil {
		return nil, err
	}
	if c.Filter == "" {
		return nil, problem(BadRequest, "a filter must say which letters are erased")
	}
	n, err := r.box().Erase(r.Context(), c.Filter)
	return Erased{n}, err
}

// Export yields the letters that a filter chooses, for Import.
func (c *Client) Export(ctx context.Context, filter string) iter.Seq2[json.RawMessage, error] {
	query := url.Values{}
	setText(query, "filter", filter)
	return follow(ctx, c, "export", query)
}

// Import brings letters in.
func (c *Client) Import(ctx context.Context, in ImportRequest) (resilience.LetterImport, error) {
	return ask[resilience.LetterImport](ctx, c, http.MethodPost, "import", nil, "", in)
}

// Verify yields what is wrong with what is kept.
func (c *Client) Verify(ctx context.Context) iter.Seq2[resilience.LetterFault, error] {
	return func(yield func(resilience.LetterFault, error) bool) {
		for line, err := range follow(ctx, c, "verify", nil) {
			var fault resilience.LetterFault
			if err == nil {
				err = json.Unmarshal(line, &fault)
			}
			if !yield(fault, err) || err != nil {
				return
			}
		}
	}
}

// Rekey seals the arguments of letters with the present key.
func (c *Client) Rekey(ctx context.Context, filter string) (resilience.LetterRekey, error) {
	return ask[resilience.LetterRekey](ctx, c, http.MethodPost, "rekey", nil, "", Chosen{filter})
}

// Erase drops the letters that a filter chooses, and every byte of them.
func (c *Client) Erase(ctx context.Context, filter string) (Erased, error) {
	return ask[Erased](ctx, c, http.MethodPost, "erase", nil, "", Chosen{filter})
}
