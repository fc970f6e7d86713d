package resilience

import "bytes"

// A letter that was forged may have a million empty notes in three bytes each, of
// which every one takes a hundred in memory. What a letter of ours lists takes
// more than listBytes in a text, but for a few.
const (
	fewElements = 4000
	listBytes   = 24
	fewMembers  = 100 // of an object: what is beyond is in a map, and a list, too
)

// checkLetterJSON is [checkJSON] for a record of letters, and refuses lists that are
// too long for how long the text is. Arguments and patches stay texts, so that what
// they list costs nothing.
func checkLetterJSON(data []byte) error {
	r := letterReader{jsonReader{data: data}, fewElements + len(data)/listBytes}
	if err := r.skip(0); err != nil {
		return err
	}
	return r.end()
}

// decodeListed is [decodeStrict] for a record that lists what letters do: one of a
// job, a plan, a pattern or a tombstone. It refuses what [checkLetterJSON] does.
func decodeListed(data []byte, v any) error {
	if err := checkLetterJSON(data); err != nil {
		return err
	}
	return decodeStrict(data, v)
}

// letterReader counts what lists have.
type letterReader struct {
	jsonReader
	left int // elements that may come
}

func (r *letterReader) skip(depth int) error {
	c, err := r.begin(depth)
	switch {
	case err != nil:
		return err
	case c == '[':
		return r.list(func(int) error { return r.element(depth + 1) })
	case c == '{':
		n := 0
		return r.object(func(name int32) error {
			if n++; n > fewMembers {
				return r.element(depth + 1)
			}
			if text := r.data[name:]; bytes.HasPrefix(text, []byte(`"json"`)) || bytes.HasPrefix(text, []byte(`"patch"`)) {
				return r.jsonReader.skip(depth + 1)
			}
			return r.skip(depth + 1)
		})
	default:
		return r.jsonReader.skip(depth)
	}
}

func (r *letterReader) element(depth int) error {
	if r.left--; r.left < 0 {
		return r.fail("lists that are longer than those of a letter")
	}
	return r.skip(depth)
}
