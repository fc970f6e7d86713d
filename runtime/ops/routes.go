package ops

import "net/http"

// routes is the table of everything that is served. GET changes nothing.
func routes() []Route {
	return []Route{
		{Method: http.MethodGet, Path: "", Doc: "what is served", serve: index},
		{Method: http.MethodGet, Path: "letters", Verb: "ls", Doc: "a page of letters", Query: []string{"filter", "cursor", "limit", "oldest"}, serve: listLetters},
		{Method: http.MethodGet, Path: "letters/{id}", Verb: "show", Doc: "a letter whole", serve: getLetter},
		{Method: http.MethodPatch, Path: "letters/{id}", Verb: "edit", Doc: "change the arguments of a letter", body: maxBody, serve: editLetter},
		{Method: http.MethodPost, Path: "letters/{id}/discard", Verb: "discard", Doc: "a letter is not to be replayed", body: maxBody, serve: discardLetter},
		{Method: http.MethodPost, Path: "letters/{id}/resolve", Verb: "resolve", Doc: "what has become of a letter", body: maxBody, serve: resolveLetter},
		{Method: http.MethodGet, Path: "patterns", Verb: "patterns", Doc: "patterns of letters, or one", Query: []string{"text", "id"}, serve: listPatterns},
		{Method: http.MethodPost, Path: "patterns", Verb: "patterns", Doc: "change what is said of a pattern", body: maxBody, serve: setPattern},
		{Method: http.MethodGet, Path: "stats", Verb: "stats", Doc: "letters by queue", serve: letterStats},
		{Method: http.MethodGet, Path: "export", Verb: "export", Doc: "letters whole, for an import", Query: []string{"filter"}, Stream: true, stream: exportLetters},
		{Method: http.MethodPost, Path: "import", Verb: "import", Doc: "bring letters in that were exported", body: maxImport, serve: importLetters},
		{Method: http.MethodGet, Path: "verify", Verb: "verify", Doc: "what is wrong with what is kept", Stream: true, stream: verifyLetters},
		{Method: http.MethodPost, Path: "rekey", Verb: "rekey", Doc: "seal arguments with the present key", body: maxBody, serve: rekeyLetters},
		{Method: http.MethodPost, Path: "erase", Verb: "rm", Doc: "drop letters, and every byte of them", body: maxBody, serve: eraseLetters},
		{Method: http.MethodPost, Path: "plans", Verb: "plan", Doc: "what a replay would do", body: maxBody, serve: makePlan},
		{Method: http.MethodPost, Path: "plans/{token}/apply", Verb: "apply", Doc: "make a job of a plan", Confirm: true, body: maxBody, serve: applyPlan},
		{Method: http.MethodGet, Path: "jobs", Verb: "jobs", Doc: "all jobs", serve: listJobs},
		{Method: http.MethodGet, Path: "jobs/{id}", Verb: "jobs", Doc: "a job, and what became of each letter", Query: []string{"after"}, serve: getJob},
		{Method: http.MethodPost, Path: "jobs/{id}/{turn}", Verb: "jobs", Doc: "pause, resume or cancel a job", body: maxBody, serve: turnJob},
		{Method: http.MethodGet, Path: "runs", Verb: "runs ls", Doc: "a page of runs", Query: []string{"workflow", "status", "cursor", "limit", "oldest"}, serve: listRuns},
		{Method: http.MethodGet, Path: "runs/show", Verb: "runs show", Doc: "a run whole", Query: []string{"workflow", "id"}, serve: showRun},
		{Method: http.MethodGet, Path: "runs/export", Verb: "runs export", Doc: "the records of a run", Query: []string{"workflow", "id"}, Stream: true, stream: exportRun},
		{Method: http.MethodPost, Path: "runs/resume", Verb: "runs resume", Doc: "a worker is to take a run", body: maxBody, serve: resumeRun},
		{Method: http.MethodPost, Path: "runs/cancel", Verb: "runs cancel", Doc: "a run is to end", body: maxBody, serve: cancelRun},
		{Method: http.MethodPost, Path: "runs/fork", Verb: "runs fork", Doc: "a run that goes on where another one stood", body: maxBody, serve: forkRun},
		{Method: http.MethodPost, Path: "runs/signal", Verb: "runs signal", Doc: "tell a run something", body: maxSignal, serve: signalRun},
	}
}
