// Package tasks has what is to be done durably: work for the servers of the
// link, what they report of it, and the job that has a rollout go on.
package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/telemetry"
)

// FailedCode takes a server's code only where it looks like one.
func FailedCode(c license.Code) license.Code {
	if c == "" || len(c) > 64 || strings.Trim(string(c), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" {
		return license.CodeInternal
	}
	return c
}

// WorkKind is what a work item asks for.
type WorkKind = property.WorkKind

// The kinds of work items.
const (
	WorkCollect  = property.WorkCollect
	WorkStage    = property.WorkStage
	WorkGuard    = property.WorkGuard
	WorkActivate = property.WorkActivate
	WorkVerify   = property.WorkVerify
	WorkRemove   = property.WorkRemove
	WorkAsk      = property.WorkAsk
)

// LinkWork is something that a server of the link has to do. Which fields have a
// meaning depends on Kind.
type LinkWork struct {
	ID   string   `json:"-"`
	Kind WorkKind `json:"-"`

	Nonce    []byte `json:"nonce,omitempty"`    // collect, guard
	Position int    `json:"position,omitempty"` // guard, activate, verify
	// Updates: of stage one for each backend, the next that is due, and of a
	// container alone also those before it that are to be installed first; of activate one.
	Updates []BackendUpdate `json:"updates,omitempty"`
	Expect  []Expected      `json:"expect,omitempty"` // verify
	Settle  time.Duration   `json:"settle,omitempty"` // verify
	Product license.Product `json:"product,omitzero"` // remove, ask
	Handle  string          `json:"handle,omitempty"` // remove, ask
	By      string          `json:"by,omitempty"`     // remove, ask
	Text    string          `json:"text,omitempty"`   // ask

	// Trace is the trace that asked for it, as telemetry.Traceparent gives it.
	Trace string `json:"trace,omitempty"`
}

// BackendUpdate is the update for one backend.
type BackendUpdate struct {
	Position int    `json:"position"`
	Update   []byte `json:"update"`
	Digest   []byte `json:"digest"`
}

// Expected is what a backend has to serve for a product.
type Expected struct {
	Product license.Product `json:"product"`
	TMRID   uint32          `json:"tmrId"`
}

// AddWork makes a work item for a place's leading server, in tx. The same key
// is the same work: where it is there already, nothing happens.
func AddWork(ctx context.Context, p *core.Core, tx *store.Tx, at core.LoadedPlace, rolloutID *string, key string, w LinkWork) (*ent.Work, error) {
	w.Trace = telemetry.Traceparent(ctx)
	payload, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	row, err := tx.Work.Query().Where(work.Key(key)).Only(ctx)
	if err == nil || !ent.IsNotFound(err) {
		return row, err
	}
	group, single := at.Columns()
	row, err = tx.Work.Create().
		SetVendorID(at.Vendor()).SetNillableCustomerID(at.Customer()).
		SetNillableTmrGroupID(group).SetNillableContainerID(single).SetNillableRolloutID(rolloutID).
		SetKey(key).SetKind(w.Kind).SetPayload(payload).Save(ctx)
	if err != nil {
		return nil, err
	}
	p.Publish(ctx, tx, event.Work, at.ID())
	return row, nil
}

// WorkOf reads a work item from its row.
func WorkOf(row *ent.Work) (LinkWork, error) {
	var w LinkWork
	if err := json.Unmarshal(row.Payload, &w); err != nil {
		return LinkWork{}, fmt.Errorf("the work item %s can't be read: %w", row.ID, err)
	}
	w.ID, w.Kind = row.ID, row.Kind
	return w, nil
}

// LinkReport is what came of a work item.
type LinkReport struct {
	WorkID string `json:"-"`
	// Failed is set when it could not be done.
	Failed *license.Error `json:"-"`

	Fingerprints []BackendBytes `json:"fingerprints,omitempty"` // of collect
	Statements   []BackendBytes `json:"statements,omitempty"`   // of guard
	Receipt      []byte         `json:"receipt,omitempty"`      // of activate
}

// BackendBytes is what one backend signed.
type BackendBytes struct {
	Position int    `json:"position"`
	Data     []byte `json:"data"`
}

// BytesOf gives what the backend at a position signed. More than one entry for a
// position counts as none, so that nobody can choose which one is looked at.
func BytesOf(all []BackendBytes, position int) ([]byte, error) {
	var found []byte
	n := 0
	for _, b := range all {
		if b.Position == position {
			found = b.Data
			n++
		}
	}
	if n != 1 || len(found) == 0 {
		return nil, license.Errorf(license.CodeBackendAbsent, "bring it up, then retry the rollout",
			"backend %d gave no answer", position)
	}
	return found, nil
}
