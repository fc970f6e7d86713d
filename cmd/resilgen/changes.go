package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/resilgen/resilgen/generator"
)

func (env *environment) diffFlags() *flag.FlagSet {
	flags := flag.NewFlagSet("diff", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&env.json, "json", false, "print changes as JSON, one a line, on standard output")
	flags.Func("fail-on", "`kind` of changes that fail the run: weaker, refused, or any", func(kind string) error {
		if kind != generator.Weaker && kind != generator.Refused && kind != "any" {
			return errors.New("want weaker, refused or any")
		}
		env.failOn = kind
		return nil
	})
	return flags
}

// changes prints what the policies were before.
func changes(ctx context.Context, env *environment, args []string) error {
	flags := env.diffFlags()
	if err := env.parse(flags, args); err != nil {
		return err
	}
	base, args := since(flags.Args())
	dirs, err := expand(args, generator.HasPolicies)
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, dir := range dirs {
		old, err := before(ctx, dir, base)
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		list, err := generator.Diff(ctx, generator.Config{Dir: dir}, old)
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		for _, c := range list {
			if c.Ignored == "" {
				count[c.Kind]++
			}
			env.printChange(c)
		}
	}
	if !env.json {
		refused := ""
		if n := count[generator.Refused]; n > 0 {
			refused = fmt.Sprintf(", %d refused", n)
		}
		fmt.Fprintf(env.stdout, "%d weaker, %d stronger, %d other%s since %s\n", count[generator.Weaker], count[generator.Stronger], count[generator.Other], refused, base)
	}
	if count[env.failOn] > 0 || env.failOn == "any" && len(count) > 0 {
		return errFound
	}
	return nil
}

// since returns the revision or the file, and the directories.
func since(args []string) (base string, dirs []string) {
	base = "HEAD"
	for i, arg := range args {
		info, err := os.Stat(strings.TrimSuffix(arg, "..."))
		if i == 0 && !strings.HasSuffix(arg, "...") && (err != nil || !info.IsDir()) {
			base = arg
			continue
		}
		dirs = append(dirs, arg)
	}
	return base, dirs
}

// before returns the policies as they were, by the names of their files.
func before(ctx context.Context, dir, base string) (map[string][]byte, error) {
	if info, err := os.Stat(base); err == nil && !info.IsDir() {
		data, err := os.ReadFile(base)
		return map[string][]byte{"resilience.yaml": data}, err
	}
	if strings.HasPrefix(base, "-") {
		return nil, usageError{base + " is no revision"}
	}
	names, err := git(ctx, dir, "ls-tree", "-z", "--name-only", base)
	if err != nil {
		return nil, err
	}
	old := map[string][]byte{}
	for name := range strings.SplitSeq(string(names), "\x00") {
		if !generator.IsSource(name) {
			continue
		}
		data, err := git(ctx, dir, "show", base+":./"+name)
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(name, ".go") || generator.HasAnnotation(data) || generator.IsGenerated(data) {
			old[name] = data
		}
	}
	return old, nil
}

// git returns what git prints in dir.
func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("there is no git command in PATH, and diff asks it for %s; name a policy file instead", args[len(args)-1])
	}
	if err != nil {
		text, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		return nil, fmt.Errorf("%s: git %s: %s", filepath.Clean(dir), args[0], cmp.Or(text, err.Error()))
	}
	return out, nil
}

func (env *environment) printChange(c generator.Change) {
	if env.json {
		line, err := json.Marshal(struct {
			File      string `json:"file"`
			Line      int    `json:"line"`
			Column    int    `json:"column"`
			Change    string `json:"change"`
			Interface string `json:"interface"`
			Method    string `json:"method,omitempty"`
			Key       string `json:"key"`
			Old       string `json:"old"`
			New       string `json:"new"`
			Ignored   string `json:"ignored,omitempty"`
			Why       string `json:"why,omitempty"`
		}{c.Pos.File, c.Pos.Line, c.Pos.Col, c.Kind, c.Interface, c.Method, c.Key, c.Old, c.New, c.Ignored, c.Why})
		if err == nil {
			fmt.Fprintf(env.stdout, "%s\n", line)
		}
		return
	}
	text := c.Finding().Error()
	colors := map[string]string{generator.Weaker: red, generator.Stronger: green, generator.Other: yellow, generator.Refused: red}
	fmt.Fprintln(env.stdout, strings.Replace(text, ": "+c.Kind+": ", ": "+paint(env.colorOut, colors[c.Kind], c.Kind)+": ", 1))
}
