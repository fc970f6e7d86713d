package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/generator/policy"
)

func generate(ctx context.Context, env *environment, args []string) error {
	flags, dry := env.generateFlags()
	if err := env.parse(flags, args); err != nil {
		return err
	}
	changed, err := env.outdated(ctx, flags.Args())
	if err != nil {
		return err
	}
	if !*dry {
		err = writeAll(ctx, changed)
	}
	if err != nil {
		return err
	}
	if *dry {
		for _, f := range changed {
			fmt.Fprintln(env.stdout, f.Path)
		}
	}
	return env.leftOver(flags.Args(), *dry)
}

func check(ctx context.Context, env *environment, args []string) error {
	flags := env.flags("check")
	if err := env.parse(flags, args); err != nil {
		return err
	}
	changed, err := env.outdated(ctx, flags.Args())
	if err != nil {
		return err
	}
	for _, f := range changed {
		old, _ := os.ReadFile(f.Path) // a missing file differs in every line
		fmt.Fprint(env.stdout, env.diff(f.Path, string(old), string(f.Content)))
	}
	if err := env.leftOver(flags.Args(), true); err != nil {
		return err
	}
	if len(changed) > 0 || env.orphans > 0 {
		return errDiffers
	}
	return nil
}

func (env *environment) generateFlags() (flags *flag.FlagSet, dry *bool) {
	flags = env.flags("generate")
	dry = flags.Bool("n", false, "print what would be written, write nothing")
	flags.BoolVar(&env.prune, "prune", false, "remove generated files whose policies are gone")
	return flags, dry
}

// flags returns what generate and check have in common.
func (env *environment) flags(verb string) *flag.FlagSet {
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // parse says what is wrong, in a sentence
	flags.BoolVar(&env.all, "all", false, "print every complaint, not the first ten")
	flags.BoolVar(&env.json, "json", false, "print complaints as JSON, one a line, on standard output")
	flags.BoolVar(&env.verbose, "v", false, "say on standard error how far a long run is, also where that is no terminal")
	flags.BoolVar(&env.strict, "strict", false, "warnings fail the run")
	flags.Func("loader", "`who` reads packages: packages is the go command, fast does without it or fails; by default the go command is asked where fast is not sure", func(who string) error {
		if who != "packages" && who != "fast" {
			return errors.New("want packages or fast")
		}
		env.loader = who
		return nil
	})
	flags.Func("lint", "`level` of errors of judgement (docs/checks.md): warn makes warnings of them, error is the default", func(level string) error {
		if level != "warn" && level != "error" {
			return errors.New("want warn or error")
		}
		env.lenient = level == "warn"
		return nil
	})
	return flags
}

func (env *environment) parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		env.help(flags.Name())
		return err
	}
	if err != nil {
		return usageError{fmt.Sprintf("%v; resilgen help %s lists the flags", err, flags.Name())}
	}
	for _, arg := range flags.Args() {
		if strings.HasPrefix(arg, "-") {
			return usageError{arg + " comes too late: flags stand before the directories"}
		}
	}
	return nil
}

// outdated generates the packages that args name and returns the files whose
// bytes would change. Nothing is returned unless every package is right, so a
// failed run leaves every file as it was.
func (env *environment) outdated(ctx context.Context, args []string) ([]generator.File, error) {
	dirs, err := expand(args, generator.HasPolicies)
	if err != nil {
		return nil, err
	}
	var changed []generator.File
	var complaints policy.Errors
	env.made = map[string]bool{}
	for i, dir := range dirs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		env.progress("%d of %d packages, at %s", i, len(dirs), dir)
		if env.prune && abandoned(dir) {
			continue
		}
		files, err := generator.Generate(ctx, generator.Config{Dir: dir, Warn: env.warn, Lenient: env.lenient, Loader: env.loader})
		if errors.As(err, new(policy.Errors)) {
			complaints = append(complaints, err.(policy.Errors)...)
			continue
		}
		if err != nil {
			return nil, cmp.Or(ctx.Err(), err)
		}
		for _, f := range files {
			env.made[f.Path] = true
			if old, err := os.ReadFile(f.Path); err != nil || !same(old, f.Content) {
				changed = append(changed, f)
			}
		}
	}
	if len(complaints) > 0 {
		return nil, complaints
	}
	if env.strict && env.warnings > 0 {
		return nil, fmt.Errorf("%d warnings, and -strict was given", env.warnings)
	}
	return changed, nil
}

// same reports whether two texts have the same lines: a checkout may have ended
// them in its system's way.
func same(old, now []byte) bool {
	return bytes.Equal(bytes.ReplaceAll(old, []byte("\r\n"), []byte("\n")), now)
}

// abandoned reports whether dir has generated files, and no policies any more.
func abandoned(dir string) bool {
	has, err := generator.HasPolicies(dir)
	if err != nil || has {
		return false
	}
	orphans, err := generator.Orphans(dir, nil)
	return err == nil && len(orphans) > 0
}

// leftOver counts generated files whose policies are gone, and reports them or
// removes them.
func (env *environment) leftOver(args []string, keep bool) error {
	dirs, err := expand(args, func(string) (bool, error) { return true, nil })
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		orphans, err := generator.Orphans(dir, env.made)
		if err != nil {
			return err
		}
		for _, path := range orphans {
			env.orphans++
			if keep || !env.prune {
				fmt.Fprintf(env.stderr, "%s %s: its policies are gone; resilgen generate -prune removes it\n", paint(env.colorErr, yellow, "warning:"), path)
			} else if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}
