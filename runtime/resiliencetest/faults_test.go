package resiliencetest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/resiliencetest"
)

type (
	ctx     = context.Context
	version = resilience.Version
	record  = resilience.Record
	seq     = iter.Seq2[record, error]
)

// logWith is a log of which some methods are others.
type logWith struct {
	resilience.Log
	append func(ctx, string, version, []byte) (version, error)
	scan   func(ctx, string, version) seq
	heads  func(ctx, string, string) seq
	drop   func(ctx, string, version) error
}

func (l logWith) Append(c ctx, key string, after version, body []byte) (version, error) {
	if l.append != nil {
		return l.append(c, key, after, body)
	}
	return l.Log.Append(c, key, after, body)
}

func (l logWith) Scan(c ctx, key string, after version) seq {
	if l.scan != nil {
		return l.scan(c, key, after)
	}
	return l.Log.Scan(c, key, after)
}

func (l logWith) Heads(c ctx, prefix, from string) seq {
	if l.heads != nil {
		return l.heads(c, prefix, from)
	}
	return l.Log.Heads(c, prefix, from)
}

func (l logWith) Drop(c ctx, key string, through version) error {
	if l.drop != nil {
		return l.drop(c, key, through)
	}
	return l.Log.Drop(c, key, through)
}

func (l logWith) Close() error {
	return resilience.Stores{Log: l.Log}.Close()
}

// last is the last version of key.
func last(l resilience.Log, key string) (v version) {
	for r := range l.Scan(context.Background(), key, 0) {
		v = r.Version
	}
	return v
}

func all(records seq) (list []record) {
	for r, err := range records {
		if err == nil {
			list = append(list, r)
		}
	}
	return list
}

