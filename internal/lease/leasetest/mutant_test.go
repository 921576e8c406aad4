package leasetest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
)

// mutant is a store that breaks one sentence of the contract.
type mutant struct {
	sentence string // of the suite, that catches it
	lease.Seats
	request func(*lease.Request)
	ref     func(*lease.Ref)
	grant   func(*lease.Grant)
	removal func(*lease.Removal)
	handle  func(*lease.Handle)
	usage   func(*lease.Usage)
	event   func(*lease.Event)
	deaf    bool // to notices
	stays   bool // in the queue
	forgets bool // everything at a restart
}

func (m mutant) Access(ctx context.Context, r lease.Request) (lease.Grant, error) {
	if m.request != nil {
		m.request(&r)
	}
	g, err := m.Seats.Access(ctx, r)
	if m.grant != nil {
		m.grant(&g)
	}
	return g, err
}

func (m mutant) Renew(ctx context.Context, r lease.Ref) (lease.Grant, error) {
	if m.ref != nil {
		m.ref(&r)
	}
	g, err := m.Seats.Renew(ctx, r)
	if m.grant != nil {
		m.grant(&g)
	}
	return g, err
}

func (m mutant) Release(ctx context.Context, r lease.Ref) error {
	if m.ref != nil {
		m.ref(&r)
	}
	return m.Seats.Release(ctx, r)
}

func (m mutant) Remove(ctx context.Context, p lease.Pool, r lease.Removal) error {
	if m.removal != nil {
		m.removal(&r)
	}
	return m.Seats.Remove(ctx, p, r)
}

func (m mutant) Leave(ctx context.Context, p lease.Pool, id string) error {
	if m.stays {
		return nil
	}
	return m.Seats.Leave(ctx, p, id)
}

func (m mutant) Ask(ctx context.Context, p lease.Pool, id string, n lease.Notice) error {
	if m.deaf {
		return m.Check(ctx, lease.Ref{Pool: p, Handle: id})
	}
	return m.Seats.Ask(ctx, p, id, n)
}

func (m mutant) List(ctx context.Context, p lease.Pool) ([]lease.Handle, error) {
	all, err := m.Seats.List(ctx, p)
	for i := range all {
		if m.handle != nil {
			m.handle(&all[i])
		}
	}
	return all, err
}

func (m mutant) Usage(ctx context.Context, p lease.Pool) (lease.Usage, error) {
	u, err := m.Seats.Usage(ctx, p)
	if m.usage != nil {
		m.usage(&u)
	}
	return u, err
}

type mutantStore struct {
	lease.Store
	mutant
}

func (s mutantStore) Claim(ctx context.Context, g license.Serial, owner string) (lease.Seats, error) {
	seats, err := s.Store.Claim(ctx, g, owner)
	m := s.mutant
	m.Seats = seats
	return m, err
}

func (s mutantStore) Events(ctx context.Context, g license.Serial, after uint64, most int) ([]lease.Event, error) {
	all, err := s.Store.Events(ctx, g, after, most)
	for i := range all {
		if s.event != nil {
			s.event(&all[i])
		}
	}
	return all, err
}

// waiting changes how requests wait.
func waiting(change func(*lease.Wait)) func(*lease.Request) {
	return func(r *lease.Request) {
		if r.Wait != nil {
			w := *r.Wait
			change(&w)
			r.Wait = &w
		}
	}
}

func instead(of, mode license.AccessMode) func(*lease.Request) {
	return func(r *lease.Request) {
		if r.Mode == of {
			r.Mode = mode
		}
	}
}

