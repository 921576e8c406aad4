// Package store opens the database, keeps its schema up to date, and guards it.
//
// A DSN is either "postgres://…" or the path of an SQLite file. Both run the
// same ent schema. Migrations are versioned SQL, embedded per dialect, and
// applied by Open in one transaction under a lock, so replicas that start
// together do it once and a failed one leaves nothing behind.
//
// Every query and every mutation passes the tenant guard (guard.go), which
// fails closed without a principal in the context. There is no client without
// the guard and no way to run SQL text through a client. Transactions hand out
// only the transaction's client; what is to be told to others is told after
// the commit (Tx.AfterCommit), never before.
package store
