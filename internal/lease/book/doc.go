// Package book decides about one group's seats, in memory: who gets a handle,
// what it takes, who waits, whose lease has run out. It is the common part of
// the drivers in which one process decides (memlease, and the leader of a TMR
// group).
//
// A Book has no I/O, no lock and no clock: its driver calls one operation at a
// time and says when it is now, by a clock that doesn't go back. An operation
// changes the memory at once and adds what must become durable to what Drain
// gives. So a driver decides first and answers when it is durable:
//
//   - Whatever Drain gives must become durable in its order, or together. An
//     answer that rests on a change may be given when that change and all before
//     it are. Then a seat that is given again is never durably two handles'.
//   - A grant or renewal rests on the record of its seat, see Record; an error,
//     an ending and a figure on everything decided before.
//   - Events may be shown to readers once they are durable.
//
// After a failed write the memory is ahead of what is durable. A driver that
// knows what the store has rebuilds a Book from that, and lets it Inherit what
// must not be forgotten. One that doesn't know keeps the Book, in which a grant
// in doubt goes on taking its seat until its timer has run out, and writes what
// wasn't confirmed again, before anything later.
//
// A fresh Book is filled by Load, LoadEvent, LoadSeq and SetPosition; Claim
// then starts its timers.
package book
