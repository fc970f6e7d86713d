package policy

import (
	"errors"
	"testing"
)

func FuzzRead(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("version: 1\n? [a]\n: &b *b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Read([]Input{{Path: "r.yaml", Data: data}})
		var errs Errors
		if err != nil && !errors.As(err, &errs) {
			t.Fatalf("error %v has no position", err)
		}
		for _, e := range errs {
			if !e.Pos.IsValid() {
				t.Fatalf("%v has no position", e)
			}
		}
		if err == nil {
			for _, i := range set.Files[0].Interfaces {
				i.Resolve([]Method{{Name: "Get"}, {Name: "Close", Closer: true}})
			}
			set.Files[0].Warnings()
		}
	})
}
