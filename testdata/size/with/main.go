// With is the service with a wrapper.
package main

import (
	"net/http"

	"github.com/resilgen/resilgen/testdata/size/service"
)

//go:generate go run github.com/resilgen/resilgen/cmd/resilgen generate .

func main() {
	service.Serve(NewResilientGateway(nil, &service.Client{HTTP: http.DefaultClient}))
}
