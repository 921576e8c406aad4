// Package memlease keeps seats in one process, with a journal in a file of its
// own.
//
// Seats, handles, timers and queues live in memory, in a book of each group; the
// process's monotonic clock decides. What must outlive the process (grants, endings, lingers, each seat's
// n, the epoch, the events) goes to a bbolt file: an operation changes the
// memory and joins the batch that is filling, one transaction writes the batch,
// and only then are its operations answered. A change and its event are in one
// transaction, and an event is shown to readers once it is durable. Renewals
// touch the memory only.
//
// Opening the file restores every held seat and every lingering one. Nobody
// knows when its handle was last renewed or released, so the first Claim (or
// Join) gives it a full lease, or its full linger time, and lease.Margin. A
// handle that was answered is thus never lost and a seat never given twice,
// whenever the process is killed. The file is written with fsync: the same holds
// for a power loss, as far as the disk keeps what it confirmed.
//
// When a batch can't be written, its operations answer that the store is
// unavailable, and the memory is rebuilt from the file before the next
// operation; an n or epoch that was given up stays used. A damaged file is
// reported and left as it is.
//
// An empty path keeps everything in memory: for tests and for figures, since a
// restart forgets who held which seat.
//
// Ended handles are remembered for late repeats up to Options.MostEnded per
// group, and as long as their seats linger; events are kept up to
// Options.MostEvents.
package memlease
