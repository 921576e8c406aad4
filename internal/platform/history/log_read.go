package history

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/usageentry"
	"github.com/quorate/quorate/ent/usagelog"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/usage"
)

// UsageLog is the state of a firm's usage log.
type UsageLog struct {
	Firm        *ent.Firm
	First, Last uint64 // numbers of the entries that are kept; 0: none yet
	Hash        usage.Hash
	log         string
}

// UsageLog gives the state of a firm's usage log, for its vendor alone. Error:
// CodeNotFound.
func (p *Service) UsageLog(ctx context.Context, firmIDOrCode string) (UsageLog, error) {
	by, err := auth.Require(ctx, auth.Read)
	if err != nil {
		return UsageLog{}, err
	}
	c := p.core.Store.Client()
	f, err := c.Firm.Query().Where(core.FirmIs(firmIDOrCode)).Only(ctx)
	if err != nil {
		return UsageLog{}, core.NotFound(err, "firm", firmIDOrCode)
	}
	out := UsageLog{Firm: f}
	head, err := c.UsageLog.Query().Where(usagelog.FirmID(f.ID)).Only(ctx)
	if ent.IsNotFound(err) && (by.IsSystem() || f.VendorID == by.Organization) {
		return out, nil // nothing has happened
	}
	if ent.IsNotFound(err) { // a customer can see the firm, and not its log
		return out, license.Errorf(license.CodeNotFound, "ask the vendor", "there is no usage log of the firm %s that you may see", core.Clip(firmIDOrCode))
	}
	if err != nil {
		return out, err
	}
	out.Last, out.Hash, out.log = head.Number, usage.Hash(head.Hash), head.ID
	first, err := c.UsageEntry.Query().Where(usageentry.LogID(head.ID)).Select(usageentry.FieldNumber).
		Order(ent.Asc(usageentry.FieldNumber)).First(ctx)
	if err == nil {
		out.First = first.Number
	} else if !ent.IsNotFound(err) {
		return out, err
	}
	return out, nil
}

// UsageGap is that events of a container are missing in a log.
type UsageGap struct {
	Number  uint64 // of the entry that follows
	Source  string
	Missing int64 // -1: not known, since the source began to count anew
	Entry   usage.Entry
}

// MostGaps bounds how many gaps one answer tells.
const MostGaps = 100

// UsageGaps gives the gaps in a log after an entry, in order, at most MostGaps.
func (p *Service) UsageGaps(ctx context.Context, l UsageLog, after uint64) ([]UsageGap, error) {
	c, err := p.core.Read(ctx)
	if err != nil || l.log == "" {
		return nil, err
	}
	rows, err := c.UsageEntry.Query().
		Where(usageentry.LogID(l.log), usageentry.MissingNEQ(0), usageentry.NumberGT(min(after, core.MostNumber))).
		Order(ent.Asc(usageentry.FieldNumber)).Limit(MostGaps).All(ctx)
	gaps := make([]UsageGap, len(rows))
	for i, row := range rows {
		gaps[i] = UsageGap{Number: row.Number, Source: row.Source, Missing: row.Missing}
		if _, e, err := usage.ParseLine([]byte(usage.Hash(row.Hash).String() + " " + row.Line)); err == nil {
			gaps[i].Entry = e
		}
	}
	return gaps, err
}

// entriesAtOnce bounds how many entries are in memory.
const entriesAtOnce = 1000

// EachLogEntry gives the entries of a firm's usage log after a number, up to the
// one that was the last when it began, in memory that doesn't grow with them.
// Errors: CodeNotFound for who isn't the vendor, too; each's own end it.
func (p *Service) EachLogEntry(ctx context.Context, firmIDOrCode string, after uint64, each func(usage.Hash, string) error) error {
	l, err := p.UsageLog(ctx, firmIDOrCode)
	if err != nil || l.log == "" {
		return err
	}
	c := p.core.Store.Client()
	for after = min(after, core.MostNumber); ; {
		rows, err := c.UsageEntry.Query().Where(usageentry.LogID(l.log), usageentry.NumberGT(after), usageentry.NumberLTE(l.Last)).
			Order(ent.Asc(usageentry.FieldNumber)).Limit(entriesAtOnce).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := each(usage.Hash(row.Hash), row.Line); err != nil {
				return err
			}
			after = row.Number
		}
		if len(rows) < entriesAtOnce {
			return nil
		}
	}
}
