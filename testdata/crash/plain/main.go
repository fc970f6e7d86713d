// Command plain is the control of the harness: it appends a line for each step
// to a file and flushes it, or does not with -unsafe.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	unsafe := flag.Bool("unsafe", false, "do not flush")
	flag.Parse()
	if err := run(flag.Arg(0), flag.Arg(1), !*unsafe); err != nil {
		log.Fatal(err)
	}
}

func run(dir, name string, flush bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	known, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	whole := strings.LastIndexByte(string(known), '\n') + 1
	if err := f.Truncate(int64(whole)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for i := strings.Count(string(known[:whole]), "\n"); i < 10; i++ {
		fmt.Printf("E %s-%d\n", name, i)
		if _, err := fmt.Fprintln(f, i); err != nil {
			return err
		}
		if flush {
			if err := f.Sync(); err != nil {
				return err
			}
			if err := d.Sync(); err != nil {
				return err
			}
		}
		fmt.Printf("C %s-%d\n", name, i)
	}
	fmt.Println("result done")
	return nil
}