func each(list []record) seq {
	return func(yield func(record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// brokenLogs break one rule each. The key is the rule that must catch it, and where
// there are several what is broken.
var brokenLogs = map[string]func(l resilience.Log) logWith{
	"append at 0: refuses": func(l resilience.Log) logWith {
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			if after == 0 && key == "other" {
				return 0, resilience.ErrConflict
			}
			return l.Append(c, key, after, body)
		}}
	},
	"append at last: versions shrink": func(l resilience.Log) logWith {
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			v, err := l.Append(c, key, after, body)
			return min(v, 2), err
		}}
	},
	"conflict below": func(l resilience.Log) logWith {
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			if v := last(l, key); after > 0 && after < v {
				after = v
			}
			return l.Append(c, key, after, body)
		}}
	},
	"conflict below: at 0": func(l resilience.Log) logWith {
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			if after == 0 {
				after = last(l, key)
			}
			return l.Append(c, key, after, body)
		}}
	},
	"conflict above": func(l resilience.Log) logWith {
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			return l.Append(c, key, min(after, last(l, key)), body)
		}}
	},
	"conflict leaves no trace": func(l resilience.Log) logWith {
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			v, err := l.Append(c, key, after, body)
			if errors.Is(err, resilience.ErrConflict) {
				_, _ = l.Append(c, key, last(l, key), body)
			}
			return v, err
		}}
	},
	"append after a version that was dropped": func(l resilience.Log) logWith {
		dropped := map[string]version{}
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			if after > 0 && after == dropped[key] {
				after = last(l, key)
			}
			return l.Append(c, key, after, body)
		}, drop: func(c ctx, key string, through version) error {
			dropped[key] = through
			return l.Drop(c, key, through)
		}}
	},
	"two writers, one wins each version": racing,
	"8 clients are linearizable":         racing,
	"a body may be changed after the append": func(l resilience.Log) logWith {
		var kept []byte
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			kept = body
			return l.Append(c, key, after, body)
		}, scan: func(c ctx, key string, after version) seq {
			list := all(l.Scan(c, key, after))
			for i := range list {
				list[i].Body = kept
			}
			return each(list)
		}}
	},
	"empty key scan": func(l resilience.Log) logWith {
		return logWith{scan: func(c ctx, key string, after version) seq {
			if last(l, key) == 0 {
				return func(yield func(record, error) bool) { yield(record{}, errors.New("no such key")) }
			}
			return l.Scan(c, key, after)
		}}
	},
	"scan from the middle": func(l resilience.Log) logWith {
		return logWith{scan: func(c ctx, key string, _ version) seq { return l.Scan(c, key, 0) }}
	},
	"scan from the middle: inclusive": func(l resilience.Log) logWith {
		return logWith{scan: func(c ctx, key string, after version) seq { return l.Scan(c, key, max(after, 1)-1) }}
	},
	"append at last: scans backwards": func(l resilience.Log) logWith {
		return logWith{scan: func(c ctx, key string, after version) seq {
			list := all(l.Scan(c, key, after))
			slices.Reverse(list)
			return each(list)
		}}
	},
	"scan while appending shows a durable prefix": func(l resilience.Log) logWith {
		var mu sync.Mutex
		scans := 0
		return logWith{scan: func(c ctx, key string, after version) seq {
			list := all(l.Scan(c, key, after))
			mu.Lock()
			defer mu.Unlock()
			if scans++; scans%3 == 0 && len(list) > 2 {
				list = slices.Delete(list, len(list)-2, len(list)-1)
			}
			return each(list)
		}}
	},
	"scan after drop": func(l resilience.Log) logWith {
		return logWith{drop: func(c ctx, key string, through version) error { return l.Drop(c, key, through-1) }}
	},
	"drop part: drops all": func(l resilience.Log) logWith {
		return logWith{drop: func(c ctx, key string, _ version) error { return l.Drop(c, key, last(l, key)) }}
	},
	"drop part: of every key": func(l resilience.Log) logWith {
		return logWith{drop: func(c ctx, _ string, through version) error {
			for _, r := range all(l.Heads(c, "", "")) {
				_ = l.Drop(c, r.Key, max(through, r.Version))
			}
			return nil
		}}
	},
	"drop all: missing is an error": func(l resilience.Log) logWith {
		return logWith{drop: func(c ctx, key string, through version) error {
			if last(l, key) == 0 {
				return errors.New("no such key")
			}
			return l.Drop(c, key, through)
		}}
	},
	"drop all: the key stays": func(l resilience.Log) logWith {
		return logWith{drop: func(c ctx, key string, through version) error {
			v := last(l, key)
			if err := l.Drop(c, key, through); err != nil || v == 0 || v > through {
				return err
			}
			_, err := l.Append(c, key, 0, nil)
			return err
		}}
	},
	"append after drop keeps growing versions": func(l resilience.Log) logWith {
		first := map[string]version{} // versions of a key that is made again begin anew
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			if after > 0 {
				after += first[key]
			}
			v, err := l.Append(c, key, after, body)
			if err == nil && after == 0 {
				first[key] = v - 1
			}
			return v - first[key], err
		}, scan: func(c ctx, key string, after version) seq {
			list := all(l.Scan(c, key, after+first[key]))
			for i := range list {
				list[i].Version -= first[key]
			}
			return each(list)
		}, drop: func(c ctx, key string, through version) error { return l.Drop(c, key, through+first[key]) }}
	},
	"a late writer cannot revive a dropped key": func(l resilience.Log) logWith {
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			if last(l, key) == 0 {
				after = 0
			}
			return l.Append(c, key, after, body)
		}}
	},
	"heads by prefix, from, in order: no prefix": func(l resilience.Log) logWith {
		return logWith{heads: func(c ctx, _, from string) seq { return l.Heads(c, "", from) }}
	},
	"heads by prefix, from, in order: prefix of parts": func(l resilience.Log) logWith {
		return logWith{heads: func(c ctx, prefix, from string) seq {
			if prefix != "" && !strings.HasSuffix(prefix, "/") {
				prefix += "/"
			}
			return l.Heads(c, prefix, from)
		}}
	},
	"heads by prefix, from, in order: no from": func(l resilience.Log) logWith {
		return logWith{heads: func(c ctx, prefix, _ string) seq { return l.Heads(c, prefix, "") }}
	},
	"heads by prefix, from, in order: after from": func(l resilience.Log) logWith {
		return logWith{heads: func(c ctx, prefix, from string) seq { return l.Heads(c, prefix, from+"-") }}
	},
	"heads by prefix, from, in order: no order": func(l resilience.Log) logWith {
		return logWith{heads: func(c ctx, prefix, from string) seq {
			list := all(l.Heads(c, prefix, from))
			slices.Reverse(list)
			return each(list)
		}}
	},
	"heads by prefix, from, in order: the first": func(l resilience.Log) logWith {
		return logWith{heads: func(c ctx, prefix, from string) seq {
			list := all(l.Heads(c, prefix, from))
			for i, r := range list {
				list[i] = all(l.Scan(c, r.Key, 0))[0]
			}
			return each(list)
		}}
	},
	"record of 0 bytes": func(l resilience.Log) logWith {
		return logWith{scan: func(c ctx, key string, after version) seq {
			return each(slices.DeleteFunc(all(l.Scan(c, key, after)), func(r record) bool { return len(r.Body) == 0 }))
		}}
	},
	"record of the limit: refused": func(l resilience.Log) logWith { return atMost(l, resilience.MaxRecord-1, resilience.ErrTooLarge) },
	"record over the limit: error": func(l resilience.Log) logWith { return atMost(l, resilience.MaxRecord, errors.New("what now?")) },
	"record over the limit: cut":   func(l resilience.Log) logWith { return cutOff(l, resilience.MaxRecord) },
	"record of the limit: cut":     func(l resilience.Log) logWith { return cutOff(l, resilience.MaxRecord-1) },
	"escaped keys with every byte": func(l resilience.Log) logWith {
		return keysAs(l, func(k string) string { return strings.ReplaceAll(k, "_", "-") })
	},
	"key at the limit": func(l resilience.Log) logWith {
		return keysAs(l, func(k string) string { return k[:min(len(k), 199)] })
	},
	"key that is none: folded": func(l resilience.Log) logWith { return keysAs(l, strings.ToLower) },
	"key that is none: beyond": func(l resilience.Log) logWith {
		return keysAs(l, func(k string) string { return k[:min(len(k), 200)] })
	},
	"10,000 keys": func(l resilience.Log) logWith {
		return keysAs(l, func(k string) string { return strings.Replace(k, "k/07", "k/06", 1) })
	},
	"context cancelled before": func(l resilience.Log) logWith { return unheeding(l) },
	"context cancelled during": twice,
	"the last waiter leaves":   twice,
	"unknown outcome settled by rescan": func(l resilience.Log) logWith {
		var mu sync.Mutex
		calls, late := 0, map[string][]byte{} // writes that come after it was said that they may not
		return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
			mu.Lock()
			defer mu.Unlock()
			if calls++; calls%5 == 0 {
				late[key] = body
				return 0, resilience.ErrUnavailable
			}
			v, err := l.Append(c, key, after, body)
			if b, ok := late[key]; ok && err == nil {
				delete(late, key)
				return l.Append(c, key, v, b)
			}
			return v, err
		}}
	},
	"closed store": func(l resilience.Log) logWith {
		return logWith{scan: func(c ctx, key string, after version) seq {
			return each(all(l.Scan(c, key, after))) // an error is the end
		}}
	},
}

