package redislease

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// seats is a lease.Seats.
type seats struct {
	store *Store
	group license.Serial
	epoch uint64
}

// holder is what the scripts carry along without reading it.
type holder struct {
	Station     string `json:"station,omitempty"`
	Address     string `json:"address,omitempty"`
	User        string `json:"user,omitempty"`
	Process     uint32 `json:"process,omitempty"`
	Application string `json:"application,omitempty"`
}

func pack(station string, c lease.Client) string {
	b, err := json.Marshal(holder{station, c.Address, c.User, c.Process, c.Application})
	if err != nil {
		panic(err) // strings and a number can always be marshalled
	}
	return string(b)
}

func unpack(s string) (string, lease.Client, error) {
	var h holder
	if err := json.Unmarshal([]byte(s), &h); err != nil {
		return "", lease.Client{}, failure(err)
	}
	return h.Station, lease.Client{Address: h.Address, User: h.User, Process: h.Process, Application: h.Application}, nil
}

// micros rounds up: the server never ends a lease before the program does.
func micros(d time.Duration) int64 { return int64((d + time.Microsecond - 1) / time.Microsecond) }

// Epoch implements lease.Seats.
func (t *seats) Epoch() uint64 { return t.epoch }

func (t *seats) run(ctx context.Context, script *redis.Script, product license.Product, args ...any) (answer, error) {
	return t.store.run(ctx, script, t.group, t.epoch, product.String(), args...)
}

func (t *seats) grant(id string, p license.Product, mode license.AccessMode, a answer) lease.Grant {
	return lease.Grant{
		Handle: id, Pool: lease.Pool{Container: t.group, Product: p}, Mode: mode,
		Seat: uint32(a.number(1)), Epoch: t.epoch, N: a.number(2), Lease: a.micros(3), Repeated: a.text(4) == "1", Licenses: 1,
	}
}

// Access implements lease.Seats.
func (t *seats) Access(ctx context.Context, r lease.Request) (lease.Grant, error) {
	if err := r.Check(t.group); err != nil {
		return lease.Grant{}, err
	}
	if err := offered(r); err != nil {
		return lease.Grant{}, err
	}
	a, err := t.run(ctx, accessScript, r.Pool.Product,
		r.ID, string(r.Mode), r.Content(), pack(r.Station, r.Client), r.Quantity, micros(r.Lease))
	if err != nil {
		return lease.Grant{}, err
	}
	switch a.word() {
	case "OK":
		return t.grant(r.ID, r.Pool.Product, r.Mode, a), nil
	case "MISMATCH":
		return lease.Grant{}, lease.Mismatch(r.ID)
	case "FULL":
		return lease.Grant{}, lease.NoFreeSeat(r.Pool, lease.Shortage{
			Taken: uint32(a.number(1)), Quantity: r.Quantity, Next: a.micros(2),
		})
	}
	return lease.Grant{}, lease.Ended(lease.EventKind(a.word()), r.ID)
}

// exact is the largest n that Lua's numbers hold exactly; seats never get there.
const exact = 1 << 53

// refer runs a script on a reference.
func (t *seats) refer(ctx context.Context, script *redis.Script, ref lease.Ref, args ...any) (answer, error) {
	if err := ref.Check(t.group, t.epoch); err != nil {
		return nil, err
	}
	if ref.N >= exact {
		return nil, lease.Ended(lease.Released, ref.Handle)
	}
	takeIn := "0"
	if ref.CheckLost() == nil {
		takeIn = "1"
	}
	return t.run(ctx, script, ref.Pool.Product, append([]any{
		ref.Handle, ref.Seat, ref.N, string(ref.Mode), micros(ref.Lease),
		ref.Request().Content(), pack(ref.Station, ref.Client), takeIn,
	}, args...)...)
}

func (t *seats) confirm(ctx context.Context, ref lease.Ref, renew string) (lease.Grant, error) {
	a, err := t.refer(ctx, confirmScript, ref, renew)
	if err != nil {
		return lease.Grant{}, err
	}
	if a.word() != "OK" {
		return lease.Grant{}, lease.Ended(lease.EventKind(a.word()), ref.Handle)
	}
	g := t.grant(ref.Handle, ref.Pool.Product, license.UserLimit, a)
	if g.Seat == 0 {
		g.Mode = license.NoUserLimit
	}
	return g, nil
}

// Renew implements lease.Seats.
func (t *seats) Renew(ctx context.Context, ref lease.Ref) (lease.Grant, error) {
	return t.confirm(ctx, ref, "1")
}

// Check implements lease.Seats.
func (t *seats) Check(ctx context.Context, ref lease.Ref) error {
	_, err := t.confirm(ctx, ref, "0")
	return err
}

