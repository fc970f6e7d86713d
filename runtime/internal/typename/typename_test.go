package typename

import (
	"errors"
	"io/fs"
	"testing"
)

type own struct{}

type generic[T any] struct{ _ T }

func TestOf(t *testing.T) {
	pointer := &own{}
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, "nil"},
		{1, "int"},
		{own{}, "github.com/resilgen/resilgen/runtime/internal/typename.own"},
		{pointer, "*github.com/resilgen/resilgen/runtime/internal/typename.own"},
		{&pointer, "**github.com/resilgen/resilgen/runtime/internal/typename.own"},
		{errors.New("x"), "*errors.errorString"},
		{&fs.PathError{}, "*io/fs.PathError"},
		{[]own{}, "[]typename.own"},
		{generic[int]{}, "github.com/resilgen/resilgen/runtime/internal/typename.generic[int]"},
	} {
		if got := Of(c.value); got != c.want {
			t.Errorf("Of(%T) = %q, want %q", c.value, got, c.want)
		}
	}
}
