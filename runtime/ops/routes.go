package ops

import "net/http"

// routes is the table of everything that is served. GET changes nothing.
func routes() []Route {
	return []Route{
		{Method: http.MethodGet, Path: "", Doc: "what is served", serve: index},
		{Method: http.MethodGet, Path: "letters", Verb: "ls", Doc: "a page of letters", Query: []string{"filter", "cursor", "limit", "oldest"}, serve: listLetters},
		{Method: http.MethodGet, Path: "letters/{id}", Verb: "show", Doc: "a letter whole", serve: getLetter},
	}
}
