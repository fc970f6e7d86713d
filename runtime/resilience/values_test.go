package resilience

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// haltingLog is a memoryLog whose appends fail from one of them on, as if the
// process had ended there.
type haltingLog struct {
	*memoryLog
	left int // appends that succeed
	err  error
}

func (l *haltingLog) Append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	if l.left--; l.left < 0 {
		return 0, l.err
	}
	return l.memoryLog.Append(ctx, key, after, body)
}

func randomBody(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// TestValuesOfEverySize writes and reads values around every size at which
// something changes, and bodies that look like our own records.
func TestValuesOfEverySize(t *testing.T) {
	random, v, ctx := rand.New(rand.NewPCG(1, 1)), values{newMemoryLog()}, context.Background()
	bodies := [][]byte{nil, []byte(valueMark), []byte(pieceMark + "x"), []byte(endMark + "0123456789abcdef"), bytes.Repeat([]byte(endMark), 20_000)}
	piece := pieceSize - len(pieceMark)
	for _, n := range []int{1, 100, wholeUpTo - 1, wholeUpTo, wholeUpTo + 1, piece - 1, piece, piece + 1, 2 * piece, 3*piece + 7, maxPayload} {
		bodies = append(bodies, randomBody(random, n))
	}
	var last Version
	for i, body := range bodies {
		at, err := v.append(ctx, "k", last, body)
		if err != nil {
			t.Fatalf("body %d: %v", i, err)
		}
		last = at
	}
	if got := bodiesOf(t, v.scan(ctx, "k", 0)); !slices.EqualFunc(got, bodies, bytes.Equal) {
		t.Errorf("%d bodies, want those %d that were written", len(got), len(bodies))
	}
	if got := bodiesOf(t, v.scan(ctx, "k", last-1)); len(got) != 1 || !bytes.Equal(got[0], bodies[len(bodies)-1]) {
		t.Error("a scan from within the pieces of a value does not show it")
	}
	if got := bodiesOf(t, v.heads(ctx, "", "")); len(got) != 1 || !bytes.Equal(got[0], bodies[len(bodies)-1]) {
		t.Error("the head is not the last value")
	}
	for _, r := range v.log.(*memoryLog).keys["k"] {
		if len(r.Body) > pieceSize {
			t.Errorf("a record of %d bytes", len(r.Body))
		}
	}
	if _, err := v.append(ctx, "k", last, make([]byte, maxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large a value: %v", err)
	}
	if err := v.drop(ctx, "k", last); err != nil || len(v.log.(*memoryLog).keys) != 0 {
		t.Errorf("after the drop: %v, %d keys", err, len(v.log.(*memoryLog).keys))
	}
}

func bodiesOf(t *testing.T, records iter.Seq2[Record, error]) (list [][]byte) {
	t.Helper()
	for r, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r.Body)
	}
	return list
}

// TestHalfWrittenValues ends the process after each record of a value in pieces: it
// is shown to nobody, and the next value comes after the last one that was whole.
func TestHalfWrittenValues(t *testing.T) {
	ctx, small, large := context.Background(), []byte("small"), bytes.Repeat([]byte("large"), 200_000)
	for _, before := range [][][]byte{nil, {small}, {large}, {small, large}} {
		for left := range 5 {
			for _, next := range [][]byte{small, large} {
				t.Run(fmt.Sprintf("%d before, %d records, then %d bytes", len(before), left, len(next)), func(t *testing.T) {
					log := &haltingLog{memoryLog: newMemoryLog(), left: 100, err: ErrUnavailable}
					v, last := values{log}, Version(0)
					for _, body := range before {
						last, _ = v.append(ctx, "k", last, body)
					}
					log.left = left
					if _, err := v.append(ctx, "k", last, large); !errors.Is(err, ErrUnavailable) {
						t.Fatal(err)
					}
					log.left = 100
					if got := bodiesOf(t, v.scan(ctx, "k", 0)); !slices.EqualFunc(got, before, bytes.Equal) {
						t.Fatalf("%d values, want %d", len(got), len(before))
					}
					if got := bodiesOf(t, v.heads(ctx, "", "")); len(got) != min(len(before), 1) {
						t.Fatalf("%d heads of %d values", len(got), len(before))
					}
					if last > 0 {
						if _, err := v.append(ctx, "k", 0, next); !errors.Is(err, ErrConflict) {
							t.Fatalf("after nothing: %v, want a conflict", err)
						}
					}
					if _, err := v.append(ctx, "k", last+100, next); !errors.Is(err, ErrConflict) {
						t.Fatalf("after what never was: %v, want a conflict", err)
					}
					if _, err := v.append(ctx, "k", last, next); err != nil {
						t.Fatalf("the next value: %v", err)
					}
					if got := bodiesOf(t, v.scan(ctx, "k", 0)); !slices.EqualFunc(got, append(slices.Clone(before), next), bytes.Equal) {
						t.Fatalf("%d values after all, want %d", len(got), len(before)+1)
					}
				})
			}
		}
	}
}

