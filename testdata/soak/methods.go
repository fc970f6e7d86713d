package soak

import "context"

// method is one of Peer's.
type method int

const (
	mRetry method = iota
	mBudget
	mSlow
	mTotal
	mAbandon
	mJudge
	mOpen
	mHedge
	mHedgeAll
	mHedgeAbandon
	mPerKey
	mHedgeKey
	mAbandonKey
	mToken
	mSmooth
	mFixed
	mRolling
	mThrottle
	mGradient
	mVegas
	mCached
	mStale
	mIdempotent
	mChaos
	mChaosPanic
	mBare
	methods
)

var _ Peer = (*peer)(nil)
var _ PeerFallback = (*peer)(nil)

func (p *peer) Retry(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mRetry, req)
}
func (p *peer) Budget(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mBudget, req)
}
func (p *peer) Slow(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mSlow, req)
}
func (p *peer) Total(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mTotal, req)
}
func (p *peer) Abandon(ctx context.Context, req Request) (*Conn, error) {
	return p.open(ctx, mAbandon, req)
}
func (p *peer) Judge(ctx context.Context, req Request) (*Conn, error) {
	return p.open(ctx, mJudge, req)
}
func (p *peer) Open(ctx context.Context, req Request) (*Conn, error) { return p.open(ctx, mOpen, req) }
func (p *peer) Hedge(ctx context.Context, req Request) (*Conn, error) {
	return p.open(ctx, mHedge, req)
}
func (p *peer) HedgeAll(ctx context.Context, req Request) (*Conn, error) {
	return p.open(ctx, mHedgeAll, req)
}
func (p *peer) HedgeAbandon(ctx context.Context, req Request) (*Conn, error) {
	return p.open(ctx, mHedgeAbandon, req)
}
func (p *peer) PerKey(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mPerKey, req)
}
func (p *peer) HedgeKey(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mHedgeKey, req)
}
func (p *peer) AbandonKey(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mAbandonKey, req)
}
func (p *peer) Token(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mToken, req)
}
func (p *peer) Smooth(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mSmooth, req)
}
func (p *peer) Fixed(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mFixed, req)
}
func (p *peer) Rolling(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mRolling, req)
}
func (p *peer) Throttle(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mThrottle, req)
}
func (p *peer) Gradient(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mGradient, req)
}
func (p *peer) Vegas(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mVegas, req)
}
func (p *peer) Cached(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mCached, req)
}
func (p *peer) Stale(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mStale, req)
}
func (p *peer) Idempotent(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mIdempotent, req)
}
func (p *peer) Chaos(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mChaos, req)
}
func (p *peer) ChaosPanic(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mChaosPanic, req)
}
func (p *peer) Bare(ctx context.Context, req Request) (Answer, error) {
	return p.answer(ctx, mBare, req)
}

func (p *peer) RetryFallback(_ context.Context, req Request, cause error) (Answer, error) {
	return p.fall(mRetry, req, cause), nil
}
func (p *peer) RollingFallback(_ context.Context, req Request, cause error) (Answer, error) {
	return p.fall(mRolling, req, cause), nil
}
func (p *peer) VegasFallback(_ context.Context, req Request, cause error) (Answer, error) {
	return p.fall(mVegas, req, cause), nil
}
func (p *peer) StaleFallback(_ context.Context, req Request, cause error) (Answer, error) {
	return p.fall(mStale, req, cause), nil
}
func (p *peer) JudgeFallback(_ context.Context, req Request, cause error) (*Conn, error) {
	p.fall(mJudge, req, cause)
	return nil, nil
}
func (p *peer) HedgeAllFallback(_ context.Context, req Request, cause error) (*Conn, error) {
	p.fall(mHedgeAll, req, cause)
	return nil, nil
}

// called has what makes one call of each method. Connections are closed, with
// an error beside them or without.
var called = [methods]func(*ResilientPeer, context.Context, Request) (Answer, error){
	mRetry:        (*ResilientPeer).Retry,
	mBudget:       (*ResilientPeer).Budget,
	mSlow:         (*ResilientPeer).Slow,
	mTotal:        (*ResilientPeer).Total,
	mAbandon:      opened((*ResilientPeer).Abandon),
	mJudge:        opened((*ResilientPeer).Judge),
	mOpen:         opened((*ResilientPeer).Open),
	mHedge:        opened((*ResilientPeer).Hedge),
	mHedgeAll:     opened((*ResilientPeer).HedgeAll),
	mHedgeAbandon: opened((*ResilientPeer).HedgeAbandon),
	mPerKey:       (*ResilientPeer).PerKey,
	mHedgeKey:     (*ResilientPeer).HedgeKey,
	mAbandonKey:   (*ResilientPeer).AbandonKey,
	mToken:        (*ResilientPeer).Token,
	mSmooth:       (*ResilientPeer).Smooth,
	mFixed:        (*ResilientPeer).Fixed,
	mRolling:      (*ResilientPeer).Rolling,
	mThrottle:     (*ResilientPeer).Throttle,
	mGradient:     (*ResilientPeer).Gradient,
	mVegas:        (*ResilientPeer).Vegas,
	mCached:       (*ResilientPeer).Cached,
	mStale:        (*ResilientPeer).Stale,
	mIdempotent:   (*ResilientPeer).Idempotent,
	mChaos:        (*ResilientPeer).Chaos,
	mChaosPanic:   (*ResilientPeer).ChaosPanic,
	mBare:         (*ResilientPeer).Bare,
}

func opened(f func(*ResilientPeer, context.Context, Request) (*Conn, error)) func(*ResilientPeer, context.Context, Request) (Answer, error) {
	return func(p *ResilientPeer, ctx context.Context, req Request) (Answer, error) {
		conn, err := f(p, ctx, req)
		if conn == nil || err != nil { // one that was judged bad is closed where the call fails for it
			return Answer{ID: req.ID, Key: req.Key}, err
		}
		_ = conn.Close()
		return Answer{ID: conn.id, Key: req.Key}, err
	}
}
