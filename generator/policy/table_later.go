package policy

// laterKeys are the keys that the language has and the tool has not. They are
// read, and refused as not available yet, so that nobody believes in them.
func laterKeys() []*Key {
	file := func(path, doc string) *Key { return &Key{Path: path, Type: structural, Doc: doc, Places: InFile} }
	return []*Key{
		{Path: "deadLetter.ref", Type: structural, Doc: "Keeps a reference in the place of an argument, for what is large. A codec can do so by itself."},
		file("workflows", "Generated workflows."),
		file("pipelines", "Generated pipelines."),
	}
}