// racing compares and appends in two steps.
func racing(l resilience.Log) logWith {
	return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
		if last(l, key) != after {
			return 0, resilience.ErrConflict
		}
		for range 50 {
			runtime.Gosched()
		}
		for {
			v, err := l.Append(c, key, last(l, key), body)
			if !errors.Is(err, resilience.ErrConflict) {
				return v, err
			}
		}
	}}
}

// twice writes what it says it did not.
func twice(l resilience.Log) logWith {
	return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
		v, err := l.Append(context.WithoutCancel(c), key, after, body)
		for range 100 {
			runtime.Gosched()
		}
		if err == nil && c.Err() != nil {
			_, _ = l.Append(context.WithoutCancel(c), key, v, body)
			return 0, c.Err()
		}
		return v, err
	}}
}

func unheeding(l resilience.Log) logWith {
	return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
		v, err := l.Append(context.WithoutCancel(c), key, after, body)
		return v, errors.Join(err, c.Err())
	}}
}

func atMost(l resilience.Log, n int, err error) logWith {
	return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
		if len(body) > n {
			return 0, err
		}
		return l.Append(c, key, after, body)
	}}
}

func cutOff(l resilience.Log, n int) logWith {
	return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
		return l.Append(c, key, after, body[:min(len(body), n)])
	}}
}

func keysAs(l resilience.Log, as func(string) string) logWith {
	return logWith{append: func(c ctx, key string, after version, body []byte) (version, error) {
		return l.Append(c, as(key), after, body)
	}, scan: func(c ctx, key string, after version) seq { return l.Scan(c, as(key), after) }}
}

// queueWith is a queue of which some methods are others.
type queueWith struct {
	resilience.Queue
	put   func(c ctx, queue, id string, body []byte, delay time.Duration) error
	claim func(c ctx, queue string, lease, wait time.Duration) (resilience.Claim, error)
	list  func(c ctx, prefix string) entries
}

type entries = iter.Seq2[resilience.QueueEntry, error]

func (q queueWith) Put(c ctx, queue, id string, body []byte, delay time.Duration) error {
	if q.put != nil {
		return q.put(c, queue, id, body, delay)
	}
	return q.Queue.Put(c, queue, id, body, delay)
}

func (q queueWith) Claim(c ctx, queue string, lease, wait time.Duration) (resilience.Claim, error) {
	if q.claim != nil {
		return q.claim(c, queue, lease, wait)
	}
	return q.Queue.Claim(c, queue, lease, wait)
}

func (q queueWith) Entries(c ctx, prefix string) entries {
	if q.list != nil {
		return q.list(c, prefix)
	}
	return q.Queue.Entries(c, prefix)
}

func (q queueWith) Close() error { return resilience.Stores{Queue: q.Queue}.Close() }

