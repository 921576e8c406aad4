package history

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/usagebucket"
	"github.com/quorate/quorate/ent/usageentry"
	"github.com/quorate/quorate/ent/usagekept"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/usage"
)

const day = 24 * time.Hour

// UsagePolicy is how long what of the usage history is kept. Zero stands for the
// default.
type UsagePolicy struct {
	Minutes     time.Duration // of series; 7 days
	Hours       time.Duration // 90 days
	Days        time.Duration // 5 years
	Allocations time.Duration // that have ended; 400 days
	Denials     time.Duration // 90 days
	Log         time.Duration // the hash-chained one; 2 years
}

// leastKept bounds how short things may be kept: a day is counted to its end,
// with all who were there in it.
const leastKept = 2 * day

// Complete gives the policy with its defaults.
func (u UsagePolicy) Complete() (UsagePolicy, error) {
	for _, d := range []struct {
		kept     *time.Duration
		standard time.Duration
		what     string
	}{
		{&u.Minutes, 7 * day, "minutes"}, {&u.Hours, 90 * day, "hours"}, {&u.Days, 5*365*day + day, "days"},
		{&u.Allocations, 400 * day, "allocations"}, {&u.Denials, 90 * day, "denials"}, {&u.Log, 2 * 365 * day, "the usage log"},
	} {
		if *d.kept == 0 {
			*d.kept = d.standard
		}
		if *d.kept < leastKept {
			return u, license.Errorf(license.CodeInvalidInput, "keep them for two days or more", "%s can't be kept for %s only", d.what, *d.kept)
		}
	}
	return u, nil
}

// horizon is the beginning of the first bucket that is to be kept.
func (u UsagePolicy) horizon(r usage.Resolution, at time.Time) time.Time {
	kept := map[usage.Resolution]time.Duration{usage.Minute: u.Minutes, usage.Hour: u.Hours, usage.Day: u.Days}[r]
	return r.Start(at.Add(-kept)).Add(time.Duration(r))
}

// atOnce bounds how many rows one transaction removes.
const atOnce = 500

// PruneUsage is the job that removes what the policy doesn't keep any more.
type PruneUsage struct{}

// Kind names the job.
func (PruneUsage) Kind() string { return "prune_usage" }

// PruneUsage removes what the policy doesn't keep any more, and gives up notices
// that no license server has fetched in time, in small transactions; it can be ended and begun again at any time. It returns how many
// rows went. Only the platform itself calls it.
func (p *Service) PruneUsage(ctx context.Context) (int, error) {
	ctx = core.System(ctx, "usage")
	for n := atOnce; n >= atOnce; {
		var err error
		if n, err = giveUpNotices(ctx, p.core); err != nil {
			return 0, err
		}
	}
	at, total := core.Now(), 0
	again := func(f func(tx *store.Tx) (int, error)) error {
		for n := atOnce; n >= atOnce; {
			if err := p.core.Store.WithTx(ctx, func(tx *store.Tx) (err error) {
				n, err = f(tx)
				return err
			}); err != nil {
				return err
			}
			total += n
		}
		return nil
	}
	for _, r := range usage.Resolutions() {
		horizon := p.usage.horizon(r, at)
		if err := p.core.Store.WithTx(ctx, func(tx *store.Tx) error { return keepSince(ctx, tx, r, horizon) }); err != nil {
			return total, err
		}
		if err := again(func(tx *store.Tx) (int, error) {
			ids, err := tx.UsageBucket.Query().Where(usagebucket.Seconds(r.Seconds()), usagebucket.StartLT(horizon)).Limit(atOnce).IDs(ctx)
			if err != nil || len(ids) == 0 {
				return 0, err
			}
			return tx.UsageBucket.Delete().Where(usagebucket.IDIn(ids...)).Exec(ctx)
		}); err != nil {
			return total, err
		}
	}
	if err := again(func(tx *store.Tx) (int, error) {
		ids, err := tx.Allocation.Query().
			Where(allocation.EndedAtLT(at.Add(-p.usage.Allocations)), allocation.StateNEQ(property.AllocationActive)).Limit(atOnce).IDs(ctx)
		if err != nil || len(ids) == 0 {
			return 0, err
		}
		return tx.Allocation.Delete().Where(allocation.IDIn(ids...), allocation.StateNEQ(property.AllocationActive)).Exec(ctx)
	}); err != nil {
		return total, err
	}
	if err := again(func(tx *store.Tx) (int, error) {
		ids, err := tx.Denial.Query().Where(denial.AtLT(at.Add(-p.usage.Denials))).Limit(atOnce).IDs(ctx)
		if err != nil || len(ids) == 0 {
			return 0, err
		}
		return tx.Denial.Delete().Where(denial.IDIn(ids...)).Exec(ctx)
	}); err != nil {
		return total, err
	}
	logs, err := p.core.Store.Client().UsageLog.Query().IDs(ctx)
	if err != nil {
		return total, err
	}
	for _, id := range logs {
		if err := again(func(tx *store.Tx) (int, error) { return pruneLog(ctx, tx, id, at.Add(-p.usage.Log)) }); err != nil {
			return total, err
		}
	}
	return total, nil
}

// keepSince notes from when on buckets are kept; it never goes back.
func keepSince(ctx context.Context, tx *store.Tx, r usage.Resolution, since time.Time) error {
	row, err := tx.UsageKept.Query().Where(usagekept.Seconds(r.Seconds())).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return tx.UsageKept.Create().SetSeconds(r.Seconds()).SetSince(since).Exec(ctx)
	case err != nil || !since.After(row.Since):
		return err
	}
	return tx.UsageKept.UpdateOneID(row.ID).SetSince(since).Exec(ctx)
}

// pruneLog removes the oldest entries of a log, and never its last one: what is
// left is a chain.
func pruneLog(ctx context.Context, tx *store.Tx, id string, before time.Time) (int, error) {
	rows, err := tx.UsageEntry.Query().Where(usageentry.LogID(id)).Select(usageentry.FieldNumber, usageentry.FieldCreatedAt).
		Order(ent.Asc(usageentry.FieldNumber)).Limit(atOnce + 1).All(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for n < len(rows)-1 && rows[n].CreatedAt.Before(before) {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	return tx.UsageEntry.Delete().Where(usageentry.LogID(id), usageentry.NumberLT(rows[n].Number)).Exec(ctx)
}
