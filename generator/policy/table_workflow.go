package policy

import "slices"

// forever is the word for what is never forgotten.
const forever = "forever"

func workflowKeys() []*Key {
	return slices.Concat([]*Key{
		{Path: "workflows", Type: structural, written: "mapping of names to workflows", Since: first, Places: InFile,
			Doc:     "Graphs of nodes that exchange messages. Each node is a method of a Go interface, called under its policy.",
			Example: "workflows: {Research: {handlers: ResearchNodes, entry: Plan, nodes: {Plan: {next: [end]}}}}"},
		{Path: "workflows.handlers", Type: structural, written: "`Name` or `import/path.Name`", Since: first, Places: InWorkflow,
			Doc:     "The Go interface whose methods are the nodes: `func(ctx context.Context, in T) (U, error)`, with a `workflow.Route` before the error where the node picks its successors.",
			Example: "handlers: ResearchNodes"},
		{Path: "workflows.entry", Type: structural, written: "name of a node", Since: first, Places: InWorkflow,
			Doc: "The node that gets the input of a run, which is its parameter.", Example: "entry: Plan"},
		{Path: "workflows.use", Type: structural, written: "name of a policy", Since: first, Places: InWorkflow,
			Doc: "The policy that every node is merged over.", Example: "use: workflowNode"},
		{Path: "workflows.lint", Type: structural, written: "mapping", Since: first, Places: InWorkflow,
			Doc: "Checks to be left out of every node, each with the reason.", Example: "lint: {ignore: {RG003: \"a model takes its time\"}}"},
		{Path: "workflows.output", Type: Enum, Since: first, Places: InWorkflow, def: "one",
			Doc: "What a run gives back.", Example: "output: all",
			Values: []EnumValue{
				{Name: "one", Doc: "the result of the only node that ends the run; a graph in which several branches may end is refused"},
				{Name: "all", Doc: "the results of all branches that end, in an order that does not depend on which was faster"},
			}},
		{Path: "workflows.concurrency", Type: Int, Since: first, Places: InWorkflow, min: 1, def: "1",
			Doc: "Nodes of one run at a time. At 1 they run in the order of the queue.", Example: "concurrency: 4"},
		{Path: "workflows.deadLetters", Type: Text, Since: first, Places: InWorkflow, Default: "workflow. and its name",
			Doc: "The queue for messages of nodes that finally failed.", Example: "deadLetters: research"},
	}, limitsKeys(), runKeys(), scheduleKeys(), nodeKeys())
}

func limitsKeys() []*Key {
	return []*Key{
		{Path: "workflows.limits", Type: Section, Since: first, Places: InWorkflow,
			Doc: "What a run may use. Past one of them it ends with the status limit_exceeded.", Example: "limits: {invocations: 50, duration: 10m, cost: 5.0}"},
		{Path: "workflows.limits.invocations", Type: Int, Since: first, Places: InWorkflow, min: 1,
			Doc: "Invocations of nodes. A graph with a cycle must have it.", Example: "invocations: 50"},
		{Path: "workflows.limits.duration", Type: Duration, Since: first, Places: InWorkflow, above: true,
			Doc: "Time in which a message could be worked on: neither downtime, nor delays, nor what is parked.", Example: "duration: 10m"},
		{Path: "workflows.limits.cost", Type: Number, Since: first, Places: InWorkflow, above: true,
			Doc: "The sum of what nodes add by `workflow.AddCost`.", Example: "cost: 5.0"},
		{Path: "workflows.checkpoint", Type: Section, Since: first, Places: InWorkflow,
			Doc: "How a run goes on where it stopped. Every step is durable, whatever stands here.", Example: "checkpoint: {keep: 10, autosave: 30s}"},
		{Path: "workflows.checkpoint.keep", Type: Int, Since: first, Places: InWorkflow, min: 1, def: "10",
			Doc: "Checkpoints that are kept to be looked at, and to fork runs from.", Example: "keep: 10"},
		{Path: "workflows.checkpoint.autosave", Type: Duration, Since: first, Places: InWorkflow, above: true, Default: "at once",
			Doc: "The time between two records of what a long node gives to `workflow.Save`.", Example: "autosave: 30s"},
		{Path: "workflows.checkpoint.resume", Type: Bool, Since: first, Places: InWorkflow, def: "true",
			Doc: "Whether `Run` and `Start` go on with a run of the same id that is not finished; if not, that is an error, unless `workflow.Options` says otherwise.", Example: "resume: false"},
		{Path: "workflows.retention", Type: Section, Since: first, Places: InWorkflow,
			Doc: "How long a run and its id are remembered after its end.", Example: "retention: {completed: 168h, parked: forever}"},
		{Path: "workflows.retention.completed", Type: Duration, Since: first, Places: InWorkflow, above: true, def: "168h", Unset: forever,
			Doc: "Of runs that completed.", Example: "completed: 24h"},
		{Path: "workflows.retention.failed", Type: Duration, Since: first, Places: InWorkflow, above: true, def: "720h", Unset: forever,
			Doc: "Of runs that failed, were cancelled or exceeded a limit.", Example: "failed: forever"},
		{Path: "workflows.retention.parked", Type: Duration, Since: first, Places: InWorkflow, above: true, Default: forever, Unset: forever,
			Doc: "Of runs that wait for somebody to replay or discard their letters.", Example: "parked: 2160h"},
	}
}

