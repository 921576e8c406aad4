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
// program shows a token of a newer epoch. Without a term calls are answered
// NOT_LEADER and the program goes to another server; but keys and data are opened
// for a handle that Config.Vouch vouches for. After having been fenced a
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
// product, handle, mode, station, licenses, tags, seat, epoch and n: all that it
// takes to take a handle in again whose record was lost. Whoever has it may renew,
// use and release the handle, and nothing else: a program can't touch another
// one's handle. Each renewal gives a new token. A token with an older epoch than
// the term's is good (it was given before a takeover); one with a newer epoch is
// never refused: this server was deposed and doesn't know it yet.
//
// # Waiting
//
// The store has the queue; a request in it keeps its place by being asked again.
// The server does so for some seconds while it holds the call, whenever something
// was freed here and once a second, and then leaves it to the program. So no call
// lasts long, a program that died loses its place, and nothing has to outlive a
// takeover.
//
// # What is told of others
//
// An administrator sees who uses what. To everybody else denials, explanations
// and lists tell as much as Config.Disclose says; process ids, and the request
// ids by which a place in the queue can be given up, they never tell. Who has a
// license is looked up when somebody is refused, and remembered for a moment.
//
// # Removing
//
// Removing somebody else's handle, and unless everyone may, asking its holder to
// release it, needs the administrator's token as bearer when one is configured.
// Without one, peers on the loopback interface are administrators. A reverse proxy on the same machine makes every peer look like
// loopback, so configure a token where there is one.
package licenseserver
