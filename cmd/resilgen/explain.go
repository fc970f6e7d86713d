package main

import (
	"context"
	"fmt"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/generator/policy"
)

func explain(ctx context.Context, env *environment, args []string) error {
	if len(args) != 1 {
		return usageError{"explain wants one Interface or Interface.Method, like Gateway.Charge, or the number of a check"}
	}
	if generator.IsRule(args[0]) {
		text, err := generator.ExplainRule(args[0])
		if err == nil {
			_, err = fmt.Fprint(env.stdout, text)
		}
		return err
	}
	text, err := generator.Explain(ctx, generator.Config{Dir: "."}, args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(env.stdout, text)
	return err
}

func schema(_ context.Context, env *environment, args []string) error {
	if len(args) > 0 {
		return usageError{"schema takes no arguments"}
	}
	_, err := env.stdout.Write(policy.Schema())
	return err
}