// claimWith is a claim of which some methods are others.
type claimWith struct {
	resilience.Claim
	entry       func(resilience.Entry) resilience.Entry
	extend, ack func(ctx) error
	nack        func(ctx, time.Duration) error
}

func (cl claimWith) Entry() resilience.Entry {
	if cl.entry != nil {
		return cl.entry(cl.Claim.Entry())
	}
	return cl.Claim.Entry()
}

func (cl claimWith) Extend(c ctx) error {
	if cl.extend != nil {
		return cl.extend(c)
	}
	return cl.Claim.Extend(c)
}

func (cl claimWith) Ack(c ctx) error {
	if cl.ack != nil {
		return cl.ack(c)
	}
	return cl.Claim.Ack(c)
}

func (cl claimWith) Nack(c ctx, delay time.Duration) error {
	if cl.nack != nil {
		return cl.nack(c, delay)
	}
	return cl.Claim.Nack(c, delay)
}

// claims changes what is claimed.
func claims(q resilience.Queue, as func(resilience.Claim) claimWith) queueWith {
	return queueWith{claim: func(c ctx, queue string, lease, wait time.Duration) (resilience.Claim, error) {
		got, err := q.Claim(c, queue, lease, wait)
		if err != nil {
			return nil, err
		}
		w := as(got)
		w.Claim = got
		return w, nil
	}}
}

