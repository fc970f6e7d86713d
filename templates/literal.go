package templates

import (
	"go/types"
	"strconv"
	"time"

	"github.com/dave/jennifer/jen"
)

const (
	runtimePath = "github.com/resilgen/resilgen/runtime/resilience"
	errorsPath  = "errors"
	contextPath = "context"
	httpPath    = "net/http"

	grpcStatusPath = "google.golang.org/grpc/status"
)

func rt(name string) *jen.Statement { return jen.Qual(runtimePath, name) }

// literal prints l: nested parts, and long ones, on lines of their own, the rest in one.
func literal(l *Literal) *jen.Statement {
	fields := make([]jen.Code, len(l.Fields))
	nested := l.Type == "DeadLetterPolicy" && len(l.Fields) > 2 || l.Type == "CheckpointPolicy" // whose texts are long
	for i, f := range l.Fields {
		sub, ok := f.Value.(*Literal)
		nested = nested || ok && (l.Type == "Policy" || len(sub.Fields) > 3)
		fields[i] = jen.Id(f.Name).Op(":").Add(value(f.Value))
	}
	if nested {
		return rt(l.Type).Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, fields...)
	}
	return rt(l.Type).Values(fields...)
}

func value(v any) *jen.Statement {
	switch v := v.(type) {
	case *Literal:
		return literal(v)
	case time.Duration:
		return duration(v)
	case []time.Duration:
		list := make([]jen.Code, len(v))
		for i, d := range v {
			list[i] = duration(d)
		}
		return jen.Index().Qual("time", "Duration").Values(list...)
	case List:
		list := make([]jen.Code, len(v.Consts))
		for i, name := range v.Consts {
			list[i] = rt(name)
		}
		if v.Named {
			return rt(v.Type).Values(list...)
		}
		return jen.Index().Add(rt(v.Type)).Values(list...)
	case []string:
		list := make([]jen.Code, len(v))
		for i, text := range v {
			list[i] = jen.Lit(text)
		}
		return jen.Index().String().Values(list...)
	case Size:
		return size(int64(v))
	case Const:
		return rt(string(v))
	case Consts:
		s := rt(v[0])
		for _, name := range v[1:] {
			s = s.Op("|").Add(rt(name))
		}
		return s
	case types.Object:
		return jen.Qual(v.Pkg().Path(), v.Name())
	case Func:
		return jen.Id(string(v))
	case float64:
		return jen.Op(strconv.FormatFloat(v, 'g', -1, 64)) // 2, not 2.0
	}
	return jen.Lit(v)
}

var units = []struct {
	unit time.Duration
	name string
}{
	{time.Hour, "Hour"}, {time.Minute, "Minute"}, {time.Second, "Second"},
	{time.Millisecond, "Millisecond"}, {time.Microsecond, "Microsecond"}, {time.Nanosecond, "Nanosecond"},
}

// duration prints d as a person writes it: 2 * time.Second.
func duration(d time.Duration) *jen.Statement {
	if d <= 0 {
		return rt("None")
	}
	for _, u := range units {
		if d%u.unit != 0 {
			continue
		}
		if d == u.unit {
			return jen.Qual("time", u.name)
		}
		return jen.Op(itoa(int64(d/u.unit))).Op("*").Qual("time", u.name)
	}
	panic("unreachable: every duration is a number of nanoseconds")
}

// size prints a number of bytes as a person writes it: 64 << 20.
func size(n int64) *jen.Statement {
	for _, shift := range []int64{30, 20, 10} {
		if n%(1<<shift) == 0 {
			return jen.Op(itoa(n >> shift)).Op("<<").Op(itoa(shift))
		}
	}
	return jen.Op(itoa(n))
}
