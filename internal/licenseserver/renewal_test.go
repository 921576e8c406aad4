package licenseserver_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
)

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
