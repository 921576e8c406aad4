package cli

import (
	"net/http"
	"net/netip"
	"net/url"

	"github.com/quorate/quorate/internal/license"
)

// AdminFlags are for commands that a license server obeys only from its own
// machine, or with its administrator token.
type AdminFlags struct {
	AdminToken string `help:"The license server's administrator token; not needed on its own machine unless it has one." env:"QUORATE_ADMIN_TOKEN"`
	Insecure   bool   `help:"Send the administrator token to another machine over plain http too, where everybody on the way can read it."`
}

// CheckFor refuses to send the token where others can read it.
func (f AdminFlags) CheckFor(servers []string) error {
	if f.AdminToken == "" || f.Insecure {
		return nil
	}
	return CheckClear("administrator token", servers...)
}

// CheckClear refuses addresses on other machines that what is sent to can be read
// on its way: srv, too, finds servers of https.
func CheckClear(secret string, addresses ...string) error {
	for _, s := range addresses {
		u, err := url.Parse(s)
		if err == nil && u.Scheme != "https" && u.Scheme != "srv" && u.Hostname() != "" && !loopback(u.Hostname()) {
			return license.Errorf(license.CodeInvalidInput,
				"take an address that begins with https://, run it on that machine, or add --insecure in a network whose every machine you trust",
				"the %s would go to %s in the clear", secret, u.Host)
		}
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// Authorize adds the token to a call's header, if there is one.
func (f AdminFlags) Authorize(h http.Header) {
	if f.AdminToken != "" {
		h.Set("Authorization", "Bearer "+f.AdminToken)
	}
}
