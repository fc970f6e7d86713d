package resilience

import (
	"context"
	"iter"
)

// values keeps bodies of any size up to maxPayload in a [Log].
type values struct{ log Log }

func (v values) append(ctx context.Context, key string, after Version, body []byte) (Version, error) {
	return v.log.Append(ctx, key, after, body)
}

func (v values) scan(ctx context.Context, key string, after Version) iter.Seq2[Record, error] {
	return v.log.Scan(ctx, key, after)
}

func (v values) heads(ctx context.Context, prefix, from string) iter.Seq2[Record, error] {
	return v.log.Heads(ctx, prefix, from)
}

func (v values) drop(ctx context.Context, key string, through Version) error {
	return v.log.Drop(ctx, key, through)
}
