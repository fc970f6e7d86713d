module github.com/resilgen/resilgen/testdata/crash

go 1.25.0

require (
	github.com/hanwen/go-fuse/v2 v2.12.1
	github.com/resilgen/resilgen v0.0.0
)

require golang.org/x/sys v0.44.0 // indirect

replace github.com/resilgen/resilgen => ../..
