package workflow

import (
	"sync"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// live are the owners that have a run in this process, by Runtime: two of them on one
// store are as two processes.
var live owners

type owners struct{ tokens sync.Map }

type ownerToken struct {
	rt    *resilience.Runtime
	token string
}

func (o *owners) add(r *run)    { o.tokens.Store(ownerToken{r.e.rt, r.token}, true) }
func (o *owners) remove(r *run) { o.tokens.Delete(ownerToken{r.e.rt, r.token}) }

// has reports whether a token is that of one of them.
func (o *owners) has(rt *resilience.Runtime, token string) bool {
	_, ok := o.tokens.Load(ownerToken{rt, token})
	return ok
}
