package tickets

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/ticket"
)

// Bounds of a ticket.
const (
	mostLines     = 40
	mostQuantity  = 1_000_000
	mostReference = 200
	mostNote      = 2000
	mostReturns   = 1_000_000
)

// LineSpec is so many licenses of an item.
type LineSpec struct {
	Item     string // global id
	Quantity int    // 1 to 1000000
}

// Terms are what of a ticket can be changed.
type Terms struct {
	Reference   string
	Note        string
	Expires     *time.Time // nil: never
	Partial     bool
	ReturnLimit *int // nil: any number; 0: never
}

// TicketSpec tells what a ticket is to be.
type TicketSpec struct {
	// Customer is a global id or a name; empty: the first one who activates it.
	Customer string
	Lines    []LineSpec
	Terms
	// IdempotencyKey: the same key gives the same ticket; empty is no key.
	IdempotencyKey string
}

func invalid(field, fix, format string, args ...any) error {
	return core.AtField(field, license.Errorf(license.CodeInvalidInput, fix, format, args...))
}

func (t Terms) check() error {
	switch {
	case len(t.Reference) > mostReference || t.Reference != core.ClipText(t.Reference):
		return invalid("reference", "use a text of at most 200 bytes", "the reference is too long, or is not a text")
	case len(t.Note) > mostNote || t.Note != core.ClipNote(t.Note):
		return invalid("note", "use a text of at most 2000 bytes", "the note is too long, or is not a text")
	case t.ReturnLimit != nil && (*t.ReturnLimit < 0 || *t.ReturnLimit > mostReturns):
		return invalid("returnLimit", "give 0 to 1000000, or nothing for any number", "a limit of %d returns makes no sense", *t.ReturnLimit)
	case t.Expires != nil && (t.Expires.Year() < 2000 || t.Expires.Year() > 9999):
		return invalid("expiresAt", "give a year of four digits", "the ticket can't expire in the year %d", t.Expires.Year())
	}
	return nil
}

func (s TicketSpec) check() error {
	if len(s.Lines) < 1 || len(s.Lines) > mostLines {
		return invalid("lines", "give 1 to 40 items", "a ticket can't have %d lines", len(s.Lines))
	}
	seen := map[string]bool{}
	for _, l := range s.Lines {
		switch {
		case l.Quantity < 1 || l.Quantity > mostQuantity:
			return invalid("lines", "give 1 to 1000000", "a quantity of %d can't be sold", l.Quantity)
		case seen[l.Item]:
			return invalid("lines", "give one line for all of an item", "the item %s is there twice", core.Clip(l.Item))
		}
		seen[l.Item] = true
	}
	if s.Expires != nil && !s.Expires.After(core.Now()) {
		return invalid("expiresAt", "give a time to come", "the ticket would have expired already")
	}
	return s.Terms.check()
}

