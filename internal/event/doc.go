// Package event tells subscribers, in this process and in others, that
// something changed. A signal carries no content: the subscriber reads the
// newest state from the database under its own permissions, so a signal can be
// lost behind a newer one but never a change, and nothing secret passes here.
//
// Local is the driver for one process; redisevent reaches all replicas through
// Redis. eventtest is the suite that both pass.
package event
