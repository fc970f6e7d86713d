package lint

// graphOf is a policy file with a workflow of these nodes.
func graphOf(nodes string) string {
	return "workflows:\n  Research:\n    handlers: ResearchNodes\n    entry: Plan\n" + nodes
}

// nodesOf is a package with these handlers.
func nodesOf(methods string) string {
	return "import \"context\"\n\ntype Question struct{ Text string }\n\ntype Outline struct{ Points []string }\n\ntype Report struct{ Text string }\n\ntype ResearchNodes interface {\n" + methods + "}"
}

// routesOf is one whose nodes may pick their successors.
func routesOf(methods string) string {
	return "import (\n\t\"context\"\n\n\t\"github.com/resilgen/resilgen/runtime/workflow\"\n)\n\ntype Question struct{ Text string }\n\ntype Outline struct{ Points []string }\n\ntype Report struct{ Text string }\n\ntype ResearchNodes interface {\n" + methods + "}"
}

const (
	planWrite   = "\tPlan(ctx context.Context, q Question) (Outline, error)\n\tWrite(ctx context.Context, o Outline) (Report, error)\n"
	planRevise  = "\tPlan(ctx context.Context, q Question) (Outline, error)\n\tRevise(ctx context.Context, o Outline) (Outline, workflow.Route, error)\n"
	planBranch  = "\tPlan(ctx context.Context, q Question) (Outline, error)\n\tWrite(ctx context.Context, o Outline) (Report, error)\n\tSketch(ctx context.Context, o Outline) (Report, error)\n"
	planTriage  = "\tPlan(ctx context.Context, q Question) (Outline, workflow.Route, error)\n\tWrite(ctx context.Context, o Outline) (Report, error)\n\tSketch(ctx context.Context, o Outline) (Report, error)\n"
	chain       = "    nodes:\n      Plan: {next: [Write]}\n      Write: {next: [end]}\n"
	branches    = "    nodes:\n      Plan: {next: [Write, Sketch]}\n      Write: {next: [Review]}\n      Sketch: {next: [Review]}\n"
	branchesEnd = "    nodes:\n      Plan: {next: [Write, Sketch]}\n      Write: {next: [end]}\n      Sketch: {next: [end]}\n"
)

var workflowRules = []Rule{
	{ID: "RG0A0", Doc: "a graph fits together", Severity: Fact,
		Why:   "A node that is no method, a result that its successor does not take, a node that nothing leads to: in a system that finds its nodes by name at run time each of these is a message that nobody gets, in the one run that comes by there. Here it does not compile.",
		Fires: Example{Policy: graphOf("    nodes:\n      Plan: {next: [Writ]}\n      Write: {next: [end]}\n"), Go: nodesOf(planWrite)},
		Holds: Example{Policy: graphOf(chain), Go: nodesOf(planWrite)}},
	{ID: "RG0A1", Doc: "a step's record can hold what nodes take and return", Severity: Fact,
		Why:   "Every message is written as JSON before it is worked on, and a run that is resumed reads it in another process. What JSON loses is there in a run that nobody disturbed and gone in one that crashed, which no test of the nodes shows.",
		Fires: Example{Policy: graphOf(chain), Go: nodesOf("\tPlan(ctx context.Context, q Question) (func() Outline, error)\n\tWrite(ctx context.Context, o func() Outline) (Report, error)\n")},
		Holds: Example{Policy: graphOf(chain), Go: nodesOf(planWrite)}},
	{ID: "RG0A2", Doc: "what a join waits for comes", Severity: Fact,
		Why:   "A join that gets one of two results and never the other keeps its run open for ever: it does not fail, so nobody is told. Where a route decides, waitFor: {any: […]} goes on with the first, and a timeout with what there is; the parameters are pointers then, so that the compiler asks what happens without.",
		Fires: Example{Policy: graphOf(branches + "      Review: {waitFor: [Write, Sketch], next: [end]}\n"), Go: routesOf(planTriage + "\tReview(ctx context.Context, a, b Report) (Report, error)\n")},
		Holds: Example{Policy: graphOf(branches + "      Review: {waitFor: {any: [Write, Sketch]}, next: [end]}\n"), Go: routesOf(planTriage + "\tReview(ctx context.Context, a, b *Report) (Report, error)\n")}},
	{ID: "RG0A3", Doc: "a cycle has a limit", Severity: Fact,
		Why:   "Nodes that hand their work back to each other, a writer and a critic, agree after three rounds or never. Without a number that ends it, a run of the second kind calls its peers, and pays for it, until somebody looks.",
		Fires: Example{Policy: graphOf("    nodes:\n      Plan: {next: [Revise]}\n      Revise: {next: [Revise, end]}\n"), Go: routesOf(planRevise)},
		Holds: Example{Policy: graphOf("    limits: {invocations: 20}\n    nodes:\n      Plan: {next: [Revise]}\n      Revise: {next: [Revise, end]}\n"), Go: routesOf(planRevise)}},
	{ID: "RG0A4", Doc: "a run has one output, or says that it has several", Severity: Fact,
		Why:   "Where two branches end, one of the two results would be the answer: that of the slower one, today. A join makes one of them, output: all gives both, always in the same order.",
		Fires: Example{Policy: graphOf(branchesEnd), Go: nodesOf(planBranch)},
		Holds: Example{Policy: graphOf("    output: all\n" + branchesEnd), Go: nodesOf(planBranch)}},
	{ID: "RG0A5", Doc: "a route reaches each of its successors", Severity: Warning,
		Why:   "workflow.To brings a node's own result. A successor that takes another type gets a dead letter from it, and only workflow.Send, with a value of that type, reaches it: which is right where it is meant.",
		Fires: Example{Policy: graphOf("    nodes:\n      Plan: {next: [Write, Sketch]}\n      Write: {next: [end]}\n      Sketch: {next: [end]}\n"), Go: routesOf("\tPlan(ctx context.Context, q Question) (Outline, workflow.Route, error)\n\tWrite(ctx context.Context, o Outline) (Report, error)\n\tSketch(ctx context.Context, q Question) (Report, error)\n")},
		Holds: Example{Policy: graphOf("    nodes:\n      Plan: {next: [Write, Sketch]}\n      Write: {next: [end]}\n      Sketch: {next: [end]}\n"), Go: routesOf(planTriage)}},
}
