package leasetest

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/history"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// usual is the quantity of a crowd that nothing disturbs.
func (w Workload) usual() uint32 {
	if w.Mixed {
		return 16
	}
	return 8
}

// wanted is what the next program of a client asks for.
func (r *crowd) wanted(i int, rnd *rand.Rand) lease.Request {
	q := kit.Request(r.quantity.Load())
	q.ID, q.Lease = uuid.NewString(), r.Lease
	if r.Linger > 0 {
		q = kit.By(fmt.Sprintf("user-%d", i/2), q)
	}
	if r.Mixed {
		q = r.mixed(kit.By(fmt.Sprintf("user-%d", i), q), i, rnd)
	}
	return q
}

// The tags of a mixed crowd: a team has a cap, for the chiefs licenses are kept
// back.
const (
	team, chiefs          = "team", "chiefs"
	teamMost, chiefsLeast = 1, 2
	roles                 = 8
	roleShare             = 1 // to 3
	roleExclusive         = 4
	roleTeam, roleHead    = 5, 6
	roleWaits             = 7
)

// mixed makes a request one of a client's role. Those of eight clients share a
// station where they are of a mode for that.
func (r *crowd) mixed(q lease.Request, i int, rnd *rand.Rand) lease.Request {
	q.Station = fmt.Sprintf("desk-%d", i)
	q.Limits.Holds = []lease.Hold{{Tag: chiefs, Least: chiefsLeast}}
	shared := fmt.Sprintf("terminal-%d", i/roles)
	switch role := i % roles; role {
	case 0:
		q.Licenses = 1 + rnd.Uint32N(3)
	case roleExclusive:
		q.Mode, q.Station = license.Exclusive, shared
	case roleTeam:
		q.Limits.Tags, q.Limits.Caps = []string{team}, []lease.Cap{{Tag: team, Most: teamMost}}
	case roleHead:
		q.Limits = lease.Limits{Tags: []string{chiefs}}
	case roleWaits:
		q.Licenses = 1 + rnd.Uint32N(2)
		q.Wait = &lease.Wait{Priority: rnd.Int32N(3), Until: 2 * r.Lease, Place: r.Lease / 3}
	default:
		q.Mode, q.Station, q.Licenses = license.StationShare, shared, 1+rnd.Uint32N(2)
	}
	if rnd.IntN(16) == 0 {
		q.Mode = license.NoUserLimit
	}
	return q
}

// queue asks again until the request is granted or refused, the program gives
// up, or is killed.
func (r *crowd) queue(ctx context.Context, rnd *rand.Rand, q lease.Request) (lease.Grant, error) {
	for wait(ctx, rand.N(q.Wait.Place*2/3)) {
		switch rnd.IntN(16) {
		case 0: // killed
			return lease.Grant{}, context.Canceled
		case 1:
			err := r.call(history.Op{Kind: history.Leave, Pool: kit.Pool, Handle: q.ID}, func(ctx context.Context, _ *history.Op) error {
				return r.leader(rnd).Leave(ctx, kit.Pool, q.ID)
			})
			if err == nil {
				return lease.Grant{}, context.Canceled
			}
		}
		q.Quantity = r.quantity.Load()
		g, err := r.access(rnd, q)
		switch license.CodeOf(err) {
		case "":
			r.seen.Awaited.Add(1)
			return g, nil
		case license.CodeQueued, license.CodeFenced, license.CodeUnavailable:
		default:
			return g, err
		}
	}
	return lease.Grant{}, ctx.Err()
}
