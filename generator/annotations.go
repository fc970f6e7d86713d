package generator

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/resilgen/resilgen/generator/policy"
	"github.com/resilgen/resilgen/templates"
)

// directive begins every line of an annotation.
const directive = "//resilience:policy"

// traces are what a file with an annotation, also a misspelled one, contains.
var traces = [][]byte{[]byte("resilience:"), []byte(":policy"), []byte("//resilience"), []byte("Resilience:")}

// annotations returns the annotations in the Go files of dir. Only a file with
// a trace of one is parsed. The complaints are about annotations that stand
// where they mean nothing.
func annotations(dir string) ([]policy.Input, policy.Errors, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, nil, err
	}
	var inputs []policy.Input
	var errs policy.Errors
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if info, _ := os.Stat(path); info != nil && info.IsDir() {
			continue // as the go command does
		}
		if err != nil {
			return nil, nil, err
		}
		if !traced(src) || !inBuild(path) {
			continue
		}
		c, err := collect(path, src)
		if err != nil {
			return nil, nil, err
		}
		inputs, errs = append(inputs, c.inputs...), append(errs, c.errs...)
	}
	return inputs, errs, nil
}

// traced reports whether src, which is not our own output, may have an
// annotation.
func traced(src []byte) bool {
	if bytes.HasPrefix(src, []byte(templates.Header)) {
		return false
	}
	for _, t := range traces {
		if bytes.Contains(src, t) {
			return true
		}
	}
	return false
}

// inBuild reports whether the build constraints let the file in.
func inBuild(path string) bool {
	conf := build.Default
	for _, flag := range strings.Fields(os.Getenv("GOFLAGS")) {
		if tags, ok := strings.CutPrefix("-"+strings.TrimLeft(flag, "-"), "-tags="); ok {
			conf.BuildTags = strings.Split(tags, ",")
		}
	}
	ok, err := conf.MatchFile(filepath.Dir(path), filepath.Base(path))
	return ok || err != nil // a broken constraint is for the loader to report
}

// collector finds the annotations of one file.
type collector struct {
	path    string
	src     []byte
	fset    *token.FileSet
	targets map[*ast.CommentGroup]target
	inputs  []policy.Input
	errs    policy.Errors
}

// target is what a doc comment belongs to: an interface, or a method of one,
// or else something that has no policy.
type target struct{ iface, method, wrong string }

func collect(path string, src []byte) (*collector, error) {
	c := &collector{path: path, src: src, fset: token.NewFileSet(), targets: map[*ast.CommentGroup]target{}}
	file, err := parser.ParseFile(c.fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if list, ok := err.(scanner.ErrorList); ok {
		return nil, fmt.Errorf("%s: %s; resilgen needs files that parse", list[0].Pos, list[0].Msg)
	}
	if err != nil {
		return nil, err
	}
	for _, decl := range file.Decls {
		c.decl(decl)
	}
	for _, group := range file.Comments {
		c.group(group)
	}
	return c, nil
}

func (c *collector) decl(decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		c.wrong(d.Doc, "%s is a func", d.Name.Name)
	case *ast.GenDecl:
		if d.Tok != token.TYPE {
			c.wrong(d.Doc, "this is no type")
			return
		}
		if d.Lparen.IsValid() {
			c.wrong(d.Doc, "this is a group of types")
		}
		for _, spec := range d.Specs {
			t := spec.(*ast.TypeSpec)
			if !d.Lparen.IsValid() {
				t.Doc = d.Doc
			}
			c.typeSpec(t)
		}
	}
}

// typeSpec leaves named types to the type checker, which knows whether they
// are interfaces.
func (c *collector) typeSpec(spec *ast.TypeSpec) {
	name := spec.Name.Name
	c.targets[spec.Doc] = target{iface: name}
	switch t := spec.Type.(type) {
	case *ast.InterfaceType:
		for _, field := range t.Methods.List {
			c.field(name, field)
		}
	case *ast.StructType:
		c.wrong(spec.Doc, "%s is a struct", name)
		for _, field := range t.Fields.List {
			c.wrong(field.Doc, "this is a field of a struct")
		}
	case *ast.FuncType:
		c.wrong(spec.Doc, "%s is a func type", name)
	case *ast.MapType, *ast.ArrayType, *ast.ChanType, *ast.StarExpr:
		c.wrong(spec.Doc, "%s is no interface", name)
	}
}

func (c *collector) field(iface string, field *ast.Field) {
	if _, ok := field.Type.(*ast.FuncType); ok && len(field.Names) == 1 {
		c.targets[field.Doc] = target{iface: iface, method: field.Names[0].Name}
		return
	}
	c.wrong(field.Doc, "this is an embedded interface; its methods are named above %s, with {methods: {Name: {…}}}", iface)
}

func (c *collector) wrong(doc *ast.CommentGroup, format string, args ...any) {
	c.targets[doc] = target{wrong: fmt.Sprintf(format, args...)}
}

