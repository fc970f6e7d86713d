package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// keptMemory is the memory of a node with memory: durable, which outlives runs, under
// a key of its own. It is written after the step that changed it, at least once; of
// two runs that set one key the last one wins.
type keptMemory struct {
	log resilience.Log
	key string
}

// keptMemory returns where the memory of n is kept, false for a node whose memory ends
// with the run.
func (r *run) keptMemory(n *node) (keptMemory, bool) {
	if r.log == nil || !n.DurableMemory {
		return keptMemory{}, false
	}
	return keptMemory{r.log.log, r.e.g.memoryKey(n.Name)}, true
}

// read returns what is kept, and the version of that.
func (k keptMemory) read(ctx context.Context) (map[string]string, resilience.Version, error) {
	texts := map[string]string{}
	for head, err := range k.log.Heads(ctx, k.key, k.key) {
		switch {
		case err != nil:
			return nil, 0, err
		case head.Key != k.key:
			return texts, 0, nil
		}
		if err := json.Unmarshal(head.Body, &texts); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", k.key, err)
		}
		return texts, head.Version, nil
	}
	return texts, 0, nil
}

// change sets and deletes keys, also where others do so at the same time.
func (k keptMemory) change(ctx context.Context, set map[string]string, forgot []string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		err := k.tryChange(ctx, set, forgot)
		if err == nil || errors.Is(err, resilience.ErrTooLarge) || errors.Is(err, resilience.ErrClosed) {
			return err
		}
		if sleep(ctx, pause); ctx.Err() != nil {
			return fmt.Errorf("memory of a node: %w", err)
		}
	}
}

func (k keptMemory) tryChange(ctx context.Context, set map[string]string, forgot []string) error {
	texts, version, err := k.read(ctx)
	if err != nil {
		return err
	}
	before := maps.Clone(texts)
	for _, key := range forgot {
		delete(texts, key)
	}
	maps.Copy(texts, set)
	if maps.Equal(before, texts) {
		return nil
	}
	body, err := json.Marshal(texts)
	if err != nil {
		return err
	}
	if _, err = k.log.Append(ctx, k.key, version, body); err == nil && version > 0 {
		_ = k.log.Drop(ctx, k.key, version) // the next one drops it, too
	}
	return err
}

// recall gives an invocation the memory of its node.
func (r *run) recall(inv *invocation) error {
	inv.memory = r.s.Memory[inv.node.Name]
	k, ok := r.keptMemory(inv.node)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.caller, readLimit)
	defer cancel()
	texts, _, err := k.read(ctx)
	if err != nil {
		return fmt.Errorf("memory of node %s: %w", inv.node.Name, err)
	}
	inv.memory = texts
	return nil
}

// readLimit is how long a store may take to be read.
const readLimit = 10 * time.Second

// memorize keeps what a step changed in a memory that outlives the run.
func (r *run) memorize(n *node, step *stepRecord) error {
	if k, ok := r.keptMemory(n); ok && step.changesMemory() {
		return k.change(r.caller, step.Memory, step.Forgot)
	}
	return nil
}

func (s *stepRecord) changesMemory() bool { return len(s.Memory)+len(s.Forgot) > 0 }

// memorizeAgain keeps what the steps of a run have set, since who had it before may
// have ended between a step and that.
func (r *run) memorizeAgain() error {
	for _, n := range r.e.nodes {
		k, ok := r.keptMemory(n)
		if set := r.s.Memory[n.Name]; ok && len(set) > 0 {
			if err := k.change(r.caller, set, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
