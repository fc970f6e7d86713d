package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/generator/policy"
)

func (env *environment) lintFlags() *flag.FlagSet {
	flags := env.flags("lint")
	flags.BoolVar(&env.sarif, "sarif", false, "print findings as SARIF 2.1.0, for code scanning, on standard output")
	flags.Func("overrides", "an overrides `file` that a service is to follow; may be given several times", func(name string) error {
		env.overrides = append(env.overrides, name)
		return nil
	})
	return flags
}

// lintVerb prints what there is to say, and fails for errors, or for warnings
// if they are to.
func lintVerb(ctx context.Context, env *environment, args []string) error {
	flags := env.lintFlags()
	if err := env.parse(flags, args); err != nil {
		return err
	}
	if env.json && env.sarif {
		return usageError{"lint prints -json or -sarif, not both"}
	}
	dirs, err := expand(flags.Args(), generator.HasPolicies)
	if err != nil {
		return err
	}
	env.progress("reading the code around %d packages", len(dirs))
	found, err := generator.Lint(ctx, generator.Config{Lenient: env.lenient, Loader: env.loader, Overrides: env.overrides}, dirs)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if env.sarif {
		if err := writeSARIF(env.stdout, found); err != nil {
			return err
		}
	} else {
		env.complain(found)
	}
	return env.verdict(found)
}

// verdict is nil if nothing found fails a run.
func (env *environment) verdict(found policy.Errors) error {
	errs, warnings := 0, 0
	for _, e := range found {
		switch severity(e) {
		case "error":
			errs++
		case "warning":
			warnings++
		}
	}
	switch {
	case errs > 0:
		return errFound
	case env.strict && warnings > 0:
		return fmt.Errorf("%d warnings, and -strict was given", warnings)
	}
	return nil
}
