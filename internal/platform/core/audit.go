package core

import (
	"context"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/store"
)

// Audit writes who did what in the transaction that does it.
func Audit(ctx context.Context, tx *store.Tx, organization, action, target string, before, after map[string]any) error {
	by, err := auth.From(ctx)
	if err != nil {
		return err
	}
	return tx.AuditEntry.Create().SetOrganizationID(organization).SetActor(by.Actor()).SetAction(action).
		SetTarget(target).SetBefore(before).SetAfter(after).Exec(ctx)
}

// AuditOwner is whose audit log an action belongs to.
func AuditOwner(by auth.Principal, vendor string) string {
	if by.IsSystem() {
		return vendor
	}
	return by.Organization
}

// DisplayName is how people are told who did something.
func DisplayName(who auth.Principal) string {
	if who.Name != "" {
		return who.Name
	}
	if who.Email != "" {
		return who.Email
	}
	return who.Actor()
}
