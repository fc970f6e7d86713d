// Without is the service without a wrapper.
package main

import (
	"net/http"

	"github.com/resilgen/resilgen/testdata/size/service"
)

func main() {
	service.Serve(&service.Client{HTTP: http.DefaultClient}, nil)
}
