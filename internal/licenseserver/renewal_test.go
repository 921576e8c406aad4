package licenseserver_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// How many units are left is for accesses and takings to know: a renewal goes on
// where nobody can tell.
func TestRenewalNeedsNoUnits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.source.Change(func(o *license.Options) { o.Units = new(uint64(7)) })
		l.start(t, "a", nil)
		a := l.api(t, "a")
		token := take(t, a, access(1)).GetToken()
		for _, c := range []license.Code{license.CodeNoMajority, license.CodeUnavailable, license.CodeThrottled} {
			l.source.Break(license.Errorf(c, "x", "broken"))
			h, err := renew(t.Context(), a, token)
			if err != nil || h.UnitsLeft != nil {
				t.Fatalf("%s: %v, %v", c, h, err)
			}
			token = h.GetToken()
			refused(t, "an access", a, access(2), c)
			if got := list(t, a).GetWhyNot(); got != string(c) {
				t.Errorf("the listing says %q, want %q", got, c)
			}
		}
		l.source.Refuse(license.Errorf(license.CodeNoMajority, "x", "gone"))
		_, err := renew(t.Context(), a, token)
		wantCode(t, "not in force", err, license.CodeNoMajority)
		l.source.Refuse(nil)
		l.source.Break(nil)
		if h, err := renew(t.Context(), a, token); err != nil || h.UnitsLeft == nil || h.GetUnitsLeft() != 7 {
			t.Fatalf("%v, %v", h, err)
		}
		l.source.Break(license.Errorf(license.CodeFenced, "x", "another one leads"))
		_, err = renew(t.Context(), a, token)
		wantCode(t, "under an epoch that has ended", err, license.CodeNotLeader)
	})
}

// A handle that was there before its license had the usage period, or the issue,
// uses the license too: the period begins with its next renewal.
func TestUsagePeriodBeginsWithARenewal(t *testing.T) {
	for name, before := range map[string]func(*license.Options){
		"without a usage period": func(o *license.Options) { o.TMRID = 0 },
		"of an issue before":     func(o *license.Options) { o.TMRID, o.UsagePeriod, o.Issue = 0, time.Hour, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 1)
				l.source.Change(before)
				l.start(t, "a", nil)
				a := l.api(t, "a")
				token := take(t, a, access(1)).GetToken()
				l.source.Change(func(o *license.Options) { o.UsagePeriod, o.Issue = 5*time.Minute, 2 })
				time.Sleep(20 * time.Second)
				l.source.BreakBegin(license.Errorf(license.CodeUnavailable, "x", "busy"))
				_, err := renew(t.Context(), a, token)
				wantCode(t, "a renewal whose use can't be noted", err, license.CodeUnavailable)
				l.source.BreakBegin(nil)
				began := time.Now()
				for time.Since(began) < 5*time.Minute {
					h, err := renew(t.Context(), a, token)
					if err != nil || h.GetUntilUnix() != began.Add(5*time.Minute).Unix() {
						t.Fatalf("after %s: until %d, %v", time.Since(began), h.GetUntilUnix(), err)
					}
					token = h.GetToken()
					time.Sleep(20 * time.Second)
				}
				_, err = renew(t.Context(), a, token)
				wantCode(t, "a renewal after the period", err, license.CodeUsageOver)
			})
		})
	}
}
