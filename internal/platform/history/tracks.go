package history

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/usagebucket"
	"github.com/quorate/quorate/ent/usageseries"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/usage"
)

// rowsAtOnce bounds how many rows one statement names or makes.
const rowsAtOnce = 200

// track is the usage series of one product in one container while it grows.
type track struct {
	*usage.Track
	id string // empty: it is new
}

// tracks are those of a container, in a transaction that has its place's lock.
type tracks struct {
	tx        *store.Tx
	vendor    string
	customer  *string
	container string
	all       map[string]*track // by product
}

// load adds the tracks of products. One that is new begins with what lives in
// the history now.
func (t *tracks) load(ctx context.Context, products []string) error {
	rows, err := t.tx.UsageSeries.Query().
		Where(usageseries.ContainerID(t.container), usageseries.ProductIDIn(products...)).All(ctx)
	if err != nil {
		return err
	}
	newest, err := newestBuckets(ctx, t.tx.Client, rows)
	if err != nil {
		return err
	}
	for _, row := range rows {
		t.all[row.ProductID] = &track{usage.NewTrack(seriesOf(row), newest[row.ID]), row.ID}
	}
	fresh := slices.DeleteFunc(slices.Clone(products), func(id string) bool { return t.all[id] != nil })
	if len(fresh) == 0 {
		return nil
	}
	var levels []struct {
		Product  string `json:"product_id"`
		Taken    int64  `json:"taken"`
		Users    int64  `json:"users"`
		Stations int64  `json:"stations"`
	}
	distinct := func(column, as string) ent.AggregateFunc {
		return func(s *sql.Selector) string {
			return sql.As(fmt.Sprintf("COUNT(DISTINCT NULLIF(%s, ''))", s.C(column)), as)
		}
	}
	if err := t.tx.Allocation.Query().
		Where(allocation.ContainerID(t.container), allocation.ProductIDIn(fresh...), allocation.StateEQ(property.AllocationActive)).
		GroupBy(allocation.FieldProductID).
		Aggregate(ent.As(ent.Sum(allocation.FieldLicenses), "taken"), distinct(allocation.FieldUser, "users"), distinct(allocation.FieldStation, "stations")).
		Scan(ctx, &levels); err != nil {
		return err
	}
	for _, id := range fresh {
		t.all[id] = &track{Track: usage.NewTrack(usage.Series{}, nil)}
	}
	for _, l := range levels {
		t.all[l.Product].Level = usage.Level{Taken: l.Taken, Users: l.Users, Stations: l.Stations}
	}
	return nil
}

