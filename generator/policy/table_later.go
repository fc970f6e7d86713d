package policy

// laterKeys are the keys that the language has and the tool has not. They are
// read, and refused as not available yet, so that nobody believes in them.
func laterKeys() []*Key {
	file := func(path, doc string) *Key { return &Key{Path: path, Type: structural, Doc: doc, Places: InFile} }
	return []*Key{
		file("workflows", "Generated workflows."),
		file("pipelines", "Generated pipelines."),
	}
}
