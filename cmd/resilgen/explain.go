package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/generator/policy"
)

func explain(ctx context.Context, env *environment, args []string) error {
	if len(args) != 1 {
		return usageError{"explain wants one Interface or Interface.Method"}
	}
	text, err := generator.Explain(ctx, generator.Config{Dir: "."}, args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(env.stdout, text)
	return err
}

func schema(_ context.Context, env *environment, _ []string) error {
	_, err := env.stdout.Write(policy.Schema())
	return err
}

func completion(_ context.Context, env *environment, args []string) error {
	scripts := map[string]string{
		"bash": "complete -W '%s' -A directory resilgen\n",
		"zsh":  "#compdef resilgen\n_arguments '1:verb:(%s)' '*:directory:_files -/'\n",
		"fish": "complete -c resilgen -n __fish_use_subcommand -f -a '%s'\n",
	}
	if len(args) != 1 || scripts[args[0]] == "" {
		return usageError{"completion wants bash, zsh or fish"}
	}
	names := slices.Sorted(maps.Keys(verbs()))
	_, err := fmt.Fprintf(env.stdout, scripts[args[0]], strings.Join(names, " "))
	return err
}