// group reads the annotation of a comment: its lines that begin with the
// directive are one text of YAML. gofmt moves every other line above them, so
// one that follows cannot be meant to go on with it.
func (c *collector) group(group *ast.CommentGroup) {
	var lines []*ast.Comment
	for _, comment := range group.List {
		rest, is := strings.CutPrefix(comment.Text, directive)
		switch {
		case is && (rest == "" || rest[0] == ' ' || rest[0] == '\t'):
			lines = append(lines, comment)
		case is && rest[0] == '{':
			c.complain(comment.Pos()+token.Pos(len(directive)), "a space is missing: write %s {…}", directive)
		case nearDirective(comment.Text) != "":
			c.complain(comment.Pos(), "%s", nearDirective(comment.Text))
		case len(lines) > 0 && !anyDirective.MatchString(comment.Text):
			c.complain(comment.Pos(), "stands below an annotation, where gofmt does not leave it: begin the line with %s if it goes on with the annotation, else put it above", directive)
		}
	}
	if len(lines) == 0 {
		return
	}
	t, ok := c.targets[group]
	switch {
	case !ok:
		c.complain(lines[0].Pos(), "this comment is on no type of the package and no method: an annotation stands directly above an interface, or a method in one")
	case t.wrong != "":
		c.complain(lines[0].Pos(), "%s: an annotation stands directly above an interface, or a method in one", t.wrong)
	case strings.HasSuffix(c.path, "_test.go"):
		c.complain(lines[0].Pos(), "an annotation in a test file does nothing: move the interface to another file, or write the policy in resilience.yaml")
	default:
		c.annotation(t, lines)
	}
}

// annotation adds the input that the lines make.
func (c *collector) annotation(t target, lines []*ast.Comment) {
	first := c.position(lines[0].Pos())
	var text strings.Builder
	at := first.Line
	for i, comment := range lines {
		p := c.position(comment.Pos())
		if p.Col != first.Col {
			c.complain(comment.Pos(), "begins at another column than the line of the annotation above: run gofmt")
			return
		}
		line := strings.TrimPrefix(comment.Text, directive)
		if i > 0 && flow(line) && flow(strings.TrimPrefix(lines[i-1].Text, directive)) {
			c.complain(comment.Pos(), "a second {…}: the lines of an annotation are one text of YAML; put these keys into the first")
			return
		}
		text.WriteString(strings.Repeat("\n", p.Line-at))
		at = p.Line
		if line != "" {
			text.WriteString(strings.TrimRightFunc(line[1:], unicode.IsSpace))
		}
	}
	c.inputs = append(c.inputs, policy.Input{
		Path: c.path, Data: []byte(text.String()), Interface: t.iface, Method: t.method,
		Line: first.Line, Col: first.Col + len(directive) + 1,
	})
}

// flow reports whether the line is a whole {…}.
func flow(line string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, "{") && strings.HasSuffix(line, "}") && strings.Count(line, "{") == strings.Count(line, "}")
}

// position counts columns in characters, and takes no notice of //line.
func (c *collector) position(pos token.Pos) policy.Pos {
	p := c.fset.PositionFor(pos, false)
	lead := c.src[p.Offset-(p.Column-1) : p.Offset]
	return policy.Pos{File: c.path, Line: p.Line, Col: utf8.RuneCount(lead) + 1}
}

func (c *collector) complain(pos token.Pos, format string, args ...any) {
	p := c.fset.PositionFor(pos, false)
	line, _, _ := bytes.Cut(c.src[p.Offset-(p.Column-1):], []byte("\n"))
	c.errs = append(c.errs, &policy.Error{Pos: c.position(pos), Msg: fmt.Sprintf(format, args...), Line: strings.TrimRight(string(line), "\r")})
}

var (
	anyDirective = regexp.MustCompile(`^//([a-z0-9]+:[a-z0-9]|(line|extern|export) )`)
	resembling   = regexp.MustCompile(`^/([/*])( *)([A-Za-z]+)([:._ -] ?)([A-Za-z]*)`)
)

// nearDirective says how to write a comment that was meant for an annotation,
// "" if it was not.
func nearDirective(comment string) string {
	m := resembling.FindStringSubmatch(strings.TrimRightFunc(comment, unicode.IsSpace)) // gofmt takes it away
	if m == nil {
		return ""
	}
	kind, space, name, sep, verb := m[1], m[2], m[3], m[4], m[5]
	ours := strings.EqualFold(name, "resilgen") || policy.Nearest(name, []string{"resilience"}) != ""
	meant := policy.Nearest(verb, []string{"policy"}) != "" || policy.Nearest(verb, []string{"policies"}) != ""
	switch {
	case !ours || space != "" && sep != ":": // prose
		return ""
	case meant && kind == "*":
		return "a block comment is no annotation: write " + directive
	case meant && space != "":
		return "a space after // makes it prose: write " + directive
	case meant:
		return fmt.Sprintf("no annotation is called //%s (did you mean %s?)", name+sep+verb, directive)
	case name == "resilience" && sep == ":" && kind == "/" && space == "":
		return fmt.Sprintf("no annotation is called //resilience:%s; there is %s", verb, directive)
	}
	return ""
}
