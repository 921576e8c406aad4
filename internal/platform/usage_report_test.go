package platform_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/usage"
)

// TestUsageReportAddsUp: a line is the sum of the points that usage over time
// gives, whatever the period, with something in it or nothing; it is the caller's
// own, and found by firm, product, container and customer.
func TestUsageReportAddsUp(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		rnd := rand.New(rand.NewPCG(2, 3)) //nolint:gosec // G404: a test
		begin := time.Now().UTC().Truncate(time.Hour).Add(-60 * time.Hour)
		if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, randomEvents(rnd, 60, begin)); err != nil {
			t.Fatal(err)
		}
		customer := l.customer(made.Group)
		ask := history.ReportQuestion{Lines: 10}
		for _, r := range []property.UsageResolution{property.UsageHour, property.UsageDay} {
			for _, from := range []time.Duration{-30, 0, 1, 7, 26, 49} {
				for _, hours := range []time.Duration{1, 3, 24, 200} {
					ask.Resolution, ask.From = r, begin.Add(from*time.Hour)
					ask.To = ask.From.Add(hours * time.Hour)
					u, err := l.Usage(customer, history.UsageQuestion{Container: made.Group.ID, Product: product.String(), Resolution: r, From: ask.From, To: ask.To})
					if err != nil {
						t.Fatal(err)
					}
					var want history.ReportLine
					for _, p := range u.Points {
						want.MostTaken, want.MostQuantity = max(want.MostTaken, p.MostTaken), max(want.MostQuantity, p.MostQuantity)
						want.MostUsers, want.MostStations = max(want.MostUsers, p.Users), max(want.MostStations, p.Stations)
						want.Full += p.Full()
						want.Counts = usage.Counts{Granted: want.Granted + p.Granted, Released: want.Released + p.Released,
							Expired: want.Expired + p.Expired, Removed: want.Removed + p.Removed, Denied: want.Denied + p.Denied}
						if p.Over() { // the one that goes on grows while we look
							want.Taken += time.Duration(p.TakenMs) * time.Millisecond
							if want.Known += p.End.Sub(p.Start); p.Start.Before(u.Since) {
								want.Known -= u.Since.Sub(p.Start)
							}
						}
					}
					rep, err := l.UsageReport(customer, ask)
					if err != nil {
						t.Fatal(err)
					}
					if len(u.Points) == 0 {
						if rep.Total > 1 || len(rep.Lines) == 1 && rep.Lines[0].Known != 0 {
							t.Errorf("%s from %d for %d h: %+v of nothing", r, from, hours, rep)
						}
						continue
					}
					if rep.Total != 1 || len(rep.Lines) != 1 || rep.More || rep.From.After(ask.From) || rep.To.Before(ask.To) {
						t.Fatalf("%s from %d for %d h: %+v", r, from, hours, rep)
					}
					got := rep.Lines[0]
					if !u.Points[len(u.Points)-1].Over() {
						got.Taken, got.Known, got.Full, want.Taken, want.Known, want.Full = 0, 0, 0, 0, 0, 0
					}
					if got.Series = nil; got != want {
						t.Errorf("%s from %d for %d h:\n%+v\ninstead of\n%+v", r, from, hours, got, want)
					}
				}
			}
		}

		ask.Resolution, ask.From, ask.To = property.UsageDay, begin.Add(-24*time.Hour), time.Time{}
		lines := func(what string, as auth.Principal, change func(*history.ReportQuestion), want int) {
			t.Helper()
			q := ask
			change(&q)
			if rep, err := l.UsageReport(l.as(as), q); err != nil || len(rep.Lines) != want || rep.Total != want {
				t.Errorf("%s: %d lines of %d, %v", what, len(rep.Lines), rep.Total, err)
			}
		}
		lines("all", l.owner, func(*history.ReportQuestion) {}, 1)
		lines("by names", l.owner, func(q *history.ReportQuestion) {
			q.Firm, q.Product, q.Container, q.Customer = "6000010", product.String(), made.Group.VirtualSerial, *made.Group.CustomerID
		}, 1)
		lines("another container", l.owner, func(q *history.ReportQuestion) { q.Container = "130-27845973" }, 0)
		lines("another customer", l.owner, func(q *history.ReportQuestion) { q.Customer = l.owner.Organization }, 0)
		lines("before anything", l.owner, func(q *history.ReportQuestion) {
			q.From, q.To = begin.Add(-50*24*time.Hour), begin.Add(-49*24*time.Hour)
		}, 0)

		strange := l.stranger()
		if rep, err := l.UsageReport(strange, ask); err != nil || rep.Total != 0 || len(rep.Lines) != 0 {
			t.Errorf("a stranger's: %+v, %v", rep, err)
		}
		for what, c := range map[string]struct {
			change func(*history.ReportQuestion)
			code   license.Code
		}{
			"a firm":      {func(q *history.ReportQuestion) { q.Firm = "6000010" }, license.CodeNotFound},
			"a product":   {func(q *history.ReportQuestion) { q.Product = product.String() }, license.CodeNotFound},
			"a container": {func(q *history.ReportQuestion) { q.Container = made.Group.ID }, license.CodeNotFound},
			"a customer":  {func(q *history.ReportQuestion) { q.Customer = *made.Group.CustomerID }, license.CodeNotFound},
			"no lines":    {func(q *history.ReportQuestion) { q.Lines = 0 }, license.CodeInvalidInput},
			"many lines":  {func(q *history.ReportQuestion) { q.Lines = 101 }, license.CodeInvalidInput},
			"no time":     {func(q *history.ReportQuestion) { q.To = q.From }, license.CodeInvalidInput},
			"many points": {func(q *history.ReportQuestion) { q.Resolution = property.UsageMinute }, license.CodeTooLarge},
		} {
			q := ask
			c.change(&q)
			_, err := l.UsageReport(strange, q)
			wantCode(t, what, err, c.code)
		}
		_, err := l.UsageReport(t.Context(), ask)
		wantCode(t, "nobody", err, license.CodeUnauthenticated)
	})
}
