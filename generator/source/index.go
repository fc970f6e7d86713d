package source

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"strconv"
	"strings"
)

type readCloser = io.ReadCloser

type nopCloser struct{ io.Reader }

func (nopCloser) Close() error { return nil }

// file is a Go file, of which no more is parsed than is asked for.
type file struct {
	path    string
	src     []byte
	pkg     string // its package clause
	skip    bool
	imports []*ast.ImportSpec
	scanned bool // imports is set
	named   []named
	methods []*decl
	groups  []*decl
}

// named is one name of a declaration.
type named struct {
	name string
	decl *decl
}

// decl is a declaration at package level: where it begins, and what it is.
type decl struct {
	file   *file
	start  int
	end    int // of a group, at the latest
	tok    token.Token
	recv   string   // of a method: the type
	method string   // its name
	node   ast.Decl // parsed
	spec   ast.Spec // the one that is meant, of a group
}

// keywords begin declarations. gofmt puts them at the beginning of a line;
// what it did not touch is not found, and then nobody is sure.
var keywords = []struct {
	text string
	tok  token.Token
}{{"type ", token.TYPE}, {"func ", token.FUNC}, {"var ", token.VAR}, {"const ", token.CONST}}

// index finds the declarations of the file by their first lines. Of methods it
// notes those that are asked for.
func (f *file) index(asks func(method []byte) bool) {
	open := 0 // groups that end where the next declaration begins
	for at := 0; at < len(f.src); {
		line := f.src[at:]
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			end = len(line)
		}
		if c := line[0]; c == 't' || c == 'f' || c == 'v' || c == 'c' {
			for _, k := range keywords {
				if bytes.HasPrefix(line, []byte(k.text)) {
					for ; open < len(f.groups); open++ {
						f.groups[open].end = at
					}
					f.indexLine(at, k.tok, line[len(k.text):end], asks)
				}
			}
		}
		at += end + 1
	}
	for ; open < len(f.groups); open++ {
		f.groups[open].end = len(f.src)
	}
}

func (f *file) indexLine(at int, tok token.Token, rest []byte, asks func(method []byte) bool) {
	switch {
	case len(rest) > 0 && rest[0] == '(' && tok == token.FUNC:
		if name := methodName(rest); asks(name) {
			f.methods = append(f.methods, &decl{file: f, start: at, tok: tok, recv: receiver(rest), method: string(name)})
		}
	case len(rest) > 0 && rest[0] == '(':
		f.groups = append(f.groups, &decl{file: f, start: at, tok: tok})
	case tok == token.FUNC || tok == token.TYPE:
		if name := rest[:word(rest)]; len(name) > 0 {
			f.named = append(f.named, named{string(name), &decl{file: f, start: at, tok: tok}})
		}
	default:
		d := &decl{file: f, start: at, tok: tok}
		for _, name := range identifiers(rest) {
			f.named = append(f.named, named{name, d})
		}
	}
}

// addFile adds what the file declares to the package.
func (p *pkg) addFile(f *file) {
	for _, n := range f.named {
		p.add(n.name, n.decl)
	}
	for _, m := range f.methods {
		p.methods[m.recv] = append(p.methods[m.recv], m)
	}
	p.groups = append(p.groups, f.groups...)
}

// add remembers a declaration. Two of one name are one too many, except for
// blank ones and init.
func (p *pkg) add(name string, d *decl) {
	if name == "_" || name == "init" && d.tok == token.FUNC {
		return
	}
	if p.index[name] != nil {
		p.twice[name] = true
	}
	p.index[name] = d
}

// identifiers returns the list of names at the beginning of text: "a, b".
func identifiers(text []byte) []string {
	var names []string
	for {
		text = bytes.TrimLeft(text, " \t")
		end := word(text)
		if end == 0 {
			return names
		}
		names = append(names, string(text[:end]))
		text = bytes.TrimLeft(text[end:], " \t")
		if len(text) == 0 || text[0] != ',' {
			return names
		}
		text = text[1:]
	}
}

