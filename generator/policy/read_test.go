package policy

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func read(t testing.TB, text string) *File {
	t.Helper()
	set, err := Read([]Input{{Path: "r.yaml", Data: []byte(text)}})
	require.NoError(t, err)
	return set.Files[0]
}

func effective(t testing.TB, f *File, n int, method string) *Effective {
	t.Helper()
	methods := []Method{{Name: method}}
	for _, name := range []string{"GetAll", "GetOne", "ListAll", "Watch", "Raw", "Own"} {
		methods = append(methods, Method{Name: name})
	}
	list, errs := f.Interfaces[n].Resolve(methods)
	require.Empty(t, errs)
	return list[0]
}

func TestErrorsHavePositionAndHint(t *testing.T) {
	const head = "version: 1\ninterfaces:\n  G: "
	for _, c := range []struct{ name, text, want string }{
		{"typo", head + "{retry: {maxAtempts: 3}}", "r.yaml:3:15: retry.maxAtempts: unknown key (did you mean maxAttempts?) (RG090)"},
		{"foreign name", head + "{retry: {maxRetries: 3}}", "r.yaml:3:15: retry.maxRetries: unknown key; write retry.maxAttempts: N+1, it counts the first attempt too (RG090)"},
		{"not built", head + "{cache: {ttl: 1s}}", "r.yaml:3:7: cache: not available yet"},
		{"not built, root", "version: 1\nworkflows: {}", "r.yaml:2:1: workflows: not available yet"},
		{"no unit", head + "{timeout: {total: 500}}", "r.yaml:3:24: timeout.total: the duration \"500\" has no unit; write 500ms or 500s (RG095)"},
		{"zero timeout", head + "{timeout: {total: 0s}}", "r.yaml:3:24: timeout.total: must be > 0 (is 0s); none switches it off"},
		{"attempts", head + "{retry: {maxAttempts: 0}}", "r.yaml:3:28: retry.maxAttempts: must be ≥ 1 (is 0); it counts the first attempt, so “maxRetries: 3” means maxAttempts: 4 (RG010)"},
		{"enum", head + "{retry: {backoff: {jitter: some}}}", "r.yaml:3:33: retry.backoff.jitter: want one of none, full, equal, ratio, decorrelated, decorrelatedV2, not \"some\""},
		{"unknown policy", "version: 1\npolicies: {web: {retry: {}}}\ninterfaces: {G: {use: wed}}", "r.yaml:3:23: use: no policy \"wed\" (did you mean web?) (RG094)"},
		{"cycle", "version: 1\npolicies:\n  a: {extends: b}\n  b: {extends: a}", "r.yaml:4:16: extends: cycle: a → b → a (RG094)"},
		{"duplicate key", "version: 1\nversion: 1", "r.yaml:2:1: version: given twice, first in line 1 (RG090)"},
		{"merge key", "version: 1\nerrors: {<<: {a: b}}", "r.yaml:2:10: merge keys are not supported; name a policy and say extends"},
		{"alias", "version: 1\npreset: &a production\nerrors: *a", "r.yaml:3:9: aliases are not supported; name a policy and say use or extends"},
		{"anchor to itself", "a: &a [*a]", "r.yaml:1:8: aliases are not supported; name a policy and say use or extends"},
		{"second document", "version: 1\n---\nversion: 1", "r.yaml:2:1: a second document; one file holds one"},
		{"version", "version: 2", "r.yaml:1:10: version: want 1, not \"2\""},
		{"no version", "preset: production", "r.yaml:1:1: version: is missing; write version: 1"},
		{"empty", " \n", "r.yaml:1:1: the file is empty; it begins with version: 1"},
		{"NUL", "version: 1\n# \x00", "r.yaml:2:3: a NUL byte"},
		{"invalid UTF-8", "version: 1\n# \xff", "r.yaml:2:3: invalid UTF-8"},
		{"non-string key", "version: 1\n? [a]\n: b", "r.yaml:2:3: want a text as key"},
		{"not a name", head + "{retry: {retryOn: [\"a b\"]}}", "r.yaml:3:25: retry.retryOn: want a Go identifier such as ErrBusy or net.OpError, not \"a b\" (RG092)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read([]Input{{Path: "r.yaml", Data: []byte(c.text)}})
			var got Errors
			require.ErrorAs(t, err, &got)
			first, _, _ := strings.Cut(got.Error(), "\n")
			require.Equal(t, c.want, first)
		})
	}
}

