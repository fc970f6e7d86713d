module github.com/resilgen/resilgen/runtime/resiliencegrpc

go 1.25.0

replace github.com/resilgen/resilgen => ../..

require (
	github.com/resilgen/resilgen v0.0.0
	google.golang.org/grpc v1.76.0
)

require (
	golang.org/x/net v0.42.0 // indirect
	golang.org/x/sys v0.44.0 // indirect
	golang.org/x/text v0.27.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20250804133106-a7a43d27e69b // indirect
	google.golang.org/protobuf v1.36.6 // indirect
)
