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
	completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$word")); return ;;
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
	completion) compadd -- bash zsh fish ;;
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
`,
}

func completion(_ context.Context, env *environment, args []string) error {
	if len(args) != 1 || completions[args[0]] == "" {
		return usageError{"completion wants bash, zsh or fish"}
	}
	generate, _ := env.generateFlags()
	simulate, _ := env.simulateFlags()
	script := strings.NewReplacer("VERBS", strings.Join(verbNames(), " "),
		"GENERATE", flagNames(generate), "CHECK", flagNames(env.flags("check")),
		"LINT", flagNames(env.lintFlags()), "DIFF", flagNames(env.diffFlags()), "SIMULATE", flagNames(simulate)).Replace(completions[args[0]])
	_, err := fmt.Fprint(env.stdout, script)
	return err
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