func runKeys() []*Key {
	return []*Key{
		{Path: "workflows.roles", Type: structural, written: "mapping of names to lists of nodes", Since: first, Places: InWorkflow,
			Doc: "Sets of nodes, for `forbid`. A node has at most one role.", Example: "roles: {planner: [Plan], worker: [Analyse, Write]}"},
		{Path: "workflows.forbid", Type: structural, written: "list of `role -> role`", Since: first, Places: InWorkflow,
			Doc: "Hand-offs that there must not be: an edge of the graph is refused, a route at run time is a dead letter.", Example: "forbid: [\"worker -> worker\"]"},
		{Path: "workflows.runs", Type: Section, Since: first, Places: InWorkflow,
			Doc: "Which runs are executed at a time.", Example: "runs: {perKey: \"input.Tenant\", max: 1}"},
		{Path: "workflows.runs.perKey", Type: Expression, Since: first, Places: InWorkflow,
			Doc: "What runs have in common that compete: a Go expression of a string type over `input`.", Example: "perKey: \"input.Tenant\""},
		{Path: "workflows.runs.max", Type: Int, Since: first, Places: InWorkflow, min: 1, def: "1",
			Doc: "Runs with one key at a time. The others wait, which is no failure.", Example: "max: 2"},
		{Path: "workflows.runs.queue", Type: Text, Since: first, Places: InWorkflow, Default: "the name of the workflow",
			Doc: "The queue from which workers take runs. Workflows that name one queue share it.", Example: "queue: agents"},
	}
}

func scheduleKeys() []*Key {
	return []*Key{
		{Path: "workflows.schedules", Type: structural, written: "mapping of names to schedules", Since: first, Places: InWorkflow,
			Doc: "Runs that begin by themselves. The name and the time are the run's id, so a time is one run, whoever starts it.", Example: "schedules: {nightly: {cron: \"0 3 * * *\", timeZone: Europe/Berlin, input: nightly}}"},
		{Path: "workflows.schedules.every", Type: Duration, Since: first, Places: InWorkflow, above: true,
			Doc: "The time between two runs.", Example: "every: 1h"},
		{Path: "workflows.schedules.cron", Type: Cron, Since: first, Places: InWorkflow,
			Doc: "Minute, hour, day of the month, month and day of the week, as cron has them, or one of @hourly, @daily, @weekly, @monthly and @yearly.", Example: "cron: \"30 3 * * mon-fri\""},
		{Path: "workflows.schedules.timeZone", Type: Text, Since: first, Places: InWorkflow, Default: "UTC",
			Doc: "Where the clock of `cron` hangs, by its name in the IANA database.", Example: "timeZone: Europe/Berlin"},
		{Path: "workflows.schedules.catchUp", Type: Enum, Since: first, Places: InWorkflow, def: "skip",
			Doc: "What becomes of times that nobody was there for.", Example: "catchUp: one",
			Values: []EnumValue{
				{Name: "skip", Doc: "they are left out"},
				{Name: "one", Doc: "the last one is made up for"},
				{Name: "all", Doc: "each is made up for"},
			}},
		{Path: "workflows.schedules.overlap", Type: Enum, Since: first, Places: InWorkflow, def: "skip",
			Doc: "What happens when the run before is not over.", Example: "overlap: queue",
			Values: []EnumValue{
				{Name: "skip", Doc: "there is none this time"},
				{Name: "queue", Doc: "the new one waits for it"},
				{Name: "allow", Doc: "both run"},
			}},
		{Path: "workflows.schedules.input", Type: Func, Since: first, Places: InWorkflow,
			Doc: "A func of the package that returns the input, `func() T`.", Example: "input: nightly"},
	}
}

