// Research runs the workflow Research, or goes on with it where a former process
// was killed. It prints the nodes as they begin, and in the end the result.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/resilgen/resilgen/examples/agents"
	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/workflow"
)

func main() {
	dir := flag.String("dir", "", "where the run is kept")
	model := flag.String("model", "", "URL of the language model")
	id := flag.String("id", "research-1", "of the run")
	topic := flag.String("topic", "tides", "of the research")
	flag.Parse()
	if err := run(context.Background(), *dir, *model, *id, *topic); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir, model, id, topic string) error {
	rt, err := resilience.Open(resilience.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer rt.Close()
	nodes := &agents.Agents{
		Model:   &agents.Model{URL: model, HTTP: http.DefaultClient},
		Entered: func(node string) { fmt.Println("enters", node) },
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