// word is the length of the identifier at the beginning of text.
func word(text []byte) int {
	for i, c := range text {
		if !isLetter(c) {
			return i
		}
	}
	return len(text)
}

// isLetter takes every byte of what is not ASCII for one.
func isLetter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// receiver returns the type's name of "(g *Gateway[K]) Charge(".
func receiver(text []byte) string {
	end := bytes.IndexByte(text, ')')
	if end < 0 {
		return ""
	}
	inside := strings.TrimSpace(string(text[1:end]))
	if at := strings.IndexByte(inside, '['); at >= 0 {
		inside = inside[:at]
	}
	if at := strings.LastIndexAny(inside, " *\t"); at >= 0 {
		inside = inside[at+1:]
	}
	return inside
}

// methodName returns what is behind the receiver.
func methodName(text []byte) []byte {
	_, text, _ = bytes.Cut(text, []byte(")"))
	text = bytes.TrimLeft(text, " \t")
	return text[:word(text)]
}

// isFlatStruct reports whether the declaration is, in gofmt's shape, a struct
// without type parameters that embeds nothing. What it has for methods is then
// its own, and at the last depth nothing else counts.
func (d *decl) isFlatStruct() bool {
	if d == nil || d.tok != token.TYPE || d.spec != nil {
		return false
	}
	text := d.file.src[d.start:]
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	if words := bytes.Fields(line); len(words) != 4 || string(words[2]) != "struct" || string(words[3]) != "{" {
		return false
	}
	body, _, ok := bytes.Cut(rest, []byte("\n}\n"))
	if !ok || bytes.Contains(body, []byte("/*")) {
		return false
	}
	for _, field := range bytes.Split(body, []byte("\n")) {
		field = bytes.TrimSpace(field)
		if len(field) == 0 || bytes.HasPrefix(field, []byte("//")) {
			continue
		}
		if words := bytes.Fields(field); len(words) < 2 || words[1][0] == '`' || words[1][0] == '/' {
			return false
		}
	}
	return true
}

// prefix makes a file of a declaration.
const prefix = "package p\n"

// parse parses the declaration alone; a func without its body.
func (p *pkg) parse(d *decl) error {
	if d.node != nil {
		return nil
	}
	text := d.file.src[d.start:]
	f, err := p.parseText(d, text[:probable(text, d.tok == token.FUNC)])
	if err != nil || len(f.Decls) != 1 {
		f, err = p.parseText(d, text[:extent(text, d.tok == token.FUNC)])
	}
	if err != nil || len(f.Decls) != 1 {
		return unsure("%s does not parse: %v", d.file.path, err)
	}
	p.loader.origin[p.loader.fset.File(f.Pos())] = d
	d.node = f.Decls[0]
	return nil
}

func (p *pkg) parseText(d *decl, text []byte) (*ast.File, error) {
	return parser.ParseFile(p.loader.fset, d.file.path, append([]byte(prefix), text...), parser.SkipObjectResolution)
}

// probable is what extent is for a declaration in gofmt's shape. It ends with a
// line; so what is not the whole of the declaration, or ends within a comment or
// a string, does not parse.
func probable(text []byte, isFunc bool) int {
	line := bytes.IndexByte(text, '\n')
	if line <= 0 {
		return len(text)
	}
	closing := "\n}\n"
	switch last := text[line-1]; {
	case last == '{' && isFunc:
		return line - 1
	case last == '(':
		closing = "\n)\n"
	case last != '{':
		return line
	}
	if end := bytes.Index(text, []byte(closing)); end >= 0 && !isFunc {
		return end + len(closing)
	}
	return line
}

// extent is the length of the declaration at the beginning of text; of a func
// up to its body.
func extent(text []byte, isFunc bool) int {
	var s scanner.Scanner
	set := token.NewFileSet()
	tf := set.AddFile("", set.Base(), len(text))
	s.Init(tf, text, func(token.Position, string) {}, 0)
	depth, before := 0, token.ILLEGAL
	for {
		pos, tok, _ := s.Scan()
		at := tf.Offset(pos)
		switch tok {
		case token.EOF:
			return len(text)
		case token.SEMICOLON:
			if depth == 0 {
				return at
			}
		case token.LBRACE:
			if isFunc && depth == 0 && before != token.INTERFACE && before != token.STRUCT {
				return at
			}
			depth++
		case token.LPAREN, token.LBRACK:
			depth++
		case token.RBRACE, token.RPAREN, token.RBRACK:
			depth--
		}
		before = tok
	}
}

