package policy

// orderKeys say how the parts nest. Their values stand in the default order,
// outermost first.
func orderKeys() []*Key {
	return []*Key{
		{Path: "order", Type: Layers, Since: first, Unset: none, GoField: "Order",
			Doc:     "How the parts nest, outermost first. Of retry, hedge, circuitBreaker, rateLimit, bulkhead and adaptive all that the method has must be in it; what else is not stands where it always does.",
			Example: "order: [rateLimit, timeout.total, retry, circuitBreaker, timeout.attempt]",
			Values: []EnumValue{
				{Name: "deadLetter", Doc: "outermost"},
				{Name: "fallback", GoConst: "LayerFallback", Doc: "inside the deadLetter, outside all else"},
				{Name: "checkpoint", Doc: "inside the fallback, outside all else"},
				{Name: "cache", GoConst: "LayerCache", Doc: "inside fallback and checkpoint, outside all else"},
				{Name: "timeout.total", GoConst: "LayerTotal", Doc: "outside retry and hedge; it begins where it stands"},
				{Name: "retry", GoConst: "LayerRetry", Doc: "what is outside is asked once for a call, what is inside for each attempt"},
				{Name: "hedge", GoConst: "LayerHedge", Doc: "likewise"},
				{Name: "circuitBreaker", GoConst: "LayerBreaker", Doc: "outside timeout.attempt"},
				{Name: "rateLimit", GoConst: "LayerRateLimit", Doc: "anywhere inside the cache"},
				{Name: "bulkhead", GoConst: "LayerBulkhead", Doc: "anywhere inside the cache; inside retry and hedge where timeout.mode is abandon"},
				{Name: "adaptive", GoConst: "LayerAdaptive", Doc: "outside timeout.attempt; in mode concurrency inside retry and hedge"},
				{Name: "timeout.attempt", GoConst: "LayerAttempt", Doc: "inside retry, hedge, circuitBreaker and adaptive; it begins where it stands"},
				{Name: "timeout.open", GoConst: "LayerOpen", Doc: "beside timeout.attempt"},
				{Name: "chaos", GoConst: "LayerChaos", Doc: "innermost"},
			}},
	}
}

// Order is a list of parts, outermost first, as it is written.
type Order []Name

// String returns the list as the language says it.
func (o Order) String() string {
	text := ""
	for i, n := range o {
		if i > 0 {
			text += ", "
		}
		text += n.Text
	}
	return "[" + text + "]"
}

// Has reports whether the list names the part.
func (o Order) Has(part string) bool { return List{Names: o}.Has(part) }
