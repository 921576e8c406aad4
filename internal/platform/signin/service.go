// Package signin has how people come in: by password and one-time code, by an
// organization's identity provider, by an invitation's link; and what they see
// to for themselves: name, password, second factor.
//
// Claim is what a session keeps. Who that is, and what he may, is read anew at
// each request. An identity provider is believed for its own organization
// alone: who signs in by it acts for that organization and touches nothing of
// the account that he may have elsewhere.
package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/store"
)

// LeastPassword is how short a password that people choose may be, in bytes.
const LeastPassword = 12

// Service has the use cases of those who sign in. Safe for concurrent use.
type Service struct {
	core      *core.Core
	passwords *auth.Hasher
	throttle  throttle
	providers *Providers
}

// New makes a Service. private: identity providers may be in private networks.
func New(c *core.Core, passwords *auth.Hasher, private bool) *Service {
	return &Service{core: c, passwords: passwords, throttle: throttle{c.Limits}, providers: &Providers{core: c, web: outbound.Client(private), private: private}}
}

// Providers has the use cases of administrators.
func (s *Service) Providers() *Providers { return s.providers }

// Claim is who signed in, how, and for whom he acts.
type Claim struct {
	User         string
	Organization string
	Provider     string    // the identity provider that vouched for him; empty: he gave his password
	Since        time.Time // when he proved it
}

// Key is by whom sessions are listed and ended: what an identity provider
// vouched for is kept apart.
func (c Claim) Key() string {
	if c.Provider == "" || c.User == "" {
		return c.User
	}
	sum := sha256.Sum256([]byte(c.Provider))
	return c.User + "/" + hex.EncodeToString(sum[:8])
}

// audit writes what a person did for himself into the log of the organization
// that he acts for.
func audit(ctx context.Context, tx *store.Tx, by auth.Principal, action, target string, after map[string]any) error {
	return tx.AuditEntry.Create().SetOrganizationID(by.Organization).SetActor(by.Actor()).SetAction(action).
		SetTarget(target).SetAfter(after).Exec(ctx)
}

// Failed proofs: after freeTries the next is possible only after a pause that
// doubles up to mostPause.
const (
	freeTries = 5
	mostPause = time.Minute
)

// addressRate is how often passwords and codes may be tried from one address,
// whatever the accounts, and whether they were right: many may sign in from
// behind one router, but nobody tries one password at many accounts.
var addressRate = ratelimit.Rate{Burst: 100, Per: 10 * time.Minute} //nolint:gochecknoglobals // a constant

// throttle slows down guessing of passwords and codes per account, and per
// address that it comes from, at all replicas together.
type throttle struct{ limits ratelimit.Limiter }

// allow refuses a try with license.CodeThrottled while the account's pause
// lasts, else it counts the try as failed until succeeded is called: tries
// that run at the same time count too. What the address has no more tries for
// doesn't count against the account, so that nobody locks others out this way.
func (t throttle) allow(ctx context.Context, what, account string) error {
	quota, err := t.limits.Take(ctx, ratelimit.Charge{Scope: "addresses", Cost: 1,
		Buckets: []ratelimit.Bucket{{Name: t.key(addressTry, network(store.VisitOf(ctx).Address)), Rate: addressRate}}})
	if err != nil {
		return err
	}
	if !quota.OK {
		return ratelimit.Throttled(quota.RetryAfter, fmt.Sprintf("wait %d s and try again", ratelimit.Seconds(quota.RetryAfter)), "too many sign-ins from this address")
	}
	wait, err := t.limits.Try(ctx, t.key(what, account), ratelimit.Pauses{Free: freeTries, First: time.Second, Most: mostPause})
	if err != nil || wait == 0 {
		return err
	}
	return ratelimit.Throttled(wait, fmt.Sprintf("wait %d s and try again", ratelimit.Seconds(wait)), "too many failed sign-ins for this account")
}

func (t throttle) succeeded(ctx context.Context, what, account string) error {
	return t.limits.Forget(ctx, t.key(what, account))
}

// network is what addresses are counted by: of IPv6 the network of 64 bits, as
// whoever has one address there has all. Where none is known all count as one.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

// key is what an account is counted by: addresses of people are kept in no Redis,
// nor those of their machines.
func (throttle) key(what, account string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(account)))
	return what + ":" + hex.EncodeToString(sum[:16])
}

// What tries are counted by.
const (
	passwordTry = "sign-in"
	codeTry     = "one-time-code"
	addressTry  = "sign-in-from"
)

func unauthenticated(fix, what string) error {
	return license.Errorf(license.CodeUnauthenticated, fix, "%s", what)
}

func forbidden(fix, what string) error {
	return license.Errorf(license.CodeForbidden, fix, "%s", what)
}

func wrongPassword() error {
	return unauthenticated("check both and try again", "the e-mail address or the password is wrong")
}

func checkPassword(password string) error {
	if len(password) < LeastPassword || len(password) > auth.MostPassword {
		return core.AtField("password", license.Errorf(license.CodeInvalidInput,
			fmt.Sprintf("choose one of %d to %d bytes", LeastPassword, auth.MostPassword), "the password is too short or too long"))
	}
	return nil
}

func (s *Service) client() *ent.Client { return s.core.Store.Client() }
