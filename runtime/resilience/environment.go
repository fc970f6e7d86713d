package resilience

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// knownVariables are the variables of the environment that say something: the
// switches, and one for each key that may change at run time.
func knownVariables() []string {
	list := []string{"RESILIENCE_ENABLED", "RESILIENCE_PRESET", "RESILIENCE_DISABLE", "RESILIENCE_DURABLE"}
	for i := range settings {
		if s := &settings[i]; s.part() != "" {
			list = append(list, variable(s.key))
		}
	}
	return list
}

// variable is the name of the variable for a key: RESILIENCE_RETRY_MAXATTEMPTS
// for retry.maxAttempts.
func variable(key string) string {
	return "RESILIENCE_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func (rt *Runtime) readEnvironment(environ []string) error {
	var errs []error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" {
			continue
		}
		if err := rt.setVariable(name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s=%s: %w", name, value, err))
		}
	}
	return errors.Join(errs...)
}

func (rt *Runtime) setVariable(name, value string) error {
	switch name {
	case "RESILIENCE_ENABLED":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("want true or false")
		}
		rt.enabled[""] = on
		rt.say(Event{Kind: OverrideApplied, Key: "enabled", Value: strconv.FormatBool(on), By: name})
	case "RESILIENCE_PRESET":
		p := slices.Index(presetWords, value)
		if p < 0 {
			return errors.New("want production, development or testing")
		}
		rt.preset, rt.pinned = Preset(p), true
		rt.say(Event{Kind: OverrideApplied, Key: "preset", Value: value, By: name})
	case "RESILIENCE_DISABLE":
		return rt.override(name, disable, value, checkPartList(value))
	case "RESILIENCE_DURABLE":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("want true or false")
		}
		rt.undurable = map[string]bool{"": !on}
		rt.say(Event{Kind: OverrideApplied, Key: "durable", Value: strconv.FormatBool(on), By: name})
	default:
		return rt.setKey(name, value)
	}
	return nil
}

func (rt *Runtime) override(variable, key, value string, err error) error {
	if err == nil {
		rt.say(Event{Kind: OverrideApplied, Key: key, Value: value, By: variable})
		rt.environment = append(rt.environment, Override{Key: key, Value: value, Origin: variable})
	}
	return err
}

// setKey takes a variable for a key. What is none and nearly one is refused;
// others are somebody else's: Kubernetes sets RESILIENCE_SERVICE_HOST for a
// service of that name.
func (rt *Runtime) setKey(name, value string) error {
	if !resembles(name) {
		return nil
	}
	for i := range settings {
		if s := &settings[i]; s.part() != "" && name == variable(s.key) {
			return rt.override(name, s.key, value, s.set(&Policy{}, value))
		}
	}
	for _, part := range policyParts {
		if name == variable(part.key) {
			return fmt.Errorf("no such variable: RESILIENCE_DISABLE=%s takes the part out, RESILIENCE_%s_… are its keys", part.key, strings.ToUpper(part.key))
		}
	}
	for key := range compiledKeys {
		if bare(name) == bare(variable(key)) {
			return fmt.Errorf("%s: %w", key, errCompiled)
		}
	}
	for _, known := range knownVariables() {
		if distance(name, known) <= 2 || bare(name) == bare(known) {
			return fmt.Errorf("no such variable, did you mean %s?", known)
		}
	}
	return nil
}

// resembles reports whether a name may be nearly one of ours. Two mistakes leave
// one of three pieces as it is. A process may have thousands of variables, and to
// compare each with every key takes long.
func resembles(name string) bool {
	name = bare(name)
	return strings.Contains(name, "RESI") || strings.Contains(name, "LIE") || strings.Contains(name, "NCE")
}

// bare is a name without underscores, which people put between words.
func bare(name string) string { return strings.ReplaceAll(name, "_", "") }

// distance is the edit distance of Levenshtein (1965).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
