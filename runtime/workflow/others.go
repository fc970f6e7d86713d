package workflow

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// others begins what a worker does besides running runs: it starts those of schedules
// and drops old ones, until ctx ends.
func (s *session) others(ctx context.Context) {
	for _, q := range s.ranks[len(s.ranks)-1] {
		if !s.w.options.NoSchedules && len(q.graph.Schedules) > 0 {
			s.wait.Go(func() { s.schedulerOf(q).run(ctx) })
		}
		if !s.w.options.NoRetention {
			s.wait.Go(func() { s.sweeperOf(q).run(ctx) })
		}
	}
}

func (s *session) schedulerOf(q workQueue) *scheduler {
	return &scheduler{
		workflow: q.graph.storeName(), schedules: q.graph.Schedules, stores: q.stores, owner: s.w.owner, lease: s.lease,
		retention: q.graph.Retention.least(), now: q.source.runtimeOf().Now,
		start: func(ctx context.Context, id string, in Value) error {
			e, err := q.graph.entryOf(id, in)
			if err == nil {
				err = q.graph.put(ctx, q.stores.Queue, e, 0)
			}
			return err
		},
		over: func(ctx context.Context, id string) (known, over bool, err error) {
			head, err := headOf(ctx, resilience.Large(q.stores.Log), q.graph.runKey(id))
			if err != nil || head.Version == 0 {
				return false, false, err
			}
			var h runHead
			err = json.Unmarshal(head.Body, &h)
			return true, h.End != nil, err
		},
		tell: func(reason, schedule string, n int, err error) {
			e := resilience.Event{Kind: resilience.MessageNoted, Name: q.graph.eventName(), Key: schedule, Reason: reason, Err: err}
			if n > 0 {
				e.Value = fmt.Sprint(n)
			}
			q.source.runtimeOf().Tell(context.Background(), e)
		},
	}
}

func (s *session) sweeperOf(q workQueue) *sweeper {
	return &sweeper{
		graph: q.graph, stores: q.stores, owner: s.w.owner, lease: s.lease, now: q.source.runtimeOf().Now, letters: dropLetters(q.source.runtimeOf()),
		tell: func(err error) {
			q.source.runtimeOf().Tell(context.Background(), resilience.Event{
				Kind: resilience.MessageNoted, Name: q.graph.eventName(), Reason: "not dropped", Err: err,
			})
		},
	}
}