var brokenQueues = map[string]func(q resilience.Queue) queueWith{
	"put twice is one": func(q resilience.Queue) queueWith {
		n := 0
		return queueWith{put: func(c ctx, queue, id string, body []byte, delay time.Duration) error {
			n++
			return q.Put(c, queue, fmt.Sprint(id, strings.Repeat(" ", n)), body, delay)
		}, claim: claims(q, func(resilience.Claim) claimWith {
			return claimWith{entry: func(e resilience.Entry) resilience.Entry { e.ID = strings.TrimSpace(e.ID); return e }}
		}).claim}
	},
	"put after ack is another entry": putsOnce,
	"put again hastens":              putsOnce,
	"queues are apart": func(q resilience.Queue) queueWith {
		return queueWith{put: func(c ctx, _, id string, body []byte, delay time.Duration) error {
			return q.Put(c, "q", id, body, delay)
		}}
	},
	"put with a delay": func(q resilience.Queue) queueWith {
		return queueWith{put: func(c ctx, queue, id string, body []byte, _ time.Duration) error {
			return q.Put(c, queue, id, body, 0)
		}}
	},
	"claim order":      again,
	"redelivery first": again,
	"extend": func(q resilience.Queue) queueWith {
		return claims(q, func(resilience.Claim) claimWith { return claimWith{extend: func(ctx) error { return nil }} })
	},
	"nack delay": func(q resilience.Queue) queueWith {
		return claims(q, func(c resilience.Claim) claimWith {
			return claimWith{nack: func(cc ctx, _ time.Duration) error { return c.Nack(cc, 0) }}
		})
	},
	"fenced": func(q resilience.Queue) queueWith {
		newest := map[string]resilience.Claim{}
		return claims(q, func(c resilience.Claim) claimWith {
			id := c.Entry().ID
			newest[id] = c
			return claimWith{ack: func(cc ctx) error { return newest[id].Ack(cc) }}
		})
	},
	"fenced: extend": func(q resilience.Queue) queueWith {
		return claims(q, func(c resilience.Claim) claimWith {
			return claimWith{extend: func(cc ctx) error { _ = c.Extend(cc); return nil }}
		})
	},
	"ack after done": func(q resilience.Queue) queueWith {
		return claims(q, func(resilience.Claim) claimWith { return claimWith{ack: func(ctx) error { return nil }} })
	},
	"claim waits": func(q resilience.Queue) queueWith {
		return queueWith{claim: func(c ctx, queue string, lease, _ time.Duration) (resilience.Claim, error) {
			return q.Claim(c, queue, lease, 0)
		}}
	},
	"context cancelled": func(q resilience.Queue) queueWith {
		return queueWith{put: func(c ctx, queue, id string, body []byte, delay time.Duration) error {
			return errors.Join(q.Put(context.WithoutCancel(c), queue, id, body, delay), c.Err())
		}}
	},
	"8 workers": func(q resilience.Queue) queueWith {
		n := 0
		var mu sync.Mutex
		return queueWith{put: func(c ctx, queue, id string, body []byte, delay time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == 77 {
				return nil
			}
			return q.Put(c, queue, id, body, delay)
		}}
	},
	"closed store": func(q resilience.Queue) queueWith {
		return claims(q, func(c resilience.Claim) claimWith {
			return claimWith{nack: func(cc ctx, d time.Duration) error { _ = c.Nack(cc, d); return nil }}
		})
	},
	"put twice is one: no body": func(q resilience.Queue) queueWith {
		return claims(q, func(resilience.Claim) claimWith {
			return claimWith{entry: func(e resilience.Entry) resilience.Entry { e.Body = nil; return e }}
		})
	},
	"entries by when they are due": func(q resilience.Queue) queueWith {
		return queueWith{list: func(c ctx, prefix string) entries {
			return func(yield func(resilience.QueueEntry, error) bool) {
				var list []resilience.QueueEntry
				for e, err := range q.Entries(c, prefix) {
					if err != nil {
						yield(e, err)
						return
					}
					list = append(list, e)
				}
				slices.SortFunc(list, func(a, b resilience.QueueEntry) int { return strings.Compare(a.ID, b.ID) })
				for _, e := range list {
					if !yield(e, nil) {
						return
					}
				}
			}
		}}
	},
	"entries by when they are due: without their bodies": func(q resilience.Queue) queueWith {
		return listed(q, func(e *resilience.QueueEntry) bool { e.Body = nil; return true })
	},
	"entries that are claimed": func(q resilience.Queue) queueWith {
		return listed(q, func(e *resilience.QueueEntry) bool { return !e.Claimed })
	},
	"entries that are claimed: not said": func(q resilience.Queue) queueWith {
		return listed(q, func(e *resilience.QueueEntry) bool { e.Claimed = false; return true })
	},
	"entries that are claimed: for ever": func(q resilience.Queue) queueWith {
		return listed(q, func(e *resilience.QueueEntry) bool { e.Claimed = e.Deliveries > 0; return true })
	},
	"entries that are claimed: not counted": func(q resilience.Queue) queueWith {
		return listed(q, func(e *resilience.QueueEntry) bool { e.Deliveries = 0; return true })
	},
	"entries of a prefix": func(q resilience.Queue) queueWith {
		return queueWith{list: func(c ctx, _ string) entries { return q.Entries(c, "") }}
	},
	"entries of a prefix: one queue only": func(q resilience.Queue) queueWith {
		return queueWith{list: func(c ctx, prefix string) entries {
			return listed(q, func(e *resilience.QueueEntry) bool { return e.Queue == prefix }).list(c, prefix)
		}}
	},
	"entries change nothing": func(q resilience.Queue) queueWith {
		return listed(q, func(e *resilience.QueueEntry) bool {
			_ = q.Put(context.Background(), e.Queue, e.ID, e.Body, 0)
			return true
		})
	},
	"entries in part": func(q resilience.Queue) queueWith {
		return queueWith{list: func(c ctx, prefix string) entries {
			return func(yield func(resilience.QueueEntry, error) bool) {
				for e, err := range q.Entries(c, prefix) {
					if !yield(e, err) { // and takes what it did not get rid of
						_, _ = q.Claim(c, e.Queue, time.Hour, 0)
						return
					}
				}
			}
		}}
	},
	"entries that fail": func(q resilience.Queue) queueWith {
		return queueWith{list: func(c ctx, prefix string) entries {
			return func(yield func(resilience.QueueEntry, error) bool) {
				for e, err := range q.Entries(c, prefix) {
					if err != nil || !yield(e, err) {
						return
					}
				}
			}
		}}
	},
	"claim order: no deliveries": func(q resilience.Queue) queueWith {
		return claims(q, func(resilience.Claim) claimWith {
			return claimWith{entry: func(e resilience.Entry) resilience.Entry { e.Deliveries = 1; return e }}
		})
	},
}

// listed changes what is listed; as reports whether it is shown at all.
func listed(q resilience.Queue, as func(*resilience.QueueEntry) bool) queueWith {
	return queueWith{list: func(c ctx, prefix string) entries {
		return func(yield func(resilience.QueueEntry, error) bool) {
			for e, err := range q.Entries(c, prefix) {
				if (err != nil || as(&e)) && !yield(e, err) {
					return
				}
			}
		}
	}}
}

// again hands out fresh entries before those that come again.
func again(q resilience.Queue) queueWith {
	var mu sync.Mutex
	return queueWith{claim: func(c ctx, queue string, lease, wait time.Duration) (resilience.Claim, error) {
		mu.Lock()
		defer mu.Unlock()
		var old []resilience.Claim
		defer func() {
			for _, o := range old {
				_ = o.Nack(c, 0)
			}
		}()
		for {
			got, err := q.Claim(c, queue, lease, wait)
			if err != nil || got.Entry().Deliveries == 1 {
				return got, err
			}
			old, wait = append(old, got), 0
		}
	}}
}

