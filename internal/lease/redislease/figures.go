package redislease

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// page is how many handles one script gives at most, so that others get their
// turn.
const page = 500

// List implements lease.Seats. Of a large pool it is read in pages: a handle that
// begins or ends meanwhile may be there or not.
func (t *seats) List(ctx context.Context, pool lease.Pool) ([]lease.Handle, error) {
	if err := pool.Check(t.group); err != nil {
		return nil, err
	}
	var all []lease.Handle
	seen := map[string]bool{}
	for at, id := "", ""; ; {
		a, err := t.run(ctx, listScript, pool.Product, at, id, page)
		if err != nil {
			return nil, err
		}
		for i := 3; i < len(a); i++ {
			fields, _ := a[i].([]any)
			h, err := t.handle(pool, answer(fields))
			if err != nil {
				return nil, err
			}
			if !seen[h.Handle] {
				seen[h.Handle] = true
				all = append(all, h)
			}
		}
		if a.text(1) == "" || (a.text(1) == at && a.text(2) == id) {
			break
		}
		at, id = a.text(1), a.text(2)
	}
	take(all)
	return all, nil
}

// take says what each handle takes, and for how many; they are in the order in
// which they are shown.
func take(all []lease.Handle) {
	first := map[string]*lease.Handle{}
	for i := range all {
		h := &all[i]
		switch h.Mode {
		case license.NoUserLimit:
		case license.StationShare:
			f := first[h.Station]
			if f == nil {
				f = h
				first[h.Station] = h
			} else {
				f.Accesses++
			}
			f.Takes = max(f.Takes, h.Licenses)
		default:
			h.Takes = h.Licenses
		}
	}
}

func (t *seats) handle(pool lease.Pool, f answer) (lease.Handle, error) {
	_, client, err := unpack(f.text(8))
	if err != nil {
		return lease.Handle{}, err
	}
	tags, err := unpackTags(f.text(14))
	return lease.Handle{
		Grant: lease.Grant{
			Handle: f.text(0), Pool: pool, Mode: license.AccessMode(f.text(1)), Seat: uint32(f.number(2)),
			Epoch: t.epoch, N: f.number(3), Lease: f.micros(4), Licenses: uint32(f.number(11)),
		},
		Station: f.text(10), Client: client, Accesses: uint32(f.number(7)),
		FirstAccess: time.UnixMicro(int64(f.number(5))).UTC(), LastAccess: time.UnixMicro(int64(f.number(6))).UTC(),
		Remaining: f.micros(9), Idle: f.micros(12), Borrowed: f.text(13) == "1", Tags: tags,
	}, err
}

// Usage implements lease.Seats.
func (t *seats) Usage(ctx context.Context, pool lease.Pool) (lease.Usage, error) {
	if err := pool.Check(t.group); err != nil {
		return lease.Usage{}, err
	}
	modes := []license.AccessMode{license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit}
	args := make([]any, len(modes))
	for i, m := range modes {
		args[i] = string(m)
	}
	a, err := t.run(ctx, usageScript, pool.Product, args...)
	if err != nil {
		return lease.Usage{}, err
	}
	u := lease.Usage{
		Taken: narrow(a.number(1)), Lingering: narrow(a.number(1) - a.number(2)), Borrowed: narrow(a.number(3)),
		Waiting: narrow(a.number(4)), ByMode: map[license.AccessMode]uint32{},
		TakenByMode: map[license.AccessMode]uint32{}, ByTag: map[string]uint32{},
	}
	at := 5
	for _, m := range modes {
		if n := narrow(a.number(at)); n > 0 {
			u.ByMode[m] = n
		}
		if n := narrow(a.number(at + 1)); n > 0 {
			u.TakenByMode[m] = n
		}
		at += 2
	}
	for ; at+1 < len(a); at += 2 {
		u.ByTag[a.text(at)] = narrow(a.number(at + 1))
	}
	return u, nil
}

// narrow bounds a sum to what figures can say.
func narrow(n uint64) uint32 { return uint32(min(n, 1<<32-1)) }

// Waiting implements lease.Seats.
func (t *seats) Waiting(ctx context.Context, pool lease.Pool) ([]lease.Waiter, error) {
	if err := pool.Check(t.group); err != nil {
		return nil, err
	}
	a, err := t.run(ctx, waitingScript, pool.Product)
	if err != nil {
		return nil, err
	}
	var all []lease.Waiter
	for _, row := range a[1:] {
		fields, _ := row.([]any)
		f := answer(fields)
		_, client, err := unpack(f.text(3))
		if err != nil {
			return nil, err
		}
		all = append(all, lease.Waiter{
			ID: f.text(0), Mode: license.AccessMode(f.text(1)), Station: f.text(2), Client: client,
			Licenses: uint32(f.number(4)), Priority: int32(f.signed(5)), Since: time.UnixMicro(f.signed(6)).UTC(),
		})
	}
	return all, nil
}
