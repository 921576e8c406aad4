// Package link is the customer's side of the link to the platform. It dials
// out and never listens.
//
// Down comes work: a loop pulls what is due and starts each item in a
// goroutine of its own, so that a quick one (remove an allocation) never waits
// for a slow one (verify a backend). An item runs once at a time and is
// reported with bounded retries. The platform keeps it due until a report has
// arrived: after a crash, or when all retries failed, it is pulled and done
// again, which has the effect of once.
//
// Up go views and lease events, each in order. The platform's answers say up
// to where it has them; that is the only memory of what was sent. What isn't
// confirmed is sent again, and nothing is read further before, so a platform
// that is down costs no memory here: views wait in the group's history and
// events in the lease store. A heartbeat with each backend's health and the
// number of clients goes along, once a second where nothing else happens; that
// of a license server over one container tells what it serves, whenever that
// changes.
//
// The time is asked for, over the containers' nonces, and what the platform
// signs goes to the containers: when this server begins to lead, every hour, and
// at once when the clock was set back.
//
// Views carry the epoch of the leader. Under a new epoch the first view is the
// one that stands at that moment.
package link