type leasesWith struct {
	resilience.Leases
	acquire func(c ctx, name, owner string, ttl time.Duration) (resilience.Lease, error)
	renew   func(c ctx, l resilience.Lease, ttl time.Duration) error
	release func(c ctx, l resilience.Lease) error
	holder  func(c ctx, name string) (string, time.Duration, error)
}

func (l leasesWith) Acquire(c ctx, name, owner string, ttl time.Duration) (resilience.Lease, error) {
	if l.acquire != nil {
		return l.acquire(c, name, owner, ttl)
	}
	return l.Leases.Acquire(c, name, owner, ttl)
}

func (l leasesWith) Renew(c ctx, lease resilience.Lease, ttl time.Duration) error {
	if l.renew != nil {
		return l.renew(c, lease, ttl)
	}
	return l.Leases.Renew(c, lease, ttl)
}

func (l leasesWith) Release(c ctx, lease resilience.Lease) error {
	if l.release != nil {
		return l.release(c, lease)
	}
	return l.Leases.Release(c, lease)
}

func (l leasesWith) Holder(c ctx, name string) (string, time.Duration, error) {
	if l.holder != nil {
		return l.holder(c, name)
	}
	return l.Leases.Holder(c, name)
}

func (l leasesWith) Close() error { return resilience.Stores{Leases: l.Leases}.Close() }

var brokenLeases = map[string]func(l resilience.Leases) leasesWith{
	"acquire": func(l resilience.Leases) leasesWith {
		return leasesWith{acquire: func(c ctx, name, owner string, ttl time.Duration) (resilience.Lease, error) {
			lease, err := l.Acquire(c, name, owner, ttl)
			lease.Epoch = min(lease.Epoch, 1)
			return lease, err
		}, release: func(ctx, resilience.Lease) error { return nil }}
	},
	"held: for the owner not": func(l resilience.Leases) leasesWith {
		return leasesWith{acquire: func(c ctx, name, owner string, ttl time.Duration) (resilience.Lease, error) {
			lease, err := l.Acquire(c, name, owner, ttl)
			var held *resilience.HeldError
			if errors.As(err, &held) && held.Owner == owner {
				return resilience.Lease{Name: name, Owner: owner, Epoch: 1}, nil
			}
			return lease, err
		}}
	},
	"held: by nobody": func(l resilience.Leases) leasesWith {
		return leasesWith{acquire: func(c ctx, name, owner string, ttl time.Duration) (resilience.Lease, error) {
			lease, err := l.Acquire(c, name, owner, ttl)
			if err != nil {
				err = resilience.ErrHeld
			}
			return lease, err
		}}
	},
	"holder": func(l resilience.Leases) leasesWith {
		return leasesWith{holder: func(c ctx, name string) (string, time.Duration, error) {
			lease, err := l.Acquire(c, name, "who asks", time.Second)
			var held *resilience.HeldError
			if errors.As(err, &held) {
				return held.Owner, held.For, nil
			}
			_ = lease // and keeps it
			return "", 0, err
		}}
	},
	"holder: the last one": func(l resilience.Leases) leasesWith {
		last := map[string]string{}
		return leasesWith{acquire: func(c ctx, name, owner string, ttl time.Duration) (resilience.Lease, error) {
			last[name] = owner
			return l.Acquire(c, name, owner, ttl)
		}, holder: func(c ctx, name string) (string, time.Duration, error) {
			_, rest, err := l.Holder(c, name)
			return last[name], rest, err
		}}
	},
	"holder: for ever": func(l resilience.Leases) leasesWith {
		return leasesWith{holder: func(c ctx, name string) (string, time.Duration, error) {
			owner, _, err := l.Holder(c, name)
			return owner, time.Hour, err
		}}
	},
	"renew": func(resilience.Leases) leasesWith {
		return leasesWith{renew: func(ctx, resilience.Lease, time.Duration) error { return nil }}
	},
	"fenced: release": func(l resilience.Leases) leasesWith {
		return leasesWith{release: func(c ctx, lease resilience.Lease) error { _ = l.Release(c, lease); return nil }}
	},
	"fenced: released": func(resilience.Leases) leasesWith {
		return leasesWith{release: func(ctx, resilience.Lease) error { return nil }}
	},
	"expired": func(l resilience.Leases) leasesWith {
		return leasesWith{acquire: func(c ctx, name, owner string, ttl time.Duration) (resilience.Lease, error) {
			return l.Acquire(c, name, owner, 100*ttl)
		}}
	},
	"8 clients are linearizable": func(l resilience.Leases) leasesWith {
		return leasesWith{acquire: func(c ctx, name, owner string, ttl time.Duration) (resilience.Lease, error) {
			lease, err := l.Acquire(c, name, owner, ttl)
			if lease.Epoch%5 == 4 {
				_ = l.Release(c, lease)
			}
			return lease, err
		}}
	},
	"closed store": func(l resilience.Leases) leasesWith {
		return leasesWith{renew: func(c ctx, lease resilience.Lease, ttl time.Duration) error {
			if err := l.Renew(c, lease, ttl); !errors.Is(err, resilience.ErrClosed) {
				return err
			}
			return resilience.ErrFenced
		}}
	},
}