func nodeKeys() []*Key {
	return []*Key{
		{Path: "workflows.nodes", Type: structural, written: "mapping of names to nodes", Since: first, Places: InWorkflow,
			Doc:     "The nodes: what follows below, and the keys of a policy as on a method. Every method of the handlers is one. Nodes may be retried without being marked, since a crash may repeat one anyway, with the same idempotency key; `idempotent: false` says otherwise.",
			Example: "nodes: {Plan: {use: workflowNode, next: [Write]}, Write: {next: [end], retry: {maxAttempts: 5}}}"},
		{Path: "workflows.nodes.next", Type: structural, written: "list of nodes and `end`", Since: first, Places: InNode,
			Doc: "The nodes that get the result: all of them, or those that a route picks. `end` ends the branch; the result is the output of the run.", Example: "next: [Analyse, Write]"},
		{Path: "workflows.nodes.waitFor", Type: structural, written: "list of nodes, or `any` or `all` of them", Since: first, Places: InNode,
			Doc: "Makes the node a join: it is called when each of these has sent its result, with one parameter for each, in order.", Example: "waitFor: [Analyse, Write]"},
		{Path: "workflows.nodes.waitFor.any", Type: structural, written: "list of nodes", Since: first, Places: InNode,
			Doc: "The first result is enough. The parameters are pointers; what has not come is nil, and dropped when it comes.", Example: "waitFor: {any: [Fast, Slow]}"},
		{Path: "workflows.nodes.waitFor.all", Type: structural, written: "list of nodes", Since: first, Places: InNode,
			Doc: "All of them, for as long as `timeout` says.", Example: "waitFor: {all: [Analyse, Write], timeout: 1h}"},
		{Path: "workflows.nodes.waitFor.timeout", Type: Duration, Since: first, Places: InNode, above: true,
			Doc: "How long after the first result the node goes on with what there is. The parameters are pointers, nil for what has not come.", Example: "timeout: 1h"},
		{Path: "workflows.nodes.delay", Type: Duration, Since: first, Places: InNode, above: true,
			Doc: "How much later each message to the node is due. Nothing is held meanwhile.", Example: "delay: 24h"},
		{Path: "workflows.nodes.memory", Type: Enum, Since: first, Places: InNode, def: "run",
			Doc: "How long `workflow.Memory` of the node remembers.", Example: "memory: durable",
			Values: []EnumValue{
				{Name: "run", Doc: "as long as the run"},
				{Name: "durable", Doc: "across runs"},
			}},
		{Path: "workflows.nodes.signal", Type: structural, written: "name, or `name` with `type` and `timeout`", Since: first, Places: InNode,
			Doc: "Makes the node wait for a signal from outside, which is its result. It is no method.", Example: "signal: approval"},
		{Path: "workflows.nodes.signal.name", Type: Text, Since: first, Places: InNode,
			Doc: "The name of the signal.", Example: "signal: {name: approval, timeout: 48h}"},
		{Path: "workflows.nodes.signal.type", Type: structural, written: "Go type", Since: first, Places: InNode, Default: "the parameter of its successors",
			Doc: "The type of what is sent.", Example: "signal: {name: approval, type: Approval}"},
		{Path: "workflows.nodes.signal.timeout", Type: Duration, Since: first, Places: InNode, above: true,
			Doc: "How long it waits. The result is a pointer then, and nil when nothing came.", Example: "timeout: 48h"},
		{Path: "workflows.nodes.workflow", Type: structural, written: "name of a workflow", Since: first, Places: InNode,
			Doc: "Makes the node a run of another workflow of the package, which takes its input and gives its output.", Example: "workflow: Shipping"},
		{Path: "workflows.nodes.pipeline", Type: structural, written: "name of a pipeline", Since: first, Places: InNode,
			Doc: "Makes the node a pipeline of the package.", Example: "pipeline: Invocation"},
	}
}

func pipelineKeys() []*Key {
	return []*Key{
		{Path: "pipelines", Type: structural, written: "mapping of names to pipelines", Since: first, Places: InFile,
			Doc:     "Calls that go through stages, each under its own policy, with one report.",
			Example: "pipelines: {Invocation: {handlers: InvocationStages, stages: [{Execute: {use: api}}]}}"},
		{Path: "pipelines.handlers", Type: structural, written: "`Name` or `import/path.Name`", Since: first, Places: InPipeline,
			Doc: "The Go interface whose methods are the stages: `func(ctx context.Context, in T) (U, error)`.", Example: "handlers: InvocationStages"},
		{Path: "pipelines.use", Type: structural, written: "name of a policy", Since: first, Places: InPipeline,
			Doc: "The policy that every stage is merged over.", Example: "use: api"},
		{Path: "pipelines.lint", Type: structural, written: "mapping", Since: first, Places: InPipeline,
			Doc: "Checks to be left out of every stage, each with the reason.", Example: "lint: {ignore: {RG003: \"a model takes its time\"}}"},
		{Path: "pipelines.stages", Type: structural, written: "list of stages", Since: first, Places: InPipeline,
			Doc: "The stages in their order, each with the keys of a policy as on a method. Every method of the handlers is one.", Example: "stages: [{Prepare: {use: api}}, {Summarize: {optional: true}}]"},
		{Path: "pipelines.stages.optional", Type: Bool, Since: first, Places: InStage, def: "false",
			Doc: "The failure of the stage is reported, and the value that it was given goes on.", Example: "optional: true"},
	}
}
