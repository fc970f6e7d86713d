package generator

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const orderPolicy = `version: 1
workflows:
  Order:
    handlers: OrderNodes
    entry: Take
    nodes:
      Take: {next: [Pay, Pack]}
      Pay: {next: [Ship]}
      Pack: {next: [Ship]}
      Ship: {waitFor: [Pay, Pack], next: [end]}
pipelines:
  Invoice:
    handlers: InvoiceStages
    stages: [Sum, Print]
`

const orderTypes = `package p

import "context"

type Cart struct{ Items []string }

type Paid struct{ Cents int }

type Packed struct{ Parcel string }

type Shipped struct{ At string }

type OrderNodes interface {
	Take(ctx context.Context, c Cart) (Cart, error)
	Pay(ctx context.Context, c Cart) (Paid, error)
	Pack(ctx context.Context, c Cart) (Packed, error)
	Ship(ctx context.Context, paid Paid, packed Packed) (Shipped, error)
}

type InvoiceStages interface {
	Sum(ctx context.Context, c Cart) (Cart, error)
	Print(ctx context.Context, c Cart) (Cart, error)
}
`

var hexes = regexp.MustCompile(`\b[0-9a-f]{16}\b`)

// TestDiffJudgesRuns: what was generated of the old graph tells the types of its
// messages and the fingerprint, and runs are judged by them.
func TestDiffJudgesRuns(t *testing.T) {
	root := newModule(t)
	for name, c := range map[string]struct {
		edit []string // of both files, pairs of old and new
		want string   // F is the old fingerprint, # any other number
	}{
		"nothing": {nil, ""},
		"limits and policies do not matter to runs": {
			[]string{"entry: Take\n", "entry: Take\n    limits: {invocations: 9}\n"},
			"6:27: Order: stronger: limits.invocations none → 9\n"},
		"a type gets another name": {[]string{"Parcel string", "Parcel string `yaml:\"p\"`", "Packed", "Wrapped"}, ""},
		"a delay": {[]string{"Pay: {next", "Pay: {delay: 1m, next"},
			"3:3: Order: other: fingerprint F → #: runs under way go on\n8:20: Order.Pay: other: delay none → 1m0s\n"},
		"a renamed node": {[]string{"Pack:", "Wrap:", "Pack,", "Wrap,", "Pack]", "Wrap]", "Pack(", "Wrap("},
			"3:3: Order.Pack: refused: a run with a message that waits for node Pack, which is gone\n" +
				`3:3: Order: other: fingerprint F → #: runs under way: workflow.Migrate(rt, "example.com/p.Order", "F", workflow.Moves{Rename: map[string]string{"Pack": "Wrap"}}), or the graph as it was` + "\n" +
				"9:7: Order.Wrap: other: the name Pack → Wrap: it looks renamed\n" +
				`10:7: Order.Ship: refused: a run with a message that has come to node Ship, which waited for ["Pay" "Pack"] and now waits for ["Pay" "Wrap"]` + "\n" +
				"10:7: Order.Ship: refused: a run that is past Wrap, for which node Ship now waits\n"},
		"a payload": {[]string{"Cents int", "Cents int64"},
			`3:3: Order: other: fingerprint F → #: runs under way: workflow.Migrate(rt, "example.com/p.Order", "F", …), or the graph as it was` + "\n" +
				"8:7: Order.Pay: other: returns Paid # → Paid #\n" +
				"10:7: Order.Ship: other: takes Paid #, Packed # → Paid #, Packed #\n" +
				"10:7: Order.Ship: refused: a run with a message that carries Paid # for node Ship, which now takes Paid #: resilience.Upcast makes one of the other\n"},
		"the output": {[]string{"At string", "At int"},
			"3:3: Order: refused: a run that has an output already, Shipped #, where the workflow now comes to Shipped #\n" +
				`3:3: Order: other: fingerprint F → #: runs under way: workflow.Migrate(rt, "example.com/p.Order", "F", …), or the graph as it was` + "\n" +
				"10:7: Order.Ship: other: returns Shipped # → Shipped #\n"},
		"stages": {[]string{"[Sum, Print]", "[Print, Sum: {optional: true}]"},
			"14:5: Invoice: other: stages [Sum, Print] → [Print, Sum]\n14:37: Invoice.Sum: other: optional false → true\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(root, "p")
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.MkdirAll(dir, 0o755))
			write := func(edit ...string) {
				to := strings.NewReplacer(edit...)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "resilience.yaml"), []byte(to.Replace(orderPolicy)), 0o644))
				require.NoError(t, os.WriteFile(filepath.Join(dir, "p.go"), []byte(to.Replace(orderTypes)), 0o644))
			}
			write()
			files, err := Generate(context.Background(), Config{Dir: dir})
			require.NoError(t, err)
			write(c.edit...)
			was := graphsIn(files[0].Content)["Order"].fingerprint
			require.Len(t, was, 16)
			list, err := Diff(context.Background(), Config{Dir: dir}, map[string][]byte{"resilience.yaml": []byte(orderPolicy), "resilience_gen.go": files[0].Content})
			require.NoError(t, err)
			var got strings.Builder
			for _, c := range list {
				text := strings.ReplaceAll(c.Finding().Error(), filepath.Join(dir, "resilience.yaml")+":", "")
				got.WriteString(hexes.ReplaceAllString(strings.ReplaceAll(text, was, "F"), "#") + "\n")
			}
			require.Equal(t, c.want, got.String())
		})
	}
}
