package platform_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/enrollments"
	"github.com/quorate/quorate/internal/platform/links"
)

// enrolling is a server with a token of its own.
func enrolling(t *testing.T, code, name, serial string) (enrollments.Enrolling, string) {
	t.Helper()
	token, digest, err := auth.NewToken(auth.LinkToken)
	if err != nil {
		t.Fatal(err)
	}
	return enrollments.Enrolling{Code: code, Name: name, Serial: serial, Digest: digest, From: "192.0.2.1"}, token
}

func TestEnrollment(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		b := l.box(77, "Shipping Company")
		customer := l.customer(made.Group)
		spec := enrollments.EnrollmentSpec{At: b.place(), Name: "office", IdempotencyKey: "k"}
		row, code, err := l.CreateEnrollment(customer, spec)
		if err != nil || len(code) != 29 || enrollments.StateOf(row) != enrollments.Open || row.ExpiresAt.Sub(row.CreatedAt).Round(time.Minute) != 24*time.Hour {
			t.Fatalf("%+v, %q, %v", row, code, err)
		}
		if again, shown, err := l.CreateEnrollment(customer, spec); err != nil || again.ID != row.ID || shown != "" {
			t.Errorf("made again: %+v, %q, %v", again, shown, err)
		}
		for what, c := range map[string]struct {
			who  context.Context
			spec enrollments.EnrollmentSpec
			code license.Code
		}{
			"an operator":        {l.with(auth.Operator), enrollments.EnrollmentSpec{At: b.place(), Name: "office"}, license.CodeForbidden},
			"a stranger":         {l.stranger(), enrollments.EnrollmentSpec{At: b.place(), Name: "office"}, license.CodeNotFound},
			"no name":            {customer, enrollments.EnrollmentSpec{At: b.place()}, license.CodeInvalidInput},
			"two lines":          {customer, enrollments.EnrollmentSpec{At: b.place(), Name: "off\nice"}, license.CodeInvalidInput},
			"right to left":      {customer, enrollments.EnrollmentSpec{At: b.place(), Name: "\u202eeciffo"}, license.CodeInvalidInput},
			"a year":             {customer, enrollments.EnrollmentSpec{At: b.place(), Name: "office", Valid: 8760 * time.Hour}, license.CodeInvalidInput},
			"a group's backend":  {customer, enrollments.EnrollmentSpec{At: core.Place{Container: made.Containers[0].Serial}, Name: "b1"}, license.CodeInvalidInput},
			"no place":           {customer, enrollments.EnrollmentSpec{Name: "office"}, license.CodeInvalidInput},
			"the key of another": {customer, enrollments.EnrollmentSpec{At: b.place(), Name: "annex", IdempotencyKey: "k"}, license.CodeConflict},
		} {
			_, _, err := l.CreateEnrollment(c.who, c.spec)
			wantCode(t, what, err, c.code)
		}

		// What isn't for this server doesn't use the code up.
		e, token := enrolling(t, strings.ToLower(code), "office", b.serial)
		news := l.watch(event.Servers, made.Group.VendorID)
		for what, c := range map[string]struct {
			change func(*enrollments.Enrolling)
			code   license.Code
		}{
			"another name":      {func(e *enrollments.Enrolling) { e.Name = "annex" }, license.CodeInvalidInput},
			"another container": {func(e *enrollments.Enrolling) { e.Serial = "130-1" }, license.CodeInvalidInput},
			"a mistyped code":   {func(e *enrollments.Enrolling) { e.Code = code[:28] }, license.CodeInvalidInput},
			"no digest":         {func(e *enrollments.Enrolling) { e.Digest = nil }, license.CodeInvalidInput},
		} {
			other := e
			c.change(&other)
			_, err := l.Enroll(t.Context(), other)
			wantCode(t, what, err, c.code)
		}
		for range 2 { // the answer to the first one got lost
			if s, err := l.Enroll(t.Context(), e); err != nil || s.Name != "office" || *s.ContainerID != b.row.ID {
				t.Fatalf("%+v, %v", s, err)
			}
		}
		who, err := l.AuthenticateLink(t.Context(), token)
		if err != nil || who.Container != b.row.ID || who.Organization != *made.Group.CustomerID {
			t.Fatalf("%+v, %v", who, err)
		}
		thief, _ := enrolling(t, code, "office", b.serial)
		wantSignal(t, "a new server", news)
		_, err = l.Enroll(t.Context(), thief)
		wantCode(t, "a code that was used", err, license.CodeConflict)
		if row = l.Store().Client().Enrollment.GetX(l.system(), row.ID); enrollments.StateOf(row) != enrollments.Used || row.TmrServerID == nil || *row.TmrServerID != who.ID {
			t.Errorf("%+v", row)
		}
		_, err = l.RevokeEnrollment(customer, row.ID)
		wantCode(t, "revoking one that was used", err, license.CodeConflict)
		_, _, err = l.CreateEnrollment(customer, enrollments.EnrollmentSpec{At: b.place(), Name: "annex"})
		wantCode(t, "a second server of a container", err, license.CodeConflict)

		// The same server on another machine: the old token ends with the use of the
		// new code, and not before.
		_, code, err = l.CreateEnrollment(l.vendor(), enrollments.EnrollmentSpec{At: b.place(), Name: "office"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.AuthenticateLink(t.Context(), token); err != nil {
			t.Errorf("before the code is used: %v", err)
		}
		e, moved := enrolling(t, code, "office", b.serial)
		if s, err := l.Enroll(t.Context(), e); err != nil || s.ID != who.ID {
			t.Fatalf("%+v, %v", s, err)
		}
		_, err = l.AuthenticateLink(t.Context(), token)
		wantCode(t, "the token of before", err, license.CodeUnauthenticated)

		// A group's server; a code that is revoked.
		group := core.Place{Group: made.Group.VirtualSerial}
		row, code, err = l.CreateEnrollment(customer, enrollments.EnrollmentSpec{At: group, Name: "c", Valid: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := l.RevokeEnrollment(customer, row.ID); err != nil {
				t.Fatal(err)
			}
		}
		e, _ = enrolling(t, code, "c", made.Group.VirtualSerial)
		_, err = l.Enroll(t.Context(), e)
		wantCode(t, "a revoked code", err, license.CodeForbidden)

		// A server that is revoked, and one that is rotated.
		who, err = l.AuthenticateLink(t.Context(), moved)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.RevokeServer(l.with(auth.Operator), who.ID)
		wantCode(t, "an operator revokes", err, license.CodeForbidden)
		_, err = l.RevokeServer(l.stranger(), who.ID)
		wantCode(t, "a stranger revokes", err, license.CodeNotFound)
		for range 2 {
			if s, err := l.RevokeServer(customer, who.ID); err != nil || s.RevokedAt == nil {
				t.Fatalf("%+v, %v", s, err)
			}
		}
		_, err = l.AuthenticateLink(t.Context(), moved)
		wantCode(t, "a revoked server", err, license.CodeUnauthenticated)
		_, err = l.RotateLinkToken(customer, who.ID)
		wantCode(t, "a new token for a revoked one", err, license.CodeConflict)
		a, err := l.AuthenticateLink(t.Context(), made.Servers[0].Token)
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := l.RotateLinkToken(customer, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.AuthenticateLink(t.Context(), made.Servers[0].Token)
		wantCode(t, "the old token", err, license.CodeUnauthenticated)
		if _, err := l.AuthenticateLink(t.Context(), fresh); err != nil {
			t.Errorf("the new token: %v", err)
		}
		for action, n := range map[string]int{"enrollment.created": 3, "enrollment.revoked": 1, "server.enrolled": 2, "server.revoked": 1, "server.rotateLinkToken": 1} {
			if got := l.audited(action); got != n {
				t.Errorf("%s is in the audit log %d times, want %d", action, got, n)
			}
		}
	})
}

// Of servers that use one code at the same time, one gets in.
func TestEnrollmentCodeIsUsedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		b := l.box(77, "")
		_, code, err := l.CreateEnrollment(l.vendor(), enrollments.EnrollmentSpec{At: b.place(), Name: "office"})
		if err != nil {
			t.Fatal(err)
		}
		const callers = 8
		var in sync.WaitGroup
		won := make(chan string, callers)
		for range callers {
			e, token := enrolling(t, code, "office", b.serial)
			in.Go(func() {
				switch _, err := l.Enroll(context.Background(), e); license.CodeOf(err) {
				case "":
					won <- token
				case license.CodeConflict:
				default:
					t.Errorf("%v", err)
				}
			})
		}
		in.Wait()
		if len(won) != 1 {
			t.Fatalf("%d servers got in", len(won))
		}
		if _, err := l.AuthenticateLink(t.Context(), <-won); err != nil {
			t.Error(err)
		}
	})
}

func TestEnrollmentExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, databases.SQLite(t))
		b := l.box(77, "")
		row, code, err := l.CreateEnrollment(l.vendor(), enrollments.EnrollmentSpec{At: b.place(), Name: "office", Valid: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		e, _ := enrolling(t, code, "office", b.serial)
		_, err = l.Enroll(t.Context(), e)
		wantCode(t, "after an hour", err, license.CodeForbidden)
		if enrollments.StateOf(row) != enrollments.Expired {
			t.Errorf("it is %s", enrollments.StateOf(row))
		}
	})
}

// A network that swallows packets ends no call: that one waits is no sign of life,
// and takes the lead from nobody.
func TestWaitingServerIsNotHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, databases.SQLite(t))
		made := l.provision()
		ctx, cancel := context.WithCancel(l.link(made))
		ended := make(chan error, 1)
		go func() {
			_, err := l.Pull(ctx, true, 20*time.Second)
			ended <- err
		}()
		synctest.Wait()
		if _, err := l.Pull(l.standby(made), true, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for i, leads := range []bool{false, true} {
			row, err := l.Store().Client().TmrServer.Get(l.vendor(), made.Servers[i].Server.ID)
			if err != nil {
				t.Fatal(err)
			}
			if silent := time.Since(*row.SeenAt); silent < 10*time.Second || links.ServerStateOf(row) != links.ServerStale || row.Leading != leads {
				t.Errorf("%s: heard of %s ago, %s, leading %v", row.Name, silent, links.ServerStateOf(row), row.Leading)
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the call ends with %v", err)
		}
	})
}