// TestLeftoversDoNotReviveADroppedKey drops all values before a half-written one: who
// wants to append after them comes too late.
func TestLeftoversDoNotReviveADroppedKey(t *testing.T) {
	log, ctx := &haltingLog{memoryLog: newMemoryLog(), left: 2, err: ErrUnavailable}, context.Background()
	v := values{log}
	last, _ := v.append(ctx, "k", 0, []byte("first"))
	if _, err := v.append(ctx, "k", last, make([]byte, 1<<20)); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	log.left = 100
	if err := v.drop(ctx, "k", last); err != nil {
		t.Fatal(err)
	}
	if _, err := v.append(ctx, "k", last, []byte("late")); !errors.Is(err, ErrConflict) {
		t.Errorf("a late writer: %v, want a conflict", err)
	}
	if _, err := v.append(ctx, "k", 0, []byte("new")); err != nil {
		t.Errorf("who makes it again: %v", err)
	}
}

// TestLeftoversAreSwept sweeps a store in which a value was begun and not ended: with
// nothing before it, it goes once it is old; behind another one it stays for the next.
func TestLeftoversAreSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, ctx := &haltingLog{memoryLog: newMemoryLog(), left: 1, err: ErrUnavailable}, context.Background()
		v := values{log}
		last, _ := v.append(ctx, "kept", 0, []byte("first"))
		for _, key := range []string{"kept", "alone"} {
			log.left = 2
			if _, err := v.append(ctx, key, map[string]Version{"kept": last}[key], make([]byte, 1<<20)); !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
		}
		for _, want := range []int{2, 1} { // keys
			if err := v.sweep(ctx, leftoverAge); err != nil || len(log.keys) != want {
				t.Errorf("%d keys, want %d, %v", len(log.keys), want, err)
			}
			time.Sleep(leftoverAge)
		}
		if got := bodiesOf(t, v.scan(ctx, "kept", 0)); len(got) != 1 || string(got[0]) != "first" {
			t.Errorf("%q is left", got)
		}
	})
}

// TestFullStoreKeepsNoPieces has the store fill up within a value.
func TestFullStoreKeepsNoPieces(t *testing.T) {
	log := &haltingLog{memoryLog: newMemoryLog(), left: 2, err: ErrStoreFull}
	if _, err := (values{log}).append(context.Background(), "k", 0, make([]byte, 1<<20)); !errors.Is(err, ErrStoreFull) {
		t.Fatal(err)
	}
	if len(log.keys) != 0 {
		t.Errorf("%d keys are left", len(log.keys))
	}
}

// keepingLog keeps the slice that it is given.
type keepingLog struct {
	Log
	body []byte
}

func (l *keepingLog) Append(_ context.Context, _ string, _ Version, body []byte) (Version, error) {
	l.body = body
	return 1, nil
}

// TestPlainValuesCostNoCopy appends a value of one record: the log gets the very
// slice, and nothing is allocated.
func TestPlainValuesCostNoCopy(t *testing.T) {
	log, body, ctx := &keepingLog{}, make([]byte, wholeUpTo), context.Background()
	v := values{log}
	if n := testing.AllocsPerRun(100, func() { _, _ = v.append(ctx, "k", 0, body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if &log.body[0] != &body[0] {
		t.Error("the log got a copy")
	}
}

// TestWritersInPieces lets writers of large and small values race for one key: every
// version has one winner, and what is scanned is what the winners wrote.
func TestWritersInPieces(t *testing.T) {
	v, ctx := values{newMemoryLog()}, context.Background()
	won := make(chan []byte, 1000)
	done := make(chan struct{})
	for w := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			random := rand.New(rand.NewPCG(3, uint64(w)))
			for range 50 {
				last, _ := v.last(ctx, "k")
				body := randomBody(random, 1+random.IntN(2)*(wholeUpTo+100))
				if at, err := v.append(ctx, "k", last.Version, body); err == nil {
					won <- fmt.Appendf(nil, "%d %x", at, body[:1])
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
	close(won)
	var want, got []string
	for s := range won {
		want = append(want, string(s))
	}
	for r, err := range v.scan(ctx, "k", 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %x", r.Version, r.Body[:1]))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(got) < 10 {
		t.Errorf("%d values, want the %d that were acknowledged", len(got), len(want))
	}
}
