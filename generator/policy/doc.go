// Package policy reads the policy language of resilgen: the YAML files beside
// a package's Go files and the //resilience:policy annotations in them.
//
// One table says what may be written: [Keys]. The reader, the reference
// ([Document]), the JSON schema ([Schema]), did-you-mean and the answers to
// names of other libraries all come from it. A key that is not in the table is
// an error, and so is one whose meaning is not built yet; nothing is ignored.
//
// [Read] turns sources into a [Set] of files and reports every error at once,
// each with its position. [Interface.Resolve] merges what was read into the
// [Effective] policy of each method, where every value knows its origin.
//
// The package knows YAML, not Go: identifiers, expressions and matchers are
// names here, which the generator resolves.
package policy
