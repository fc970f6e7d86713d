package conformance

import "context"

// Toucher is embedded.
type Toucher interface{ Touch() error }

// Forms has the forms of methods that a fallback may answer for.
type Forms[T any] interface {
	Toucher
	Get(ctx context.Context, key string) (T, error)
	Sum(ctx context.Context, ns ...int) (int, error)
	Add(ctx context.Context, ns ...int) (int, error)
}

func zeroInstead[T any](context.Context, string) (t T, err error) { return t, nil }

func sumInstead(_ context.Context, ns ...int) (sum int, err error) {
	for _, n := range ns {
		sum += n
	}
	return sum, nil
}

// sumInsteadOf takes a slice: what is variadic must be last.
func sumInsteadOf(ctx context.Context, ns []int, _ error) (sum int, err error) {
	return sumInstead(ctx, ns...)
}

func touchInstead() error { return nil }