func mutants() map[string]mutant {
	const (
		share = "a station with station share takes one for all its programs"
		most  = "a station with station share takes the most of its programs"
		alone = "an exclusive handle is alone on its station"
		cap_  = "a cap bounds what handles with its tag take"
		order = "higher priorities come first, then who came first"
		found = "lost handles of each mode are taken in with what they take"
		adds  = "what list and usage show adds up"
		told  = "a denial's event tells what was asked for and what refused"
	)
	return map[string]mutant{
		"share counted per handle":     {sentence: share, request: instead(license.StationShare, license.UserLimit)},
		"share not counted":            {sentence: share, request: instead(license.StationShare, license.NoUserLimit)},
		"share takes the first":        {sentence: most, request: func(r *lease.Request) { r.Licenses = 1 }},
		"exclusivity forgotten":        {sentence: alone, request: instead(license.Exclusive, license.UserLimit)},
		"exclusive for nobody's limit": {sentence: alone, request: instead(license.NoUserLimit, license.UserLimit)},
		"n ignored": {sentence: "a handle takes as many licenses as it asks for", request: func(r *lease.Request) {
			r.Licenses = 0
		}},
		"n not told": {sentence: "a handle takes as many licenses as it asks for", grant: func(g *lease.Grant) { g.Licenses = 1 }},
		"modes are one": {sentence: "all modes mix on one license: 23 of them", request: func(r *lease.Request) {
			r.Mode = license.UserLimit
		}},
		"no limit limited": {sentence: "no user limit is always granted", request: instead(license.NoUserLimit, license.StationShare)},
		"no seat without limit": {sentence: "each mode's handles have seats of their own", grant: func(g *lease.Grant) {
			if g.Mode == license.NoUserLimit {
				g.Seat = 0
			}
		}},
		"share does not linger": {sentence: "a shared seat lingers for its station", ref: func(r *lease.Ref) {
			if r.Mode == license.StationShare {
				r.Linger = 0
			}
		}},
		"one of several lingers": {sentence: "several licenses linger together", request: func(r *lease.Request) {
			r.Licenses = min(r.Licenses, 2)
		}},
		"lost as another mode":  {sentence: found, ref: func(r *lease.Ref) { r.Mode = license.UserLimit }},
		"lost without licenses": {sentence: found, ref: func(r *lease.Ref) { r.Licenses = 1 }},
		"lost without tags":     {sentence: found, ref: func(r *lease.Ref) { r.Tags = nil }},
		"lost, not borrowed":    {sentence: found, ref: func(r *lease.Ref) { r.Borrowed = false }},
		"restart forgets":       {sentence: "after a restart everything is as it was", forgets: true},
		"each shows its share":  {sentence: adds, handle: func(h *lease.Handle) { h.Takes = h.Licenses }},
		"each counts itself":    {sentence: adds, handle: func(h *lease.Handle) { h.Accesses = 1 }},
		"usage of no tags":      {sentence: adds, usage: func(u *lease.Usage) { u.ByTag = nil }},
		"borrowed, not content": {
			sentence: "a handle's licenses, mode and being borrowed are its content alone",
			request:  func(r *lease.Request) { r.Borrowed = false },
		},
		"tags are content": {
			sentence: "a handle's licenses, mode and being borrowed are its content alone",
			request:  func(r *lease.Request) { r.Client.Application += strings.Join(r.Limits.Tags, " ") },
		},
		"cap off by one": {sentence: cap_, request: func(r *lease.Request) {
			for i, c := range r.Limits.Caps {
				r.Limits.Caps[i].Most = c.Most + 1
			}
		}},
		"tags forgotten": {sentence: cap_, request: func(r *lease.Request) { r.Limits.Tags = nil }},
		"first cap only": {sentence: "of several caps each counts", request: func(r *lease.Request) {
			r.Limits.Caps = r.Limits.Caps[:min(len(r.Limits.Caps), 1)]
		}},
		"hold ignored": {sentence: "a hold keeps licenses back for its tag", request: func(r *lease.Request) { r.Limits.Holds = nil }},
		"first hold only": {sentence: "several holds keep back together", request: func(r *lease.Request) {
			r.Limits.Holds = r.Limits.Holds[:min(len(r.Limits.Holds), 1)]
		}},
		"tags not shown": {sentence: "a handle keeps the tags that it was granted with", handle: func(h *lease.Handle) { h.Tags = nil }},
		"no queue": {sentence: "who finds no free license waits at a place that is told", request: func(r *lease.Request) {
			r.Wait = nil
		}},
		"queue jumped": {sentence: "a freed license goes to who stands first", request: func(r *lease.Request) {
			if r.Wait == nil {
				r.Wait = &lease.Wait{Priority: 99, Until: time.Second, Place: time.Millisecond}
			}
		}},
		"priorities ignored": {sentence: order, request: waiting(func(w *lease.Wait) { w.Priority = 0 })},
		"last come first":    {sentence: order, request: waiting(func(w *lease.Wait) { w.Priority = int32(time.Now().Nanosecond()) })},
		"place never lost":   {sentence: "a place that is not asked for is lost", request: waiting(func(w *lease.Wait) { w.Place = lease.MostPlace })},
		"place soon lost": {sentence: "a place that is not asked for is lost", request: waiting(func(w *lease.Wait) {
			w.Place = time.Millisecond
		})},
		"waits for ever":    {sentence: "waiting ends at the deadline of the first asking", request: waiting(func(w *lease.Wait) { w.Until = lease.MostWait })},
		"nobody leaves":     {sentence: "a place is given up by leaving, and by not waiting", stays: true},
		"notices lost":      {sentence: "a notice is told by each renewal until the handle ends", deaf: true},
		"notices not told":  {sentence: "a notice is told by each renewal until the handle ends", grant: func(g *lease.Grant) { g.Notice = nil }},
		"idle not noted":    {sentence: "how long a program was idle is noted by its renewals", ref: func(r *lease.Ref) { r.Idle = 0 }},
		"young ones go":     {sentence: "a handle that is too young can't be removed", removal: func(r *lease.Removal) { r.MinAge = 0 }},
		"all are too young": {sentence: "a handle that is too young can't be removed", removal: func(r *lease.Removal) { r.MinAge *= 1000 }},
		"borrowed ones go": {sentence: "a borrowed handle can't be removed, and can be returned", request: func(r *lease.Request) {
			r.Borrowed = false
		}},
		"events not counted":        {sentence: "events of each firm are counted by one", event: func(e *lease.Event) { e.Seq = 0 }},
		"events counted by the lot": {sentence: "events of each firm are counted by one", event: func(e *lease.Event) { e.Seq = e.Position }},
		"rule not told":             {sentence: told, event: func(e *lease.Event) { e.Rule = "" }},
		"denied licenses not told":  {sentence: told, event: func(e *lease.Event) { e.Licenses = 1 }},
	}
}

