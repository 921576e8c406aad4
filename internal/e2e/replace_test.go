package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

const lostSerial, newSerial = "130-27845973", "130-5550123"

// loseBackend kills backend 2 and deletes its container.
func (l *lab) loseBackend() {
	l.t.Helper()
	l.backends[1].kill()
	if err := os.Remove(l.path("backend-2.qrc")); err != nil {
		l.t.Fatal(err)
	}
}

// newBackend makes a new one on another machine, as the operator does, and
// starts its server. Its request is in new.lreq; spec is for the TMR servers.
func (l *lab) newBackend() (spec string) {
	l.t.Helper()
	res, err := http.Get(l.api.url + "/root-key")
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close()
	root, err := io.ReadAll(res.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	must(l.t, "container", "create", l.path("new.qrc"), "--serial", newSerial, "--root", strings.TrimSpace(string(root)),
		"--activation-id", "00112233445566778899aabbccddeeff", "--fingerprint", l.path("new.print"), "--bind", "none")
	must(l.t, "request", "--container", l.path("new.qrc"), "-o", l.path("new.lreq"))
	pin := strings.TrimSpace(must(l.t, "key", "tls", l.path("new.key")))
	addr := testenv.FreeAddr(l.t)
	args := []string{"server", "--tmr", "--container", l.path("new.qrc"), "--listen", addr, "--key", l.path("new.key"), "--journal", l.path("new.journal"), "--json"}
	for i, arg := range l.args["backend-2"] {
		if arg == "--pin" {
			args = append(args, arg, l.args["backend-2"][i+1])
		}
	}
	l.args["backend-2"] = args
	l.backends[1] = start(l.t, "backend-2", args...)
	return newSerial + "@https://" + addr + "?pin=" + pin
}

// reconfigure gives both TMR servers the new backend, the standby first. What
// programs ask meanwhile is answered by the other one.
func (l *lab) reconfigure(spec string) {
	l.t.Helper()
	active := l.leader(0, 1)
	for _, i := range []int{1 - active, active} {
		args := l.args[tmrName(i)]
		for j, arg := range args {
			if strings.HasPrefix(arg, lostSerial+"@") {
				args[j] = spec
			}
		}
		l.tmr[i].stop(l.t)
		l.tmr[i] = start(l.t, tmrName(i), args...)
		l.leader(0, 1)
	}
}

// carries asserts that the new backend and one more are enough: backend 3 is
// killed, the programs keep their handles, another one gets one, and keys open.
func (l *lab) carries(p *programs, wrapped, key []byte) {
	l.t.Helper()
	l.backends[2].kill()
	testenv.Eventually(l.t, 20*time.Second, func() error {
		var shown []struct{ Status string }
		l.json(&shown, "ls", "--server", l.tmr[l.leader(0, 1)].ready["licenseServer"], "--json")
		if len(shown) != 1 || !strings.HasSuffix(shown[0].Status, "3:-") {
			return fmt.Errorf("%+v", shown)
		}
		return nil
	})
	q := newPrograms(l.t, l.programServers()...)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	h, err := q.access(ctx, "visitor")
	if err != nil {
		l.t.Fatalf("with the new backend and one more: %v", err)
	}
	for range 4 { // each of the two has its turn
		if opened, err := h.OpenKey(ctx, wrapped); err != nil || !bytes.Equal(opened, key) {
			l.t.Errorf("a key opened to %x, %v", opened, err)
		}
	}
	p.wantAlive()
}

// A backend is lost for good in the middle of a rollout, under programs. It is
// replaced, and the rollout ends on the new one.
func TestLostBackendIsReplaced(t *testing.T) {
	l := newLab(t, labConfig{})
	wrapped, key := l.wrapKey(t)
	p := newPrograms(t, l.programServers()...)
	p.take(5)
	l.loseBackend()
	l.api.order(t, 10)
	id := l.api.startRollout(t)
	replace := []string{"container", "replace", lostSerial, l.path("new.lreq"), "--reason", "the disk broke", "--json", "--url", l.api.url, "--token", l.api.token}
	spec := l.newBackend()
	var made struct {
		Replaced  struct{ Serial, State string }
		Container struct{ Position int }
		Rollout   struct{ ID, State string }
	}
	for range 2 { // again gives the same
		l.json(&made, replace...)
		if made.Replaced.State != "BLOCKED" || made.Container.Position != 2 || made.Rollout.ID != id {
			t.Errorf("%+v", made)
		}
	}
	p.wantAlive()
	l.reconfigure(spec)
	testenv.Eventually(t, 90*time.Second, func() error {
		var r struct{ State, Blocker, ErrorCode string }
		l.json(&r, "rollout", "status", id, "--json", "--url", l.api.url, "--token", l.api.token)
		if r.State != "DONE" {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if g := l.api.group(t); g.Status != "1:#8 2:#8 3:#8" || g.Quantity != 30 || g.Backends[1].Serial != newSerial || g.Health != "FULLY_REDUNDANT" {
		t.Errorf("%+v", g)
	}
	p.wantAlive()
	if err := wantHandles(t, l.tmr[l.leader(0, 1)].ready["licenseServer"], 5); err != nil {
		t.Error(err)
	}
	l.carries(p, wrapped, key)
}

// The same without a network: the group's request has the new container, and
// one file brings all that it lacks.
func TestLostBackendIsReplacedByFiles(t *testing.T) {
	o := &offline{lab: newLab(t, labConfig{offline: true})}
	o.leads = o.leader(0, 1)
	o.ready()
	first := o.start("first", 20)
	if errs, status := o.apply("first"); status != 0 {
		t.Fatal(errs)
	}
	o.finish("first", first)
	p := newPrograms(t, o.programServers()...)
	p.take(5)

	second := o.start("second", 10) // the file is out when the backend is lost
	o.loseBackend()
	o.reconfigure(o.newBackend())
	o.leads = o.leader(0, 1)
	o.ready()
	must(t, "request", "--server", o.server(), "-o", o.path("group.lreq"))
	if out := must(t, o.asPlatform("container", "replace", lostSerial, o.path("group.lreq"), "--reason", "the disk broke", "--by-files")...); !strings.Contains(out, newSerial+" is backend 2") {
		t.Errorf("replaced: %s", out)
	}
	if _, errs, status := quorate(t, "apply", o.path("second.lupd"), "--server", o.server(), "--receipt", o.path("second.lrcp")); status == 0 || !strings.Contains(errs, "which is no backend of this group") {
		t.Errorf("the file for the lost one: %s", errs)
	}
	var r struct{ ID string }
	o.json(&r, o.asPlatform("offline", "start", virtual, o.path("group.lreq"), "-o", o.path("again.lupd"), "--json")...)
	if r.ID != second {
		t.Errorf("another rollout: %s", r.ID)
	}
	errs, status := o.apply("again")
	if status != 0 {
		t.Fatal(errs)
	}
	if strings.Count(errs, "update 1 is installed in "+newSerial) != 1 || strings.Count(errs, "update 2 is installed in "+newSerial) != 1 {
		t.Errorf("progress:\n%s", errs)
	}
	o.finish("again", second)
	if got := o.status(); got != "1:#8 2:#8 3:#8 | 30" {
		t.Errorf("the group shows %s", got)
	}
	p.wantAlive()
	wrapped, key := o.wrapKey(t)
	o.carries(p, wrapped, key)
}
