// Package offline activates a whole TMR group by files, on the active TMR
// server, where there is no way to the platform: AdminService, which the file
// tools call on that machine.
//
// # Applying
//
// A file has an update for each of the three backends. Before anything is
// touched, each is verified against the root key and the counters that the
// containers themselves just signed; one that is stale, foreign, altered or out
// of order is refused there. Then all three are staged, and the backends take
// their turns exactly as they do in a rollout over the link: the other two sign
// what they hold, rollout.Guard says whether they alone carry what is in force,
// the update is activated (the container checks the guard again by itself), and
// the next one's turn comes only when this one serves its new licenses steadily.
//
// # The time
//
// A file may carry the platform's word for what time it is, for each container,
// beside the updates or alone. It is verified with the rest before anything is
// touched, and handed over before the updates, since a container whose clock was
// set back may need it to serve what they bring. One that is stale, because the
// container has asked for the time anew since, is told as a warning: it must not
// keep an update away.
//
// # Resuming
//
// Nothing is written down here, since the containers know where they are: the
// counter and digest in a fingerprint say whether an update is installed, and
// activating an installed one gives its receipt again. So after any crash, of
// this server too and with the other one taking over, applying the same file
// again goes on where it was. An apply doesn't end when its caller goes away.
//
// The updates are sealed, so this server doesn't know what they bring. What a
// backend has to serve afterwards is read from the fingerprint that it signs
// once the update is activated.
package offline
