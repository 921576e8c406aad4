// Package meters keeps the unit meters of a TMR group: what was taken of a
// product's units under one issue, as a register on two of three backends that
// the leader's epoch fences.
//
// A backend keeps, durably, each meter and the epoch that it has promised; it
// refuses promises and writes of older epochs, and of one epoch a write of
// fewer units. Each rule below is there because units are counted wrong
// without it; the tests show each one broken.
//
//   - An epoch belongs to one Meters for one stretch of leading. Under it each
//     meter is a chain: every value that is tried follows from the one tried
//     before, also where that one's fate is unknown. So the higher (epoch,
//     units) of two copies has everything that was ever answered for the other.
//   - The first use of a meter under an epoch has all backends promise it, and
//     waits for all. At least two must; of theirs, the meter with the highest
//     (epoch, units) is the one. It is written back to two under the own epoch
//     before anything is answered from it: until then the next leader may not
//     find it.
//   - A taking is answered when two have it durably. Where they don't, it stays
//     in the chain: its units count as taken, and the same request repeated gets
//     its answer without taking again. Who never repeats it has lost them;
//     nobody ever gets more than was granted.
//   - After a write in doubt, the next call has the epoch promised, the meter
//     read and written again before it decides anything.
//   - A refusal by a newer epoch that two don't outvote deposes this one for
//     good: CodeFenced, then and at each later call.
//
// A meter carries its last takings with their request ids, so that a repeat
// takes once whoever leads by then: among the last license.MostRecent takings,
// and with the same leader among many more. Takings that wait for one product
// are written together; those of different products don't wait for each other.
//
// What it can't see: a backend whose disk was put back to an earlier state, or
// lost, together with a leader that reaches just this one and one that had
// missed the last write. The container's fingerprint shows such a disk.
package meters