type cellsWith struct {
	resilience.Cells
	get   func(c ctx, key string) ([]byte, version, error)
	set   func(c ctx, key string, after version, value []byte) (version, error)
	watch func(c ctx, prefix string) iter.Seq2[resilience.Cell, error]
}

func (cs cellsWith) Get(c ctx, key string) ([]byte, version, error) {
	if cs.get != nil {
		return cs.get(c, key)
	}
	return cs.Cells.Get(c, key)
}

func (cs cellsWith) Set(c ctx, key string, after version, value []byte) (version, error) {
	if cs.set != nil {
		return cs.set(c, key, after, value)
	}
	return cs.Cells.Set(c, key, after, value)
}

func (cs cellsWith) Watch(c ctx, prefix string) iter.Seq2[resilience.Cell, error] {
	if cs.watch != nil {
		return cs.watch(c, prefix)
	}
	return cs.Cells.Watch(c, prefix)
}

func (cs cellsWith) Close() error { return resilience.Stores{Cells: cs.Cells}.Close() }

// watched changes what is watched.
func watched(cs resilience.Cells, show func(resilience.Cell) bool) cellsWith {
	return cellsWith{watch: func(c ctx, prefix string) iter.Seq2[resilience.Cell, error] {
		return func(yield func(resilience.Cell, error) bool) {
			for cell, err := range cs.Watch(c, prefix) {
				if (err != nil || show(cell)) && !yield(cell, err) {
					return
				}
			}
		}
	}}
}

var brokenCells = map[string]func(cs resilience.Cells) cellsWith{
	"get what was never set": func(cs resilience.Cells) cellsWith {
		return cellsWith{get: func(c ctx, key string) ([]byte, version, error) {
			value, v, err := cs.Get(c, key)
			if v == 0 {
				err = errors.New("no such cell")
			}
			return value, v, err
		}}
	},
	"get and set": func(cs resilience.Cells) cellsWith {
		return cellsWith{get: func(c ctx, key string) ([]byte, version, error) {
			value, v, err := cs.Get(c, key)
			return value, v + 1, err
		}}
	},
	"compare": func(cs resilience.Cells) cellsWith {
		return cellsWith{set: func(c ctx, key string, after version, value []byte) (version, error) {
			_, v, _ := cs.Get(c, key)
			return cs.Set(c, key, max(v, after), value)
		}}
	},
	"compare: what never was": func(cs resilience.Cells) cellsWith {
		return cellsWith{set: func(c ctx, key string, after version, value []byte) (version, error) {
			_, v, _ := cs.Get(c, key)
			return cs.Set(c, key, min(v, after), value)
		}}
	},
	"8 clients are linearizable": func(cs resilience.Cells) cellsWith {
		var mu sync.Mutex
		type old struct {
			value []byte
			v     version
		}
		stale, n := map[string]old{}, 0
		return cellsWith{get: func(c ctx, key string) ([]byte, version, error) {
			value, v, err := cs.Get(c, key)
			mu.Lock()
			defer mu.Unlock()
			was := stale[key]
			stale[key] = old{value, v}
			if n++; n%7 == 0 {
				return was.value, was.v, err
			}
			return value, v, err
		}}
	},
	"watch sees what is there, then the latest: not what is there": func(cs resilience.Cells) cellsWith {
		return watched(cs, func(c resilience.Cell) bool { return c.Key != "w/still" })
	},
	"watch sees what is there, then the latest: not all": func(cs resilience.Cells) cellsWith {
		return watched(cs, func(c resilience.Cell) bool { return string(c.Value) != "19" })
	},
	"watch sees what is there, then the latest: too much": func(cs resilience.Cells) cellsWith {
		return cellsWith{watch: func(c ctx, _ string) iter.Seq2[resilience.Cell, error] { return cs.Watch(c, "") }}
	},
	"closed store": func(cs resilience.Cells) cellsWith {
		return cellsWith{get: func(c ctx, key string) ([]byte, version, error) {
			value, v, _ := cs.Get(c, key)
			return value, v, nil
		}}
	},
}

