// Package rollout decides how an update gets onto the three containers of a
// TMR group without an instant in which the license is not there.
//
// It is a pure state machine. A coordinator (the platform's job, or the file
// tools) keeps a State durably and goes round three steps:
//
//  1. Pending(state) tells which effect is due. It depends on the state alone,
//     so a coordinator that was killed just asks again.
//  2. The coordinator causes the effect, which is safe to cause twice.
//  3. What came of it is an Event; Next(state, event) gives the next state,
//     which is written down before its own effect is caused.
//
// Each effect has a key that no other effect of the same rollout has, and an
// event carries the key of the effect that it answers. An event that answers
// anything else than the effect now due (late, repeated, out of order, of an
// earlier attempt) changes nothing.
//
// The backends take their turns one at a time:
//
//	QUEUED → COLLECTING → ISSUING → STAGING
//	       → GUARDING(1) → ACTIVATING(1) → CONFIRMING(1)
//	       → GUARDING(2) → …             → CONFIRMING(3) → DONE
//
// A backend is activated only while the other two alone give at least the
// license in force (Guard). Since a container swaps an update in by one atomic
// step and vouches for the license that it replaced, the license is there
// throughout: model_test.go walks every order of events with one backend fault
// and two coordinator crashes, and shows that the model notices when either
// the guard or the atomic swap is taken away.
//
// A backend that lost updates (restored from a backup, and accepted) gets these
// first, each in a turn of its own and guarded alike: the one that misses most
// before the others, and all of it before any backend gets the new one.
//
// A backend that is lost is replaced by a new container (Replaced), which misses
// all licenses and gets them in the same way. The rollout collects the
// fingerprints again: what they show to be installed stays, and the other updates
// are issued anew, since those of before name the lost one. A backend that turns
// out to have lost updates in the middle is looked at again by a retry.
//
// Where a group has no network, fingerprints, updates and receipts travel in
// files, and the same order and guard are kept by the group's TMR server:
//
//	QUEUED → COLLECTING → ISSUING → STAGING → DONE
//
// A container outside a TMR group takes the same steps alone, without guard and
// view. Nothing but its server stands between its old license and the new one:
//
//	QUEUED → COLLECTING → ISSUING → STAGING → ACTIVATING(1) → CONFIRMING(1) → DONE
//
// An offline rollout waits in STAGING, since nobody here sees what happens
// there, until all receipts (or fingerprints that show the same) have come.
// As soon as its updates are handed out it can't be given up any more.
//
// What fails holds the rollout with the reason; a person tries again, or gives
// it up as long as no activation was asked for. Once one was, the container may
// hold the update whatever its answer says, so the only way is forward.
package rollout