// Release implements lease.Seats.
func (t *seats) Release(ctx context.Context, ref lease.Ref) error {
	if ref.N >= exact {
		ref.N = 0 // of no seat
	}
	_, err := t.refer(ctx, releaseScript, ref, micros(ref.Linger))
	return err
}

// Remove implements lease.Seats.
func (t *seats) Remove(ctx context.Context, pool lease.Pool, r lease.Removal) error {
	if err := r.Check(pool, t.group); err != nil {
		return err
	}
	if r.MinAge > 0 {
		return notYet("a minimum age")
	}
	id, by := r.Handle, r.By
	a, err := t.run(ctx, removeScript, pool.Product, id, by)
	if err != nil {
		return err
	}
	if a.word() != "OK" {
		return lease.Ended(lease.Released, id)
	}
	return nil
}

// batch is how many handles one script ends or gives at most, so that others
// get their turn.
const batch = 500

// offered refuses what the contract has and this store has not yet.
func offered(r lease.Request) error {
	switch {
	case r.Mode != license.UserLimit && r.Mode != license.NoUserLimit:
		return notYet("the access mode " + string(r.Mode))
	case r.Wants() > 1:
		return notYet("more than one license for a handle")
	case r.Borrowed:
		return notYet("borrowing")
	case len(r.Limits.Tags)+len(r.Limits.Caps)+len(r.Limits.Holds) > 0:
		return notYet("a limit")
	case r.Wait != nil:
		return notYet("a queue")
	}
	return nil
}

func notYet(what string) error {
	return license.Errorf(license.CodeInvalidInput, "ask without", "%s is not offered by this store yet", what)
}

// Ask implements lease.Seats.
func (t *seats) Ask(context.Context, lease.Pool, string, lease.Notice) error {
	return notYet("a notice")
}

// Leave implements lease.Seats.
func (t *seats) Leave(_ context.Context, pool lease.Pool, id string) error {
	return lease.CheckLeave(pool, t.group, id)
}

// Waiting implements lease.Seats.
func (t *seats) Waiting(_ context.Context, pool lease.Pool) ([]lease.Waiter, error) {
	return nil, pool.Check(t.group)
}

// Expire implements lease.Seats.
func (t *seats) Expire(ctx context.Context) (int, error) {
	total := 0
	for {
		a, err := t.run(ctx, expireScript, license.Product{}, batch)
		if err != nil {
			return total, err
		}
		n := int(a.number(1))
		if total += n; n < batch {
			return total, nil
		}
	}
}

// Next implements lease.Seats.
func (t *seats) Next(ctx context.Context) (time.Duration, bool, error) {
	a, err := t.run(ctx, nextScript, license.Product{})
	if err != nil || len(a) < 2 {
		return 0, false, err
	}
	return a.micros(1), true, nil
}

// List implements lease.Seats. Of a large pool it is read in parts: a handle
// that begins or ends meanwhile may be there or not.
func (t *seats) List(ctx context.Context, pool lease.Pool) ([]lease.Handle, error) {
	if err := pool.Check(t.group); err != nil {
		return nil, err
	}
	var all []lease.Handle
	seen := map[string]bool{}
	for skip := 0; ; skip += batch {
		a, err := t.run(ctx, listScript, pool.Product, skip, batch)
		if err != nil {
			return nil, err
		}
		for _, row := range a[1:] {
			fields, _ := row.([]any)
			h, err := t.handle(pool, answer(fields))
			if err != nil {
				return nil, err
			}
			if !seen[h.Handle] {
				seen[h.Handle] = true
				all = append(all, h)
			}
		}
		if len(a)-1 < batch {
			break
		}
	}
	slices.SortFunc(all, func(a, b lease.Handle) int {
		return cmp.Or(a.FirstAccess.Compare(b.FirstAccess), cmp.Compare(a.Handle, b.Handle))
	})
	return all, nil
}

func (t *seats) handle(pool lease.Pool, f answer) (lease.Handle, error) {
	station, client, err := unpack(f.text(8))
	return lease.Handle{
		Grant: lease.Grant{
			Handle: f.text(0), Pool: pool, Mode: license.AccessMode(f.text(1)), Seat: uint32(f.number(2)),
			Epoch: t.epoch, N: f.number(3), Lease: f.micros(4), Licenses: 1,
		},
		Station: station, Client: client, Accesses: uint32(f.number(7)),
		FirstAccess: time.UnixMicro(int64(f.number(5))).UTC(), LastAccess: time.UnixMicro(int64(f.number(6))).UTC(),
		Remaining: f.micros(9),
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
		Taken: uint32(a.number(1)), Lingering: uint32(a.number(2)), ByMode: map[license.AccessMode]uint32{},
	}
	for i, m := range modes {
		if n := uint32(a.number(3 + i)); n > 0 {
			u.ByMode[m] = n
		}
	}
	return u, nil
}
