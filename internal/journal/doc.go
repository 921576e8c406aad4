// Package journal keeps what must outlive a leader about a TMR group's seats:
// on two of the group's three backends.
//
// A Journal is the durable side of one backend: the epoch that it has promised,
// a record per seat, and the end of the group's event stream. It decides
// nothing but order: what is asked under an older term than the promised one
// fails, and of a seat's records the higher (epoch, n) stays. The leader's side
// claims a term, reads, writes back, and counts to two.
package journal
