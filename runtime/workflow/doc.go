// Package workflow runs graphs of nodes that send messages to each other, each
// node guarded, each step durable, a run that was interrupted resumed where it
// stopped.
//
// Generated code holds a [Graph] and makes an [Engine] of it; what a node may say
// and ask is [Route], [Info], [AddCost], [Memory], [Save] and [Saved].
//
// A run is the fold of its records in the log of the Runtime. The runner makes a
// record, makes it durable and applies it; nothing else changes a run. The record of
// a step says at once that its message is done and which messages follow: before it
// the node runs again, with the same idempotency key; after it never.
package workflow
