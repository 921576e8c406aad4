package core

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"sync"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
)

// pseudonymKeySize is the size of the key that a customer's pseudonyms are made
// with: who doesn't have it can't try names out.
const pseudonymKeySize = 32

// mostPseudonymKeys bounds how many opened keys are kept in memory.
const mostPseudonymKeys = 1000

// PseudonymPurpose says what the sealed keys are for.
const PseudonymPurpose = "pseudonyms"

// NewPseudonymKey makes the key of an organization, sealed.
func (p *Core) NewPseudonymKey(ctx context.Context) ([]byte, error) {
	key := make([]byte, pseudonymKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return p.Keys.Seal(ctx, PseudonymPurpose, key)
}

// Visible tells a vendor what it may see of one customer's users. It is the one
// place where that is decided: the store has each row that a vendor reads pass
// through Row, and what leaves the platform otherwise asks here.
type Visible struct {
	choice property.UserVisibility
	key    []byte
}

// Name gives what the vendor sees in place of a name, an address or a tag of a
// sort: "user", "client", "station" or "application". The same name of one
// customer always has the same pseudonym, and another one at each customer.
func (v Visible) Name(sort, name string) string {
	switch {
	case name == "":
		return ""
	case v.choice == property.VisibilityAll:
		return name
	case v.choice != property.VisibilityPseudonyms || len(v.key) == 0:
		return ""
	}
	mac := hmac.New(sha256.New, v.key)
	_, _ = fmt.Fprintf(mac, "%s\x00%s", sort, name)
	// 50 bits: two of a customer's million users share one once in 2000 customers.
	return sort + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil))[:10])
}

// All says whether the vendor sees everything.
func (v Visible) All() bool { return v.choice == property.VisibilityAll }

// Row overwrites what the vendor may not see in a row of the store.
func (v Visible) Row(row any) {
	if v.All() {
		return
	}
	hide := func(user, client, station, application *string) {
		*user, *client = v.Name("user", *user), v.Name("client", *client)
		*station, *application = v.Name("station", *station), v.Name("application", *application)
	}
	switch r := row.(type) {
	case *ent.Allocation:
		hide(&r.User, &r.Client, &r.Station, &r.Application)
		r.ProcessID = 0
	case *ent.Denial:
		hide(&r.User, &r.Client, &r.Station, &r.Application)
		r.Rule = "" // rules name users
	case *ent.RuleSet:
		if !r.ByVendor {
			r.Text, r.Digest = "", "" // by the digest names could be tried out
		}
	}
}

// pseudonymKeys are the keys that were opened: a KMS is not asked at each read.
type pseudonymKeys struct {
	mu     sync.Mutex
	opened map[string][]byte // by what is sealed
}

// VisibleOf says what the vendor of an organization, which is loaded whole, sees
// of its users. One that has no key yet is shown as totals.
func (p *Core) VisibleOf(ctx context.Context, customer *ent.Organization) (Visible, error) {
	v := Visible{choice: customer.UserVisibility}
	if v.choice != property.VisibilityPseudonyms || len(customer.PseudonymKey) == 0 {
		return v, nil
	}
	at := string(customer.PseudonymKey)
	p.pseudonyms.mu.Lock()
	key := p.pseudonyms.opened[at]
	p.pseudonyms.mu.Unlock()
	if key == nil {
		var err error
		if key, err = p.Keys.Open(ctx, PseudonymPurpose, customer.PseudonymKey); err != nil {
			return Visible{}, err
		}
		p.pseudonyms.mu.Lock()
		if p.pseudonyms.opened == nil || len(p.pseudonyms.opened) >= mostPseudonymKeys {
			p.pseudonyms.opened = map[string][]byte{}
		}
		p.pseudonyms.opened[at] = bytes.Clone(key)
		p.pseudonyms.mu.Unlock()
	}
	v.key = key
	return v, nil
}

// HideUsers has the store hide customers' users from their vendors.
func (p *Core) HideUsers() {
	p.Store.SetVeil(func(ctx context.Context, customer *ent.Organization, row any) error {
		v, err := p.VisibleOf(ctx, customer)
		if err != nil {
			return err
		}
		v.Row(row)
		return nil
	})
}
