// Empty is the least that prints an error.
package main

import (
	"errors"
	"fmt"
)

func main() { fmt.Println(errors.New("nothing")) }
