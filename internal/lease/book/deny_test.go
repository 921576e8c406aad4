package book

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

func TestDenialsComeAgainAfterAMinute(t *testing.T) {
	group := license.Serial{Mask: 131, Number: 7}
	b := New(group, Options{})
	now := time.Unix(1_800_000_000, 0)
	b.Claim(1, now)
	deny := func(after time.Duration, user string) {
		t.Helper()
		r := lease.Request{
			ID: fmt.Sprint(user, after), Pool: lease.Pool{Container: group, Product: license.Product{Firm: 6000010, Code: 14}},
			Mode: license.UserLimit, Client: lease.Client{User: user}, Lease: time.Hour,
		}
		if _, err := b.Access(now.Add(after), r); license.CodeOf(err) != license.CodeNoFreeSeat {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {lease.DenialPause - 1, 1}, {lease.DenialPause, 2}, {2*lease.DenialPause - 1, 2}} {
		deny(step.after, "ada")
		if n := len(b.Events(0, math.MaxUint64, 1000)); n != step.want {
			t.Errorf("after %v: %d events, want %d", step.after, n, step.want)
		}
	}
	for i := range 2*mostDenials + 1 {
		deny(3*time.Minute, fmt.Sprint(i))
	}
	if len(b.denials) > mostDenials {
		t.Errorf("%d denials are remembered", len(b.denials))
	}
}

func TestEventsAreBoundedByBytes(t *testing.T) {
	group := license.Serial{Mask: 131, Number: 7}
	b := New(group, Options{MostEvents: 100, MostEventBytes: 10_000})
	now := time.Unix(1_800_000_000, 0)
	b.Claim(1, now)
	for i := range 200 {
		_, err := b.Access(now, lease.Request{
			ID: fmt.Sprint("id ", i), Pool: lease.Pool{Container: group, Product: license.Product{Firm: 6000010, Code: 14}}, Lease: time.Hour,
			Mode: license.NoUserLimit, Client: lease.Client{User: fmt.Sprintf("%0500d", i)},
		})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range b.events {
			n += texts(e)
		}
		if n != b.bytes || n > 11_250 || len(b.events) == 0 {
			t.Fatalf("%d events of %d bytes, counted as %d", len(b.events), n, b.bytes)
		}
	}
	out := b.Drain()
	if len(out.Dropped) == 0 || len(out.Dropped)+len(b.events) != 200 || out.Seqs[6000010] < 180 {
		t.Errorf("%d dropped, %d left, %v", len(out.Dropped), len(b.events), out.Seqs)
	}
}
