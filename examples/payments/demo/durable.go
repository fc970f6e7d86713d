package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/resilgen/resilgen/examples/payments"
)

const (
	sales     = 400
	killAfter = 1300 * time.Millisecond
	// promises are how many payments the fallback answers before the gateway is alive
	// again, or all of them if there are not so many.
	promises = 100
	// replays are how often letters are replayed at most.
	replays = 10
	// Exit codes of resilgen dlq apply, whose replays failed.
	allFailed, someFailed = 1, 3
	price                 = 995
)

// shop sends payments to a service that it kills on the way.
type shop struct {
	ctx      context.Context
	command  string
	args     []string
	client   *http.Client
	resilgen string
	addr     string // of the service, for resilgen dlq

	service  atomic.Pointer[process]
	mu       sync.Mutex
	answers  map[string]payments.Receipt // what was acknowledged
	asked    int
	promised int // of the answers
}

// durable lets a service take payments while its gateway is dead, kills it,
// starts it again, and replays what it kept once the gateway is healed.
func durable(ctx context.Context, gateway, service, resilgen string) error {
	fmt.Printf("\nNow a service that keeps what must not be lost, in a directory: %d payments, SIGKILL on the way.\n\n", sales)
	dir, err := os.MkdirTemp("", "payments")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	peer, err := start(ctx, gateway, "-dead-after", "1s", "-dead-for", "1h")
	if err != nil {
		return err
	}
	defer peer.kill()
	addr := "unix:" + filepath.Join(dir, "ops.sock")
	s := &shop{ctx: ctx, command: service, resilgen: resilgen, addr: addr, answers: map[string]payments.Receipt{},
		args:   []string{"-dir", filepath.Join(dir, "store"), "-gateway", peer.url, "-ops", addr},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 20 * time.Second}}
	if err := s.start(); err != nil {
		return err
	}
	defer func() { s.service.Load().kill() }()
	if err := s.sell(peer.url); err != nil {
		return err
	}
	if err := s.audit(); err != nil {
		return err
	}
	if err := s.replay(peer.url); err != nil {
		return err
	}
	return settle(peer)
}

func (s *shop) start() error {
	p, err := start(s.ctx, s.command, s.args...)
	if err == nil {
		s.service.Store(p)
	}
	return err
}