const mutantVariable = "QUORATE_LEASETEST_MUTANT"

// TestMutant runs the suite on a mutant, if one is named in the environment.
func TestMutant(t *testing.T) {
	m, ok := mutants()[os.Getenv(mutantVariable)]
	if !ok {
		t.Skip("no mutant is named")
	}
	open := func(t *testing.T, path string) mutantStore {
		s, err := memlease.Open(path, memlease.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return mutantStore{s, m}
	}
	leasetest.Run(t, leasetest.Driver{Bubble: true, Open: func(t *testing.T) leasetest.Harness {
		path := filepath.Join(t.TempDir(), "seats")
		s := open(t, path)
		return leasetest.Harness{Store: s, Restart: func(t *testing.T) lease.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if m.forgets {
				path = ""
			}
			return open(t, path)
		}}
	}})
}

// TestMutantsAreCaught: a store that breaks a sentence fails its test.
func TestMutantsAreCaught(t *testing.T) {
	for name, m := range mutants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test := strings.ReplaceAll(m.sentence, " ", "_")
			c := exec.Command(os.Args[0], "-test.run", "^TestMutant$/^"+test+"$", "-test.v")
			c.Env = append(os.Environ(), mutantVariable+"="+name)
			out, err := c.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestMutant/"+test) {
				t.Fatalf("not caught by %q (%v): %s", m.sentence, err, out)
			}
		})
	}
}
