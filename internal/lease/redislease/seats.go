package redislease

import (
	"context"
	"encoding/json"
	"strings"
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

// holder is what the scripts carry along; of it they read who a seat lingers for.
type holder struct {
	Station     string `json:"station,omitempty"` // written by earlier versions
	Address     string `json:"address,omitempty"`
	User        string `json:"user,omitempty"`
	Process     uint32 `json:"process,omitempty"`
	Application string `json:"application,omitempty"`
}

func pack(c lease.Client) string {
	return marshal(holder{"", c.Address, c.User, c.Process, c.Application})
}

// marshal leaves <, > and & as they are: escaped, they would be six times as long.
func marshal(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // texts and numbers can always be marshalled
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// unpack gives the station too where an earlier version wrote it.
func unpack(s string) (string, lease.Client, error) {
	var h holder
	if err := json.Unmarshal([]byte(s), &h); err != nil {
		return "", lease.Client{}, failure(err)
	}
	return h.Station, lease.Client{Address: h.Address, User: h.User, Process: h.Process, Application: h.Application}, nil
}

// unpackTags reads the tags of a handle; "" is none.
func unpackTags(s string) (tags []string, err error) {
	if s == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(s), &tags); err != nil {
		return nil, failure(err)
	}
	return tags, nil
}

// packLimits gives what Lua reads of limits, "" for none.
func packLimits(l lease.Limits) string {
	if len(l.Tags)+len(l.Caps)+len(l.Holds) == 0 {
		return ""
	}
	type row [2]any
	all := struct {
		Tags  []string `json:"tags"`
		Caps  []row    `json:"caps"`
		Holds []row    `json:"holds"`
	}{append([]string{}, l.Tags...), []row{}, []row{}}
	for _, c := range l.Caps {
		all.Caps = append(all.Caps, row{c.Tag, c.Most})
	}
	for _, h := range l.Holds {
		all.Holds = append(all.Holds, row{h.Tag, h.Least})
	}
	return marshal(all)
}

// micros rounds up: the server never ends a lease before the program does.
func micros(d time.Duration) int64 { return int64((d + time.Microsecond - 1) / time.Microsecond) }

// flag is how scripts are told yes and no.
func flag(yes bool) string {
	if yes {
		return "1"
	}
	return ""
}

// Epoch implements lease.Seats.
func (t *seats) Epoch() uint64 { return t.epoch }

func (t *seats) run(ctx context.Context, script *redis.Script, product license.Product, args ...any) (answer, error) {
	return t.store.run(ctx, script, t.group, t.epoch, product.String(), args...)
}

func (t *seats) grant(id string, p license.Product, a answer) lease.Grant {
	g := lease.Grant{
		Handle: id, Pool: lease.Pool{Container: t.group, Product: p}, Mode: license.AccessMode(a.text(5)),
		Seat: uint32(a.number(1)), Epoch: t.epoch, N: a.number(2), Lease: a.micros(3), Repeated: a.text(4) == "1",
		Licenses: uint32(a.number(6)),
	}
	if notice := a.text(7); notice != "" {
		g.Notice = &lease.Notice{ID: notice, Text: a.text(8), By: a.text(9)}
	}
	return g
}

// Access implements lease.Seats.
func (t *seats) Access(ctx context.Context, r lease.Request) (lease.Grant, error) {
	if err := r.Check(t.group); err != nil {
		return lease.Grant{}, err
	}
	args := []any{
		r.ID, string(r.Mode), r.Content(), pack(r.Client), r.Station, r.Wants(), flag(r.Borrowed),
		r.Quantity, micros(r.Lease), packLimits(r.Limits), "", "", "",
	}
	if w := r.Wait; w != nil {
		args = append(args[:10], w.Priority, micros(w.Until), micros(w.Place))
	}
	a, err := t.run(ctx, accessScript, r.Pool.Product, args...)
	if err != nil {
		return lease.Grant{}, err
	}
	short := lease.Shortage{
		Taken: uint32(a.number(1)), Quantity: r.Quantity, Licenses: r.Wants(), HeldBack: uint32(a.number(2)),
		Waiting: uint32(a.number(3)), Next: a.micros(4),
	}
	switch a.word() {
	case "OK":
		return t.grant(r.ID, r.Pool.Product, a), nil
	case "MISMATCH":
		err = lease.Mismatch(r.ID)
	case "BUSY":
		err = lease.StationBusy(r.Pool, r.Station, r.Mode)
	case "LIMIT":
		err = lease.LimitReached(r.Pool, lease.Cap{Tag: a.text(1), Most: uint32(a.number(2))}, uint32(a.number(3)))
	case "FULL":
		err = lease.NoFreeSeat(r.Pool, short)
	case "QUEUED":
		err = lease.Queued(r.Pool, short, uint32(a.number(5)))
	default:
		err = lease.Ended(lease.EventKind(a.word()), r.ID)
	}
	return lease.Grant{}, err
}

var _ lease.Denier = (*seats)(nil)

// Deny implements lease.Denier.
func (t *seats) Deny(ctx context.Context, r lease.Request, reason license.Code, rule string) error {
	if err := lease.CheckDeny(r, t.group, reason, rule); err != nil {
		return err
	}
	_, err := t.run(ctx, denyScript, r.Pool.Product,
		r.ID, string(r.Mode), pack(r.Client), r.Station, r.Wants(), flag(r.Borrowed), string(reason), rule)
	return err
}

// Leave implements lease.Seats.
func (t *seats) Leave(ctx context.Context, pool lease.Pool, id string) error {
	if err := lease.CheckLeave(pool, t.group, id); err != nil {
		return err
	}
	_, err := t.run(ctx, leaveScript, pool.Product, id)
	return err
}

// Ask implements lease.Seats.
func (t *seats) Ask(ctx context.Context, pool lease.Pool, id string, n lease.Notice) error {
	if err := n.Check(pool, t.group, id); err != nil {
		return err
	}
	a, err := t.run(ctx, askScript, pool.Product, id, n.ID, n.Text, n.By)
	switch {
	case err != nil:
		return err
	case a.word() == "BORROWED":
		return lease.Borrowed(id)
	case a.word() != "OK":
		return lease.Ended(lease.Released, id)
	}
	return nil
}

// exact is the largest n that Lua's numbers hold exactly; seats never get there.
const exact = 1 << 53

// refer runs a script on a reference.
func (t *seats) refer(ctx context.Context, script *redis.Script, ref lease.Ref, args ...any) (answer, error) {
	r := ref.Request()
	return t.run(ctx, script, ref.Pool.Product, append([]any{
		ref.Handle, ref.Seat, ref.N, string(ref.Mode), micros(ref.Lease), r.Content(), pack(ref.Client), ref.Station,
		r.Wants(), marshal(append([]string{}, ref.Tags...)), flag(ref.Borrowed), flag(ref.CheckLost() == nil),
	}, args...)...)
}

// confirm renews a handle, or only checks it where idle is "". Most handles are
// known and alive, which takes the short script alone.
func (t *seats) confirm(ctx context.Context, ref lease.Ref, idle any) (lease.Grant, error) {
	if err := ref.Check(t.group, t.epoch); err != nil {
		return lease.Grant{}, err
	}
	if ref.N >= exact {
		return lease.Grant{}, lease.Ended(lease.Released, ref.Handle)
	}
	a, err := t.store.call(ctx, renewScript, t.group, t.epoch, []any{
		under(t.epoch), ref.Pool.Product.String(), ref.Handle, ref.Seat, ref.N, idle,
	})
	if err == nil && a.word() == "LOOK" {
		a, err = t.refer(ctx, confirmScript, ref, idle)
	}
	switch {
	case err != nil:
		return lease.Grant{}, err
	case a.word() == "OK":
		return t.grant(ref.Handle, ref.Pool.Product, a), nil
	case a.word() == "LOST": // it could be taken in
		return lease.Grant{}, ref.CheckLost()
	}
	return lease.Grant{}, lease.Ended(lease.EventKind(a.word()), ref.Handle)
}

// Renew implements lease.Seats.
func (t *seats) Renew(ctx context.Context, ref lease.Ref) (lease.Grant, error) {
	return t.confirm(ctx, ref, micros(ref.Idle))
}

// Check implements lease.Seats.
func (t *seats) Check(ctx context.Context, ref lease.Ref) error {
	_, err := t.confirm(ctx, ref, "")
	return err
}

// Release implements lease.Seats.
func (t *seats) Release(ctx context.Context, ref lease.Ref) error {
	if err := ref.Check(t.group, t.epoch); err != nil {
		return err
	}
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
	a, err := t.run(ctx, removeScript, pool.Product, r.Handle, r.By, micros(r.MinAge))
	if err != nil {
		return err
	}
	switch a.word() {
	case "OK":
		return nil
	case "BORROWED":
		return lease.Borrowed(r.Handle)
	case "YOUNG":
		return lease.TooYoung(r.Handle, a.micros(1), r.MinAge)
	}
	return lease.Ended(lease.Released, r.Handle)
}

// Expire implements lease.Seats.
func (t *seats) Expire(ctx context.Context) (int, error) {
	total := 0
	for {
		a, err := t.run(ctx, expireScript, license.Product{})
		if err != nil {
			return total, err
		}
		total += int(a.number(1))
		if a.text(2) == "" {
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
