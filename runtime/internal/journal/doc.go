// Package journal keeps records by key in the files of one directory, so that
// what was acknowledged is there after any crash. It knows bytes, keys and
// versions, and nothing of what they mean; docs/journal-format.md tells the format
// to other programs.
//
// Many goroutines append at once and share flushes: whoever arrives while the disk
// works is in the next batch. Everything the journal does to a disk goes through
// [FS], which is why every failure of one can be played in a test.
package journal