// newestBuckets gives, by series, the buckets that the last event is in.
func newestBuckets(ctx context.Context, c *ent.Client, rows []*ent.UsageSeries) (map[string]map[usage.Resolution]usage.Bucket, error) {
	all := make(map[string]map[usage.Resolution]usage.Bucket, len(rows))
	for chunk := range slices.Chunk(rows, rowsAtOnce) {
		var ids []string
		var starts []time.Time
		at := make(map[string]time.Time, len(chunk))
		for _, row := range chunk {
			ids = append(ids, row.ID)
			at[row.ID] = row.At
			for _, r := range usage.Resolutions() {
				starts = append(starts, r.Start(row.At))
			}
		}
		found, err := c.UsageBucket.Query().Where(usagebucket.SeriesIDIn(ids...), usagebucket.StartIn(starts...)).All(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range found {
			for _, r := range usage.Resolutions() {
				if b.Seconds == r.Seconds() && b.Start.Equal(r.Start(at[b.SeriesID])) {
					if all[b.SeriesID] == nil {
						all[b.SeriesID] = map[usage.Resolution]usage.Bucket{}
					}
					all[b.SeriesID][r] = bucketOf(b)
				}
			}
		}
	}
	return all, nil
}

// save writes what has changed.
func (t *tracks) save(ctx context.Context) error {
	for product, track := range t.all {
		if err := t.saveSeries(ctx, product, track); err != nil {
			return err
		}
		var fresh []*ent.UsageBucketCreate
		for _, r := range usage.Resolutions() {
			for _, b := range track.Touched(r) {
				if b.Key == "" {
					fresh = append(fresh, t.bucket(track.id, r, b))
				} else if err := updateBucket(t.tx.UsageBucket.UpdateOneID(b.Key), b).Exec(ctx); err != nil {
					return err
				}
			}
		}
		for chunk := range slices.Chunk(fresh, rowsAtOnce) {
			if err := t.tx.UsageBucket.CreateBulk(chunk...).Exec(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tracks) saveSeries(ctx context.Context, product string, k *track) error {
	s := k.Series
	if s.Since.IsZero() {
		return nil // nothing has happened
	}
	changes := make([]property.QuantityChange, len(s.Pending))
	for i, c := range s.Pending {
		changes[i] = property.QuantityChange(c)
	}
	at := s.At
	if at.IsZero() {
		at = time.Unix(0, 0)
	}
	if k.id != "" {
		return t.tx.UsageSeries.UpdateOneID(k.id).SetSince(s.Since).SetAt(at.UTC()).
			SetTaken(s.Taken).SetQuantity(s.Quantity).SetUsers(s.Users).SetStations(s.Stations).SetChanges(changes).
			SetGranted(s.Granted).SetReleased(s.Released).SetExpired(s.Expired).SetRemoved(s.Removed).SetDenied(s.Denied).Exec(ctx)
	}
	row, err := t.tx.UsageSeries.Create().SetVendorID(t.vendor).SetNillableCustomerID(t.customer).
		SetContainerID(t.container).SetProductID(product).SetSince(s.Since).SetAt(at.UTC()).
		SetTaken(s.Taken).SetQuantity(s.Quantity).SetUsers(s.Users).SetStations(s.Stations).SetChanges(changes).
		SetGranted(s.Granted).SetReleased(s.Released).SetExpired(s.Expired).SetRemoved(s.Removed).SetDenied(s.Denied).Save(ctx)
	if err != nil {
		return err
	}
	k.id = row.ID
	return nil
}

func (t *tracks) bucket(series string, r usage.Resolution, b *usage.Bucket) *ent.UsageBucketCreate {
	return t.tx.UsageBucket.Create().SetVendorID(t.vendor).SetNillableCustomerID(t.customer).SetSeriesID(series).
		SetSeconds(r.Seconds()).SetStart(b.Start).SetUntil(b.Until).
		SetOpenTaken(b.Open.Taken).SetOpenQuantity(b.Open.Quantity).SetOpenUsers(b.Open.Users).SetOpenStations(b.Open.Stations).
		SetTaken(b.Close.Taken).SetQuantity(b.Close.Quantity).SetUsers(b.Close.Users).SetStations(b.Close.Stations).
		SetMostTaken(b.MostTaken).SetMostQuantity(b.MostQuantity).SetTakenMs(b.TakenMs).SetFullMs(b.FullMs).
		SetDistinctUsers(b.Users).SetDistinctStations(b.Stations).
		SetGranted(b.Granted).SetReleased(b.Released).SetExpired(b.Expired).SetRemoved(b.Removed).SetDenied(b.Denied)
}

func updateBucket(u *ent.UsageBucketUpdateOne, b *usage.Bucket) *ent.UsageBucketUpdateOne {
	return u.SetUntil(b.Until).
		SetTaken(b.Close.Taken).SetQuantity(b.Close.Quantity).SetUsers(b.Close.Users).SetStations(b.Close.Stations).
		SetMostTaken(b.MostTaken).SetMostQuantity(b.MostQuantity).SetTakenMs(b.TakenMs).SetFullMs(b.FullMs).
		SetDistinctUsers(b.Users).SetDistinctStations(b.Stations).
		SetGranted(b.Granted).SetReleased(b.Released).SetExpired(b.Expired).SetRemoved(b.Removed).SetDenied(b.Denied)
}

func seriesOf(row *ent.UsageSeries) usage.Series {
	s := usage.Series{
		Since: row.Since.UTC(), At: row.At.UTC(),
		Level:  usage.Level{Taken: row.Taken, Quantity: row.Quantity, Users: row.Users, Stations: row.Stations},
		Counts: usage.Counts{Granted: row.Granted, Released: row.Released, Expired: row.Expired, Removed: row.Removed, Denied: row.Denied},
	}
	for _, c := range row.Changes {
		s.Pending = append(s.Pending, usage.Change{At: c.At.UTC(), Quantity: c.Quantity})
	}
	return s
}

func bucketOf(row *ent.UsageBucket) usage.Bucket {
	return usage.Bucket{
		Key: row.ID, Start: row.Start.UTC(), Until: row.Until.UTC(),
		Open:      usage.Level{Taken: row.OpenTaken, Quantity: row.OpenQuantity, Users: row.OpenUsers, Stations: row.OpenStations},
		Close:     usage.Level{Taken: row.Taken, Quantity: row.Quantity, Users: row.Users, Stations: row.Stations},
		MostTaken: row.MostTaken, MostQuantity: row.MostQuantity, TakenMs: row.TakenMs, FullMs: row.FullMs,
		Users: row.DistinctUsers, Stations: row.DistinctStations,
		Counts: usage.Counts{Granted: row.Granted, Released: row.Released, Expired: row.Expired, Removed: row.Removed, Denied: row.Denied},
	}
}

// Quantities are how many licenses of what are in force from a time on.
type Quantities struct {
	At time.Time
	Of map[string]int64 // by "firm:product"
}

// NoteQuantities adds changes of the quantity in force to the series of a
// container, in order; products that are not named have none any more.
func NoteQuantities(ctx context.Context, t *tracks, all []Quantities) error {
	if len(all) == 0 {
		return nil
	}
	named := map[string]bool{}
	for _, q := range all {
		for ref := range q.Of {
			named[ref] = true
		}
	}
	rows, err := t.tx.UsageSeries.Query().Where(usageseries.ContainerID(t.container)).
		WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }).All(ctx)
	if err != nil {
		return err
	}
	ids := map[string]string{} // of products, by reference
	for _, row := range rows {
		if p := row.Edges.Product; p != nil && p.Edges.Firm != nil {
			ref := core.ProductOf(p).String()
			ids[ref] = p.ID
			delete(named, ref)
		}
	}
	if err := findProducts(ctx, t.tx, t.vendor, named, ids); err != nil {
		return err
	}
	products := make([]string, 0, len(ids))
	for _, id := range ids {
		products = append(products, id)
	}
	if err := t.load(ctx, products); err != nil {
		return err
	}
	latest := core.Now().Truncate(time.Millisecond)
	for _, q := range all {
		at := core.Plausible(q.At).Truncate(time.Millisecond)
		if at.After(latest) {
			at = latest
		}
		for ref, id := range ids {
			t.all[id].SetQuantity(at, q.Of[ref])
		}
	}
	return t.save(ctx)
}
