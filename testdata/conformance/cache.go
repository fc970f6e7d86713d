package conformance

import "context"

// Catalog has methods whose results are kept.
type Catalog interface {
	All(ctx context.Context) (string, error)
	Get(ctx context.Context, id string) (name string, stock int, err error)
	Find(ctx context.Context, id string) (int, error)
}

type tenantKey struct{}

func tenant(ctx context.Context) string {
	name, _ := ctx.Value(tenantKey{}).(string)
	return name
}

func soldOut(n int) bool { return n == 0 }
