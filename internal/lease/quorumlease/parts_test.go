package quorumlease_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
)

// Many long texts that end at once fit into the journals all the same.
func TestLongTextsEndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf(func(license.Serial, int) journal.Journal { return journal.NewMemory() })
		s := quorumlease.New(quorumlease.Options{Journals: shelf.of, Journal: journal.Options{NewGroup: true}})
		defer s.Close()
		seats := claim(t, s)
		long := strings.Repeat("x", lease.MostText)
		for i := range 600 {
			r := ask(fmt.Sprintf("id-%d", i))
			r.Quantity, r.Station = 1000, long
			r.Client = lease.Client{Address: long, User: long, Application: long}
			if _, err := seats.Access(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(someLease)
		if n, err := seats.Expire(t.Context()); n != 600 || err != nil {
			t.Errorf("%d ended, %v", n, err)
		}
		if u, err := claim(t, s).Usage(t.Context(), pool); u.Taken != 0 || err != nil {
			t.Errorf("%d are taken after a takeover, %v", u.Taken, err)
		}
	})
}
