package licenseserver_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func TestStandbyOpensKeysForTokensThatAreVouchedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		minute := func(c *licenseserver.Config) { c.Arbiter, c.Lease = newRole(), time.Minute }
		lead, standby := newRole(), newRole()
		l.start(t, "a", func(c *licenseserver.Config) { minute(c); c.Arbiter = lead })
		var asked lease.Ref
		var says error
		l.start(t, "b", func(c *licenseserver.Config) {
			minute(c)
			c.Arbiter = standby
			c.Vouch = func(_ context.Context, ref lease.Ref) error { asked = ref; return says }
		})
		l.start(t, "c", minute)
		lead.say(true)
		h := take(t, l.api(t, "a"), access(1))
		api, wrapped := l.api(t, "b"), servertest.Wrap([]byte("key"))
		key, err := openKey(t.Context(), api, h.GetToken(), wrapped)
		if err != nil || key != "key" {
			t.Errorf("%q, %v", key, err)
		}
		if asked.Handle != h.GetId() || asked.Seat != h.GetSeat() || asked.N == 0 || asked.Epoch == 0 {
			t.Errorf("asked for %+v", asked)
		}
		_, err = openKey(t.Context(), l.api(t, "c"), h.GetToken(), wrapped)
		wantCode(t, "nobody vouches", err, license.CodeNotLeader)
		// The program must not take its handle for ended by what a standby sees.
		says = lease.Ended(lease.Released, h.GetId())
		_, err = openKey(t.Context(), api, h.GetToken(), wrapped)
		wantCode(t, "something newer", err, license.CodeNotLeader)
		says = nil
		_, err = api.ConsumeUnits(t.Context(), connect.NewRequest(&quoratev1.ConsumeUnitsRequest{Token: h.GetToken(), RequestId: "request-units", Units: 1}))
		wantCode(t, "units", err, license.CodeNotLeader)
		_, err = renew(t.Context(), api, h.GetToken())
		wantCode(t, "Renew", err, license.CodeNotLeader)
		time.Sleep(time.Minute - licenseserver.TokenSkew - time.Millisecond)
		_, err = openKey(t.Context(), api, h.GetToken(), wrapped)
		wantCode(t, "just before its end by a clock that is behind", err, "")
		time.Sleep(time.Millisecond)
		_, err = openKey(t.Context(), api, h.GetToken(), wrapped)
		wantCode(t, "at its end", err, license.CodeNotLeader)
	})
}

// A lease that is no longer than clocks may be apart only the leader can judge.
func TestStandbyBelievesNoShortLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			life, age time.Duration
			want      license.Code
		}{
			{licenseserver.TokenSkew, 0, license.CodeNotLeader},
			{10 * time.Second, 0, license.CodeNotLeader},
			{45 * time.Second, 14 * time.Second, ""},
			{45 * time.Second, 15 * time.Second, license.CodeNotLeader},
		} {
			l := newLab(t, 1)
			lead := newRole()
			l.start(t, "a", func(conf *licenseserver.Config) { conf.Arbiter, conf.Lease = lead, c.life })
			l.start(t, "b", func(conf *licenseserver.Config) {
				conf.Arbiter, conf.Lease = newRole(), c.life
				conf.Vouch = func(context.Context, lease.Ref) error { return nil }
			})
			lead.say(true)
			h := take(t, l.api(t, "a"), access(1))
			time.Sleep(c.age)
			_, err := openKey(t.Context(), l.api(t, "b"), h.GetToken(), servertest.Wrap([]byte("key")))
			wantCode(t, "OpenKey", err, c.want)
		}
	})
}

// Two TMR servers over the same three journals: the one that doesn't lead opens
// keys for handles that the other one gave, until they are given up.
func TestStandbyAsksTheJournals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		var journals [license.Backends]journal.Backend
		var disks [license.Backends]*journal.Memory
		for i := range journals {
			disks[i] = journal.NewMemory()
			journals[i] = journal.Backend{Name: string(rune('1' + i)), Journal: disks[i]}
		}
		lead := newRole()
		server := func(name string, r *role) {
			store := quorumlease.New(quorumlease.Options{
				Journals: func(license.Serial) ([license.Backends]journal.Backend, error) { return journals, nil },
				Journal:  journal.Options{NewGroup: true},
			})
			t.Cleanup(func() { _ = store.Close() })
			l.start(t, name, func(c *licenseserver.Config) {
				c.Store, c.Arbiter, c.Lease, c.Vouch = store, r, time.Minute, store.Vouch
			})
		}
		server("a", lead)
		server("b", newRole())
		lead.say(true)
		time.Sleep(time.Second)
		a, b, wrapped := l.api(t, "a"), l.api(t, "b"), servertest.Wrap([]byte("key"))
		h := take(t, a, access(1))
		time.Sleep(time.Second)
		if key, err := openKey(t.Context(), b, h.GetToken(), wrapped); err != nil || key != "key" {
			t.Fatalf("the standby: %q, %v", key, err)
		}
		// A backend that lost its disk is none of two.
		disks[0].Lose()
		_, err := openKey(t.Context(), b, h.GetToken(), wrapped)
		wantCode(t, "by two that remember", err, "")
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_, err = openKey(t.Context(), b, h.GetToken(), wrapped)
		wantCode(t, "a released handle", err, license.CodeNotLeader)
	})
}
