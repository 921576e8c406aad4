// Package container is a durable container: one file of a license server that
// holds its private identity, the licenses, how far it is with each firm's
// updates, what was used, and what time it was.
//
// # Installing
//
// An update is staged, then activated. Staging verifies and opens it, checks
// that it is the next one, and writes it beside the licenses, which it doesn't
// touch. Activating verifies it again and swaps it in: licenses, counter,
// digest, receipt and group change in one transaction of the file, so a crash
// leaves the old or the new, and a receipt is given only for what is on disk.
// Doing either twice has the effect of once: an installed update gets its stored
// receipt again.
//
// A firm's updates are a chain. The next one has the installed number plus one
// and names the digest of the installed one. The installed number with another
// digest is an alarm (license.CodeUpdateConflict), a lower one a replay, a
// higher one a gap.
//
// A firm's key changes by rotations. The container keeps, per firm, the number
// of the newest key that it has seen, installed or (once something is installed)
// staged, and the key. From then on an update must be signed with this key or
// with one that it leads to by rotations, each signed by both keys. A replaced
// key brings nothing in, and the root alone can't put another key in its place.
// A container that has installed no update of a firm believes the root.
//
// # The guard
//
// Of a TMR group's three containers no two may be between licenses at once. So
// a container that gives the group a TMR license activates only on the signed
// word of the two others, over a nonce that it made itself at most five seconds
// ago, that they alone carry everything that is in force. A nonce serves for one
// attempt. A container that holds no TMR license takes nothing from the group
// when it changes, and needs no word.
//
// # What was used
//
// Units and the first use are counted by product and issue, each taking in one
// transaction, and outlive the license. Nothing is forgotten for want of room:
// updates that would need it are refused, and so is an issue below one that was
// used. Of a TMR group's meters the active TMR server is the master; a backend
// keeps the highest (epoch, units) of an issue, and takes none of an epoch below
// the one that it promised. While an update goes round, it keeps the meters of
// both issues.
//
// # Time
//
// The container keeps the highest time that it has seen; a crash forgets a minute
// at most, and no more than a quarter of the time since Open, so that sessions
// that are cut short count too. In memory it is carried on by the monotonic
// clock, a thousandth slower, so that time passes while the machine's clock is
// set back, and small steps back don't add up. Stopping the server and setting
// the clock to where it was gains what no container can notice. A certificate of
// the platform over the container's own nonce lowers the highest time where the
// clock once ran ahead, and with it the first uses that were noted meanwhile: of
// their usage periods as much is left as before. Who holds a certificate back
// gains CertificateLife at most.
//
// # The trail
//
// Each fingerprint adds a random value to the trail before it leaves. A container
// that was copied or put back goes on with another value, or ends before what the
// platform has seen.
//
// # Damage
//
// The file is a bbolt database, whose pages carry no checksums. Each record
// carries a MAC under a key derived from the identity, and one more record a MAC
// over all of them with the change counter, so that a record lost, swapped or
// taken from an older state is noticed, not only one that was altered. Before
// bbolt works on a file its bytes are walked without trusting any (image.go):
// a damaged page is reported, and can't crash the process or be written back.
// Nothing is written to a file before all of it verified. Each change is committed
// to both of bbolt's meta pages, so that damage to one can't bring an older state
// back; all but a staged update, the last taking of units, the last first use and
// the last reading of the clock, which follow with the next change.
//
// The MAC finds damage and clumsy edits. It can't stop whoever can open the
// file, since the identity is in it; a file put back as a whole is noticed at
// the platform, by its counters and digests.
//
// # Binding
//
// A file can be bound to the machine, or to a key file. All records but the
// header are sealed then, under a key that is in the file only wrapped: for a
// machine under each pair of its three traits, so that any two open it. When one
// trait has changed, Open wraps the key anew for the machine as it is; a trait
// that is absent changes nothing, and its wraps stay. A key file is needed when
// the container is opened, not from then on.
//
// The keystream of a record comes of its MAC, as in synthetic IV modes: no two
// payloads share one, and what didn't change is not written again.
//
// Binding keeps a copied file from being of use elsewhere. It can't stop whoever
// gives another machine two of the traits, or copies the key file, or reads the
// memory of the license server.
package container
