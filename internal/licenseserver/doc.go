// Package licenseserver is what programs talk to: it hands out handles to the
// licenses of one container, real or virtual, over any lease store.
//
// Three parts are put in from outside. A Source says which licenses are in
// force at this instant and opens wrapped keys; a lease.Store holds the seats;
// an Arbiter says whether this server is to lead.
//
// # Leading
//
// The arbiter's word authorises nothing by itself: two servers may both be told
// to lead for a while. What counts is the claim of an epoch on the store, which
// fences every earlier leader. So a server that is told to lead claims, serves
// under that epoch (a term), and ends the term when the arbiter takes the role
// away, when the store answers that a newer epoch was claimed, or when a
// program shows a token of a newer epoch. Without a term every call is answered
// NOT_LEADER and the program goes to another server. After having been fenced a
// server claims again only while the arbiter still wants it to lead, and after a
// pause that doubles, so that two servers that are both told to lead don't
// chase each other.
//
// A takeover keeps every seat: the claim gives each held one a full lease from
// then, and tokens carry all that the new leader needs to know of a handle.
//
// # Options
//
// Find says whether a license is here; license.Explain, of the source's time and
// what was used, whether it may be used by who asks. An access needs all of it.
// A renewal needs the time and the access list, a key, data or units the time
// alone: so nobody is thrown out by a lowered quantity, by units that are used
// up, or by features and versions that changed. The first use of a license with
// a usage period is noted before its handle is given, and units are taken before
// the program hears of it; both durably, by the source. What a program states of
// itself is believed; its address and whether it is local are the connection's.
//
// # Tokens
//
// The token of a handle is signed with the group's key and names the container,
// product, handle, mode, station, seat, epoch and n. Whoever has it may renew,
// use and release the handle, and nothing else: a program can't touch another
// one's handle. Each renewal gives a new token. A token with an older epoch than
// the term's is good (it was given before a takeover); one with a newer epoch is
// never refused: this server was deposed and doesn't know it yet.
//
// # Removing
//
// Removing somebody else's handle needs the administrator's token as bearer
// when one is configured. Without one, only peers on the loopback interface may
// remove. A reverse proxy on the same machine makes every peer look like
// loopback, so configure a token where there is one.
package licenseserver
