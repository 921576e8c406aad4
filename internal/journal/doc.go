// Package journal keeps what must outlive a leader about a TMR group's seats:
// on two of the group's three backends.
//
// A Journal is the durable side of one backend: the epoch that it has promised,
// a record per seat, and the end of the group's event stream. It decides nothing
// but order: what is asked under an older term than the promised one fails, and
// of a seat's records the higher (epoch, n) stays. Quorum is the leader's side of
// three journals. Its core is a pure step function, which the tests drive through
// rival leaders, late and lost messages, lost disks and the passing of time; each
// rule below closes a contradiction that they show without it.
//
//   - A term is an epoch, higher than any that was promised, and an owner who
//     never claims twice with it. Of two journals that promised it one has what
//     an earlier leader ever answered for, and that leader can't write any more.
//   - The new leader reads two or all, and writes every seat that is held, and
//     whatever they don't agree upon, under its own epoch to all. Then it marks
//     them as complete up to its takeover (State.Base). From a journal with an
//     older base only what was written since counts later: the rest never came
//     about, though it may look like a seat that is held.
//   - Its changes are a log that each journal gets in order, one call at a time,
//     as much as fits. A change may be answered when two have it. While two are
//     quick the slowest gets more with one call, a little later.
//   - A journal that comes late is compared with what was decided, and gets what
//     it lacks; its promise counts at once.
//   - One that refuses doesn't depose a leader that two confirm. Two do.
//   - A confirmation counts from before it was asked for, and for less than
//     Freshness, by the clock that went further.
//
// A journal that begins empty is a new incarnation. The roster, on the journals
// too, says which incarnation of each may vote, and each journal keeps marks of
// the versions that the others have had.
//
//   - An answer by another incarnation than the newest roster among the answers
//     names doesn't count, nor one with a version below a mark: its disk was
//     lost, or put back. A restart with its disk whole changes nothing.
//   - Such a journal is emptied where others may have heard of its incarnation,
//     and filled; then both others, under the leader's term, note the new
//     incarnation; then it is told that it votes.
//   - Where fewer than two journals know the seats, the ones that are there found
//     the group anew: nothing is written to one that knows some before two have
//     the roster by which the missing one no longer counts. That roster stands
//     for a grace period, which the next leader begins again unless it was
//     lived through.
//
// What it can't see: a disk that was put back to a state of which not both
// others had noted more, or while a leader that was replaced still runs, cut off
// from the other two. A wrong epoch in the far future (a clock years ahead) is
// never undone: epochs go on from there.
package journal