// brokenPlaces are those that lose something when they are opened again, or get
// something back.
var brokenPlaces = map[string]func(list []record) []record{
	"reopen sees all": func(list []record) []record { return list[:max(len(list), 1)-1] },
	"reopen sees all: all but one key": func(list []record) []record {
		return slices.DeleteFunc(list, func(r record) bool { return r.Key == "zero" })
	},
	"reopen after unclean end":            func(list []record) []record { return list[:max(len(list), 1)-1] },
	"reopen after unclean end: from zero": func([]record) []record { return nil },
}

// fault is a store that breaks a rule.
type fault struct {
	rule  string
	place func() resiliencetest.Place
}

// faults returns all that are planted, by name.
func faults() map[string]fault {
	list := map[string]fault{}
	add := func(group, name string, plant func(*resilience.Stores)) {
		rule, _, _ := strings.Cut(name, ": ")
		list[group+": "+name] = fault{group + "/" + strings.ReplaceAll(rule, " ", "_"), func() resiliencetest.Place {
			return resiliencetest.Place{Open: func() (resilience.Stores, error) {
				s := resilience.MemoryStores()
				plant(&s)
				return s, nil
			}}
		}}
	}
	for name, broken := range brokenLogs {
		add("log", name, func(s *resilience.Stores) {
			l := broken(s.Log)
			l.Log = s.Log
			*s = resilience.Stores{Log: l}
		})
	}
	for name, broken := range brokenQueues {
		add("queue", name, func(s *resilience.Stores) {
			q := broken(s.Queue)
			q.Queue = s.Queue
			*s = resilience.Stores{Queue: q}
		})
	}
	for name, broken := range brokenLeases {
		add("leases", name, func(s *resilience.Stores) {
			l := broken(s.Leases)
			l.Leases = s.Leases
			*s = resilience.Stores{Leases: l}
		})
	}
	for name, broken := range brokenCells {
		add("cells", name, func(s *resilience.Stores) {
			c := broken(s.Cells)
			c.Cells = s.Cells
			*s = resilience.Stores{Cells: c}
		})
	}
	for name, lose := range brokenPlaces {
		rule, _, _ := strings.Cut(name, ": ")
		list["place: "+name] = fault{"log/" + strings.ReplaceAll(rule, " ", "_"), func() resiliencetest.Place { return forgetful(lose) }}
	}
	return list
}

// forgetful is a place whose log is written anew, without what is lost, when it is
// opened again.
func forgetful(lose func([]record) []record) resiliencetest.Place {
	var open resilience.Log
	end := func(s resilience.Stores) error { return s.Close() }
	return resiliencetest.Place{Crash: end, Open: func() (resilience.Stores, error) {
		var list []record
		if open != nil {
			for _, head := range all(open.Heads(context.Background(), "", "")) {
				list = append(list, all(open.Scan(context.Background(), head.Key, 0))...)
			}
		}
		fresh := resilience.MemoryStores().Log
		for _, r := range lose(list) {
			_, _ = fresh.Append(context.Background(), r.Key, last(fresh, r.Key), r.Body)
		}
		open = fresh
		return resilience.Stores{Log: logWith{Log: unclosed{fresh}}}, nil
	}}
}

type unclosed struct{ resilience.Log }

// TestEveryFaultIsFound runs the suite, in another process, on stores with one fault
// each: the rule that it breaks must fail.
func TestEveryFaultIsFound(t *testing.T) {
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			group, rule, _ := strings.Cut(f.rule, "/")
			cmd := exec.Command(os.Args[0], "-test.run", "^TestPlanted$/^"+group+"$/^"+regexp.QuoteMeta(rule)+"$", "-test.v", "-test.timeout", "20s")
			cmd.Env = append(os.Environ(), "RESILIENCETEST_PLANTED="+name)
			out, err := cmd.CombinedOutput()
			if line := "--- FAIL: TestPlanted/" + f.rule + " ("; err == nil || !strings.Contains(string(out), line) {
				t.Errorf("%v, no %q in\n%.2000s", err, line, out)
			}
		})
	}
}

// TestPlanted is what TestEveryFaultIsFound runs.
func TestPlanted(t *testing.T) {
	name := os.Getenv("RESILIENCETEST_PLANTED")
	f, ok := faults()[name]
	if !ok {
		t.Skip("run by TestEveryFaultIsFound")
	}
	e := resiliencetest.Engine{Volatile: !strings.HasPrefix(name, "place"), Bubble: true}
	e.Place = func(*testing.T) resiliencetest.Place { return f.place() }
	resiliencetest.Stores(t, e)
}

// putsOnce forgets what is put under an id that it knows.
func putsOnce(q resilience.Queue) queueWith {
	seen := map[string]bool{}
	return queueWith{put: func(c ctx, queue, id string, body []byte, delay time.Duration) error {
		if seen[id] {
			return nil
		}
		seen[id] = true
		return q.Put(c, queue, id, body, delay)
	}}
}
