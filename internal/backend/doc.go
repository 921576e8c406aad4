// Package backend lets a TMR server work with one container of its group.
//
// Only servers that prove one of the configured TLS keys are answered: the
// pins are compared for each call, whatever the TLS set-up let in. Everybody
// else is sent to the TMR server, since a license with a TMR-ID is never
// handed out by one container alone.
//
// Watch sends what the container holds at once, again at each change, and a
// beat in between, so that the TMR server can tell a quiet backend from a dead
// one. The changes themselves (Stage, Activate) and the guard over them are the
// container's own.
//
// A key is opened, and data is read or used, for a token that the group's token
// key has signed, for this group's virtual container and for the product that is
// asked for. The token's handle is for the TMR server to check: it knows its
// seats. Whether the license may be used now the backend decides too, by the
// container's own clock.
//
// The journal of the group's seats is the leader's too: the backend serves it as
// it is, and knows nothing of what is in it.
//
// Unit meters are the leader's: the container keeps them, and the epoch it has
// promised. With each state and each beat goes the container's time, and what a
// certificate of it has to answer.
package backend
