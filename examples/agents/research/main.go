// Research runs the workflow Research, or goes on with it where a former process
// was killed. It prints the nodes as they begin, and in the end the result.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"

	"github.com/resilgen/resilgen/examples/agents"
	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

func main() {
	dir := flag.String("dir", "", "where the run is kept")
	model := flag.String("model", "", "URL of the language model")
	id := flag.String("id", "research-1", "of the run")
	topic := flag.String("topic", "tides", "of the research")
	step := flag.Bool("step", false, "wait at the beginning of every node for a line on standard input")
	flag.Parse()
	entered := func(node string) { fmt.Println("enters", node) }
	if *step {
		entered = stepping(os.Stdin)
	}
	if err := run(context.Background(), *dir, *model, *id, *topic, entered); err != nil {
		log.Fatal(err)
	}
}

// stepping says that a node begins, and has it wait for a line.
func stepping(lines io.Reader) func(node string) {
	var mu sync.Mutex // nodes run at the same time
	in := bufio.NewReader(lines)
	return func(node string) {
		fmt.Println("enters", node)
		mu.Lock()
		defer mu.Unlock()
		_, _ = in.ReadString('\n') // who steps may have gone, and holds up nobody then
	}
}

func run(ctx context.Context, dir, model, id, topic string, entered func(node string)) error {
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer rt.Close()
	nodes := &agents.Agents{
		Model:   &agents.Model{URL: model, HTTP: http.DefaultClient},
		Entered: entered,
	}
	research, err := agents.NewResearchWorkflow(rt, nodes, agents.NoSurvey{})
	if err != nil {
		return err
	}
	result, err := research.Run(ctx, agents.Question{Topic: topic, Depth: 2}, workflow.Options{ID: id})
	if err != nil {
		return err
	}
	fmt.Print("ends ")
	return json.NewEncoder(os.Stdout).Encode(result)
}