// A call that waits ends as soon as the server's token does.
func TestWaitingServerIsCutOff(t *testing.T) {
	for what, end := range map[string]func(l *lab, id string) error{
		"revoked": func(l *lab, id string) error { _, err := l.RevokeServer(l.vendor(), id); return err },
		"rotated": func(l *lab, id string) error { _, err := l.RotateLinkToken(l.vendor(), id); return err },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, databases.SQLite(t))
				made := l.provision()
				ctx := l.link(made)
				ended := make(chan error, 1)
				go func() {
					_, err := l.Pull(ctx, true, 20*time.Second)
					ended <- err
				}()
				synctest.Wait()
				began := time.Now()
				if err := end(l, made.Servers[0].Server.ID); err != nil {
					t.Fatal(err)
				}
				wantCode(t, what, <-ended, license.CodeUnauthenticated)
				if late := time.Since(began); late > 0 {
					t.Errorf("it ended after %s", late)
				}
			})
		})
	}
}

// TestServerHealth follows a server: linked, silent, lost and told of once, back,
// restarted, revoked.
func TestServerHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, databases.SQLite(t))
		made := l.provision()
		vendor, customer := l.owner.Organization, *made.Group.CustomerID
		l.endpoint(vendor, "server.lost", "server.back")
		l.endpoint(customer, "server.lost")
		id := made.Servers[0].Server.ID
		ctx := l.link(made)
		news := l.watch(event.Servers, customer)
		running := time.Duration(0)
		push := func() {
			t.Helper()
			if _, err := l.Push(ctx, links.LinkPush{Process: &links.ProcessStatus{Version: "1.4.0", Running: running, RoundTrip: 12 * time.Millisecond}}); err != nil {
				t.Fatal(err)
			}
		}
		wait := func(d time.Duration) {
			time.Sleep(d)
			running += d
		}
		server := func(want links.ServerState) *ent.TmrServer {
			t.Helper()
			s := l.Store().Client().TmrServer.GetX(l.system(), id)
			if got := links.ServerStateOf(s); got != want {
				t.Errorf("it is %s, want %s", got, want)
			}
			for _, state := range []links.ServerState{links.ServerOnline, links.ServerStale, links.ServerOffline, links.ServerNever} {
				if found := l.Store().Client().TmrServer.Query().Where(tmrserver.ID(id), links.ServersIn(state)).CountX(l.system()); (found == 1) != (state == want) {
					t.Errorf("it is found %d times as %s, being %s", found, state, want)
				}
			}
			return s
		}
		lost := func(want int) {
			t.Helper()
			if n, err := l.LostServers(t.Context()); n != want || err != nil {
				t.Errorf("%d servers are lost, want %d, %v", n, want, err)
			}
		}
		server(links.ServerNever)
		push()
		s := server(links.ServerOnline)
		if s.Version != "1.4.0" || s.StartedAt == nil || s.LinkedAt == nil || s.Links != 1 || s.Latency == nil || *s.Latency != 12 {
			t.Errorf("%+v", s)
		}
		wantSignal(t, "a server that is linked", news)
		for range 20 {
			wait(3 * time.Second)
			push()
		}
		wantQuiet(t, "a server that stays linked", news)
		if s = server(links.ServerOnline); s.Links != 1 || time.Since(*s.StartedAt).Round(time.Second) != time.Minute {
			t.Errorf("%+v", s)
		}
		wait(5 * time.Second)
		synctest.Wait()
		wantQuiet(t, "before it counts as silent", news)
		wait(time.Second)
		synctest.Wait()
		wantSignal(t, "a silent server", news)
		server(links.ServerStale)
		lost(0)
		wait(55 * time.Second)
		server(links.ServerOffline)
		wantQuiet(t, "before it is lost", news)
		lost(1)
		lost(0)
		wantSignal(t, "a lost server", news)
		if s = server(links.ServerOffline); s.LostAt == nil || s.Leading {
			t.Errorf("%+v", s)
		}
		push()
		push()
		if s = server(links.ServerOnline); s.Links != 2 {
			t.Errorf("%+v", s)
		}
		wantSignal(t, "a server that is back", news)
		running = 0
		wait(3 * time.Second)
		running = time.Second // it was restarted
		push()
		if s = server(links.ServerOnline); s.Links != 3 {
			t.Errorf("a restart: %+v", s)
		}
		wait(2 * time.Minute)
		lost(1)
		if got := kindsOf(l.events(vendor)); len(got) != 3 || got[0] != core.EventServerLost || got[1] != core.EventServerBack {
			t.Errorf("the vendor was told %v", got)
		}
		if got := kindsOf(l.events(customer)); len(got) != 2 {
			t.Errorf("the customer was told %v", got)
		}
		if l.audited("server.lost") != 2 || l.audited("server.back") != 1 {
			t.Error("the audit log tells something else")
		}
		wantSignal(t, "a server that was restarted and lost", news)
		if _, err := l.RevokeServer(l.vendor(), id); err != nil {
			t.Fatal(err)
		}
		wantSignal(t, "a revoked server", news)
		server(links.ServerOffline)
		lost(0)
	})
}

// A server that calls another replica by now has not fallen silent.
func TestSilentAtOneReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, databases.SQLite(t))
		made := l.provision()
		other, _, _ := newPlatform(t, l.Store(), 1)
		news := l.watch(event.Servers, l.owner.Organization)
		ctx := l.link(made)
		push := func(p *platform.Platform) {
			t.Helper()
			if _, err := p.Push(ctx, links.LinkPush{}); err != nil {
				t.Fatal(err)
			}
		}
		push(l.Platform)
		wantSignal(t, "it is linked", news)
		for range 5 {
			time.Sleep(3 * time.Second)
			push(other)
		}
		synctest.Wait()
		wantQuiet(t, "it calls another replica", news)
		push(l.Platform)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		wantSignal(t, "it calls none", news)
	})
}

// A platform that was away doesn't take everybody for lost.
func TestLostServersAfterAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, databases.SQLite(t))
		made := l.provision()
		if _, err := l.Push(l.link(made), links.LinkPush{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		l.Platform, _, _ = newPlatform(t, l.Store(), 1)
		if n, err := l.LostServers(t.Context()); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		time.Sleep(links.LostAfter)
		if n, err := l.LostServers(t.Context()); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}
