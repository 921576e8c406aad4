package history

import (
	"context"
	"slices"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/usageentry"
	"github.com/quorate/quorate/ent/usagelog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/usage"
)

func firmCodes(events []LeaseEvent) []int {
	var codes []int
	for _, e := range events {
		if code := int(e.Product.Firm); !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return codes
}

// beginLogs makes the usage logs of firms that have none, before the events are
// applied: under the firm's lock, which is not taken together with a place's.
func (p *Service) beginLogs(ctx context.Context, placeID string, events []LeaseEvent) error {
	vendor, err := p.placeVendor(ctx, placeID)
	if err != nil {
		return err
	}
	c := p.core.Store.Client()
	missing := func(c *ent.Client, more ...func(*sql.Selector)) ([]*ent.Firm, error) {
		q := c.Firm.Query().Where(firm.VendorID(vendor), firm.CodeIn(firmCodes(events)...), func(s *sql.Selector) {
			logs := sql.Table(usagelog.Table)
			s.Where(sql.NotIn(s.C(firm.FieldID), sql.Select(logs.C(usagelog.FieldFirmID)).From(logs)))
		}).Order(ent.Asc(firm.FieldID))
		for _, f := range more {
			q.Where(f)
		}
		return q.All(ctx)
	}
	found, err := missing(c)
	if err != nil || len(found) == 0 {
		return err
	}
	return p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		for _, f := range found {
			if _, err := tx.Firm.Query().Where(firm.ID(f.ID), store.Locked).OnlyID(ctx); err != nil {
				return err
			}
			if there, err := tx.UsageLog.Query().Where(usagelog.FirmID(f.ID)).Exist(ctx); err != nil || there {
				if err != nil {
					return err
				}
				continue
			}
			if err := tx.UsageLog.Create().SetVendorID(vendor).SetFirmID(f.ID).SetHash(make([]byte, len(usage.Hash{}))).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *Service) placeVendor(ctx context.Context, placeID string) (string, error) {
	if core.IsGroup(placeID) {
		g, err := p.core.Store.Client().TmrGroup.Get(ctx, placeID)
		if err != nil {
			return "", core.NotFound(err, "TMR group", placeID)
		}
		return g.VendorID, nil
	}
	c, err := p.core.Store.Client().Container.Get(ctx, placeID)
	if err != nil {
		return "", core.NotFound(err, "container", placeID)
	}
	return c.VendorID, nil
}

// log appends events to the logs of their firms, whether the history could make
// something of them or not. Lock order: the place, then the logs by id.
func (h *history) log(ctx context.Context, events []LeaseEvent) error {
	logs, err := h.tx.UsageLog.Query().Where(usagelog.VendorID(h.vendor), usagelog.HasFirmWith(firm.CodeIn(firmCodes(events)...))).
		WithFirm().Order(ent.Asc(usagelog.FieldID)).All(ctx)
	if err != nil {
		return err
	}
	for _, l := range logs {
		if l.Edges.Firm == nil {
			continue
		}
		if err := h.logOf(ctx, l.ID, l.Edges.Firm.Code, events); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) logOf(ctx context.Context, id string, code int, events []LeaseEvent) error {
	head, err := h.tx.UsageLog.Query().Where(usagelog.ID(id), store.Locked).Only(ctx)
	if err != nil {
		return err
	}
	chain := usage.Chain{Number: head.Number, Hash: usage.Hash(head.Hash)}
	last, err := h.lastSeq(ctx, id)
	if err != nil {
		return err
	}
	var rows []*ent.UsageEntryCreate
	for _, e := range events {
		if int(e.Product.Firm) != code {
			continue
		}
		line, err := chain.Append(entryOf(h.serial, e))
		if err != nil {
			return err
		}
		missing, restarted := usage.Gap(last, e.Seq)
		gap := int64(min(missing, core.MostNumber)) //nolint:gosec // G115: it is not larger
		if restarted {
			gap = -1
		}
		if gap != 0 {
			h.p.core.Log.WarnContext(ctx, "lease events are missing", "container", h.serial, "firm", code, "after", last, "next", e.Seq)
		}
		if e.Seq != 0 {
			last = e.Seq
		}
		rows = append(rows, h.tx.UsageEntry.Create().SetVendorID(h.vendor).SetLogID(id).SetNumber(chain.Number).
			SetHash(slices.Clone(chain.Hash[:])).SetLine(line).SetSource(h.serial).SetSeq(min(e.Seq, core.MostNumber)).SetMissing(gap))
	}
	for chunk := range slices.Chunk(rows, rowsAtOnce) {
		if err := h.tx.UsageEntry.CreateBulk(chunk...).Exec(ctx); err != nil {
			return err
		}
	}
	return h.tx.UsageLog.UpdateOneID(id).SetNumber(chain.Number).SetHash(chain.Hash[:]).Exec(ctx)
}

// lastSeq is the source's own number of the last entry that has one; 0: none.
func (h *history) lastSeq(ctx context.Context, id string) (uint64, error) {
	last, err := h.tx.UsageEntry.Query().Where(usageentry.LogID(id), usageentry.Source(h.serial), usageentry.SeqGT(0)).
		Order(ent.Desc(usageentry.FieldNumber)).First(ctx)
	if ent.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return last.Seq, nil
}

func entryOf(serial string, e LeaseEvent) usage.Entry {
	return usage.Entry{
		Firm: uint32(e.Product.Firm), Source: serial, Seq: e.Seq, Position: e.Position, AtMs: e.At.UnixMilli(),
		Kind: usage.Kind(e.Kind), Product: uint32(e.Product.Code), Handle: e.Handle, Mode: e.Mode,
		Licenses: max(e.Licenses, 1), Seat: e.Seat, N: e.N, Reason: string(e.Reason),
	}
}
