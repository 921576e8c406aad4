// Package quorumlease keeps the seats of a TMR group: one leader decides in
// memory, and two of the group's three journals have each change on disk before
// it is answered.
//
// Claim takes the lead (see journal.Claim): it reads two journals, writes back
// what it found under its own epoch, and starts every timer at the full lease
// and lease.Margin. From then on an earlier leader can't write. It may still
// answer a renewal for a moment, but only while its last confirmation by two
// journals, counted from before it asked, is younger than journal.Freshness; so
// whatever it answers ends before the new timers do. Every call rests on such a
// confirmation here, and a change on two journals besides. Renewals write
// nothing.
//
// Who is fenced, or can't go on by what it knows, answers license.CodeFenced to
// everything from then on: claim again, while this server is the master.
//
// After more than one journal has lost its disk there is a grace period: no
// access is granted, and handles are taken in by their tokens. See book.Grace.
// At no other time can a record be missing, and so no token brings a handle back.
//
// Positions and n of seats go on across leaders; places in the queue and notices
// do not. Events are shown once two journals have them.
package quorumlease
