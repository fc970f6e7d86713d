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
	imports []*ast.ImportSpec
	scanned bool // imports is set
}

// decl is a declaration at package level: where it begins, and what it is.
type decl struct {
	file  *file
	start int
	tok   token.Token
	node  ast.Decl // parsed
	spec  ast.Spec // the one that is meant, of a group
}

// keywords begin declarations. gofmt puts them at the beginning of a line;
// what it did not touch is not found, and then nobody is sure.
var keywords = []struct {
	text string
	tok  token.Token
}{{"type ", token.TYPE}, {"func ", token.FUNC}, {"var ", token.VAR}, {"const ", token.CONST}}

// index finds the declarations of the file by their first lines.
func (p *pkg) indexFile(f *file) {
	for at := 0; at < len(f.src); {
		line := f.src[at:]
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			end = len(line)
		}
		for _, k := range keywords {
			if line[0] == k.text[0] && bytes.HasPrefix(line, []byte(k.text)) {
				p.indexLine(&decl{file: f, start: at, tok: k.tok}, line[len(k.text):end])
			}
		}
		at += end + 1
	}
}

func (p *pkg) indexLine(d *decl, rest []byte) {
	switch {
	case len(rest) > 0 && rest[0] == '(' && d.tok == token.FUNC: // a method
		if name := receiver(rest); name != "" {
			p.methods[name] = append(p.methods[name], d)
		}
	case len(rest) > 0 && rest[0] == '(':
		p.groups = append(p.groups, d)
	default:
		names := identifiers(rest)
		if d.tok == token.FUNC || d.tok == token.TYPE {
			names = names[:min(1, len(names))]
		}
		for _, name := range names {
			p.add(name, d)
		}
	}
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
		end := bytes.IndexFunc(text, func(r rune) bool { return !isLetter(r) })
		if end < 0 {
			end = len(text)
		}
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

func isLetter(r rune) bool {
	return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 0x80
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
func (d *decl) methodName() string {
	line := d.file.src[d.start:]
	at := bytes.IndexByte(line, ')')
	if at < 0 {
		return ""
	}
	names := identifiers(line[at+1:])
	if len(names) == 0 {
		return ""
	}
	return names[0]
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
	text = text[:extent(text, d.tok == token.FUNC)]
	f, err := parser.ParseFile(p.loader.fset, d.file.path, append([]byte(prefix), text...), parser.SkipObjectResolution)
	if err != nil || len(f.Decls) != 1 {
		return unsure("%s does not parse: %v", d.file.path, err)
	}
	p.loader.origin[p.loader.fset.File(f.Pos())] = d
	d.node = f.Decls[0]
	return nil
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

// openGroups parses every group of declarations and adds what is in it.
func (p *pkg) openGroups() error {
	groups := p.groups
	p.groups = nil
	for _, g := range groups {
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
	}
	return nil
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

// packageName reads the package clause.
func (f *file) packageName() (string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.src, parser.PackageClauseOnly)
	if err != nil {
		return "", unsure("%s does not parse: %v", f.path, err)
	}
	return parsed.Name.Name, nil
}