func TestAllErrorsAtOnceSorted(t *testing.T) {
	_, err := Read([]Input{{Path: "r.yaml", Data: []byte("version: 3\ninterfaces:\n  G: {hedge: {}, retry: {x: 1}}\n")}})
	want := "r.yaml:1:10: version: want 1, not \"3\"\nr.yaml:3:7: hedge: not available yet\n" +
		"r.yaml:3:26: retry.x: unknown key; here stand maxAttempts, maxDuration, backoff, retryOn, abortOn, retryAfter, retryOnResult, failOnExhaustedResult, budget (RG090)"
	require.EqualError(t, err, want)
}

func TestHostileFilesEnd(t *testing.T) {
	for name, text := range map[string]string{
		"size":   strings.Repeat("#", maxBytes+1),
		"flow":   strings.Repeat("[", 100_000),
		"maps":   strings.Repeat("{a: ", 50_000),
		"dashes": strings.Repeat("- ", 100_000),
		"bomb":   "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]",
	} {
		start := time.Now()
		_, err := Read([]Input{{Path: "r.yaml", Data: []byte(text)}})
		var errs Errors
		if !errors.As(err, &errs) || !errs[0].Pos.IsValid() {
			t.Errorf("%s: error %v, want one with a position", name, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func TestBOMAndCRLFAreAccepted(t *testing.T) {
	f := read(t, "\xef\xbb\xbfversion: 1\r\ninterfaces:\r\n  G: {use: api}\r\n")
	require.Equal(t, 3, effective(t, f, 0, "Get").Int("retry.maxAttempts"))
}

const inheritance = `
version: 1
preset: production
errors:
  passing: [io.ErrUnexpectedEOF, ErrBusy]
policies:
  base: {timeout: {total: 9s, attempt: 1s}, retry: {maxAttempts: 4, retryOn: [passing, Transient]}}
  more: {extends: base, retry: {retryOn: {add: [ErrSlow], remove: [Transient]}}}
interfaces:
  G:
    use: more
    methods:
      "Get*": {retry: {maxAttempts: 5}}
      "Get*, List*": {idempotent: true}
      GetAll: {retry: {maxAttempts: 6}, timeout: {total: none}}
      Watch: {retry: none}
      Raw: none
      Own: {use: database}
`

func TestInheritance(t *testing.T) {
	f := read(t, inheritance)
	get := effective(t, f, 0, "GetAll")
	require.Equal(t, 6, get.Int("retry.maxAttempts"), "an exact name beats a glob")
	require.True(t, get.Idempotent(), "every matching glob is merged")
	require.Zero(t, get.Dur("timeout.total"))
	require.Equal(t, time.Second, get.Dur("timeout.attempt"))
	var names []string
	for _, n := range get.List("retry.retryOn").Names {
		names = append(names, n.Text)
	}
	if diff := cmp.Diff([]string{"io.ErrUnexpectedEOF", "ErrBusy", "ErrSlow"}, names); diff != "" {
		t.Errorf("retryOn (-want +got):\n%s", diff)
	}
	require.Equal(t, 30*time.Second, get.Dur("retry.backoff.maxDelay"), "the preset slips under")
	v, _ := get.Get("retry.backoff.maxDelay")
	require.Equal(t, "preset production", v.Origin)
	require.Equal(t, 5, effective(t, f, 0, "GetOne").Int("retry.maxAttempts"))
	require.False(t, effective(t, f, 0, "Watch").Has("retry"))
	require.True(t, effective(t, f, 0, "Raw").None())
	require.Equal(t, 5*time.Second, effective(t, f, 0, "Own").Dur("timeout.total"))
}

func TestClosersTakeNoneFromUse(t *testing.T) {
	f := read(t, "version: 1\ninterfaces:\n  G: {use: api}\n  H: {use: api, methods: {Close: {timeout: {total: 1s}}}}")
	list, errs := f.Interfaces[0].Resolve([]Method{{Name: "Close", Closer: true}})
	require.Empty(t, errs)
	require.True(t, list[0].None())
	list, _ = f.Interfaces[1].Resolve([]Method{{Name: "Close", Closer: true}})
	require.Equal(t, time.Second, list[0].Dur("timeout.total"), "unless named exactly")
}

func TestUncoveredAndUnknownMethods(t *testing.T) {
	f := read(t, "version: 1\ninterfaces:\n  G: {methods: {Chrage: none}}")
	_, errs := f.Interfaces[0].Resolve([]Method{{Name: "Charge"}})
	require.EqualError(t, Errors(errs), "r.yaml:3:17: G.Chrage: no method of G matches (did you mean Charge?) (RG091)\n"+
		"r.yaml:3:3: G.Charge: has no policy: give it an entry, or the interface a use; none passes it through (RG091)")
}

func TestUnusedPolicyIsAWarning(t *testing.T) {
	warnings := read(t, "version: 1\npolicies: {batch: {retry: {}}}").Warnings()
	require.Len(t, warnings, 1)
	require.EqualError(t, warnings[0], "r.yaml:2:12: policies.batch: policy \"batch\" is used nowhere (RG098)")
}

func TestTwoFilesOfOnePackage(t *testing.T) {
	one := []byte("version: 1\ninterfaces: {G: none}")
	_, err := Read([]Input{{Path: "a.yaml", Data: one}, {Path: "b.yaml", Data: one}})
	require.EqualError(t, err, "b.yaml:2:14: G: ResilientG is already declared at a.yaml:2:14; give one another name with of:")
}

func TestOutputNames(t *testing.T) {
	require.Equal(t, "resilience_gen.go", (&File{Path: "x/resilience.yaml"}).Out())
	require.Equal(t, "payments_resilience_gen.go", (&File{Path: "payments.resilience.yaml"}).Out())
}

func TestDocumentsComeFromTheTable(t *testing.T) {
	for path, want := range map[string][]byte{"../../docs/policy.md": Document(), "../../docs/resilience.schema.json": Schema()} {
		if os.Getenv("UPDATE") != "" {
			require.NoError(t, os.WriteFile(path, want, 0o644))
		}
		have, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(have), "run make docs")
	}
	for _, k := range Keys() {
		last := k.Path[strings.LastIndexByte(k.Path, '.')+1:]
		require.Equal(t, k.Built, strings.Contains(string(Document()), "| `"+k.Path+"` |"), k.Path)
		if k.Built {
			require.Contains(t, string(Schema()), "\""+last+"\": {", k.Path)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(inheritance))
	f.Add([]byte("version: 1\ninterfaces: {G: {use: api, fallback: {applyOn: [Timeout]}}}"))
	f.Add([]byte("version: 1\n? [a]\n: &b *b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Read([]Input{{Path: "r.yaml", Data: data}})
		var errs Errors
		switch {
		case err == nil:
			for _, i := range set.Files[0].Interfaces {
				i.Resolve([]Method{{Name: "Get"}, {Name: "Close", Closer: true}})
			}
		case !errors.As(err, &errs):
			t.Fatalf("error %v has no position", err)
		default:
			for _, e := range errs {
				if !e.Pos.IsValid() {
					t.Fatalf("%v has no position", e)
				}
			}
		}
	})
}