// sell sends every payment until it is acknowledged, and kills the service in the
// middle. The gateway, which died meanwhile, is alive again when it was missed enough:
// a service that needs long to start misses nothing of that.
func (s *shop) sell(gateway string) error {
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	group.Go(func() {
		time.Sleep(killAfter)
		s.service.Load().kill()
		s.mu.Lock()
		fmt.Printf("SIGKILL after %v: %d payments acknowledged, of %d asked for\n", killAfter, len(s.answers), s.asked)
		s.mu.Unlock()
		err := s.start()
		if err == nil {
			s.misses()
			err = s.post(gateway + "/revive")
		}
		if err != nil {
			failed.Store(&err)
		}
	})
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := range sales {
		<-tick.C
		s.mu.Lock()
		s.asked++
		s.mu.Unlock()
		group.Go(func() {
			if err := s.pay(fmt.Sprintf("sale-%03d", i)); err != nil {
				failed.Store(&err)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// misses waits until enough payments were promised.
func (s *shop) misses() {
	for s.ctx.Err() == nil {
		s.mu.Lock()
		enough := s.promised >= promises || len(s.answers) == sales
		s.mu.Unlock()
		if enough {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// post asks a gateway to be better.
func (s *shop) post(url string) error {
	resp, err := s.client.Post(url, "", nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// pay asks for a payment until it is acknowledged, as the client of a service that
// may die must.
func (s *shop) pay(id string) error {
	for s.ctx.Err() == nil {
		receipt, err := s.ask(id)
		if err == nil {
			s.mu.Lock()
			s.answers[id] = receipt
			if receipt.Deferred {
				s.promised++
			}
			s.mu.Unlock()
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return s.ctx.Err()
}

func (s *shop) ask(id string) (receipt payments.Receipt, err error) {
	body, err := json.Marshal(payments.ChargeRequest{ID: id, Cents: price})
	if err != nil {
		return receipt, err
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.service.Load().url, bytes.NewReader(body))
	if err != nil {
		return receipt, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return receipt, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return receipt, errors.New(resp.Status)
	}
	return receipt, json.NewDecoder(resp.Body).Decode(&receipt)
}

// audit holds what was acknowledged against what the restarted service knows.
func (s *shop) audit() error {
	promised := map[string]bool{}
	for id, receipt := range s.answers {
		if receipt.Deferred {
			promised[id] = true
		}
	}
	fmt.Printf("all %d acknowledged in the end: %d charged, %d promised by the fallback\n", len(s.answers), len(s.answers)-len(promised), len(promised))
	kept, err := s.kept()
	if err != nil {
		return err
	}
	for id := range promised {
		if !kept[id] {
			return fmt.Errorf("%s was promised, and no letter is kept", id)
		}
	}
	fmt.Printf("every promise has its dead letter, those of before the SIGKILL too: nothing acknowledged is missing\n")
	return nil
}

// letter is what the demo reads of resilgen dlq --json.
type letter struct {
	ID   string
	Call struct {
		Args []struct{ JSON payments.ChargeRequest }
	}
}

// kept returns the IDs of the payments that the service keeps letters of.
func (s *shop) kept() (map[string]bool, error) {
	list, err := s.letters("ls", "--limit=0")
	if err != nil || len(list) == 0 {
		return nil, err
	}
	show := []string{"show"}
	for _, l := range list {
		show = append(show, l.ID)
	}
	if list, err = s.letters(show...); err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	for _, l := range list {
		kept[l.Call.Args[0].JSON.ID] = true
	}
	return kept, nil
}

func (s *shop) letters(verb ...string) (list []letter, err error) {
	out, err := s.dlq(verb[0], append([]string{"--json"}, verb[1:]...)...)
	if err != nil {
		return nil, err
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l letter
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
}

// dlq runs a verb of resilgen dlq against the service.
func (s *shop) dlq(verb string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(s.ctx, s.resilgen, append([]string{"dlq", verb, "--addr=" + s.addr}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

// show runs a verb and prints what it prints, as somebody at a terminal sees it.
func (s *shop) show(verb string, args ...string) error {
	fmt.Printf("\n$ %s\n", strings.Join(append([]string{"resilgen dlq", verb, "--addr …"}, args...), " "))
	out, err := s.dlq(verb, args...)
	fmt.Print(string(out))
	return err
}

// replay heals the gateway, and replays every letter by plans: one, as a rule.
func (s *shop) replay(gateway string) error {
	if err := s.show("patterns"); err != nil {
		return err
	}
	if err := s.post(gateway + "/heal"); err != nil {
		return err
	}
	fmt.Println("\nThe gateway is healed.")
	options := []string{"--rate=100", "--concurrency=8", "queue:payments.charges"}
	for range replays {
		switch left, err := s.apply(options); {
		case err != nil:
			return err
		case !left:
			return s.show("stats")
		}
	}
	return fmt.Errorf("%d replays left letters over", replays)
}

// apply replays what a plan takes. Letters are left over where a replay fails, as may
// happen on a machine that has so much else to do that attempts time out.
func (s *shop) apply(options []string) (left bool, err error) {
	if err := s.show("plan", options...); err != nil {
		return false, err
	}
	out, err := s.dlq("plan", append([]string{"--json"}, options...)...)
	if err != nil {
		return false, err
	}
	var plan struct{ Token string }
	if err := json.Unmarshal(out, &plan); err != nil {
		return false, err
	}
	fmt.Printf("\n$ resilgen dlq apply --addr … %s\n", plan.Token)
	out, err = s.dlq("apply", plan.Token)
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		left = failed.ExitCode() == allFailed || failed.ExitCode() == someFailed
	}
	if err != nil && !left {
		return false, fmt.Errorf("apply: %w\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	fmt.Printf("… %d lines, and the last one:\n%s\n", len(lines), lines[len(lines)-1])
	return left, nil
}

// settle reads the ledger of the gateway: every payment is in it, once.
func settle(gateway *process) error {
	var saw seen
	if err := gateway.end(&saw); err != nil {
		return err
	}
	fmt.Printf("\nThe ledger of the gateway: %d payments of %d, each once; %d charges it knew already and did not take again.\n", saw.Payments, sales, saw.Again)
	if saw.Payments != sales || saw.Cents != sales*price {
		return fmt.Errorf("%d payments over %d cents, want %d over %d", saw.Payments, saw.Cents, sales, sales*price)
	}
	return nil
}
