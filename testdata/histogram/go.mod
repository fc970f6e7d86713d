module histogram

go 1.25.0

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/resilgen/resilgen v0.0.0
)

replace github.com/resilgen/resilgen => ../..
