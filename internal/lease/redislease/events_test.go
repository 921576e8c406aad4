package redislease_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// TestEventsAreBounded: an entry of the stream takes at most 6 KiB, whatever
// requests carry, and no request that the contract allows makes it longer.
func TestEventsAreBounded(t *testing.T) {
	server := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	seats := claim(t, redislease.New(client, redislease.Options{}))
	const quantity = 100 * lease.MostLicenses
	for _, worst := range []string{"\"", "\\", "<", "&", "\u2028", "\u2029", "\u00e9", "\U0001f600"} {
		text := strings.Repeat(worst, lease.MostText/len(worst))
		r := request(quantity)
		r.ID = strings.Repeat(worst, lease.MostID/len(worst))
		r.Mode, r.Licenses, r.Borrowed = license.StationShare, lease.MostLicenses, true
		r.Station, r.Client = text, lease.Client{Address: text, User: text, Process: 1<<32 - 1, Application: text}
		r.Limits.Tags = []string{strings.Repeat(worst, lease.MostTag/len(worst))}
		if err := seats.(lease.Denier).Deny(t.Context(), r, license.Code(strings.Repeat("C", lease.MostTag)), text); err != nil {
			t.Fatal(err)
		}
		if _, err := seats.Access(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		r.ID, r.Borrowed = "x"+r.ID[len(worst):], false
		if _, err := seats.Access(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if err := seats.Remove(t.Context(), pool, lease.Removal{Handle: r.ID, By: text}); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := client.XRange(t.Context(), "quorate:lease:{"+group.String()+"}:events", "-", "+").Result()
	if err != nil || len(entries) < 32 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	longest := 0
	for _, e := range entries {
		n := len(e.ID)
		for name, value := range e.Values {
			n += len(name) + len(value.(string))
		}
		longest = max(longest, n)
	}
	if longest > 6<<10 || longest < 4<<10 {
		t.Errorf("the longest entry has %d bytes", longest)
	}
}