// openGroups parses the groups of declarations that may declare name, every one
// for "", and adds what is in them.
func (p *pkg) openGroups(name string) error {
	var rest []*decl
	for i, g := range p.groups {
		if name != "" && !mentions(g.file.src[g.start:g.end], name) {
			rest = append(rest, g)
			continue
		}
		if err := p.openGroup(g); err != nil {
			p.groups = append(rest, p.groups[i+1:]...)
			return err
		}
	}
	p.groups = rest
	return nil
}

func (p *pkg) openGroup(g *decl) error {
	if err := p.parse(g); err != nil {
		return err
	}
	node, ok := g.node.(*ast.GenDecl)
	if !ok {
		return unsure("%s: a group that is none", g.file.path)
	}
	for _, spec := range node.Specs {
		d := &decl{file: g.file, start: g.start, tok: g.tok, node: node, spec: spec}
		switch s := spec.(type) {
		case *ast.TypeSpec:
			p.add(s.Name.Name, d)
		case *ast.ValueSpec:
			for _, name := range s.Names {
				p.add(name.Name, d)
			}
		}
	}
	return nil
}

// mentions reports whether name stands in the text of a group where one that is
// declared stands: behind a line's end, a bracket, a semicolon, a comma or a
// comment.
func mentions(text []byte, name string) bool {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(name))
		if i < 0 {
			return false
		}
		at += i
		before := bytes.TrimRight(text[:at], " \t\r")
		at += len(name)
		if n := len(before); n > 0 && strings.IndexByte("\n(;,", before[n-1]) >= 0 || bytes.HasSuffix(before, []byte("*/")) {
			if at == len(text) || !isLetter(text[at]) {
				return true
			}
		}
	}
}

// importsOf returns the imports of the file.
func (f *file) importsOf() ([]*ast.ImportSpec, error) {
	if !f.scanned {
		parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.src, parser.ImportsOnly|parser.SkipObjectResolution)
		if err != nil {
			return nil, unsure("%s does not parse: %v", f.path, err)
		}
		f.imports, f.scanned = parsed.Imports, true
	}
	return f.imports, nil
}

func pathOf(spec *ast.ImportSpec) string {
	path, _ := strconv.Unquote(spec.Path.Value)
	return path
}

// clause reads the package clause, and returns where it is. One that stands
// behind a comment in the line is for the parser.
func (f *file) clause() (at int, err error) {
	for at < len(f.src) {
		line, _, _ := bytes.Cut(f.src[at:], []byte("\n"))
		text := bytes.TrimSpace(line)
		switch {
		case bytes.HasPrefix(text, []byte("/*")):
			end := bytes.Index(f.src[at:], []byte("*/"))
			if rest, _, _ := bytes.Cut(f.src[at+max(end, 0):], []byte("\n")); end < 0 || len(bytes.TrimSpace(rest)) > 2 {
				return f.parseClause()
			}
			at += end + 2
		case len(text) == 0 || bytes.HasPrefix(text, []byte("//")):
			at += len(line) + 1
		default:
			name, ok := bytes.CutPrefix(text, []byte("package "))
			if ids := identifiers(name); !ok || len(ids) != 1 || ids[0] != string(name) {
				return f.parseClause()
			}
			f.pkg = string(name)
			return at, nil
		}
	}
	return f.parseClause()
}

func (f *file) parseClause() (int, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.src, parser.PackageClauseOnly)
	if err != nil {
		return 0, unsure("%s does not parse: %v", f.path, err)
	}
	f.pkg = parsed.Name.Name
	return int(parsed.Package) - 1, nil
}
