package redislease

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// FuzzEvents gives the reader of the store's events anything: another program
// may have written it.
func FuzzEvents(f *testing.F) {
	f.Add("5-0", "6000010:14", pack(lease.Client{Address: "ws1", User: "anna", Process: 4, Application: "chart"}), "1700000000000000", "3")
	f.Add("", "", "", "", "")
	f.Add("x", "1:1", "{}", "-1", "99999999999999999999")
	f.Add("1-1", "1:1", "null", "9223372036854775807", "4294967296")
	group := license.Serial{Mask: 131, Number: 4837572}
	f.Fuzz(func(t *testing.T, id, product, client, at, seat string) {
		m := redis.XMessage{ID: id, Values: map[string]any{
			"kind": "GRANTED", "product": product, "client": client, "at": at, "seat": seat, "n": seat, "handle": id, "mode": client,
		}}
		all, err := decodeAll(group, []redis.XMessage{m, m})
		if err == nil && (len(all) != 2 || all[0] != all[1] || all[0].Pool.Product.String() != product) {
			t.Fatalf("read as %+v", all)
		}
		if _, c, err := unpack(client); err == nil {
			station, d, err := unpack(pack(c))
			if err != nil || station != "" || d != c {
				t.Fatalf("%q, %+v came back as %q, %+v, %v", client, c, station, d, err)
			}
		}
	})
}
