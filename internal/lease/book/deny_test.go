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
