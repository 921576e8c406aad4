// Package live shares the work of subscriptions among all who watch the same.
//
// A stream is something that is watched, in one tenant's sight: a set of items,
// each with a stamp that changes with what is shown of it. It is read from the
// database when a signal says that it may have changed, once on each replica
// whatever the number of subscribers, and compared with what the stream's log
// says was told last. The difference is an entry of the log, which counts them:
// 1, 2, 3, … The log is shared by all replicas, in Redis, or in the process where
// there is one replica only. It has ids and stamps, and nothing that is secret.
//
// An entry goes into the log only on top of the one that its writer knew
// (Append), so a number means the same everywhere, and a position that one
// replica gave can be resumed at any other.
//
// A shape is one way to show a stream: one operation with its variables, under
// one set of rights. Each entry is rendered once per shape; subscribers pull the
// bytes when they can send them. There is no queue: one who is too far behind
// gets a snapshot.
package live
