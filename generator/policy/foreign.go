package policy

import (
	"fmt"
	"strconv"
)

// foreignNames answers keys of other libraries, folded (see fold), with ours.
// The text follows "is not a key of this language: ". N in a conversion is
// replaced where the value is a number.
var foreignNames = map[string]foreignName{
	// Attempts.
	"maxretries":                     {path: "retry.maxAttempts", say: "write maxAttempts: N+1, it counts the first execution too", convert: plusOne},
	"retries":                        {path: "retry.maxAttempts", say: "write maxAttempts: N+1, it counts the first execution too", convert: plusOne},
	"numretries":                     {path: "retry.maxAttempts", say: "write maxAttempts: N+1, it counts the first execution too", convert: plusOne},
	"retrycount":                     {path: "retry.maxAttempts", say: "write maxAttempts: N+1, it counts the first execution too", convert: plusOne},
	"maxretryattempts":               {path: "retry.maxAttempts", say: "write maxAttempts: N+1, it counts the first execution too", convert: plusOne},
	"attempts":                       {path: "retry.maxAttempts", say: "write maxAttempts: N", convert: same},
	"maxtries":                       {path: "retry.maxAttempts", say: "write maxAttempts: N", convert: same},
	"totalmaxattempts":               {path: "retry.maxAttempts", say: "write maxAttempts: N", convert: same},
	"stopafterattempt":               {path: "retry.maxAttempts", say: "write maxAttempts: N", convert: same},
	"maxelapsedtime":                 {path: "retry.maxDuration", say: "write maxDuration"},
	"stopafterdelay":                 {path: "retry.maxDuration", say: "write maxDuration"},
	"maxretryduration":               {path: "retry.maxDuration", say: "write maxDuration"},
	"timeoutduration":                {path: "timeout", say: "write timeout: {attempt: …} for one execution, {total: …} for the whole call"},
	"pertrytimeout":                  {path: "timeout.attempt", say: "write timeout: {attempt: …}"},
	"pertryidletimeout":              {path: "timeout.attempt", say: "write timeout: {attempt: …}; idle time is not measured"},
	"attempttimeout":                 {path: "timeout.attempt", say: "write timeout: {attempt: …}"},
	"percalltimeout":                 {path: "timeout.total", say: "write timeout: {total: …}"},
	"overalltimeout":                 {path: "timeout.total", say: "write timeout: {total: …}"},
	"totalrequesttimeout":            {path: "timeout.total", say: "write timeout: {total: …}"},
	"timeoutinmilliseconds":          {path: "timeout.attempt", say: "write timeout: {attempt: Nms}", convert: milliseconds},
	"executiontimeoutinmilliseconds": {path: "timeout.attempt", say: "write timeout: {attempt: Nms}", convert: milliseconds},
	"cancelrunningfuture":            {path: "timeout.mode", say: "write timeout: {mode: cooperative} for true, {mode: abandon} for false"},

	// Back-off.
	"initialinterval":              {path: "retry.backoff.initialDelay", say: "write backoff: {initialDelay: …}"},
	"initialbackoff":               {path: "retry.backoff.initialDelay", say: "write backoff: {initialDelay: …}"},
	"backoffinitialinterval":       {path: "retry.backoff.initialDelay", say: "write backoff: {initialDelay: …}"},
	"baseinterval":                 {path: "retry.backoff.initialDelay", say: "write backoff: {initialDelay: …}"},
	"basedelay":                    {path: "retry.backoff.initialDelay", say: "write backoff: {initialDelay: …}"},
	"mindelay":                     {path: "retry.backoff.initialDelay", say: "write backoff: {initialDelay: …}"},
	"waitduration":                 {path: "retry.backoff.initialDelay", say: "write backoff: {strategy: constant, initialDelay: …}"},
	"delay":                        {path: "retry.backoff.initialDelay", say: "write backoff: {strategy: constant, initialDelay: …}"},
	"backoffperiod":                {path: "retry.backoff.initialDelay", say: "write backoff: {strategy: constant, initialDelay: …}"},
	"maxinterval":                  {path: "retry.backoff.maxDelay", say: "write backoff: {maxDelay: …}"},
	"maxbackoff":                   {path: "retry.backoff.maxDelay", say: "write backoff: {maxDelay: …}"},
	"maxwaitduration":              {path: "retry.backoff.maxDelay", say: "write backoff: {maxDelay: …}"},
	"exponentialmaxwaitduration":   {path: "retry.backoff.maxDelay", say: "write backoff: {maxDelay: …}"},
	"backoffmultiplier":            {path: "retry.backoff.multiplier", say: "write backoff: {multiplier: …}"},
	"exponentialbackoffmultiplier": {path: "retry.backoff.multiplier", say: "write backoff: {multiplier: …}"},
	"backofffactor":                {path: "retry.backoff.multiplier", say: "write backoff: {multiplier: …}"},
	"factor":                       {path: "retry.backoff.multiplier", say: "write multiplier: N", convert: same},
	"base":                         {path: "retry.backoff.multiplier", say: "write multiplier: N", convert: same},
	"enableexponentialbackoff":     {path: "retry.backoff.strategy", say: "write backoff: {strategy: exponential}, which is the default"},
	"enablerandomizedwait":         {path: "retry.backoff.jitter", say: "write backoff: {jitter: ratio, jitterFactor: 0.5}"},
	"randomizedwaitfactor":         {path: "retry.backoff.jitterFactor", say: "write backoff: {jitter: ratio, jitterFactor: N}", convert: same},
	"randomizationfactor":          {path: "retry.backoff.jitterFactor", say: "write backoff: {jitter: ratio, jitterFactor: N}", convert: same},
	"usejitter":                    {path: "retry.backoff.jitter", say: "write backoff: {jitter: full}, which is the default"},
	"jitterdelay":                  {path: "retry.backoff.jitter", say: "write backoff: {jitter: ratio, jitterFactor: …}: a share of the delay, not a time"},

	// What is retried and recorded.
	"retryexceptions":        {path: "retry.retryOn", say: "write retryOn: [ErrBusy, net.OpError]: Go errors, types and funcs"},
	"retryfor":               {path: "retry.retryOn", say: "write retryOn: [ErrBusy, net.OpError]: Go errors, types and funcs"},
	"retryif":                {path: "retry.retryOn", say: "write retryOn: [isBusy] with a func isBusy(error) bool"},
	"shouldhandle":           {path: "retry.retryOn", say: "write retryOn: [isBusy] with a func isBusy(error) bool"},
	"retryableerrors":        {path: "retry.retryOn", say: "write retryOn: [ErrBusy, net.OpError]: Go errors, types and funcs"},
	"retryablestatuscodes":   {path: "retry.retryOn", say: "write retryOn: [HTTP5xx, HTTP429, GRPCUnavailable]"},
	"retriablestatuscodes":   {path: "retry.retryOn", say: "write retryOn: [HTTP5xx, HTTP429, GRPCUnavailable]"},
	"ignoreexceptions":       {path: "retry.abortOn", say: "write abortOn: […] under retry, ignoreOn: […] under circuitBreaker"},
	"noretryfor":             {path: "retry.abortOn", say: "write abortOn: […]"},
	"abortif":                {path: "retry.abortOn", say: "write abortOn: [isFinal] with a func isFinal(error) bool"},
	"recordexceptions":       {path: "circuitBreaker.recordOn", say: "write recordOn: […]"},
	"recordexception":        {path: "circuitBreaker.recordOn", say: "write recordOn: […]"},
	"recordfailurepredicate": {path: "circuitBreaker.recordOn", say: "write recordOn: [isFailure] with a func isFailure(error) bool"},
	"failon":                 {path: "circuitBreaker.recordOn", say: "write recordOn: […] under circuitBreaker, applyOn: […] under fallback"},
	"skipon":                 {path: "circuitBreaker.ignoreOn", say: "write ignoreOn: [...]"},
	"retryonresultpredicate": {path: "retry.retryOnResult", say: "write retryOnResult: isStale"},
	"failafterfinalattempt":  {path: "retry.failOnExhaustedResult", say: "write failOnExhaustedResult"},
	"failaftermaxattempts":   {path: "retry.failOnExhaustedResult", say: "write failOnExhaustedResult"},

	// Breaker.
	"slidingwindowsize":                            {path: "circuitBreaker.window.size", say: "write window: {type: count, size: N}, or {type: time, duration: Ns} for slidingWindowType TIME_BASED", convert: same},
	"slidingwindowtype":                            {path: "circuitBreaker.window.type", say: "write window: {type: count, size: …} for COUNT_BASED, {type: time, duration: …} for TIME_BASED"},
	"ringbuffersizeinclosedstate":                  {path: "circuitBreaker.window.size", say: "write window: {type: count, size: N}", convert: same},
	"ringbuffersizeinhalfopenstate":                {path: "circuitBreaker.halfOpen.permittedCalls", say: "write halfOpen: {mode: rate, permittedCalls: N}", convert: same},
	"metricsrollingstatstimeinmilliseconds":        {path: "circuitBreaker.window.duration", say: "write window: {type: time, duration: Nms}", convert: milliseconds},
	"samplingduration":                             {path: "circuitBreaker.window.duration", say: "write window: {type: time, duration: …}"},
	"rollingwindow":                                {path: "circuitBreaker.window", say: "write window: {type: time, duration: …}"},
	"interval":                                     {path: "circuitBreaker.window.duration", say: "write window: {type: time, duration: …}"},
	"minimumnumberofcalls":                         {path: "circuitBreaker.minimumCalls", say: "write minimumCalls: N", convert: same},
	"requestvolumethreshold":                       {path: "circuitBreaker.minimumCalls", say: "write minimumCalls: N (as in MicroProfile also window: {type: count, size: N})", convert: same},
	"minimumthroughput":                            {path: "circuitBreaker.minimumCalls", say: "write minimumCalls: N", convert: same},
	"failureratio":                                 {path: "circuitBreaker.failureRateThreshold", say: "write failureRateThreshold, in percent: N", convert: percent},
	"errorthresholdpercentage":                     {path: "circuitBreaker.failureRateThreshold", say: "write failureRateThreshold: N", convert: same},
	"errorpercentthreshold":                        {path: "circuitBreaker.failureRateThreshold", say: "write failureRateThreshold: N", convert: same},
	"failurethreshold":                             {path: "circuitBreaker.consecutiveFailures", say: "write consecutiveFailures: N", convert: same},
	"consecutiveerrors":                            {path: "circuitBreaker.consecutiveFailures", say: "write consecutiveFailures: N", convert: same},
	"consecutive5xxerrors":                         {path: "circuitBreaker.consecutiveFailures", say: "write consecutiveFailures: N, recordOn: [HTTP5xx]", convert: same},
	"maxfailures":                                  {path: "circuitBreaker.consecutiveFailures", say: "write consecutiveFailures: N", convert: same},
	"readytotrip":                                  {path: "circuitBreaker.consecutiveFailures", say: "write consecutiveFailures, or failureRateThreshold with minimumCalls"},
	"slowcalldurationthreshold":                    {path: "circuitBreaker.slowCallDuration", say: "write slowCallDuration"},
	"waitdurationinopenstate":                      {path: "circuitBreaker.openDuration", say: "write openDuration"},
	"sleepwindowinmilliseconds":                    {path: "circuitBreaker.openDuration", say: "write openDuration: Nms", convert: milliseconds},
	"sleepwindow":                                  {path: "circuitBreaker.openDuration", say: "write openDuration"},
	"breakduration":                                {path: "circuitBreaker.openDuration", say: "write openDuration"},
	"durationofbreak":                              {path: "circuitBreaker.openDuration", say: "write openDuration"},
	"resettimeout":                                 {path: "circuitBreaker.openDuration", say: "write openDuration"},
	"baseejectiontime":                             {path: "circuitBreaker.openDuration", say: "write openDuration"},
	"opentimeout":                                  {path: "circuitBreaker.openDuration", say: "write openDuration"},
	"permittednumberofcallsinhalfopenstate":        {path: "circuitBreaker.halfOpen.permittedCalls", say: "write halfOpen: {mode: rate, permittedCalls: N}", convert: same},
	"permittedcallsinhalfopen":                     {path: "circuitBreaker.halfOpen.permittedCalls", say: "write halfOpen: {mode: rate, permittedCalls: N}", convert: same},
	"maxrequests":                                  {path: "circuitBreaker.halfOpen.permittedCalls", say: "write halfOpen: {permittedCalls: N, successThreshold: N}", convert: same},
	"halfopenmaxcalls":                             {path: "circuitBreaker.halfOpen.permittedCalls", say: "write halfOpen: {permittedCalls: N}", convert: same},
	"successthreshold":                             {path: "circuitBreaker.halfOpen.successThreshold", say: "write halfOpen: {successThreshold: N}", convert: same},
	"maxwaitdurationinhalfopenstate":               {path: "circuitBreaker.halfOpen.maxWait", say: "write halfOpen: {maxWait: …}"},
	"automatictransitionfromopentohalfopenenabled": {path: "circuitBreaker.autoHalfOpen", say: "write autoHalfOpen"},
	"forceopen":                                    {path: "circuitBreaker.mode", say: "write mode: forcedOpen"},
	"forceclosed":                                  {path: "circuitBreaker.mode", say: "write mode: shadow, which records and never rejects, or mode: disabled"},

	// Bulkhead.
	"maxconcurrentcalls":          {path: "bulkhead.maxConcurrent", say: "write maxConcurrent: N", convert: same},
	"maxconcurrentrequests":       {path: "bulkhead.maxConcurrent", say: "write maxConcurrent: N", convert: same},
	"maxconcurrency":              {path: "bulkhead.maxConcurrent", say: "write maxConcurrent: N", convert: same},
	"maxparallelization":          {path: "bulkhead.maxConcurrent", say: "write maxConcurrent: N", convert: same},
	"coresize":                    {path: "bulkhead.maxConcurrent", say: "write maxConcurrent: N", convert: same},
	"waitingtaskqueue":            {path: "bulkhead.maxQueue", say: "write maxQueue: N, and maxWait: how long they may wait", convert: same},
	"queuesizerejectionthreshold": {path: "bulkhead.maxQueue", say: "write maxQueue: N, and maxWait: how long they may wait", convert: same},
	"maxqueuingactions":           {path: "bulkhead.maxQueue", say: "write maxQueue: N, and maxWait: how long they may wait", convert: same},
	"queuecapacity":               {path: "bulkhead.maxQueue", say: "write maxQueue: N, and maxWait: how long they may wait", convert: same},

	// Budget.
	"retrybudget":         {path: "retry.budget", say: "write retry: {budget: {ratio: 0.2, minConcurrency: 3}}"},
	"budgetpercent":       {path: "retry.budget.ratio", say: "write budget: {ratio: …}: 0.2 for 20 percent"},
	"maxrate":             {path: "retry.budget.ratio", say: "write budget: {ratio: N}", convert: same},
	"minretryconcurrency": {path: "retry.budget.minConcurrency", say: "write budget: {minConcurrency: N}", convert: same},
	"retrythrottling":     {path: "retry.budget", say: "write retry: {budget: {ratio: 0.2}}: a share of the calls in flight, not tokens"},

	// Hedge.
	"hedgingdelay":      {path: "hedge.delay", say: "write hedge: {delay: …}"},
	"maxhedgedattempts": {path: "hedge.maxHedges", say: "write hedge: {maxHedges: N}: it does not count the first attempt", convert: same},
	"quantile":          {path: "hedge.percentile", say: "write hedge: {percentile: N}", convert: percent},

	// Rate limit.
	"limitforperiod":      {path: "rateLimit.limit", say: "write limit: N", convert: same},
	"permitspersecond":    {path: "rateLimit.limit", say: "write limit: N, period: 1s", convert: same},
	"ratelimitersize":     {path: "rateLimit.limit", say: "write limit: N", convert: same},
	"limitrefreshperiod":  {path: "rateLimit.period", say: "write period: …, and mode: fixed for the same counting"},
	"tokensperperiod":     {path: "rateLimit.limit", say: "write limit: N", convert: same},
	"replenishmentperiod": {path: "rateLimit.period", say: "write period: …"},
	"tokenlimit":          {path: "rateLimit.burst", say: "write burst: N", convert: same},
	"maxtokens":           {path: "rateLimit.burst", say: "write burst: N", convert: same},
	"fillinterval":        {path: "rateLimit.period", say: "write period: …"},
	"tokensperfill":       {path: "rateLimit.limit", say: "write limit: N", convert: same},
	"burstsize":           {path: "rateLimit.burst", say: "write burst: N", convert: same},

	// Parts.
	"circuitbreaking":  {path: "circuitBreaker", say: "write circuitBreaker"},
	"breaker":          {path: "circuitBreaker", say: "write circuitBreaker"},
	"outlierdetection": {path: "circuitBreaker", say: "write circuitBreaker"},
	"timelimiter":      {path: "timeout", say: "write timeout: {attempt: …} for one execution, {total: …} for the whole call"},
	"ratelimiter":      {path: "rateLimit", say: "write rateLimit: {limit: N, period: …}"},
	"throttle":         {path: "adaptive", say: "write adaptive: {mode: throttle}, or rateLimit for a fixed rate"},
	"hedging":          {path: "hedge", say: "write hedge"},
	"hedgingpolicy":    {path: "hedge", say: "write hedge: {maxHedges: …, delay: …}"},
	"fallbackmethod":   {path: "fallback.func", say: "write fallback: {func: name}"},
	"fallbackto":       {path: "fallback.to", say: "write fallback: {to: secondary}"},
	"retrypolicy":      {path: "retry", say: "write retry"},
	"baseconfig":       {path: "extends", say: "write extends: under policies, use: under interfaces and methods"},
	"inherits":         {path: "extends", say: "write extends: under policies, use: under interfaces and methods"},
	"enabled":          {say: "leave the part out, or write none for it, to switch it off; at run time use RESILIENCE_ENABLED or SetEnabled"},
	"disabled":         {say: "leave the part out, or write none for it, to switch it off; at run time use RESILIENCE_ENABLED or SetEnabled"},
}

