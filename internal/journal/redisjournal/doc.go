// Package redisjournal keeps a group's journal of seats in a Redis beside the
// backend: 7.0 or newer, reached by a unix socket or on the same machine, for
// this backend alone. It has no replica and is none, and nothing fails over: the
// other two backends' journals are what a loss is made good from.
//
// What was answered outlives a crash of Redis and of the machine with
// "appendonly yes", "appendfsync always" and "no-appendfsync-on-rewrite no", and
// with "maxmemory-policy noeviction" nothing is thrown away. Each connection
// checks these settings first, and that the server has no replica, so that a
// Redis that was started again with others is noticed: such a journal is
// unavailable. Config.Unsafe leaves the check out: a journal that forgets an
// answer after a crash can hand out a license twice, unless another one of the
// three remembers.
//
// Each operation is one script, so it happens as a whole or not at all. A script
// compares the state that the caller knows with the one that is there, and does
// nothing where they differ; the rules are Go's, in package journal, and the
// script's only comparison is that of a record with the one it replaces. A
// Redis that lost its data has no state: the journal then begins a new
// incarnation, which doesn't vote until a leader has filled it.
//
// The keys, each beginning with "quorate:journal:{SERIAL}:" –
//
//	state      string: the journal's state, as JSON
//	records    hash: of each seat, by product and seat (12 bytes, big-endian): epoch
//	           and n, with 19 digits each, then the holder
//	seats      sorted set: the fields of records, in order
//	events     hash: by position (19 digits): the epoch, with 19 digits, then the data
//	positions  sorted set: the fields of events, in order
package redisjournal
