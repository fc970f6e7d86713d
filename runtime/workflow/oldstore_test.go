package workflow_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

var record = flag.Bool("record", false, "write the store that TestOldStore resumes anew; only for a new version of what is on disk")

// oldStore is a directory with the runs "done", "middle", "timer", "signal" and
// "parked" of the workflow below, written by the first version that had any. It is
// never written again: what it holds must be resumed for ever.
const oldStore = "testdata/store-1.tar.gz"

// oldGraph sends its input to the node that it names.
func oldGraph(middle, breaks call) workflow.Graph {
	codec := workflow.JSON[*token]("token")
	node := func(name string, c call, next ...string) workflow.Node {
		return workflow.Node{Name: name, Params: []string{"in"}, In: []workflow.Codec{codec}, Out: codec, Next: next, Call: c}
	}
	pick := func(_ context.Context, in workflow.Args) (workflow.Value, workflow.Route, error) {
		to := workflow.Arg[*token](in, 0).text()
		return workflow.Of(&token{to}), workflow.To(workflow.Target[*token](to)), nil
	}
	both := node("both", func(_ context.Context, in workflow.Args) (workflow.Value, workflow.Route, error) {
		return workflow.Of(&token{"both(" + workflow.Arg[*token](in, 0).text() + "," + workflow.Arg[*token](in, 1).text() + ")"}), workflow.Route{}, nil
	}, "last")
	both.Params, both.In, both.WaitFor = []string{"a", "b"}, []workflow.Codec{codec, codec}, []string{"left", "right"}
	first, timer, signal := node("first", pick, "done", "middle", "timer", "signal", "parked"), node("timer", says("timer"), "last"), node("signal", nil, "last")
	first.Routes, timer.Delay, signal.Signal = true, time.Second, "go"
	return workflow.Graph{
		Name: "Old", Package: "test", Fingerprint: "0123456789abcdef", Entry: "first", Limits: workflow.Limits{Invocations: 100}, Input: codec, Output: codec,
		Nodes: []workflow.Node{
			first, timer, signal, both, node("done", says("done"), "last"), node("middle", says("middle"), "left", "right"), node("left", says("left"), "both"),
			node("right", middle, "both"), node("parked", breaks, "last"), node("last", says("last"), "end"),
		},
	}
}

// TestOldStore resumes what an old version left, and finishes it.
func TestOldStore(t *testing.T) {
	if *record {
		recordOldStore(t)
	}
	dir := unpack(t, oldStore)
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	engine, err := workflow.New[*token, *token](rt, oldGraph(says("right"), says("parked")))
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Get("signal").Signal(t.Context(), "go", workflow.Of(&token{"went"}), workflow.SignalOptions{ID: "1"}); err != nil {
		t.Error(err)
	}
	if err := replayLetters(t.Context(), rt.DeadLetters(), "state:dead"); err != nil {
		t.Error(err)
	}
	for id, want := range map[string]string{
		"done": "last(done(done))", "middle": "last(both(left(middle(middle)),right(middle(middle))))", "timer": "last(timer(timer))", "signal": "last(went)", "parked": "last(parked(parked))",
	} {
		result, err := engine.Run(t.Context(), &token{id}, workflow.Options{ID: id, Resume: workflow.ResumeYes})
		if err != nil || result.Output.text() != want || !result.CheckpointUsed {
			t.Errorf("run %s: status %q, output %q, checkpoint used %t, %v, want %q", id, result.Status, result.Output.text(), result.CheckpointUsed, err, want)
		}
	}
}

// recordOldStore writes the store of TestOldStore.
func recordOldStore(t *testing.T) {
	dir := t.TempDir()
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	waits := works(func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	fails := works(func(context.Context, string) (string, error) { return "", errors.New("planned") })
	engine, err := workflow.New[*token, *token](rt, oldGraph(waits, fails))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"done", "middle", "timer", "signal", "parked"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		result, err := engine.Run(ctx, &token{id}, workflow.Options{ID: id})
		t.Logf("run %s: status %q, %v", id, result.Status, err)
		cancel()
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	pack(t, dir, oldStore)
}

// sizeKey names the size of a file whose zeros at the end were left out.
const sizeKey = "RESILGEN.size"

func pack(t *testing.T, dir, to string) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	files := tar.NewWriter(zipped)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		short := bytes.TrimRight(body, "\x00")
		header := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(short)), Format: tar.FormatPAX, PAXRecords: map[string]string{sizeKey: strconv.Itoa(len(body))}}
		if err := files.WriteHeader(header); err != nil {
			return err
		}
		_, err = files.Write(short)
		return err
	})
	if err := errors.Join(err, files.Close(), zipped.Close(), os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, out.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// unpack returns a directory with the files of a packed one.
func unpack(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	zipped, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(zipped)
	for {
		header, err := files.Next()
		if err == io.EOF {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, header.Name)
		size, err := strconv.ParseInt(header.PAXRecords[sizeKey], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(files)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, body, 0o600), os.Truncate(path, size)); err != nil {
			t.Fatal(err)
		}
	}
}
