package policy

// laterKeys are the keys that the language has and the tool has not. They are
// read, and refused as not available yet, so that nobody believes in them.
func laterKeys() []*Key {
	later := func(path, doc string) *Key { return &Key{Path: path, Type: structural, Doc: doc} }
	file := func(path, doc string) *Key { return &Key{Path: path, Type: structural, Doc: doc, Places: InFile} }
	return []*Key{
		later("checkpoint", "Keeps the result of a call durably."),
		file("workflows", "Generated workflows."),
		file("pipelines", "Generated pipelines."),
	}
}
