//go:build !unix || solaris || illumos || aix

package ops

import "io/fs"

// permissions says that the mode of a file means something.
const permissions = false

func owner(fs.FileInfo) (uid int, ok bool) { return 0, false }

// lockPath locks nothing: here only a look at the socket tells whether a process
// listens.
func lockPath(string) (unlock func() error, err error) { return func() error { return nil }, nil }
