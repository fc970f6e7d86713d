// Guard is a guard in the least program that there is.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/resilgen/resilgen/runtime/resilience"
)

func main() {
	g, err := (*resilience.Runtime)(nil).Guard("nothing", resilience.Policy{Retry: resilience.Retry{On: true}})
	if err == nil {
		err = resilience.Try(context.Background(), g, func(context.Context) error { return errors.New("nothing") })
	}
	fmt.Println(err)
}
