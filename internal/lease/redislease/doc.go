// Package redislease keeps seats in a Redis (7.0 or newer, or one compatible
// with it) that several processes share: for cloud containers, and for plain
// servers with more than one process.
//
// Each operation is one Lua script, so it happens as a whole or not at all,
// and Redis's own clock decides about every lease; no clocks of two machines
// are compared. All keys of a group carry its serial as their hash tag, so they
// lie on one node of a cluster, and one script checks the epoch, changes seats
// and handles and appends the events. Scripts are called by their digest and
// sent in full where a server has forgotten them.
//
// The keys of a group, each beginning with "quorate:lease:{SERIAL}:" and, where
// it says so, ending with a product –
//
//	group      hash: the epoch in force, its owner, the newest event's position and
//	           each firm's number of events, when the claim was, how many linger and wait
//	handles    hash: the record of each living handle, by id
//	due:P      sorted set: when each handle's lease runs out (microseconds), or an
//	           earlier time where it was renewed since
//	order:P    sorted set: the handles by their first access
//	seats      hash: "PRODUCT/SEAT" → last n, and the holder's id if there is one,
//	           also of a released one whose seat lingers
//	free       sorted set: seats that were given and are free, in order
//	pools      hash: the figures and accounts of each product
//	tags:P     hash: the accounts of the tags
//	shares     sorted set: of each account, what share handles of a station take
//	stations   hash: how many handles are on a station
//	ended      hash: how each remembered handle ended, by id
//	endings    sorted set: the ids in ended, by when
//	events     stream: the events, with their position as id
//	lingers    hash: the record of each lingering seat, by the released handle's id
//	over:P     sorted set: when each linger is over, but for what a claim adds
//	own        sorted set: "PRODUCT/DIGEST/SEAT", for whom which seats linger
//	soon       sorted set: when the first lease or linger of each product runs out,
//	           or an earlier time
//	waiters    hash: the record of each request that waits, by id
//	queue:P    sorted set: the queue in its order
//	places:P   sorted set: when each place in the queue is lost
//	denials    sorted set: digests of denials on record, when
//	meta       string: tells versions that know just the first format to keep off
//
// What a call costs doesn't grow with the number of handles; List costs the same
// for each handle that it gives. A script ends or moves up to 200 handles, and is
// called again where there are more. A renewal writes the handle's record alone,
// and a claim its own time: what both do to a deadline is reckoned when that is
// reached. So where more than some fifty handles were renewed since it was last
// looked at, Next, and with it a refusal, may name an earlier time than is true.
//
// Data of the first format, in which "meta" was a hash, are converted by the first
// Claim or Join, in steps, and processes that still use it are fenced. There is no
// way back.
//
// # What it needs
//
// What was answered outlives a crash of Redis as far as Redis has it on disk:
// with "appendonly yes" and "appendfsync always" nothing is lost; with
// "everysec" a crash of Redis alone loses nothing, a power loss up to about a
// second; without the append-only file everything. Where grants were lost,
// their programs' tokens bring them back as long as nobody else got the seat:
// over-use is possible then. Keys must not be evicted ("maxmemory-policy
// noeviction"). With Options.Replicas an answer waits until so many replicas
// have the change; that makes a loss at a failover rarer, not impossible. Where
// too few have it in time nothing is answered but CodeUnavailable, renewals too. The
// change is not undone, which would need the same replicas: whoever repeats a call
// finds what it made, and a handle that nobody heard of ends with its lease.
//
// No claim is made about a split network: when a failover makes a new primary
// while the old one still answers, both may give out seats. TMR groups use a
// quorum of journals instead. A jump of Redis's clock moves all deadlines:
// forward it ends leases early, back it makes them last longer.
//
// Ended handles are remembered for Options.EndedFor, at most Options.MostEnded
// of a group, and as long as their seats linger; events are kept to about
// Options.MostEvents, of at most 6 KiB each, since all that they hold is bounded.
package redislease
