package streams

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// connector is a driver of database/sql whose tables have three rows each, or
// none that ever come.
type connector struct{}

func (connector) Connect(context.Context) (driver.Conn, error) { return conn{}, nil }
func (connector) Driver() driver.Driver                        { return nil }

type conn struct{}

func (conn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("no statements") }
func (conn) Begin() (driver.Tx, error)           { return nil, errors.New("no transactions") }
func (conn) Close() error                        { return nil }

func (conn) QueryContext(ctx context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	if query == "hang" {
		<-ctx.Done()
	}
	return &rows{ctx: ctx}, ctx.Err()
}

// rows are sent one by one, under the context of their query.
type rows struct {
	ctx  context.Context
	sent int64
}

func (*rows) Columns() []string { return []string{"n"} }
func (*rows) Close() error      { return nil }

func (r *rows) Next(to []driver.Value) error {
	select {
	case <-r.ctx.Done():
		return r.ctx.Err()
	case <-time.After(time.Millisecond):
	}
	if r.sent == 3 {
		return io.EOF
	}
	r.sent++
	to[0] = r.sent
	return nil
}

// database asks for rows as most code does.
type database struct{ *sql.DB }

func (d database) Query(ctx context.Context, query string) (*sql.Rows, error) {
	return d.QueryContext(ctx, query)
}

func (d database) Row(ctx context.Context, query string) (*sql.Row, error) {
	row := d.QueryRowContext(ctx, query)
	return row, row.Err()
}

func queried[W Database](t *testing.T, make func(*resilience.Runtime, Database) (W, error)) (Database, *resilience.Runtime, *sql.DB) {
	db := sql.OpenDB(connector{})
	t.Cleanup(func() { _ = db.Close() })
	rt := &resilience.Runtime{}
	w, err := make(rt, database{db})
	if err != nil {
		t.Fatal(err)
	}
	return w, rt, db
}

// TestRowsAreReadAfterTheCall: database/sql closes rows whose context ends, so it
// does not end at the return.
func TestRowsAreReadAfterTheCall(t *testing.T) {
	w, rt, db := queried(t, NewResilientQueried)
	opened, _, _ := queried(t, NewResilientQueriedOpened)
	for _, w := range []Database{w, opened} {
		rows := inTime(t, func() (*sql.Rows, error) { return w.Query(t.Context(), "three") })
		time.Sleep(1100 * time.Millisecond) // what watches the context has had its turn; timeout.open is over
		if n := slots(rt); n != 0 {
			t.Errorf("%d slots after the return", n)
		}
		var got []int
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				t.Error(err)
			}
			got = append(got, n)
		}
		if rows.Err() != nil || len(got) != 3 {
			t.Errorf("%v, %v", got, rows.Err())
		}
	}
	row, err := w.Row(t.Context(), "three")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	var n int
	if err := row.Scan(&n); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if n := db.Stats().InUse; n != 0 {
		t.Errorf("%d connections are in use", n)
	}
}

// TestRowsEnd with the timeout and with their caller.
func TestRowsEnd(t *testing.T) {
	w, _, db := queried(t, NewResilientQueriedShort)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	late := inTime(t, func() (*sql.Rows, error) { return w.Query(ctx, "three") })
	eventually(t, "the rows are closed", func() bool { return db.Stats().InUse == 0 })
	if late.Next() || !errors.Is(late.Err(), context.DeadlineExceeded) {
		t.Errorf("late: %v", late.Err())
	}
	if _, err := w.Query(ctx, "hang"); !errors.Is(err, resilience.ErrTimeout) {
		t.Errorf("hang: %v", err)
	}
	w, _, db = queried(t, NewResilientQueried)
	left, err := w.Query(ctx, "three")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	eventually(t, "the rows are closed", func() bool { return db.Stats().InUse == 0 })
	if left.Next() || !errors.Is(left.Err(), context.Canceled) {
		t.Errorf("left: %v", left.Err())
	}
}

// store has results of its own kinds, each under the context of its call.
type store struct{ ctx context.Context }

type blob struct {
	ctx  context.Context
	left int
}

func (b *blob) Size() int    { return 3 }
func (b *blob) Close() error { return nil }

func (b *blob) Read(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, io.EOF
	}
	return copy(p, "x"), b.ctx.Err()
}

func (s *store) Open(ctx context.Context, _ string) (Blob, error) {
	s.ctx = ctx
	return &blob{ctx, 3}, nil
}

func (s *store) Keys(ctx context.Context) (iter.Seq2[int, string], error) {
	s.ctx = ctx
	return func(yield func(int, string) bool) {
		for i := 0; i < 3 && ctx.Err() == nil && yield(i, "key"); i++ {
			continue
		}
	}, nil
}

func (s *store) Watch(ctx context.Context) (<-chan int, error) {
	s.ctx = ctx
	ch := make(chan int)
	go func() {
		defer close(ch)
		for i := 0; ; i++ {
			select {
			case ch <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch, nil
}

// TestResultsOfTheUsersOwn are held until they are closed or ranged over; a channel
// goes on until the caller leaves.
func TestResultsOfTheUsersOwn(t *testing.T) {
	rt, next := &resilience.Runtime{}, &store{}
	w, err := NewResilientStore(rt, next)
	if err != nil {
		t.Fatal(err)
	}
	inFlight := func() (n int64) {
		for _, b := range rt.Stats().Bulkheads {
			n += b.InFlight
		}
		return n
	}
	blob, err := w.Open(t.Context(), "name")
	if err != nil || blob.Size() != 3 || inFlight() != 1 {
		t.Fatal(err, inFlight())
	}
	if data, err := io.ReadAll(blob); string(data) != "xxx" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if err := blob.Close(); err != nil || inFlight() != 0 || next.ctx.Err() != context.Canceled {
		t.Errorf("%v, %d slots, %v", err, inFlight(), next.ctx.Err())
	}
	keys, err := w.Keys(t.Context())
	if err != nil || inFlight() != 1 {
		t.Fatal(err, inFlight())
	}
	for i := range keys {
		if i == 1 {
			break
		}
	}
	if inFlight() != 0 || next.ctx.Err() != context.Canceled {
		t.Errorf("%d slots, %v", inFlight(), next.ctx.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	ch, err := w.Watch(ctx)
	if err != nil || inFlight() != 0 {
		t.Fatal(err, inFlight())
	}
	for range 3 {
		if _, ok := <-ch; !ok {
			t.Error("the channel was closed at the return")
		}
	}
	cancel()
	for range ch {
		continue
	}
}