// foreignWithin are names that mean one thing in a part and another elsewhere, or
// are too short to be told apart: by the part, then folded.
var foreignWithin = map[string]map[string]foreignName{
	"rateLimit": {
		"interval": {path: "rateLimit.period", say: "write period: …"},
		"rate":     {path: "rateLimit.limit", say: "write limit: N, period: 1s", convert: same},
	},
	"hedge": {
		"max":   {path: "hedge.maxHedges", say: "write maxHedges: N, which does not count the first attempt", convert: same},
		"after": {path: "hedge.delay", say: "write delay: …"},
	},
	"cache": {
		"maxsize": {path: "cache.maxEntries", say: "write maxEntries: N, which counts entries, not bytes", convert: same},
	},
}

type foreignName struct {
	path    string // our key
	say     string
	convert func(number float64) string // what N stands for; nil if nothing is replaced
}

func plusOne(f float64) string      { return formatNumber(f + 1) }
func same(f float64) string         { return formatNumber(f) }
func percent(f float64) string      { return formatNumber(f * 100) }
func milliseconds(f float64) string { return formatNumber(f) }

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'g', 10, 64) }

// foreign answers a key of another library, "" if it is none that is known or
// if it is a spelling of a key that may be written in parent.
func foreign(p pair, parent string) string {
	f, ok := foreignWithin[parent][fold(p.name)]
	if !ok {
		f, ok = foreignNames[fold(p.name)]
	}
	if !ok {
		return ""
	}
	if home, _ := splitPath(f.path); home == parent && fold(lastName(f.path)) == fold(p.name) {
		return ""
	}
	n := "N"
	if f.convert != nil {
		if number, err := strconv.ParseFloat(p.value.Value, 64); err == nil {
			n = f.convert(number)
		}
	}
	return fmt.Sprintf("is not a key of this language: %s", replaceN(f.say, n, f.convert != nil))
}

func lastName(path string) string {
	_, name := splitPath(path)
	return name
}

// replaceN puts the number in for N and N+1.
func replaceN(say, n string, convert bool) string {
	if !convert || n == "N" {
		return say
	}
	out := make([]byte, 0, len(say)+8)
	for i := 0; i < len(say); i++ {
		if say[i] != 'N' || i > 0 && say[i-1] != ' ' {
			out = append(out, say[i])
			continue
		}
		out = append(out, n...)
		if len(say) > i+2 && say[i+1:i+3] == "+1" {
			i += 2
		}
	}
	return string(out)
}
