package ops

import "net/http"

// routes is the table of everything that is served. GET changes nothing.
func routes() []Route {
	return []Route{
		{Method: http.MethodGet, Path: "", Doc: "what is served", serve: index},
	}
}
