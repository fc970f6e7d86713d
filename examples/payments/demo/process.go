package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// process is a server that prints its address and ends with its standard input.
type process struct {
	url    string
	cmd    *exec.Cmd
	stdin  io.Closer
	output *bufio.Reader
}

func start(ctx context.Context, command string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, command, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, output: bufio.NewReader(stdout)}
	address, err := p.output.ReadString('\n')
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("%s did not start: %w", command, err)
	}
	p.url = "http://" + strings.TrimSpace(address)
	return p, nil
}

// end ends a process and reads what it prints at its end.
func (p *process) end(last any) error {
	if err := p.stdin.Close(); err != nil {
		return err
	}
	if err := json.NewDecoder(p.output).Decode(last); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// kill ends a process by SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