// CreateTicket makes a ticket; the vendor may. Errors: CodeForbidden,
// CodeInvalidInput, CodeNotFound, CodeConflict for a key that was used for
// another one.
func (p *Service) CreateTicket(ctx context.Context, s TicketSpec) (*ent.Ticket, error) {
	by, err := auth.Require(ctx, auth.Order)
	if err != nil {
		return nil, err
	}
	if by.IsSystem() {
		return nil, license.Errorf(license.CodeInvalidInput, "act for a member", "the system sells nothing")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	code := ticket.New()
	sealed, err := p.core.Keys.Seal(core.System(ctx, "ticket"), codePurpose, []byte(code))
	if err != nil {
		return nil, err
	}
	var made *ent.Ticket
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if err := p.core.VendorOnly(ctx, tx, by); err != nil {
			return err
		}
		ids, _, err := core.Once(ctx, tx, by.Organization, "createTicket", s.IdempotencyKey, s, func() ([]string, error) {
			t, err := p.create(ctx, tx, by, s, code, sealed)
			if err != nil {
				return nil, err
			}
			return []string{t.ID}, nil
		})
		if err != nil {
			return err
		}
		made, err = tx.Ticket.Get(ctx, ids[0])
		return core.NotFound(err, "ticket", ids[0])
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (p *Service) create(ctx context.Context, tx *store.Tx, by auth.Principal, s TicketSpec, code ticket.Code, sealed []byte) (*ent.Ticket, error) {
	customer, err := findCustomer(ctx, tx, by.Organization, s.Customer)
	if err != nil {
		return nil, err
	}
	create := tx.Ticket.Create().SetVendorID(by.Organization).SetNillableCustomerID(customer).
		SetCodeDigest(code.Digest(ticket.Ticket)).SetSealedCode(sealed).SetHint(code.Hint()).
		SetReference(s.Reference).SetNote(s.Note).SetPartial(s.Partial).SetNillableReturnLimit(s.ReturnLimit).
		SetCreatedBy(core.ClipText(core.DisplayName(by)))
	if s.Expires != nil {
		create.SetExpiresAt(core.Plausible(*s.Expires))
	}
	made, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}
	for i, l := range s.Lines {
		it, err := tx.Item.Query().Where(item.ID(l.Item), item.VendorID(by.Organization)).Only(ctx)
		if err != nil {
			return nil, core.AtField("lines", core.NotFound(err, "item", l.Item))
		}
		if it.CustomerID != nil && (customer == nil || *customer != *it.CustomerID) {
			return nil, invalid("lines", "name that customer, or sell another item", "the item %q is another customer's", it.Name)
		}
		if err := tx.TicketLine.Create().SetVendorID(by.Organization).SetNillableCustomerID(customer).
			SetTicketID(made.ID).SetItemID(it.ID).SetPosition(i + 1).SetQuantity(l.Quantity).Exec(ctx); err != nil {
			return nil, err
		}
	}
	after := facts(made)
	after["lines"] = s.Lines
	if err := core.Audit(ctx, tx, made.VendorID, "ticket.created", made.ID, nil, after); err != nil {
		return nil, err
	}
	return made, p.core.EmitShared(ctx, tx, made.VendorID, made.CustomerID, core.EventTicketCreated,
		map[string]any{"ticket": made.ID, "hint": made.Hint, "reference": made.Reference})
}

// findCustomer resolves a customer of the vendor's; none has no id.
func findCustomer(ctx context.Context, tx *store.Tx, vendor, idOrName string) (*string, error) {
	if idOrName == "" {
		return nil, nil
	}
	id, err := tx.Organization.Query().Where(organization.ProviderID(vendor), organization.Or(organization.ID(idOrName), organization.Name(idOrName))).OnlyID(ctx)
	if ent.IsNotSingular(err) {
		return nil, invalid("customer", "name it by its id", "there are several customers called %q", core.Clip(idOrName))
	}
	if err != nil {
		return nil, core.AtField("customer", core.NotFound(err, "customer", idOrName))
	}
	return &id, nil
}

// facts are what the audit log tells of a ticket: no more of its code than people
// are shown.
func facts(t *ent.Ticket) map[string]any {
	f := map[string]any{"hint": t.Hint, "reference": t.Reference, "note": t.Note, "partial": t.Partial, "returnLimit": t.ReturnLimit, "revision": t.Revision}
	if t.CustomerID != nil {
		f["customer"] = *t.CustomerID
	}
	if t.ExpiresAt != nil {
		f["expiresAt"] = t.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if t.RevokedAt != nil {
		f["revoked"] = t.RevokeReason
	}
	return f
}

// UpdateTicket changes the terms of a ticket of that revision; the vendor may.
// What is activated is not touched. Errors: CodeNotFound, CodeForbidden,
// CodeInvalidInput, CodeConflict when it was changed meanwhile,
// CodeTicketRevoked.
func (p *Service) UpdateTicket(ctx context.Context, id string, revision int, change func(*Terms)) (*ent.Ticket, error) {
	return p.change(ctx, id, "ticket.updated", func(ctx context.Context, tx *store.Tx, t *ent.Ticket) (*ent.Ticket, error) {
		if t.Revision != revision {
			return nil, core.Outdated("ticket", t.Revision)
		}
		if t.RevokedAt != nil {
			return nil, license.Errorf(license.CodeTicketRevoked, "make another ticket", "the ticket …-%s was revoked", t.Hint)
		}
		terms := Terms{Reference: t.Reference, Note: t.Note, Expires: t.ExpiresAt, Partial: t.Partial, ReturnLimit: t.ReturnLimit}
		change(&terms)
		if err := terms.check(); err != nil {
			return nil, err
		}
		u := tx.Ticket.UpdateOne(t).SetReference(terms.Reference).SetNote(terms.Note).SetPartial(terms.Partial).AddRevision(1)
		if terms.Expires != nil {
			u.SetExpiresAt(core.Plausible(*terms.Expires))
		} else {
			u.ClearExpiresAt()
		}
		if terms.ReturnLimit != nil {
			u.SetReturnLimit(*terms.ReturnLimit)
		} else {
			u.ClearReturnLimit()
		}
		return u.Save(ctx)
	})
}

// RevokeTicket takes back what of a ticket is not activated; the vendor may.
// Revoking again changes nothing. Errors: CodeNotFound, CodeForbidden,
// CodeInvalidInput.
func (p *Service) RevokeTicket(ctx context.Context, id, reason string) (*ent.Ticket, error) {
	if len(reason) > core.MostReason {
		return nil, core.LongReason()
	}
	return p.change(ctx, id, "ticket.revoked", func(ctx context.Context, tx *store.Tx, t *ent.Ticket) (*ent.Ticket, error) {
		if t.RevokedAt != nil {
			return t, nil
		}
		out, err := tx.Ticket.UpdateOne(t).SetRevokedAt(core.Now()).SetRevokeReason(core.ClipNote(reason)).AddRevision(1).Save(ctx)
		if err != nil {
			return nil, err
		}
		return out, p.core.EmitShared(ctx, tx, out.VendorID, out.CustomerID, core.EventTicketRevoked,
			map[string]any{"ticket": out.ID, "hint": out.Hint, "reason": out.RevokeReason})
	})
}

func (p *Service) change(ctx context.Context, id, action string, f func(context.Context, *store.Tx, *ent.Ticket) (*ent.Ticket, error)) (*ent.Ticket, error) {
	by, err := auth.Require(ctx, auth.Order)
	if err != nil {
		return nil, err
	}
	var out *ent.Ticket
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		seen, err := tx.Ticket.Get(ctx, id)
		if err != nil {
			return core.NotFound(err, "ticket", id)
		}
		if !by.IsSystem() && by.Organization != seen.VendorID {
			return license.Errorf(license.CodeForbidden, "ask the vendor", "only the vendor changes a ticket")
		}
		before, err := orders.LockTicket(core.System(ctx, "ticket"), tx, id)
		if err != nil {
			return err
		}
		if out, err = f(ctx, tx, before); err != nil || out.Revision == before.Revision {
			return err
		}
		return core.Audit(ctx, tx, core.AuditOwner(by, out.VendorID), action, out.ID, facts(before), facts(out))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
