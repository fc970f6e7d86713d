package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

// The scripts complete the verb, then what the verb takes: flags and
// directories, or the name of a shell.
var completions = map[string]string{
	"bash": `_resilgen() {
	local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "VERBS help" -- "$word"))
		return
	fi
	case $verb in
	generate) [ "${word#-}" = "$word" ] || COMPREPLY=($(compgen -W "GENERATE" -- "$word")) ;;
	check) [ "${word#-}" = "$word" ] || COMPREPLY=($(compgen -W "CHECK" -- "$word")) ;;
	lint) [ "${word#-}" = "$word" ] || COMPREPLY=($(compgen -W "LINT" -- "$word")) ;;
	diff) [ "${word#-}" = "$word" ] || COMPREPLY=($(compgen -W "DIFF" -- "$word")) ;;
	simulate) [ "${word#-}" = "$word" ] || COMPREPLY=($(compgen -W "SIMULATE" -- "$word")) ;;
	init) COMPREPLY=($(compgen -W "INIT" -- "$word")); return ;;
	graph) [ "${word#-}" = "$word" ] || COMPREPLY=($(compgen -W "DRAW" -- "$word")) ;;
GROUPS	completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$word")); return ;;
	*) return ;;
	esac
	[ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -d -- "$word"))
}
complete -F _resilgen resilgen
`,
	"zsh": `#compdef resilgen
_resilgen() {
	if (( CURRENT == 2 )); then
		compadd -- VERBS help
		return
	fi
	case $words[2] in
	generate) [[ $PREFIX == -* ]] && compadd -- GENERATE || _files -/ ;;
	check) [[ $PREFIX == -* ]] && compadd -- CHECK || _files -/ ;;
	lint) [[ $PREFIX == -* ]] && compadd -- LINT || _files -/ ;;
	diff) [[ $PREFIX == -* ]] && compadd -- DIFF || _files -/ ;;
	simulate) [[ $PREFIX == -* ]] && compadd -- SIMULATE || _files ;;
	init) compadd -- INIT ;;
	graph) [[ $PREFIX == -* ]] && compadd -- DRAW || _files ;;
GROUPS	completion) compadd -- bash zsh fish ;;
	esac
}
if [ "$funcstack[1]" = _resilgen ]; then
	_resilgen "$@"
else
	compdef _resilgen resilgen
fi
`,
	"fish": `complete -c resilgen -f
complete -c resilgen -n __fish_use_subcommand -a 'VERBS help'
complete -c resilgen -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
complete -c resilgen -n '__fish_seen_subcommand_from generate' -a 'GENERATE (__fish_complete_directories)'
complete -c resilgen -n '__fish_seen_subcommand_from check' -a 'CHECK (__fish_complete_directories)'
complete -c resilgen -n '__fish_seen_subcommand_from lint' -a 'LINT (__fish_complete_directories)'
complete -c resilgen -n '__fish_seen_subcommand_from diff' -a 'DIFF (__fish_complete_directories)'
complete -c resilgen -n '__fish_seen_subcommand_from simulate' -a 'SIMULATE (__fish_complete_path)'
complete -c resilgen -n '__fish_seen_subcommand_from init' -a 'INIT'
complete -c resilgen -n '__fish_seen_subcommand_from graph' -a 'DRAW (__fish_complete_path)'
GROUPS`,
}

func completion(_ context.Context, env *environment, args []string) error {
	if len(args) != 1 || completions[args[0]] == "" {
		return usageError{"completion wants bash, zsh or fish"}
	}
	generate, _ := env.generateFlags()
	simulate, _ := env.simulateFlags()
	graph, _ := env.graphFlags()
	start, _ := env.initFlags()
	script := strings.NewReplacer("GROUPS", groupCompletions(env, args[0]), "VERBS", strings.Join(verbNames(), " "),
		"GENERATE", flagNames(generate), "CHECK", flagNames(env.flags("check")),
		"LINT", flagNames(env.lintFlags()), "DIFF", flagNames(env.diffFlags()), "SIMULATE", flagNames(simulate), "DRAW", flagNames(graph), "INIT", flagNames(start)).Replace(completions[args[0]])
	_, err := fmt.Fprint(env.stdout, script)
	return err
}

// groupCompletions is the part of a script about verbs that have verbs.
func groupCompletions(env *environment, shell string) string {
	var b strings.Builder
	for _, g := range groups() {
		b.WriteString(g.completion(env, shell))
	}
	return b.String()
}

// completion completes the verbs of g, then their flags and files.
func (g group) completion(env *environment, shell string) string {
	names := strings.Join(g.names(), " ")
	var b strings.Builder
	switch shell {
	case "bash":
		fmt.Fprintf(&b, "\t%s)\n\t\tif [ \"$COMP_CWORD\" -eq 2 ]; then\n\t\t\tCOMPREPLY=($(compgen -W %q -- \"$word\")); return\n\t\tfi\n\t\tcase ${COMP_WORDS[2]} in\n", g.name, names)
		for _, v := range g.verbs {
			fmt.Fprintf(&b, "\t\t%s) [ \"${word#-}\" = \"$word\" ] || COMPREPLY=($(compgen -W %q -- \"$word\")) ;;\n", v.name, g.flagNames(env, v))
		}
		b.WriteString("\t\tesac\n\t\t[ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n")
	case "zsh":
		fmt.Fprintf(&b, "\t%s)\n\t\tif (( CURRENT == 3 )); then compadd -- %s; return; fi\n\t\tcase $words[3] in\n", g.name, names)
		for _, v := range g.verbs {
			fmt.Fprintf(&b, "\t\t%s) [[ $PREFIX == -* ]] && compadd -- %s || _files ;;\n", v.name, g.flagNames(env, v))
		}
		b.WriteString("\t\tesac ;;\n")
	case "fish":
		fmt.Fprintf(&b, "complete -c resilgen -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from %s' -a '%s'\n", g.name, names, names)
		for _, v := range g.verbs {
			fmt.Fprintf(&b, "complete -c resilgen -n '__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s' -a '%s (__fish_complete_path)'\n", g.name, v.name, g.flagNames(env, v))
		}
	}
	return b.String()
}

func (g group) flagNames(env *environment, v subverb) string {
	flags := g.flags(v)
	v.begin(env.output(), flags)
	return strings.ReplaceAll(" "+flagNames(flags), " -", " --")[1:]
}

// flagNames lists the flags as they are written.
func flagNames(flags *flag.FlagSet) string {
	var names []string
	flags.VisitAll(func(f *flag.Flag) {
		if value := map[string]string{"lint": "=warn", "fail-on": "=weaker"}[f.Name]; value != "" {
			names = append(names, "-"+f.Name+value)
			return
		}
		names = append(names, "-"+f.Name)
	})
	return strings.Join(names, " ")
}
